// SPDX-License-Identifier: Apache-2.0
#include "provisioner/http_dialect.hpp"

#include <utility>

#include "provisioner/http_answer.hpp"

namespace muster::provisioner {

void HttpDialect::ask(Question question, const std::string& target) {
  asked_ = question;
  http_.get(target);
}

void HttpDialect::send_settings(const DeviceSettings& settings) {
  std::string target = "/config?if=wifi&ssid=" + percent_encode(settings.ssid) + "&pass=" + percent_encode(settings.password) +
                       "&blynk=" + percent_encode(settings.token) + "&host=" + percent_encode(settings.host) +
                       "&port_ssl=" + std::to_string(settings.port);
  ask(Question::settings, target);
  target.assign(target.size(), '\0');
}

void HttpDialect::cancel() {
  asked_ = Question::none;
  http_.cancel();
}

void HttpDialect::on_answer(int status, const std::string& body, agent::Millis now) {
  switch (std::exchange(asked_, Question::none)) {
    case Question::none: break;
    case Question::info: {
      DeviceInfo info;
      if (status == 200 && parse_device_info(body, info)) {
        listener_.on_device_info(info, now);
      } else {
        listener_.on_device_unreadable(status == 200 ? std::string{} : "It answered with status " + std::to_string(status) + ".", now);
      }
      break;
    }
    case Question::networks: {
      std::vector<SeenNetwork> found;
      const bool readable = status == 200 && parse_networks(body, found);
      listener_.on_device_networks(std::move(found), readable, now);
      break;
    }
    case Question::forget: listener_.on_device_forgot(now); break;
    case Question::settings: {
      std::string message;
      const bool taken = parse_config_answer(status, body, message);
      listener_.on_settings_answer(taken, message, now);
      break;
    }
  }
}

}  // namespace muster::provisioner
