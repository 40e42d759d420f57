// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/credential_index.hpp"
#include "cloud/domain/directory.hpp"
#include "cloud/domain/provision_directory.hpp"
#include "cloud/domain/store.hpp"

namespace muster::domain {

/// The in-memory views, built from the store at start and kept by its change feed.
///
/// Lifetime: `main` builds one; everything else borrows. `rebuild` and `catch_up` block (store) and may be called from any
/// thread; they serialise themselves. Until the first rebuild has worked, `ready()` is false and a login miss or hit proves nothing:
/// logins are held.
class Views {
 public:
  explicit Views(Store& store);
  ~Views();

  CredentialIndex credentials;
  Directory directory;
  ProvisionDirectory provisioning;

  [[nodiscard]] bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
  /// Rows in `unknown_tokens = hold` mode: a miss is never answered "invalid".
  [[nodiscard]] bool hold_unknown_tokens() const noexcept { return hold_unknown_.load(std::memory_order_acquire); }

  /// Reads everything anew and swaps it in. Remembers the change it stands for.
  Result<void> rebuild();
  /// Applies the changes since then; rebuilds when too far behind. Call after every write of this node (the caller's next read must see it)
  /// and whenever the bus says "look now".
  Result<void> catch_up();
  [[nodiscard]] std::int64_t applied_change() const noexcept { return applied_.load(std::memory_order_acquire); }

  /// Told of tokens that stopped being live and of devices that moved or went, so that sessions can be closed. Called before
  /// rebuild or catch_up returns, on its thread, with no lock held.
  struct Listener {
    virtual ~Listener() = default;
    /// Close the device's session, if it logged in with this token: its next login hears the truth.
    virtual void token_gone(DeviceId device, AuthTokenId token) = 0;
    virtual void device_gone(DeviceId device) = 0;
    virtual void permissions_changed() = 0;  ///< Roles, users, organizations: re-check open streams.
    /// Access tokens of this user were made, prolonged or ended; no user: anybody's, after a rebuild. May block: ask the store which.
    virtual void access_tokens_changed(UserId /*user*/) {}
    virtual void provision_session_changed(const ProvisionSession& /*session*/) {}
    virtual void settings_changed() {}  ///< Server-wide settings; also after a key was added: read the key ring again.
  };
  void set_listener(Listener* listener) noexcept { listener_ = listener; }
  /// Distinct addresses of past logins, read by rebuild, handed to the breaker.
  void set_seen_ip_sink(std::function<void(std::string_view)> sink) { seen_ip_ = std::move(sink); }
  /// Asked before a token under a key id that was not met since the last rebuild enters the index: must make the key ring know that key,
  /// and be sure that it is the key this store's tokens were digested with, else logins with this token would miss. On its error nothing
  /// is applied, and the next rebuild or catch_up asks again. Called under the views' own lock; may read the store.
  void set_key_check(std::function<Result<void>(std::uint16_t key_id)> check) { key_check_ = std::move(check); }

 private:
  class Follower;

  Store& store_;
  std::mutex mutex_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> hold_unknown_{false};
  std::atomic<std::int64_t> applied_{0};
  Listener* listener_ = nullptr;
  std::function<void(std::string_view)> seen_ip_;
  std::function<Result<void>(std::uint16_t)> key_check_;
  std::vector<std::uint16_t> keys_met_;  ///< At most KeyRing::keys_max, as long as the ring is whole.
};

}  // namespace muster::domain
