// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "agent/core/console.hpp"
#include "agent/core/inject_server.hpp"
#include "agent/core/local_server.hpp"
#include "agent/port/random.hpp"
#include "agent/port/store.hpp"

/// A port for every interface of the core: what the core asks for goes out over the serial line as a message (kind u8, size u16
/// big-endian, bytes), and nothing of it is known when this is compiled.
namespace muster::agent::size {

/// One message: up to three pieces, one after another.
void say(char kind, std::string_view first, std::string_view second = {}, std::string_view third = {}) noexcept;
void say_number(char kind, std::uint32_t number, std::string_view text = {}) noexcept;

struct BoardTransport final : Transport {
  void connect(const Endpoint& endpoint) override;
  bool send(wire::ByteView frame) override;
  void close() override;
};

struct BoardRandom final : RandomSource {
  std::uint32_t state = 1;
  std::uint32_t next() override;
};

struct BoardStore final : Store {
  StoreStatus load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) override;
  StoreStatus save(Slot slot, wire::ByteView record) override;
  StoreStatus erase(Slot slot) override;
};

struct BoardRadio final : Radio {
  void open(std::string_view name) override;
  void shut() override;
  void scan() override;
  void join(const JoinTarget& target) override;
  void leave() override;
};

struct Program final : Handler {
  void on_event(const Event& event, Millis now) override;
  void on_write(std::uint8_t pin, wire::Fields values, Millis now) override;
  void on_metadata(std::string_view name, std::string_view value) override;
  void on_utc(std::uint64_t unix_ms) override;
  void on_console(std::string_view line) override;
  void on_print(std::string_view text) override;
  void on_update_offered(std::string_view url) override;
  void on_response(std::uint16_t id, std::uint16_t status) override;
};

struct Lights final : Observer {
  void on_state(DeviceState state, Millis now) override;
  void on_indicator(const Indicator& indicator) override;
  void on_step(const Step& step, Millis now) override;
  void on_restart_wanted(Millis now) override;
};

struct WebSink final : LocalServer::Sink {
  bool send(ConnectionId connection, wire::ByteView bytes) override;
  void close(ConnectionId connection) override;
};

struct InjectSink final : InjectServer::Sink {
  void send(std::string_view text) override;
};

struct ConsoleSink final : Console::Sink {
  void print(std::string_view text) override;
};

}  // namespace muster::agent::size
