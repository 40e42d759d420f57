// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/data_store.hpp"

#include <chrono>
#include <string>
#include <system_error>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/error.hpp"
#include "cloud/base/random.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::main {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view scheme = "sqlite:", default_name = "muster.db", record_name = "store";
constexpr std::size_t record_max_bytes = 8 * 1024;

Error error_of(const std::error_code& code) noexcept { return {code.value(), boost::system::generic_category()}; }

}  // namespace

bool is_store_url(std::string_view store_url) noexcept { return store_url.starts_with(scheme) && store_url.size() > scheme.size(); }

fs::path database_of_url(std::string_view store_url) { return fs::path{store_url.substr(scheme.size())}; }

Result<fs::path> recorded_database(const fs::path& data_directory) {
  const auto text = read_file(data_directory / record_name, record_max_bytes);
  if (!text) {
    if (text.error() == boost::system::errc::no_such_file_or_directory) return data_directory / default_name;
    return text.error();
  }
  std::string_view url = *text;
  if (url.ends_with('\n')) url.remove_suffix(1);
  if (!is_store_url(url)) return BaseError::file_damaged;
  return data_directory / database_of_url(url);  // An absolute path stays as it is.
}

Result<void> record_database(const fs::path& data_directory, const fs::path& database) {
  std::error_code failure;
  fs::path directory = fs::absolute(data_directory, failure).lexically_normal();
  if (failure) return error_of(failure);
  if (!directory.has_filename()) directory = directory.parent_path();
  fs::path path = fs::absolute(database, failure).lexically_normal();
  if (failure) return error_of(failure);
  if (const fs::path inside = path.lexically_relative(directory); !inside.empty() && *inside.begin() != "..") path = inside;
  const std::string text = std::string{scheme} + path.string() + "\n";
  const auto present = read_file(data_directory / record_name, record_max_bytes);
  if (present ? *present == text : path == default_name && present.error() == boost::system::errc::no_such_file_or_directory) return {};
  return write_file_atomically(data_directory / record_name, text, 0600);
}

Result<std::unique_ptr<domain::Store>> open_data_store(const fs::path& data_directory, const fs::path& database) {
  SecureRandom random;
  MUSTER_TRY(const auto audit_key, AuditKey::open(data_directory / "keys", random));
  std::unique_ptr<domain::Store> opened =
      store::SqliteStore::open(database, {.audit_key = audit_key, .create = false, .busy_timeout = std::chrono::seconds{10}});
  MUSTER_TRY_VOID(opened->check());
  return opened;
}

}  // namespace muster::main
