// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/core/agent_test_rig.hpp"
#include "agent/core/device.hpp"

/// A device with everything around it recorded, in virtual time. For tests and fuzz targets.
namespace muster::agent::test {

inline constexpr std::string_view other_token = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

struct FakeRadio final : Radio {
  std::vector<std::string> log;  ///< open NAME, shut, scan, join SSID/PASS[@fixed][ wired], leave
  void open(std::string_view name) override { log.push_back("open " + std::string{name}); }
  void shut() override { log.emplace_back("shut"); }
  void scan() override { log.emplace_back("scan"); }
  void join(const JoinTarget& target) override {
    log.push_back("join " + std::string{target.ssid} + '/' + std::string{target.passphrase} +
                  (target.fixed != nullptr ? '@' + std::string{format_ipv4(target.fixed->address).view()} : "") +
                  (target.wired ? " wired" : ""));
  }
  void leave() override { log.emplace_back("leave"); }
};

/// Two records in memory. Fails, or loses its power, when told to.
struct FakeStore final : Store {
  std::optional<Bytes> records[2];
  bool fails = false;
  int fail_next = 0;      ///< So many writes fail.
  int power_cut_in = -1;  ///< Writes until the power fails: 0 before the next one, then nothing is written any more. -1: never.
  int writes = 0;
  std::vector<std::string> log;

  StoreStatus load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) override {
    const std::optional<Bytes>& record = records[static_cast<std::size_t>(slot)];
    if (!record) {
      return StoreStatus::absent;
    }
    if (record->size() > room.size) {
      return StoreStatus::too_big;
    }
    std::copy(record->begin(), record->end(), room.data);
    size_bytes = record->size();
    return StoreStatus::ok;
  }
  StoreStatus save(Slot slot, wire::ByteView record) override { return write(slot, Bytes{record.begin(), record.end()}, "save "); }
  StoreStatus erase(Slot slot) override { return write(slot, std::nullopt, "erase "); }

  std::optional<DeviceConfig> read(Slot slot) const {
    const std::optional<Bytes>& record = records[static_cast<std::size_t>(slot)];
    DeviceConfig config;
    if (!record || decode_config({record->data(), record->size()}, config) != ConfigStatus::ok) {
      return std::nullopt;
    }
    return config;
  }
  void put(Slot slot, const DeviceConfig& config) {
    std::uint8_t room[config_record_size_max_bytes];
    records[static_cast<std::size_t>(slot)] = Bytes{room, room + encode_config(config, {room, sizeof room})};
  }

 private:
  StoreStatus write(Slot slot, std::optional<Bytes> record, const char* verb) {
    if (fails || fail_next > 0) {
      fail_next -= fail_next > 0 ? 1 : 0;
      return StoreStatus::io_failed;
    }
    ++writes;
    if (power_cut_in == 0) {
      return StoreStatus::ok;  // Nobody is there any more to hear it.
    }
    if (power_cut_in > 0) {
      --power_cut_in;
    }
    records[static_cast<std::size_t>(slot)] = std::move(record);
    log.push_back(verb + std::string{slot == Slot::proved ? "proved" : "pending"});
    return StoreStatus::ok;
  }
};

struct RecordingObserver final : Observer {
  std::vector<std::string> states;
  std::vector<std::string> steps;  ///< kind[ code][ trial]
  std::vector<Indicator> indicators;
  int restarts = 0;
  void on_state(DeviceState state, Millis) override { states.emplace_back(to_text(state)); }
  void on_indicator(const Indicator& indicator) override { indicators.push_back(indicator); }
  void on_step(const Step& step, Millis) override {
    std::string line{to_text(step.kind)};
    if (step.code != wire::ActivationFailure::none) {
      line += ' ' + std::to_string(static_cast<int>(step.code));
    }
    steps.push_back(line + (step.trial ? " trial" : ""));
  }
  void on_restart_wanted(Millis) override { ++restarts; }
};

