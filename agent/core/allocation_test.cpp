// SPDX-License-Identifier: Apache-2.0
// The core never allocates: a device's life from its first start to its reset, with operator new counted. (That it does not call malloc
// either shows in the image of agent/size, which holds none.)
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "agent/core/console.hpp"
#include "agent/core/dns_responder.hpp"
#include "agent/core/inject_server.hpp"
#include "agent/core/local_server.hpp"

namespace {
std::size_t allocations = 0;
}  // namespace

// Of the whole program; all other forms of new come here.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* made = std::malloc(size == 0 ? 1 : size)) return made;
  std::abort();
}
void operator delete(void* gone) noexcept { std::free(gone); }
void operator delete(void* gone, std::size_t) noexcept { std::free(gone); }

namespace muster::agent::test {
namespace {

/// Everything around a device, counting only: what records would allocate.
struct QuietTransport final : Transport {
  int connects = 0, frames = 0;
  void connect(const Endpoint&) override { ++connects; }
  bool send(wire::ByteView) override {
    ++frames;
    return true;
  }
  void close() override {}
};
struct QuietRandom final : RandomSource {
  std::uint32_t next() override { return 0x80000000U; }
};
struct QuietRadio final : Radio {
  int opens = 0, joins = 0, scans = 0;
  void open(std::string_view) override { ++opens; }
  void shut() override {}
  void scan() override { ++scans; }
  void join(const JoinTarget&) override { ++joins; }
  void leave() override {}
};
struct QuietStore final : Store {
  std::uint8_t records[2][config_record_size_max_bytes];
  std::size_t sizes[2] = {};
  StoreStatus load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) override {
    const auto at = static_cast<std::size_t>(slot);
    size_bytes = sizes[at];
    std::memcpy(room.data, records[at], sizes[at]);
    return sizes[at] == 0 ? StoreStatus::absent : StoreStatus::ok;
  }
  StoreStatus save(Slot slot, wire::ByteView record) override {
    const auto at = static_cast<std::size_t>(slot);
    sizes[at] = record.size;
    std::memcpy(records[at], record.data, record.size);
    return StoreStatus::ok;
  }
  StoreStatus erase(Slot slot) override {
    sizes[static_cast<std::size_t>(slot)] = 0;
    return StoreStatus::ok;
  }
};
struct QuietProgram final : Handler {
  int values = 0;
  void on_write(std::uint8_t, wire::Fields, Millis) override { ++values; }
};
struct QuietSinks final : LocalServer::Sink, InjectServer::Sink, Console::Sink {
  std::size_t web_bytes = 0, messages = 0, printed = 0;
  bool send(ConnectionId, wire::ByteView bytes) override {
    web_bytes += bytes.size;
    return true;
  }
  void close(ConnectionId) override {}
  void send(std::string_view) override { ++messages; }
  void print(std::string_view text) override { printed += text.size(); }
};

struct Life {
  QuietTransport transport;
  QuietRandom random;
  QuietRadio radio;
  QuietStore store;
  QuietProgram program;
  QuietSinks sinks;
  std::uint8_t receive_room[512], send_room[512];
  Device device;
  LocalServer web;
  InjectServer inject;
  Console console;
  Millis now = 0;

  static DeviceProfile profile() {
    DeviceProfile out;
    out.template_id = "TMPL2abcdefgh";
    out.template_name = "Lamp";
    out.suffix = "N1A9";
    out.default_host = "cloud.example";
    return out;
  }
  Life()
      : device{{&radio, store, transport, random, program, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}},
               profile(),
               Identity{}},
        web{device, sinks},
        inject{device, sinks},
        console{device, sinks} {}

  void pass_ms(Millis ms) {
    now += ms;
    device.on_timer(now);
    web.on_timer(now);
  }
  void get(ConnectionId id, std::string_view request) {
    ASSERT_TRUE(web.on_open(id, now));
    web.on_bytes(id, wire::ByteView{request}, now);
  }
  void respond(std::uint16_t id, wire::Status status) {
    const wire::ResponseFrame response = wire::make_response(id, status);
    device.on_bytes({response.bytes, sizeof response.bytes}, now);
  }
  void join_and_log_in() {
    pass_ms(200);
    device.on_joined({}, now);
    device.on_connected(now);
    respond(1, wire::Status::success);
    respond(2, wire::Status::success);
  }
};

