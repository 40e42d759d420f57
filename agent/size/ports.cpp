// SPDX-License-Identifier: Apache-2.0
#include "agent/size/ports.hpp"

#include "agent/size/board.hpp"

namespace muster::agent::size {

namespace {

void write(std::string_view text) noexcept {
  for (const char c : text) {
    write_byte(static_cast<std::uint8_t>(c));
  }
}

/// Each slot: size u16, then the record; size 0: there is none.
std::size_t offset_of(Slot slot) noexcept { return static_cast<std::size_t>(slot) * 512; }

StoreStatus write_record(Slot slot, wire::ByteView record) noexcept {
  const std::uint8_t size[2] = {static_cast<std::uint8_t>(record.size >> 8), static_cast<std::uint8_t>(record.size & 0xff)};
  write_flash(offset_of(slot) + sizeof size, record);
  write_flash(offset_of(slot), {size, sizeof size});
  return StoreStatus::ok;
}

}  // namespace

void say(char kind, std::string_view first, std::string_view second, std::string_view third) noexcept {
  const std::size_t size = first.size() + second.size() + third.size();
  write_byte(static_cast<std::uint8_t>(kind));
  write_byte(static_cast<std::uint8_t>(size >> 8));
  write_byte(static_cast<std::uint8_t>(size & 0xff));
  write(first);
  write(second);
  write(third);
}

void say_number(char kind, std::uint32_t number, std::string_view text) noexcept {
  const char bytes[4] = {static_cast<char>(number >> 24), static_cast<char>(number >> 16), static_cast<char>(number >> 8),
                         static_cast<char>(number)};
  say(kind, {bytes, sizeof bytes}, text);
}

void BoardTransport::connect(const Endpoint& endpoint) { say_number('C', endpoint.port, endpoint.host); }
bool BoardTransport::send(wire::ByteView frame) {
  say('S', frame.text());
  return true;
}
void BoardTransport::close() { say('Z', {}); }

std::uint32_t BoardRandom::next() {
  state = state * 1'664'525U + 1'013'904'223U;
  return state;
}

StoreStatus BoardStore::load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) {
  std::uint8_t size[2];
  read_flash(offset_of(slot), {size, sizeof size});
  size_bytes = static_cast<std::size_t>(size[0] << 8 | size[1]);
  if (size_bytes == 0) {
    return StoreStatus::absent;
  }
  if (size_bytes > room.size) {
    return StoreStatus::too_big;
  }
  read_flash(offset_of(slot) + sizeof size, {room.data, size_bytes});
  return StoreStatus::ok;
}
StoreStatus BoardStore::save(Slot slot, wire::ByteView record) { return write_record(slot, record); }
StoreStatus BoardStore::erase(Slot slot) { return write_record(slot, {}); }

void BoardRadio::open(std::string_view name) { say('O', name); }
void BoardRadio::shut() { say('o', {}); }
void BoardRadio::scan() { say('s', {}); }
void BoardRadio::join(const JoinTarget& target) { say('J', target.ssid, "/", target.passphrase); }
void BoardRadio::leave() { say('j', {}); }

void Program::on_event(const Event& event, Millis now) {
  static_cast<void>(now);
  say('e', to_text(event.kind), " ", to_text(event.reason));
}
void Program::on_write(std::uint8_t pin, wire::Fields values, Millis now) {
  static_cast<void>(now);
  say_number('w', pin, values.next());
}
void Program::on_metadata(std::string_view name, std::string_view value) { say('m', name, "=", value); }
void Program::on_utc(std::uint64_t unix_ms) { say_number('u', static_cast<std::uint32_t>(unix_ms / 1000)); }
void Program::on_console(std::string_view line) { say('c', line); }
void Program::on_print(std::string_view text) { say('p', text); }
void Program::on_update_offered(std::string_view url) { say('U', url); }
void Program::on_response(std::uint16_t id, std::uint16_t status) { say_number('r', std::uint32_t{id} << 16 | status); }

void Lights::on_state(DeviceState state, Millis now) {
  static_cast<void>(now);
  say('D', to_text(state));
}
void Lights::on_indicator(const Indicator& indicator) { say_number('L', static_cast<std::uint32_t>(indicator.color)); }
void Lights::on_step(const Step& step, Millis now) {
  static_cast<void>(now);
  say_number('t', static_cast<std::uint32_t>(step.code), to_text(step.kind));
}
void Lights::on_restart_wanted(Millis now) {
  static_cast<void>(now);
  say('R', {});
}

bool WebSink::send(ConnectionId connection, wire::ByteView bytes) {
  say_number('H', connection, bytes.text());
  return true;
}
void WebSink::close(ConnectionId connection) { say_number('h', connection); }

void InjectSink::send(std::string_view text) { say('B', text); }
void ConsoleSink::print(std::string_view text) { say('T', text); }

}  // namespace muster::agent::size
