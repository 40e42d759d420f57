// SPDX-License-Identifier: Apache-2.0
// A hostile device over Bluetooth: lines are its messages. A line that begins with '?' and a digit is no message but the next question (its
// rest is dropped), '~' lets time pass. Each question gets at most one answer, and what comes out is bounded.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "provisioner/ble_dialect.hpp"

namespace {

using namespace muster::provisioner;
using muster::agent::Millis;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Asker final : BleLink, DeviceListener {
  Asker() {
    dialect.attach(*this);
    dialect.on_linked();
  }
  void write(std::string_view message) override { require(!message.empty() && message.size() <= 512); }
  std::size_t message_size_max_bytes() const override { return 100; }
  void on_device_info(const DeviceInfo& info, Millis) override {
    answer();
    require(info.template_id.starts_with("TMPL"));
    for (const auto& text : {info.name, info.template_id, info.vendor, info.firmware_type, info.firmware_version, info.uid})
      require(text.size() <= device_text_max_bytes);
  }
  void on_device_networks(std::vector<SeenNetwork> networks, bool, Millis) override {
    answer();
    require(networks.size() <= networks_max);
    for (const auto& network : networks)
      require(!network.ssid.empty() && network.ssid.size() <= 32 && network.security.size() <= device_text_max_bytes &&
              network.rssi_dbm <= 0 && network.channel <= 255);
  }
  void on_device_forgot(Millis) override { answer(); }
  void on_settings_answer(bool, const std::string& message, Millis) override { answer(message); }
  void on_device_unreadable(const std::string& why, Millis) override { answer(why); }
  void on_device_no_answer(Millis) override { answer(); }
  void on_device_progress(DeviceProgress, const std::string& detail, Millis) override { require(detail.size() <= device_text_max_bytes); }
  void on_device_failed(std::uint16_t code, const std::string& message, Millis) override {
    require(code >= 700 && code < 800 && message.size() <= device_text_max_bytes);
  }
  void answer(const std::string& text = {}) {
    require(asked && text.size() <= device_text_max_bytes);
    asked = false;
  }
  void ask(char which) {
    asked = true;
    switch (which) {
      case '1': dialect.ask_networks(); break;
      case '2': dialect.forget_networks(); break;
      case '3': dialect.send_settings({"Home", "pass\"word", std::string(32, 't'), "cloud.example", 9443}); break;
      default: dialect.ask_info(); break;
    }
  }

  BleDialect dialect{*this};
  bool asked = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Asker asker;
  Millis now = 1'000;
  asker.ask('0');
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string line{rest.substr(0, end)};  // Of its own size, so that reading past it is seen.
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.size() > 1 && line[0] == '?') {
      asker.ask(line[1]);
    } else if (line == "~") {
      now += BleDialect::quiet_ms;
      asker.dialect.on_timer(now);
    } else {
      asker.dialect.on_message(line, now);
    }
  }
  return 0;
}
