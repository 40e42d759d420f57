// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "provisioner/ports.hpp"

namespace muster::provisioner {

/// Both generations of devices on their access point: questions are GETs. Facts: docs/protocol/provisioning.md section 2.
class HttpDialect final : public DeviceDialect {
 public:
  HttpDialect(DeviceHttp& http, DeviceListener& listener) : http_{http}, listener_{listener} {}
  HttpDialect(const HttpDialect&) = delete;
  HttpDialect& operator=(const HttpDialect&) = delete;

  void ask_info() override { ask(Question::info, "/board_info.json"); }
  void ask_networks() override { ask(Question::networks, "/wifi_scan.json"); }
  void forget_networks() override { ask(Question::forget, "/reset"); }
  void send_settings(const DeviceSettings& settings) override;
  void cancel() override;

  void on_answer(int status, const std::string& body, agent::Millis now);

 private:
  enum class Question : std::uint8_t { none, info, networks, forget, settings };
  void ask(Question question, const std::string& target);

  DeviceHttp& http_;
  DeviceListener& listener_;
  Question asked_ = Question::none;
};

}  // namespace muster::provisioner
