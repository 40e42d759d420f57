// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cloud/api/api.hpp"

namespace muster::api {

struct StreamLimits {
  std::size_t clients_max = 1'000;            ///< Signed in; and as many more may be about to sign in.
  std::size_t unsigned_per_address_max = 16;  ///< Clients of one address (an IPv6 /64) that have not signed in yet.
  std::size_t rows_max = 10'000;              ///< Of one client, over all its subscriptions.
  std::size_t rows_total_max = 1'000'000;     ///< Devices watched by all clients together.
  std::size_t journal_entries = 65'536;       ///< A power of two. Clients further behind than this are too slow.
  std::size_t subscriptions_max = 32;
  std::size_t message_size_max_bytes = 64u << 10;
  unsigned messages_per_window = 50;
  std::chrono::milliseconds message_window{10'000};
  std::chrono::milliseconds auth_deadline{10'000};
  std::chrono::milliseconds row_interval{200};  ///< A row is sent at most this often.
  std::chrono::milliseconds stall_max{10'000};  ///< A client with something to get that is not polled this long reads too slowly.
  std::chrono::milliseconds linger{60'000};     ///< Changes are remembered this long for a client that may come back.
  std::size_t outbox_max_bytes = 16u << 20;
  std::size_t rows_per_message = 500;
  std::size_t rows_per_poll = 2'000;
  std::size_t sessions_pending_max = 5'000;  ///< Changed provisioning sessions that wait for one client; past it, it gets a new snapshot.
  std::int64_t sessions_in_snapshot = 500;   ///< The newest ones.
};

class StreamClient;

/// What all clients of /api/v1/stream share: which devices somebody watches, and a journal of their changed rows, in order.
/// A change costs one short lock, and nothing while nobody watches. Rows hold no state: whoever sends one reads the
/// present state, so a row that changed again before anybody read the journal needs no second entry.
/// The contract of the messages is `x-stream` in openapi.yaml. Clients must be gone before the hub.
class StreamHub final : public domain::LiveFeed {
 public:
  struct Dependencies {
    domain::Store& store;
    domain::Views& views;
    domain::SessionRegistry& sessions;
    domain::ValueCache& values;
    const KeyRing& keys;
    const Clock& clock;
    Metrics& metrics;
  };
  StreamHub(Dependencies dependencies, StreamLimits limits);
  ~StreamHub() override;

  void device_status_changed(DeviceId device) override;
  void value_changed(DeviceId device, std::uint8_t pin) override;
  void device_gone(DeviceId device) noexcept;
  /// For those that subscribed to provisioning sessions; nothing while nobody did.
  void provision_session_changed(const domain::ProvisionSession& session);
  /// Reads what was written to timelines since, and offers it to those that follow them; nothing while nobody does. Blocks; call it about
  /// twice a second, on any one thread.
  void follow_timeline();
  void timeline_changed(const domain::TimelineEntry& entry);  ///< A line was resolved.
  void permissions_changed() noexcept { permission_generation_.fetch_add(1, std::memory_order_acq_rel); }
  /// Ends those streams of a user (none: of everybody) whose access token is gone, and those of which the store cannot tell. Blocks.
  void access_tokens_changed(UserId user);

  /// A client whose access token (from cookie or header, may be empty) is looked up with its first message. nullptr: there are too many
  /// that have not signed in, of this address or in all.
  [[nodiscard]] std::unique_ptr<StreamSession> open(std::string_view access_token, const IpAddress& address);

 private:
  friend class StreamClient;
  static constexpr std::int16_t status_row = -1, gone_row = -2;
  struct Entry {
    DeviceId device;
    std::int16_t row = status_row;  ///< A pin, or one of the above.
  };
  struct Watch {
    std::uint32_t count = 0;
    std::uint64_t since = 0;                                     ///< Changes from this entry on are in the journal.
    Instant forget_at{};                                         ///< Once count is 0.
    std::vector<std::pair<std::int16_t, std::uint64_t>> newest;  ///< Entry after the row's newest one.
  };

  void append(std::unique_lock<std::mutex>& held, DeviceId device, std::int16_t row, Watch* watch);
  void sweep(Instant now);
  void update_watched();

  // --- for clients ---
  [[nodiscard]] bool begin_timeline();  ///< False: the store cannot say where it ends now.
  void end_timeline();
  /// False: too many rows are watched already.
  [[nodiscard]] bool watch(std::span<const DeviceId> devices, std::span<const OrganizationId> organizations, Instant now,
                           std::uint64_t& position);
  void unwatch(std::span<const DeviceId> devices, std::span<const OrganizationId> organizations, Instant now);
  enum class Read { ok, overrun };
  [[nodiscard]] Read read(std::uint64_t& position, std::size_t limit, std::vector<Entry>& out, Instant now);
  [[nodiscard]] bool can_resume(std::uint64_t position, std::span<const DeviceId> devices, std::span<const OrganizationId> organizations);
  /// False: as many are signed in as may be.
  [[nodiscard]] bool signed_in(StreamClient* client, UserId user, const TokenDigests& access_digests);
  void closed(StreamClient* client) noexcept;

  const Dependencies d_;
  const StreamLimits limits_;
  const std::string epoch_;  ///< Part of every cursor: those of another process mean nothing here.
  std::atomic<std::uint64_t> permission_generation_{0};
  std::atomic<std::size_t> session_watchers_{0};           ///< Subscriptions to provisioning sessions.
  std::atomic<std::uint64_t> access_token_generation_{0};  ///< Counted before the clients are gone through.

  std::mutex timeline_mutex_;
  std::size_t timeline_watchers_ = 0;  ///< Subscriptions to timelines.
  TimelineId timeline_seen_;           ///< The last line that was offered.

  std::mutex mutex_;
  std::unordered_map<DeviceId, Watch> devices_;
  std::unordered_map<OrganizationId, Watch> organizations_;
  std::vector<Entry> journal_;
  std::uint64_t next_ = 1;        ///< The position that the next entry gets.
  std::uint64_t read_up_to_ = 0;  ///< The furthest that any client has read.
  Instant next_sweep_{};
  struct SignedIn {
    UserId user;  ///< None: nobody yet.
    TokenDigests access_digests;
    std::uint64_t address_key = 0;  ///< IpAddress::limit_key() of where it opened.
  };
  std::unordered_map<StreamClient*, SignedIn> clients_;
  std::size_t signed_in_count_ = 0;  ///< Of them.
};

}  // namespace muster::api
