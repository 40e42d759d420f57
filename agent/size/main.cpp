// SPDX-License-Identifier: Apache-2.0
// The whole device side as one image: everything that the core offers is reached from here, by messages of the serial line (kind u8, size
// u16 big-endian, bytes). After each message the board says what the core did, then `.` with the stack used so far and the next deadline.
#include <new>

#include "agent/core/dns_responder.hpp"
#include "agent/size/board.hpp"
#include "agent/size/ports.hpp"

namespace muster::agent::size {

namespace {

/// Memory for an object that begins when main() says so: no code runs before, and its size shows among the symbols.
template <typename T>
struct Place {
  alignas(T) std::uint8_t bytes[sizeof(T)];
};

// What a small board would lend: frames of up to 512 bytes either way, and as much for what its drivers have received.
constexpr std::size_t frame_room_bytes = 5 + 512;
std::uint8_t receive_room[frame_room_bytes];
std::uint8_t send_room[frame_room_bytes];
std::uint8_t input[wire::inject_message_size_max_bytes + 8];

Place<Device> device_place;
Place<LocalServer> web_place;
Place<InjectServer> inject_place;
Place<Console> console_place;

BoardTransport transport;
BoardRandom random_source;
BoardStore store;
BoardRadio radio;
Program program;
Lights lights;
WebSink web_sink;
InjectSink inject_sink;
ConsoleSink console_sink;

struct Board {
  Device& device;
  LocalServer& web;
  InjectServer& inject;
  Console& console;
  Millis now;
};

std::uint32_t number_at(wire::ByteView bytes, std::size_t at) noexcept {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes.drop(at).first(4)) {
    value = value << 8 | byte;
  }
  return value;
}

/// Networks: for each signal i8, security u8, channel u8, size u8, name.
[[gnu::noinline]] void tell_networks(Board& board, wire::ByteView bytes) {
  ScannedNetwork networks[8];
  std::size_t count = 0;
  while (bytes.size >= 4 && bytes.size - 4 >= bytes[3] && count < sizeof networks / sizeof networks[0]) {
    ScannedNetwork& network = networks[count++];
    network.rssi_dbm = static_cast<std::int8_t>(bytes[0]);
    network.security = static_cast<NetworkSecurity>(bytes[1]);
    network.channel = bytes[2];
    network.ssid = bytes.drop(4).first(bytes[3]).text();
    bytes = bytes.drop(std::size_t{4} + bytes[3]);
  }
  board.device.on_scanned(networks, count, board.now);
}

[[gnu::noinline]] void answer_names(wire::ByteView query) {
  std::uint8_t answer[dns_answer_size_max_bytes];
  const std::size_t size = answer_dns(query, {}, {answer, sizeof answer});
  say('N', wire::ByteView{answer, size}.text());
}

/// What a program may send: everything that there is.
[[gnu::noinline]] void run_program(Board& board, std::uint8_t what, std::string_view text) {
  Agent& agent = board.device.agent();
  const Millis now = board.now;
  SendResult result = SendResult::not_online;
  switch (what) {
    case 0: result = agent.write(1, text, now); break;
    case 1: result = agent.write(1, static_cast<std::int64_t>(text.size()), now); break;
    case 2: {
      const std::string_view values[] = {text, text};
      result = agent.write(2, values, 2, now);
      break;
    }
    case 3: result = agent.sync(now); break;
    case 4: {
      const std::uint8_t pins[] = {1, 2};
      result = agent.sync(pins, 2, now);
      break;
    }
    case 5: result = agent.set_property(1, "label", text, now); break;
    case 6: result = agent.log_event("event", text, now); break;
    case 7: result = agent.get_metadata(text, now); break;
    case 8: result = agent.set_metadata("name", text, now); break;
    case 9: result = agent.request_utc(now); break;
    case 10: board.device.request_setup(now); break;
    case 11: board.device.end_setup(now); break;
    case 12: board.device.reset_config(now); break;
    case 13: board.device.retry_now(now); break;
    case 14: board.device.stop(now); break;
    case 15: board.device.start(now); break;
    default: break;
  }
  say_number('P', static_cast<std::uint32_t>(result));
}

void handle(Board& board, char kind, wire::ByteView bytes) {
  Device& device = board.device;
  const Millis now = board.now;
  const std::uint8_t first = bytes.empty() ? std::uint8_t{0} : bytes[0];
  switch (kind) {
    case 't':
      board.now += number_at(bytes, 0);
      device.on_timer(board.now);
      board.web.on_timer(board.now);
      break;
    // The radio.
    case 'o': device.on_opened(now); break;
    case 'O': device.on_open_failed(now); break;
    case 'v': device.on_visitors(first, now); break;
    case 's': tell_networks(board, bytes); break;
    case 'j': {
      JoinedNetwork network;
      network.address = number_at(bytes, 0);
      device.on_joined(network, now);
      break;
    }
    case 'J': device.on_join_failed(static_cast<JoinFailure>(first), now); break;
    case 'l': device.on_network_lost(now); break;
    // The way to the cloud.
    case 'c': device.on_connected(now); break;
    case 'b': device.on_bytes(bytes, now); break;
    case 'x': device.on_closed(static_cast<CloseReason>(first), now); break;
    // People and apps.
    case 'k': device.on_button(first != 0, now); break;
    case 'h':
      if (!board.web.on_open(first, now)) {
        web_sink.close(first);
      }
      break;
    case 'd': board.web.on_bytes(first, bytes.drop(1), now); break;
    case 'H': board.web.on_closed(first, now); break;
    case 'i': board.inject.on_client(first != 0, now); break;
    case 'm': board.inject.on_message(bytes.text(), now); break;
    case 'T': board.console.on_bytes(bytes, now); break;
    case 'n': answer_names(bytes); break;
    case 'p': run_program(board, first, bytes.drop(1).text()); break;
    default: break;
  }
}

wire::ByteView read_message() noexcept {
  std::size_t size = static_cast<std::size_t>(read_byte()) << 8;
  size |= read_byte();
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t byte = read_byte();
    if (i < sizeof input) {
      input[i] = byte;
    }
  }
  return {input, size < sizeof input ? size : sizeof input};
}

