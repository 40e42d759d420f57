// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cloud/api/json.hpp"
#include "cloud/api/stream/stream_hub.hpp"

namespace muster::api {

/// One client of the live stream. on_message() blocks and runs on a worker, poll() never blocks and runs on the loop;
/// both may run at once.
class StreamClient final : public StreamSession {
 public:
  StreamClient(StreamHub& hub, std::string_view access_token);
  ~StreamClient() override;

  void on_message(std::string_view text) override;
  [[nodiscard]] bool poll(Instant now, std::vector<std::string>& out) override;

 private:
  friend class StreamHub;
  enum class Kind : std::uint8_t { devices, values, sessions, timeline };
  struct Row {
    std::int16_t row = 0;           ///< StreamHub::status_row or a pin.
    std::uint64_t dirty_since = 0;  ///< First journal position not told yet; 0 = nothing to tell.
    Instant sent_at{};
  };
  struct Subscription {
    Kind kind = Kind::devices;
    bool live = false;  ///< Its snapshot is in the outbox: deltas may follow.
    std::vector<OrganizationId> organizations;
    std::unordered_map<DeviceId, std::vector<Row>> devices;
    // Of kinds sessions and timeline:
    OrganizationId session_organization;     ///< None: what is one's own, and all of one's organization; or the devices below.
    std::vector<ProvisionSessionId> shown;   ///< Sorted: what the client was told of, newest `sessions_pending_max`.
    std::vector<DeviceId> timeline_devices;  ///< Sorted.
  };
  struct DirtyRow {
    std::string subscription;
    DeviceId device;
    std::int16_t row = 0;
  };

  struct RowOfDevice {
    DeviceId device;
    std::string text;
  };

  /// Called by the hub, under its lock.
  void offer_session(const domain::ProvisionSession& session);
  void offer_line(const domain::TimelineEntry& entry);

  // Called with message_mutex_ held, on a worker.
  void handle(const Json& message);
  [[nodiscard]] bool authenticate(std::string_view token);
  void subscribe(const Json& message, const std::string& id);
  void unsubscribe(const std::string& id);
  void resume(const std::string& cursor);
  void queue_snapshot(const std::string& id);
  void subscribe_sessions(const Json& message, const std::string& id);
  void queue_session_snapshot(const std::string& id);
  void subscribe_timeline(const Json& message, const std::string& id);
  [[nodiscard]] bool remove_subscription(const std::string& id);
  void snapshot_rows(Kind kind, const std::vector<DeviceId>& devices, std::vector<RowOfDevice>& rows, bool& failed);
  void fail(std::string_view id, std::string_view code, std::string_view message);
  void queue(std::string message);

  // Called with mutex_ held.
  void queue_locked(std::string message);
  void recheck(Instant now);
  [[nodiscard]] bool follow_permissions(Instant now);
  void take_entries(const std::vector<StreamHub::Entry>& entries, std::uint64_t first, Instant now);
  void mark(const std::string& id, Subscription& subscription, DeviceId device, std::int16_t row, std::uint64_t position);
  void drop_devices(const std::string& id, Subscription& subscription, const std::vector<DeviceId>& devices, Instant now);
  void send_dirty(Instant now, std::vector<std::string>& out);
  void send_sessions(Instant now, std::vector<std::string>& out);
  void send_lines(std::vector<std::string>& out);
  [[nodiscard]] bool shows(const Subscription& subscription, const domain::ProvisionSession& session) const;
  [[nodiscard]] std::string cursor() const;
  [[nodiscard]] std::size_t row_count() const;
  [[nodiscard]] bool end(std::vector<std::string>& out, std::string message);

  StreamHub& hub_;
  std::mutex message_mutex_;  ///< One message at a time.
  std::string pending_token_;
  unsigned auth_failures_ = 0;
  Instant message_window_start_{};
  unsigned messages_in_window_ = 0;

  std::mutex mutex_;  ///< Guards what follows; never held while the store is asked.
  std::optional<domain::Caller> caller_;
  UtcTime expires_at_;
  std::uint64_t permission_generation_ = 0;
  std::map<std::string, Subscription> subscriptions_;
  std::vector<DirtyRow> dirty_;
  Instant sessions_sent_at_{};
  std::uint64_t position_ = 0;  ///< Of the journal; 0 = nothing watched yet.
  std::vector<std::string> outbox_;
  std::size_t outbox_bytes_ = 0;
  bool rows_waiting_ = false;   ///< There are rows in it.
  bool rows_outdated_ = false;  ///< ... that may not be seen any more.
  bool closing_ = false;
  Instant opened_at_{};
  Instant polled_at_{};
  enum class End : std::uint8_t { no, token_gone, unsure };
  std::atomic<End> end_{End::no};  ///< Set by the hub.

  std::mutex sessions_mutex_;  ///< Guards what the hub offers; taken last.
  std::unordered_map<ProvisionSessionId, domain::ProvisionSession> sessions_offered_;
  std::map<TimelineId, domain::TimelineEntry> lines_offered_;
  bool sessions_lost_ = false;  ///< There were too many: a new snapshot tells.
  std::atomic<bool> wants_sessions_{false}, wants_lines_{false};
};

}  // namespace muster::api
