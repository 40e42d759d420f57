// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace muster {

/// What the server counts; shown by /metrics. Relaxed atomics: a counter orders nothing.
class Counter {
 public:
  void add(std::uint64_t by = 1) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
  void subtract(std::uint64_t by = 1) noexcept { value_.fetch_sub(by, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// One list, so that a new number has one place to go. Names are those of /metrics without the prefix `muster_`.
struct Metrics {
  Counter connections_open, connections_accepted_total, connections_refused_address_limit_total, connections_refused_full_total;
  Counter sniff_unknown_total, tls_handshakes_total, tls_handshakes_failed_total, tls_handshakes_resumed_total,
      tls_handshakes_refused_total;
  Counter sessions_open, logins_ok_total, logins_invalid_total, logins_held_total, logins_redirected_total, login_timeouts_total;
  Counter logins_malformed_total, invalid_suppressed_by_breaker_total, sessions_replaced_total, token_conflicts_total,
      unknown_token_holds_total;
  Counter frames_in_total, frames_malformed_total, flood_limited_total, flood_closed_total, heartbeat_lost_total, slow_readers_closed_total;
  Counter plain_refused_total, values_written_total, values_undefined_pin_total, values_dropped_total, pushes_total;
  Counter http_requests_total, http_bad_requests_total, http_throttled_total, http_unavailable_total, store_errors_total, queue_full_total;
  Counter provision_sessions_created_total, provision_logins_total, provision_accepted_total, provision_refused_total,
      provision_info_missing_total, provision_expired_total, provision_canceled_total, reprovision_proved_total,
      reprovision_fell_back_total;
  Counter events_dropped_total, webhook_attempts_total, webhook_attempts_failed_total, webhook_delivered_total, webhook_given_up_total,
      webhook_dropped_total;
  Counter stream_clients, stream_slow_closed_total, write_behind_rows_total, write_behind_errors_total;
};

}  // namespace muster