void live(Life& life) {
  Device& device = life.device;
  device.start(life.now);
  device.on_opened(life.now);
  device.on_visitors(1, life.now);
  std::uint8_t answer[dns_answer_size_max_bytes];
  constexpr std::string_view question{"\0\1\1\0\0\1\0\0\0\0\0\0\5blynk\5setup\0\0\1\0\1", 29};
  ASSERT_NE(answer_dns(wire::ByteView{question}, {}, {answer, sizeof answer}), 0U);
  life.get(1, "GET / HTTP/1.1\r\n\r\n");
  life.get(2, "GET /board_info.json HTTP/1.1\r\n\r\n");
  life.get(3, "GET /wifi_scan.json HTTP/1.1\r\n\r\n");
  ScannedNetwork seen[3];
  seen[0].ssid = seen[1].ssid = "home";
  device.on_scanned(seen, 3, life.now);
  // First a wrong password, then an activation.
  constexpr std::string_view config = "GET /config?ssid=home&pass=secret12&blynk=0123456789abcdefghijklmnopqrstuv HTTP/1.1\r\n\r\n";
  life.get(4, config);
  life.pass_ms(200);
  device.on_join_failed(JoinFailure::wrong_password, life.now);
  life.get(5, "GET /status.json HTTP/1.1\r\n\r\n");
  life.get(6, config);
  life.join_and_log_in();
  ASSERT_EQ(device.state(), DeviceState::running);
  // Running.
  for (int i = 0; i < 200; ++i) {
    life.pass_ms(1'000);
    ASSERT_EQ(device.agent().write(1, std::int64_t{i}, life.now), SendResult::sent);
    constexpr std::string_view value{"\x14\0\7\0\7vw\0005\0on", 12};
    device.on_bytes(wire::ByteView{value}.first(5), life.now);
    device.on_bytes(wire::ByteView{value}.drop(5), life.now);
  }
  device.on_closed(CloseReason::network_lost, life.now);
  life.pass_ms(60'000);
  // Set up anew, by messages.
  device.request_setup(life.now);
  device.on_opened(life.now);
  life.inject.on_client(true, life.now);
  for (const std::string_view message :
       {R"({"t":"info"})", R"({"t":"ifs"})",
        R"({"t":"set","ssid":"caf\u00e9","pass":"secret12","blynk":"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"})", R"({"t":"connect"})"}) {
    life.inject.on_message(message, life.now);
  }
  life.join_and_log_in();
  ASSERT_EQ(device.state(), DeviceState::running);
  // And by console; then the end of it all.
  for (const std::string_view line :
       {"devinfo\r\n", "wifi\r\n", "wifi \"other\" \"secret12\"\r\n", "connect 0123456789abcdefghijklmnopqrstuv cloud.example:443\r\n"}) {
    life.console.on_bytes(wire::ByteView{line}, life.now);
  }
  life.join_and_log_in();
  ASSERT_EQ(device.state(), DeviceState::running);
  device.reset_config(life.now);
  life.pass_ms(600'000);
  ASSERT_EQ(device.state(), DeviceState::idle);
  device.stop(life.now);
}

TEST(Core, NeverAllocates) {
  const auto life = std::make_unique<Life>();
  const std::size_t before = allocations;
  live(*life);
  EXPECT_EQ(allocations, before);
  EXPECT_GE(life->transport.connects, 4);
  EXPECT_GT(life->transport.frames, 200);
  EXPECT_EQ(life->program.values, 200);
  EXPECT_GT(life->sinks.web_bytes, 1'000U);
  EXPECT_GT(life->sinks.messages, 5U);
  EXPECT_GT(life->sinks.printed, 100U);
  // The counting works.
  const std::size_t counted = allocations;
  const auto one = std::make_unique<Life>();
  EXPECT_EQ(allocations, counted + 1);
}

}  // namespace
}  // namespace muster::agent::test
