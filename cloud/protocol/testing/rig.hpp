// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/base/auth_token.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"
#include "cloud/protocol/testing/memory_store.hpp"

/// A gateway with everything around it replaced by something that a test drives by hand: time, jobs, events, connections.
namespace muster::protocol::testing {

/// Keeps jobs until somebody runs them.
class ManualExecutor final : public Executor {
 public:
  std::size_t limit = 1'000'000;
  std::deque<std::pair<Lane, std::function<void()>>> jobs;

  bool post(Lane lane, std::function<void()> job) override {
    if (jobs.size() >= limit) return false;
    jobs.emplace_back(lane, std::move(job));
    return true;
  }
  std::size_t run_all() {
    std::size_t count = 0;
    for (; !jobs.empty(); ++count) {
      auto job = std::move(jobs.front().second);
      jobs.pop_front();
      job();
    }
    return count;
  }
};

class ManualRouter final : public SessionRouter {
 public:
  std::size_t limit = 1'000'000;
  std::deque<std::pair<domain::SessionAddress, SessionEvent>> events;
  std::optional<IpAddress> local;  ///< What the devices dialed.
  bool post(const domain::SessionAddress& address, SessionEvent event) override {
    if (events.size() >= limit) return false;
    events.emplace_back(address, std::move(event));
    return true;
  }
  std::optional<IpAddress> local_address(const domain::SessionAddress&) const override { return local; }
};

class RecordingFeed final : public domain::LiveFeed {
 public:
  std::vector<DeviceId> statuses;
  std::vector<std::pair<DeviceId, std::uint8_t>> values;
  void watch(bool on) { watched_.store(on); }
  void device_status_changed(DeviceId device) override { statuses.push_back(device); }
  void value_changed(DeviceId device, std::uint8_t pin) override { values.emplace_back(device, pin); }
};

/// A frame that the server sent, taken apart.
struct Seen {
  wire::Command command;
  std::uint16_t id = 0;
  std::uint16_t status = 0;
  std::string body;
  friend bool operator==(const Seen&, const Seen&) = default;
};

class Rig;

/// One connection, performed as cloud/net does it: keeps what was not consumed, gives it again, stops while paused.
class Connection {
 public:
  Connection(Rig& rig, const Peer& peer, std::uint32_t slot);
  void feed(std::string_view bytes);
  void event(SessionEvent event);
  /// Calls on_deadline when the deadline has come.
  void tick();
  void hang_up();
  /// Whole frames that came since the last call.
  std::vector<Seen> take();
  [[nodiscard]] bool open() const { return is_open; }

  Rig& rig;
  Peer peer;
  domain::SessionAddress self;
  DeviceSession session;
  std::string pending;
  std::vector<std::uint8_t> out;
  Step step;
  bool is_open = true;
  CloseReason closed_because = CloseReason::none;

 private:
  void pump(bool has_new_bytes);
  void after(const Step& next);
};

class Rig {
 public:
  explicit Rig(GatewayLimits limits = {}) : keys{KeyRing::in_memory(random)}, views{store}, limits_{std::move(limits)} { start(); }

  void start() {
    gateway = std::make_unique<DeviceGateway>(
        DeviceGateway::Dependencies{store, views, sessions, values, presence, timeline, live, *keys, executor, router, clock, metrics},
        limits_);
  }

  ManualClock clock;
  SeededRandom random{7};
  MemoryStore store;
  std::unique_ptr<KeyRing> keys;
  domain::Views views;
  domain::SessionRegistry sessions;
  domain::ValueCache values;
  domain::PresenceQueue presence;
  domain::TimelineQueue timeline;
  RecordingFeed live;
  ManualExecutor executor;
  ManualRouter router;
  Metrics metrics;
  std::unique_ptr<DeviceGateway> gateway;
  std::vector<std::unique_ptr<Connection>> connections;
  std::uint32_t generations = 0;

  [[nodiscard]] static Peer peer(std::string_view address = "192.168.1.7", Transport transport = Transport::tls) {
    return {*IpAddress::parse(address), transport};
  }
  Connection& connect(const Peer& from = peer()) {
    connections.push_back(std::make_unique<Connection>(*this, from, static_cast<std::uint32_t>(connections.size())));
    return *connections.back();
  }
  /// Jobs and events until neither is left.
  void settle() {
    for (bool more = true; more;) {
      more = executor.run_all() != 0;
      while (!router.events.empty()) {
        auto [address, event] = std::move(router.events.front());
        router.events.pop_front();
        for (const auto& connection : connections) {
          if (connection->self != address || !connection->is_open) continue;
          connection->event(std::move(event));
          break;
        }
        more = true;
      }
    }
  }
  /// Moves time in steps of 50 ms, with timers and jobs.
  void pass(Duration time) {
    constexpr std::chrono::milliseconds step{50};
    for (Duration done{}; done < time; done += step) {
      clock.advance(std::min<Duration>(step, time - done));
      tick();
      settle();
    }
  }
  void tick() {
    for (std::size_t i = 0; i < connections.size(); ++i) connections[i]->tick();
  }