inline NetworkConfig wifi(std::string_view ssid, std::string_view passphrase = "secret123") {
  NetworkConfig network;
  network.interface = Interface::wifi;
  static_cast<void>(network.ssid.assign(ssid));
  static_cast<void>(network.passphrase.assign(passphrase));
  return network;
}

/// A stored device: at home on "old", with `token`.
inline DeviceConfig home_config() {
  DeviceConfig config = make_config("cloud.example", 9443);
  config.network = wifi("old");
  config.generation = 1;
  return config;
}

inline SetupSettings settings(std::string_view ssid = "new", std::string_view pass = "secret456", std::string_view auth = other_token) {
  SetupSettings out;
  out.set("ssid", ssid);
  out.set("pass", pass);
  out.set("blynk", auth);
  out.set("host", "new.example");
  out.set("port_ssl", "9443");
  return out;
}

inline DeviceProfile make_profile() {
  DeviceProfile profile;
  profile.template_id = "TMPL2abcdefgh";
  profile.template_name = "Lamp";
  profile.firmware_version = "1.2.3";
  profile.uid = "11111111-2222-4333-8444-555555555555";
  profile.suffix = "N1A9";
  profile.station_mac[0] = 0xaa;
  profile.ap_mac[0] = 0xae;
  return profile;
}

struct DeviceRig {
  FakeTransport transport;
  RecordingHandler handler;
  FakeRandom random;
  FakeRadio radio;
  FakeStore store;
  RecordingObserver observer;
  std::uint8_t receive_room[wire::frame_header_size_bytes + 512];
  std::uint8_t send_room[wire::frame_header_size_bytes + 512];
  Millis now = 1'000'000;
  Device device;

  explicit DeviceRig(const DeviceProfile& profile = make_profile(), const DeviceLimits& limits = {}, bool with_radio = true)
      : device{DeviceParts{with_radio ? &radio : nullptr,
                           store,
                           transport,
                           random,
                           handler,
                           {receive_room, sizeof receive_room},
                           {send_room, sizeof send_room}},
               profile, Identity{"1.2.3", "Nov 24 2026 03:16:37", "0.1.0", "Linux", {}, {}}, limits} {
    device.add_observer(observer);
  }

  void pass_ms(std::uint64_t ms) {
    const Millis end = now + ms;
    for (int i = 0; device.next_deadline() <= end && i < 100'000; ++i) {
      if (device.next_deadline() > now) {
        now = device.next_deadline();
      }
      device.on_timer(now);
    }
    now = end;
    device.on_timer(now);
  }
  void start() { device.start(now); }
  void feed(const Bytes& bytes) {
    const Bytes exact{bytes};
    device.on_bytes({exact.data(), exact.size()}, now);
  }
  void open() { device.on_opened(now); }
  void join() {
    JoinedNetwork network;
    network.address = 0x0a000002;
    network.rssi_dbm = -50;
    device.on_joined(network, now);
  }
  void connect() { device.on_connected(now); }
  void accept_login() { feed(response(1, 200)); }
  void accept_info() { feed(response(2, 200)); }
  void refuse_login() { feed(response(1, 9)); }
  void go_online() {
    connect();
    accept_login();
    accept_info();
  }
  ConfigureResult configure(const SetupSettings& wanted = settings()) { return device.configure(wanted, now); }
  /// An open device takes settings and begins to join.
  void take(const SetupSettings& wanted = settings()) {
    if (configure(wanted) != ConfigureResult::started) {
      observer.steps.emplace_back("NOT TAKEN");
    }
    pass_ms(200);
  }
  DeviceState state() const { return device.state(); }
  int last_error() const { return static_cast<int>(device.last_error()); }
  std::string proved_token() const {
    const auto config = store.read(Slot::proved);
    return config ? std::string{config->token.view()} : "none";
  }
  std::string last_radio() const { return radio.log.empty() ? "" : radio.log.back(); }
  bool saw(std::string_view step) const {
    for (const std::string& each : observer.steps) {
      if (each == step) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace muster::agent::test
