// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <variant>
#include <vector>

#include "cloud/api/http.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/protocol/session.hpp"

namespace muster::net {

/// An event for a session.
struct SessionMail {
  domain::SessionAddress address;
  protocol::SessionEvent event;
};
/// A worker's answer to the HTTP request that the connection waits for.
struct ResponseMail {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  api::Response response;
};
/// Stop accepting, end sessions over `spread`, all of it within `grace`.
struct StopMail {
  std::chrono::milliseconds spread{0};
  std::chrono::milliseconds grace{0};
};
using Mail = std::variant<SessionMail, ResponseMail, StopMail>;

/// What other threads have for a loop. Many writers, one reader; wakes the reader only when it sleeps.
class Mailbox {
 public:
  explicit Mailbox(std::size_t session_mail_max);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// False: full, or closed. Thread-safe.
  [[nodiscard]] bool post(SessionMail&& mail);
  /// Not bounded here: an answer belongs to a connection that waits for it, a stop comes once. Dropped when closed. Thread-safe.
  void post(ResponseMail&& mail);
  void post(StopMail mail);

  // --- for the loop ----------------------------------------------------------------------------------------------------------
  /// Readable (edge-triggered) when there is mail for a sleeper. -1: the system had no descriptor left.
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_; }
  /// False: there is mail, do not sleep.
  [[nodiscard]] bool prepare_sleep() noexcept;
  void awake() noexcept { sleeping_.store(false, std::memory_order_relaxed); }
  /// Moves what waits to `out`, which should be empty.
  void take(std::vector<Mail>& out);
  [[nodiscard]] bool empty() const noexcept { return !waiting_.load(std::memory_order_acquire); }
  /// The loop is gone: what comes now is dropped.
  void close();

 private:
  void wake() noexcept;

  const std::size_t session_mail_max_;
  int wake_fd_;
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;
  std::vector<Mail> queue_;
  std::size_t session_mail_ = 0;
  bool closed_ = false;
};

}  // namespace muster::net
