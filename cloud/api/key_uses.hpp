// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/domain/access_store.hpp"

namespace muster::api {

/// When API keys were used last, on the way to the store: of each key at most one use a minute. Thread-safe, bounded: what does not fit is
/// left out, and told at the key's next use.
class KeyUses {
 public:
  static constexpr std::size_t keys_max = 100'000;
  static constexpr std::int64_t pause_ms = 60'000;

  void note(ApiKeyId key, UtcTime at, std::string_view ip);
  /// What waits to be written.
  [[nodiscard]] std::vector<domain::KeyUse> take();
  /// It could not be written: it waits again, unless something newer does.
  void retry(std::vector<domain::KeyUse> uses);

 private:
  std::mutex mutex_;
  std::unordered_map<ApiKeyId, UtcTime> noted_;
  std::unordered_map<ApiKeyId, domain::KeyUse> waiting_;
};

}  // namespace muster::api
