// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/data_store.hpp"

#include <chrono>

#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::main {

Result<std::unique_ptr<domain::Store>> open_data_store(const std::filesystem::path& data_directory) {
  std::unique_ptr<domain::Store> opened =
      store::SqliteStore::open(data_directory / "muster.db", {.create = false, .busy_timeout = std::chrono::seconds{10}});
  MUSTER_TRY_VOID(opened->check());
  return opened;
}

}  // namespace muster::main