  domain::Template make_template(std::vector<domain::Datastream> datastreams = {}) {
    domain::Template value;
    value.name = "T" + std::to_string(++made_);
    value.tmpl_ids = {"TMPLtest" + std::to_string(1000 + made_)};
    value.datastreams = std::move(datastreams);
    return store.add_template(value);
  }
  struct Made {
    domain::Device device;
    AuthToken token;
  };
  Made make_device(const domain::Template& of, OrganizationId organization = OrganizationId{1}) {
    const AuthToken token = AuthToken::generate(random);
    domain::Device device;
    device.organization_id = organization;
    device.template_id = of.id;
    device.name = "D" + std::to_string(++made_);
    device = store.add_device(device, digest(token));
    return {device, token};
  }
  [[nodiscard]] TokenDigests digest(const AuthToken& token) const { return keys->digest("auth-token", token.reveal()); }
  /// Makes the views ready and current.
  void load() { static_cast<void>(views.ready() ? views.catch_up() : views.rebuild()); }
  void replace_token(DeviceId device, const AuthToken& token) {
    const TokenDigests digests = digest(token);
    static_cast<void>(store.replace_token(device, {digests.newest(), digests.all(), {}}, {}));
  }

 private:
  GatewayLimits limits_;
  int made_ = 0;
};

inline Connection::Connection(Rig& r, const Peer& p, std::uint32_t slot) : rig{r}, peer{p}, self{0, 0, slot, ++r.generations} {
  after(rig.gateway->on_open(session, peer, rig.clock.now()));
}
inline void Connection::after(const Step& next) {
  step = next;
  if (step.close == CloseReason::none) return;
  closed_because = step.close;
  hang_up();
}
inline void Connection::hang_up() {
  if (!is_open) return;
  is_open = false;
  rig.gateway->on_closed(session, self, rig.clock.now());
}
inline void Connection::pump(bool has_new_bytes) {
  while (is_open && !step.paused && (has_new_bytes || !pending.empty())) {
    has_new_bytes = false;
    Output output{out};
    // A copy of its own size, so that a sanitizer sees a byte read past the end.
    const std::vector<std::uint8_t> bytes{pending.begin(), pending.end()};
    const Step next = rig.gateway->on_bytes(session, self, peer, {bytes.data(), bytes.size()}, output, rig.clock.now());
    pending.erase(0, next.consumed_bytes);
    after(next);
    if (next.consumed_bytes == 0) break;
  }
}
inline void Connection::feed(std::string_view bytes) {
  pending += bytes;
  pump(!bytes.empty());
}
inline void Connection::event(SessionEvent event) {
  if (!is_open) return;
  Output output{out};
  after(rig.gateway->on_event(session, self, peer, std::move(event), output, rig.clock.now()));
  pump(false);
}
inline void Connection::tick() {
  if (!is_open || rig.clock.now() < step.deadline) return;
  Output output{out};
  after(rig.gateway->on_deadline(session, self, peer, output, rig.clock.now()));
  pump(false);
}
inline std::vector<Seen> Connection::take() {
  std::vector<Seen> seen;
  wire::ByteView rest{out.data(), out.size()};
  while (!rest.empty()) {
    const wire::Decoded decoded = wire::decode_frame(rest);
    if (decoded.status != wire::DecodeStatus::ok) {
      seen.push_back({wire::Command{255}, 0, 0, "not a frame"});
      break;
    }
    seen.push_back({decoded.frame.command, decoded.frame.id, decoded.frame.status, std::string{decoded.frame.body.text()}});
    rest = rest.drop(decoded.consumed_bytes);
  }
  out.clear();
  return seen;
}

// --- frames as a device sends them ---------------------------------------------------------------------------------------------
[[nodiscard]] inline std::string frame(int command, std::uint16_t id, std::string_view body = {}) {
  const auto byte = [](std::size_t value) { return static_cast<char>(static_cast<unsigned char>(value & 0xff)); };
  std::string out{byte(static_cast<std::size_t>(command)), byte(id >> 8u), byte(id), byte(body.size() >> 8u), byte(body.size())};
  return out += body;
}
/// Fields separated by NUL.
[[nodiscard]] inline std::string fields(std::initializer_list<std::string_view> list) {
  std::string out;
  bool first = true;
  for (const std::string_view field : list) {
    if (!std::exchange(first, false)) out += '\0';
    out += field;
  }
  return out;
}
[[nodiscard]] inline Seen response(std::uint16_t id, wire::Status status) {
  return {wire::Command::response, id, static_cast<std::uint16_t>(status), {}};
}

}  // namespace muster::protocol::testing
