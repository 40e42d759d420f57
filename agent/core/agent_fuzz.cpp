// SPDX-License-Identifier: Apache-2.0
// A hostile server: the input is a script of what the transport, the clock and the program do.
#include <cstdint>
#include <cstdlib>

#include "agent/core/agent_test_rig.hpp"

namespace {

using namespace muster::agent;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Holds the transport's contract, and checks the agent's side of it.
struct StrictTransport final : Transport {
  bool open = false;
  bool has_room = true;

  void connect(const Endpoint& endpoint) override {
    require(!open && is_valid_host(endpoint.host) && endpoint.port != 0);
    open = true;
  }
  bool send(muster::wire::ByteView frame) override {
    require(open);
    const muster::wire::Decoded decoded = muster::wire::decode_frame(frame);
    require(decoded.status == muster::wire::DecodeStatus::ok && decoded.consumed_bytes == frame.size);
    return has_room;
  }
  void close() override { open = false; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  StrictTransport transport;
  test::RecordingHandler handler;
  test::FakeRandom random;
  std::uint8_t receive_room[261];
  std::uint8_t send_room[261];
  Agent agent{transport, handler, random, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}, Identity{}};
  Millis now = 0;
  agent.start(test::make_config("c.example", 0), now);
  for (std::size_t at = 0; at < size;) {
    const std::uint8_t step = data[at++];
    const std::uint8_t argument = at < size ? data[at++] : std::uint8_t{0};
    random.value = random.value * 1664525U + 1013904223U + argument;
    switch (step % 8) {
      case 0:
      case 1: {  // Bytes arrive.
        const std::size_t count = argument < size - at ? argument : size - at;
        if (transport.open) {
          const std::vector<std::uint8_t> exact{data + at, data + at + count};
          agent.on_bytes({exact.data(), exact.size()}, now);
        }
        at += count;
        break;
      }
      case 2: now += argument; break;
      case 3: now += std::uint64_t{argument} * 1000; break;
      case 4:
        if (transport.open) {
          agent.on_connected(now);
        }
        break;
      case 5:
        if (transport.open) {
          transport.open = false;
          agent.on_closed(static_cast<CloseReason>(argument % 8), now);
        }
        break;
      case 6: transport.has_room = argument % 4 != 0; break;
      default: static_cast<void>(agent.write(argument, "value", now)); break;
    }
    for (int i = 0; i < 100 && agent.next_deadline() <= now; ++i) {
      require(i < 99);  // A deadline that is never met would spin for ever.
      agent.on_timer(now);
    }
    require(agent.state() != State::stopped && agent.next_deadline() != never);
    require((agent.state() == State::waiting) == !transport.open);
    require(agent.config().token.view() == test::token);
    handler.log.clear();
  }
  return 0;
}