/// A real board reads the eight bytes of its chip's identity and the sixteen of its device UID from its flash; here they come as the first
/// message.
[[gnu::noinline]] Board make_board() {
  static UniqueSuffix suffix;
  static FixedText<36> uid;
  static_cast<void>(read_byte());
  const wire::ByteView chip = read_message();
  std::uint8_t random[16] = {};
  for (std::size_t i = 0; i < sizeof random && i + 8 < chip.size; ++i) {
    random[i] = chip[8 + i];
  }
  suffix = make_unique_suffix(chip.first(8));
  uid = make_device_uid(random);

  DeviceProfile profile;
  profile.vendor = "Muster";
  profile.template_id = "TMPL2abcdefgh";
  profile.template_name = "Board";
  profile.firmware_version = "1.0.0";
  profile.uid = uid.view();
  profile.suffix = suffix.view();
  profile.default_host = "cloud.example";
  profile.ethernet = true;
  Identity identity;
  identity.firmware_version = profile.firmware_version;
  identity.board = "MPS2";
  Device& device = *new (device_place.bytes) Device{
      {&radio, store, transport, random_source, program, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}},
      profile,
      identity};
  device.add_observer(lights);
  say('Q', device.name(), " ", make_host_name(device.name()).view());
  return {device, *new (web_place.bytes) LocalServer{device, web_sink}, *new (inject_place.bytes) InjectServer{device, inject_sink},
          *new (console_place.bytes) Console{device, console_sink}, 0};
}

[[gnu::noinline]] void say_ready(const Board& board) noexcept {
  Millis due = board.device.next_deadline();
  due = board.web.next_deadline() < due ? board.web.next_deadline() : due;
  const Millis wait = due < board.now ? 0 : due - board.now;
  const std::uint32_t wait_ms = wait < 0xffffffffU ? static_cast<std::uint32_t>(wait) : 0xffffffffU;
  const std::uint32_t stack = stack_used();
  const char used[4] = {0, 0, static_cast<char>(stack >> 8), static_cast<char>(stack)};
  say_number('.', wait_ms, {used, sizeof used});
}

void run() {
  Board board = make_board();
  board.device.start(board.now);
  for (;;) {
    say_ready(board);
    const char kind = static_cast<char>(read_byte());
    handle(board, kind, read_message());
  }
}

}  // namespace

}  // namespace muster::agent::size

int main() {
  muster::agent::size::run();
  return 0;
}
