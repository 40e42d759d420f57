// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <string>

#include "agent/port/clock.hpp"
#include "provisioner/http_answer.hpp"
#include "provisioner/ports.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::cli {

/// The device at an address: one HTTP request at a time over a socket that never blocks. attach() before the first request.
class DeviceSocket final : public provisioner::DeviceHttp {
 public:
  /// `interface` not empty: only through this one (needs root), however the host's routes are.
  DeviceSocket(std::string host, std::string port, std::string interface = {});
  ~DeviceSocket();
  DeviceSocket(const DeviceSocket&) = delete;
  DeviceSocket& operator=(const DeviceSocket&) = delete;
  void attach(provisioner::Provisioner& provisioner) { provisioner_ = &provisioner; }

  void get(const std::string& target) override;
  void cancel() override;

  [[nodiscard]] pollfd wanted() const;
  /// `now` when there is something to tell at once, else `never`.
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const { return failed_ ? now : agent::never; }
  /// `events`: what poll(2) said about wanted().
  void serve(short events, agent::Millis now);

 private:
  void connect();

  std::string host_, port_, interface_;
  provisioner::Provisioner* provisioner_ = nullptr;
  provisioner::HttpAnswerReader reader_;
  std::string outgoing_;
  int fd_ = -1;
  bool failed_ = false;
};

}  // namespace muster::cli
