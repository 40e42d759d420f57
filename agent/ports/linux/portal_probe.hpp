// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/port/clock.hpp"
#include "agent/ports/linux/resolver.hpp"

namespace muster::agent::linux_port {

enum class PortalVerdict : std::uint8_t { unknown, no_portal, portal };

/// What the answer to a plain `GET /healthz` at the cloud's own host says. A sign-in page shows itself by sending the asker to another place
/// (or to another page of the same one, unencrypted), by a page where the cloud answers with a word, or by status 511. The cloud itself,
/// another web server that does not know the path, and one that wants https at the same host are none. Any bytes; `whole`: no more come.
[[nodiscard]] PortalVerdict judge_portal_answer(std::string_view answer, bool whole, std::string_view host) noexcept;

/// Asks once whether a guest network's sign-in page stands in the cloud's place. Never blocks; one question at a time.
class PortalProbe {
 public:
  static constexpr Millis timeout_ms = 3'000;
  static constexpr std::size_t answer_max_bytes = 4096;

  explicit PortalProbe(Clock& clock) : clock_{clock} {}
  ~PortalProbe() { cancel(); }
  PortalProbe(const PortalProbe&) = delete;
  PortalProbe& operator=(const PortalProbe&) = delete;

  /// `address` with the port to ask. False: there is no way to it.
  [[nodiscard]] bool start(const SocketAddress& address, std::string_view host);
  void cancel() noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] short events() const noexcept;
  [[nodiscard]] Millis next_deadline() const noexcept { return deadline_; }
  /// After poll(2), or when the deadline has come. unknown: it goes on.
  [[nodiscard]] PortalVerdict serve();

 private:
  Clock& clock_;
  std::string host_, outgoing_, answer_;
  Millis deadline_ = never;
  int fd_ = -1;
};

}  // namespace muster::agent::linux_port
