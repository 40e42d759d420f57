// SPDX-License-Identifier: Apache-2.0
// One session as a hostile or confused client sees it: the first byte chooses login or not and how the bytes are cut, the rest
// is what it sends. Nothing may crash, and what the server says must be whole legal frames.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "cloud/protocol/testing/rig.hpp"

namespace {

using namespace muster;
using namespace muster::protocol;
using namespace muster::protocol::testing;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fputs(what, stderr);
  std::abort();
}

domain::Datastream stream(std::uint8_t pin, domain::DataType type) {
  domain::Datastream out;
  out.name = "S" + std::to_string(pin);
  out.pin = pin;
  out.type = type;
  out.min = 0;
  out.max = 100;
  out.default_value = "1";
  out.sync_on_connect = true;
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t mode = data[0];
  std::string_view bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  Rig rig;
  rig.live.watch((mode & 1) != 0);
  const domain::Template published =
      rig.make_template((mode & 2) != 0 ? std::vector{stream(1, domain::DataType::integer), stream(2, domain::DataType::location),
                                                      stream(3, domain::DataType::string)}
                                        : std::vector<domain::Datastream>{});
  const Rig::Made made = rig.make_device(published, rig.store.add_organization("Zone", "Europe/Kyiv").id);
  rig.load();
  Connection& connection = rig.connect();
  if ((mode & 4) != 0) connection.feed(frame((mode & 8) != 0 ? 2 : 29, 1, made.token.reveal()));
  const std::size_t piece = (mode & 0x10) != 0 ? 1 : (mode & 0x20) != 0 ? 7 : bytes.size();
  while (!bytes.empty() && connection.open()) {
    connection.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    if ((mode & 0x40) != 0) rig.settle();
  }
  rig.settle();
  require(rig.executor.jobs.empty() && rig.router.events.empty(), "work is left");
  for (const Seen& seen : connection.take()) {
    require(seen.body != "not a frame", "the server sent something that is not a frame");
    require(seen.id != 0, "the server sent message id 0");
    require(connection.session.state() != DeviceSession::State::active || seen.status != 5, "a good session heard status 5");
    require(seen.body.size() <= 65'534, "a body is too large");
  }
  // Whatever came, time ends it: no login, a heartbeat that stops, or it has ended already.
  rig.clock.advance(std::chrono::hours{2});
  rig.tick();
  rig.settle();
  require(!connection.open(), "the session outlives its deadline");
  require(rig.sessions.size() == 0, "a session is left in the registry");
  require(rig.metrics.sessions_open.value() == 0, "a session is still counted");
  return 0;
}
