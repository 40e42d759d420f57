// SPDX-License-Identifier: Apache-2.0
// Everybody at once against an open device: its web server, Inject messages, console, name service, radio, cloud and power. The input is
// a script; the device must stay a device: with its proved settings, or open, or idle, and never with settings that were not proved.
#include <cstdint>
#include <cstdlib>

#include "agent/core/console.hpp"
#include "agent/core/device_test_rig.hpp"
#include "agent/core/dns_responder.hpp"
#include "agent/core/inject_server.hpp"
#include "agent/core/local_server.hpp"

namespace {

using namespace muster::agent;
using muster::wire::ByteView;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct Web final : LocalServer::Sink {
  bool open[256] = {};
  bool send(ConnectionId connection, ByteView bytes) override {
    require(connection < 256 && open[connection] && bytes.size <= 8192);
    return bytes.size % 97 != 96;  // Now and then a connection breaks.
  }
  void close(ConnectionId connection) override { open[connection] = false; }
};
struct Texts final : InjectServer::Sink {
  void send(std::string_view text) override {
    std::uint8_t room[512];
    muster::wire::InjectMessage message;
    require(text.size() <= 512 && muster::wire::decode_inject(text, {room, sizeof room}, message) == muster::wire::InjectStatus::ok);
    require(message.type != muster::wire::InjectType::unknown);
  }
};
struct Printer final : Console::Sink {
  void print(std::string_view text) override {
    for (const char c : text) {
      require(static_cast<std::uint8_t>(c) >= 0x20 || c == '\r' || c == '\n');
    }
  }
};

struct Bench {
  test::DeviceRig rig;
  Web sink;
  Texts texts;
  Printer printer;
  LocalServer web{rig.device, sink};
  InjectServer inject{rig.device, texts};
  Console console{rig.device, printer};
  std::uint8_t connection = 0;
  std::size_t scans = 0;

  void event(std::uint8_t number) {
    Device& device = rig.device;
    const Millis now = rig.now;
    switch (number % 16) {
      case 0: device.on_opened(now); break;
      case 1: pass(250); break;
      case 2: rig.join(); break;
      case 3: device.on_join_failed(static_cast<JoinFailure>(number / 16 % 7), now); break;
      case 4: rig.connect(); break;
      case 5: rig.accept_login(); break;
      case 6: rig.accept_info(); break;
      case 7: rig.refuse_login(); break;
      case 8: pass(std::uint64_t{1} << (number / 16)); break;
      case 9: device.on_closed(static_cast<CloseReason>(number / 16 % 9), now); break;
      case 10: {
        ScannedNetwork seen[2];
        seen[0].ssid = "n\x01\xff\"";
        seen[0].rssi_dbm = -40;
        device.on_scanned(seen, number / 16 % 3, now);
        break;
      }
      case 11: device.on_button(number < 128, now); break;
      case 12: device.on_network_lost(now); break;
      case 13: device.on_visitors(number / 16 % 2, now); break;
      case 14: rig.store.fails = number >= 128; break;
      case 15:
        if (number < 128) {
          device.request_setup(now);
        } else {
          device.stop(now);  // The power: what is in memory is gone.
          device.start(now);
        }
        break;
    }
  }
  void pass(std::uint64_t ms) {
    rig.pass_ms(ms);
    web.on_timer(rig.now);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bench bench;
  test::DeviceRig& rig = bench.rig;
  if (size % 2 != 0) {
    rig.store.put(Slot::proved, test::home_config());
  }
  rig.start();
  rig.device.request_setup(rig.now);
  rig.open();
  bench.inject.on_client(true, rig.now);
  bench.inject.on_message(R"({"t":"info"})", rig.now);
  for (std::size_t at = 0; at + 1 < size;) {
    const std::uint8_t kind = data[at], wanted = data[at + 1];
    at += 2;
    const std::size_t count = wanted < size - at ? wanted : size - at;
    const std::vector<std::uint8_t> exact{data + at, data + at + count};
    const ByteView bytes{exact.data(), exact.size()};
    at += count;
    switch (kind % 5) {
      case 0:
        if (!bench.sink.open[bench.connection] || kind >= 250) {
          ++bench.connection;
          bench.sink.open[bench.connection] = true;
          bench.sink.open[bench.connection] = bench.web.on_open(bench.connection, rig.now);
        }
        if (bench.sink.open[bench.connection]) {
          bench.web.on_bytes(bench.connection, bytes, rig.now);
        }
        break;
      case 1:
        if (kind >= 250) {
          bench.inject.on_client(kind % 2 == 0, rig.now);
        }
        bench.inject.on_message(bytes.text(), rig.now);
        break;
      case 2: bench.console.on_bytes(bytes, rig.now); break;
      case 3: {
        std::uint8_t out[dns_answer_size_max_bytes];
        const std::size_t answered = answer_dns(bytes, {kind < 128, 0xC0A80401U}, {out, sizeof out});
        require(answered <= sizeof out && (answered == 0 || (out[2] & 0x80) != 0));
        break;
      }
      case 4:
        for (const std::uint8_t number : exact) {
          bench.event(number);
        }
        break;
    }
    // What is stored is whole, and what is proved could be used.
    const auto proved = rig.store.read(Slot::proved);
    require(proved.has_value() == rig.store.records[0].has_value());
    require(!rig.device.has_proved() || (proved && is_valid_token(proved->token.view())));
    const DeviceState state = rig.device.state();
    require(state != DeviceState::reset_config);
    require(state != DeviceState::running || rig.device.agent().state() != State::stopped);
    require(state == DeviceState::idle || state == DeviceState::running || state == DeviceState::error ||
            rig.device.next_deadline() != never);
    rig.observer.steps.clear();
    rig.observer.states.clear();
    rig.observer.indicators.clear();
    rig.handler.log.clear();
    rig.radio.log.clear();
    rig.store.log.clear();
    rig.transport.sent.clear();
    rig.transport.connects.clear();
  }
  return 0;
}
