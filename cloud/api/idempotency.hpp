// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "cloud/api/http.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"

namespace muster::api {

/// What requests with an `Idempotency-Key` made, so that one that is sent again makes nothing twice. In memory: a restart forgets.
/// Thread-safe and bounded: past a limit the oldest is forgotten.
class Idempotency {
 public:
  struct Limits {
    std::size_t keys_max = 10'000;
    std::size_t keys_per_user_max = 1'000;  ///< Nobody pushes out what others need.
    std::size_t bytes_max = 16u << 20;      ///< Of answers.
    std::chrono::hours remembered_for{24};
  };
  static constexpr std::size_t key_size_max = 255;
  using Fingerprint = std::array<std::uint8_t, 32>;  ///< Of path, query and body, under a secret key.

  /// What is shown again. Never a secret: a device is read again instead, by its id.
  struct Made {
    DeviceId device;
    unsigned status = 0;
    std::string content_type, body;
  };
  enum class Verdict : std::uint8_t {
    go_on,      ///< New: do it, then call finish() or forget().
    made,       ///< Done before: `made` says what.
    in_flight,  ///< Being done at this moment.
    reused,     ///< The key came with another request.
  };

  Idempotency() = default;
  explicit Idempotency(Limits limits) : limits_{limits} {}

  [[nodiscard]] Verdict begin(UserId user, std::string_view key, const Fingerprint& fingerprint, Instant now, Made& made);
  void finish(UserId user, std::string_view key, Made made, Instant now);
  /// It was refused or failed: the next try begins anew.
  void forget(UserId user, std::string_view key);
  [[nodiscard]] std::size_t size() const;

 private:
  using Name = std::pair<std::int64_t, std::string>;
  struct Entry {
    Name name;
    Fingerprint fingerprint{};
    bool done = false;
    Instant since{};
    Made made;
  };
  using Entries = std::list<Entry>;
  void erase(Entries::iterator entry);
  [[nodiscard]] bool erase_oldest(std::int64_t user);  ///< 0: of anybody.
  void make_room(UserId user, Instant now);

  const Limits limits_;
  mutable std::mutex mutex_;
  Entries entries_;  ///< Oldest first.
  std::map<Name, Entries::iterator> by_name_;
  std::map<std::int64_t, std::size_t> per_user_;
  std::size_t bytes_ = 0;
};

}  // namespace muster::api
