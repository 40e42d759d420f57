// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/server.hpp"

#include <algorithm>
#include <array>

#include "cloud/domain/write_behind.hpp"
#include "wire/frame.hpp"

namespace muster::sim {

using protocol::CloseReason;
using protocol::DeviceSession;
using protocol::SessionEvent;
using protocol::Step;

namespace {

constexpr Millis proofs_tick_ms = 1'000, expiry_tick_ms = 60'000;
constexpr std::size_t expired_at_once = 1'000;
constexpr Millis write_behind_ms = 500;
constexpr Millis rebuild_retry_ms = 1'000;
constexpr std::size_t lane_limit = 512;

/// Nobody watches the live stream here.
class NoFeed final : public domain::LiveFeed {
 public:
  void device_status_changed(DeviceId) override {}
  void value_changed(DeviceId, std::uint8_t) override {}
};

}  // namespace

struct Server::Connection {
  ConnectionId id = 0;
  protocol::Peer peer;
  domain::SessionAddress self;
  DeviceSession session;
  std::string pending, token;
  bool paused = false;
  Instant deadline = Instant::max(), timer = Instant::max();
  Millis logged_in_ms = 0;
};

/// All that dies with the process.
struct Server::Life final : Executor, protocol::SessionRouter, domain::Views::Listener {
  explicit Life(Server& owner)
      : server{owner},
        w{owner.w_},
        views{w.disk.store()},
        gateway{{w.disk.store(), views, registry, values, presence, timeline, feed, w.keys, *this, *this, w.timeline, metrics},
                owner.limits_} {
    views.set_listener(this);
  }

  // --- executor: bounded lanes of several workers, so that jobs may overtake each other ----------------------------------------
  bool post(Lane lane, std::function<void()> job) override {
    std::size_t& waiting = lanes[static_cast<std::size_t>(lane)];
    if (waiting >= lane_limit) return false;
    ++waiting;
    later(w.dice.between(0, server.job_delay_max_ms), [this, lane, job = std::move(job)] {
      --lanes[static_cast<std::size_t>(lane)];
      job();
    });
    return true;
  }

  // --- router ------------------------------------------------------------------------------------------------------------------------
  bool post(const domain::SessionAddress& address, SessionEvent event) override {
    const auto* closing = std::get_if<protocol::CloseSession>(&event);
    if (closing != nullptr && closing->reason == CloseReason::replaced && w.bug == Bug::oldest_login_stays) return true;
    const auto found = by_generation.find(address.generation);
    if (found == by_generation.end()) return false;
    later(w.dice.between(0, 3), [this, id = found->second, address, event = std::move(event)]() mutable {
      Connection* connection = find(id);
      if (connection == nullptr || connection->self != address) return;
      perform(*connection, [&](protocol::Output& out) {
        return gateway.on_event(connection->session, connection->self, connection->peer, std::move(event), out, w.timeline.now());
      });
      pump(id, false);
    });
    return true;
  }

  // --- views' listener ----------------------------------------------------------------------------------------------------------------
  void token_gone(DeviceId device, AuthTokenId token) override {
    if (w.bug != Bug::revoked_session_lives) gateway.close_token(device, token, CloseReason::token_gone);
  }
  void device_gone(DeviceId device) override {
    values.forget(device);
    if (w.bug != Bug::revoked_session_lives) gateway.close_device(device, CloseReason::token_gone);
  }
  void permissions_changed() override {}

  /// An event of this life: it does not happen when the process has died meanwhile.
  void later(Millis delay_ms, std::function<void()> what) {
    w.timeline.after(delay_ms, [&owner = server, life = server.incarnation_, what = std::move(what)]() mutable {
      if (owner.life_ != nullptr && owner.incarnation_ == life) what();
    });
  }

  void load() {
    if (!views.rebuild()) later(rebuild_retry_ms, [this] { load(); });
  }
  void bus_tick() {
    static_cast<void>(views.catch_up());
    later(w.bus_tick_ms, [this] { bus_tick(); });
  }
  void proofs_tick() {
    gateway.end_waits();
    later(proofs_tick_ms, [this] { proofs_tick(); });
  }
  void expiry_tick() {
    if (views.ready() && w.disk.store().expire_provision_sessions(w.timeline.utc_now(), expired_at_once))
      static_cast<void>(views.catch_up());
    later(expiry_tick_ms, [this] { expiry_tick(); });
  }
  void write_behind_tick() {
    static_cast<void>(domain::write_behind(w.disk.store(), values, presence));
    static_cast<void>(domain::write_behind(w.disk.store(), timeline, w.timeline.utc_now()));
    later(write_behind_ms, [this] { write_behind_tick(); });
  }

  // --- performing sessions --------------------------------------------------------------------------------------------------------------
  Connection* find(ConnectionId id) {
    const auto found = connections.find(id);
    return found == connections.end() ? nullptr : &found->second;
  }
  template <class Call>
  void perform(Connection& connection, Call call) {
    const auto before = connection.session.state();
    std::vector<std::uint8_t> bytes;
    protocol::Output out{bytes};
    const Step step = call(out);
    connection.pending.erase(0, std::min(step.consumed_bytes, connection.pending.size()));
    connection.paused = step.paused;
    if (before != DeviceSession::State::active && connection.session.state() == DeviceSession::State::active) {
      connection.logged_in_ms = w.timeline.now_ms();
      const DeviceId device = connection.session.device();
      if (before == DeviceSession::State::deciding) {
        w.witness.info_taken(connection.token, device);
      } else {
        w.witness.logged_in(connection.token, device);
      }
    }
    for (wire::ByteView rest{bytes.data(), bytes.size()}; !rest.empty();) {
      const wire::Decoded decoded = wire::decode_frame(rest);
      if (decoded.status != wire::DecodeStatus::ok) break;
      if (decoded.frame.command == wire::Command::response && decoded.frame.status == 9) w.witness.heard_invalid(connection.token);
      rest = rest.drop(decoded.consumed_bytes);
    }
    if (!bytes.empty()) w.network.send(connection.id, false, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (step.close != CloseReason::none) {
      w.trace.add(static_cast<std::uint64_t>(step.close));
      const ConnectionId id = connection.id;
      w.network.close(id, false);
      forget(id);
      return;
    }
    connection.deadline = step.deadline;
    set_timer(connection);
  }
  void pump(ConnectionId id, bool fresh) {
    for (Connection* connection = find(id); connection != nullptr && !connection->paused && (fresh || !connection->pending.empty());
         connection = find(id)) {
      fresh = false;
      const std::size_t before = connection->pending.size();
      const std::string input = connection->pending;
      perform(*connection, [&](protocol::Output& out) {
        return gateway.on_bytes(connection->session, connection->self, connection->peer, wire::ByteView{std::string_view{input}}, out,
                                w.timeline.now());
      });
      connection = find(id);
      if (connection == nullptr || connection->pending.size() == before) return;
    }
  }
  void set_timer(Connection& connection) {
    if (connection.deadline >= connection.timer || connection.deadline == Instant::max()) return;
    connection.timer = connection.deadline;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(connection.deadline - w.timeline.now());
    later(static_cast<Millis>(std::max<std::int64_t>(0, wait.count())), [this, id = connection.id, timer = connection.timer] {
      Connection* due = find(id);
      if (due == nullptr || due->timer != timer) return;
      due->timer = Instant::max();
      perform(*due, [&](protocol::Output& out) { return gateway.on_deadline(due->session, due->self, due->peer, out, w.timeline.now()); });
      pump(id, false);
    });
  }
  void forget(ConnectionId id) {
    const auto found = connections.find(id);
    if (found == connections.end()) return;
    gateway.on_closed(found->second.session, found->second.self, w.timeline.now());
    by_generation.erase(found->second.self.generation);
    connections.erase(found);
  }

  Server& server;
  Wiring& w;
  NoFeed feed;
  Metrics metrics;
  domain::Views views;
  domain::SessionRegistry registry;
  domain::ValueCache values;
  domain::PresenceQueue presence;
  domain::TimelineQueue timeline;
  std::array<std::size_t, lane_count> lanes{};
  std::map<ConnectionId, Connection> connections;
  std::map<std::uint32_t, ConnectionId> by_generation;
  bool stopping = false;
  protocol::DeviceGateway gateway;
};

Server::Server(Wiring wiring, protocol::GatewayLimits limits) : w_{wiring}, limits_{std::move(limits)} {}
Server::~Server() = default;

void Server::start() {
  if (life_ != nullptr) return;
  ++incarnation_;
  if (w_.bug == Bug::restart_touches_rows && incarnation_ > 1) {
    w_.disk.run("UPDATE device SET activated_at = activated_at + 1");
  }
  life_ = std::make_unique<Life>(*this);
  w_.network.listener = this;
  life_->load();
  life_->later(w_.bus_tick_ms, [life = life_.get()] { life->bus_tick(); });
  if (w_.provisioning) {
    life_->proofs_tick();
    life_->expiry_tick();
  }
  life_->later(write_behind_ms, [life = life_.get()] { life->write_behind_tick(); });
}

void Server::kill(bool power_cut) {
  if (life_ == nullptr) return;
  life_.reset();
  w_.network.server_died();
  w_.disk.reopen(power_cut);
  w_.witness.process_ended();
}

void Server::stop(Millis over_ms) {
  if (life_ == nullptr || life_->stopping) return;
  life_->stopping = true;
  Life* life = life_.get();
  for (const auto& [id, connection] : life->connections) {
    life->later(w_.dice.below(over_ms), [life, id = id] {
      Connection* open = life->find(id);
      if (open == nullptr) return;
      const CloseReason reason = life->w.bug == Bug::restart_is_disconnect ? CloseReason::server_error : CloseReason::shutdown;
      life->perform(*open, [&](protocol::Output& out) {
        return life->gateway.on_event(open->session, open->self, open->peer, protocol::CloseSession{reason}, out, life->w.timeline.now());
      });
    });
  }
  life->later(over_ms + 1, [this, life] {
    static_cast<void>(domain::write_behind(w_.disk.store(), life->values, life->presence));
    static_cast<void>(domain::write_behind(w_.disk.store(), life->timeline, w_.timeline.utc_now()));
    kill();
  });
}

bool Server::api(std::function<void()> job) { return life_ != nullptr && !life_->stopping && life_->post(Lane::api, std::move(job)); }
Result<void> Server::catch_up() { return life_->views.catch_up(); }
bool Server::push_value(DeviceId device, std::uint8_t pin, std::string_view value) {
  return life_ != nullptr && life_->gateway.push_value(device, pin, value);
}
bool Server::push_internal(DeviceId device, std::string_view words) {
  return life_ != nullptr && life_->gateway.push_internal(device, words);
}
bool Server::online(DeviceId device) const { return life_ != nullptr && life_->registry.online(device); }

std::vector<Server::Session> Server::sessions() const {
  std::vector<Session> out;
  if (life_ == nullptr) return out;
  for (const auto& [id, connection] : life_->connections) {
    if (connection.session.state() != DeviceSession::State::active) continue;
    const DeviceId device = connection.session.device();
    out.push_back({connection.token, device, connection.logged_in_ms, life_->registry.find(device) == connection.self});
  }
  return out;
}

End* Server::on_accept(ConnectionId id, std::uint32_t address) {
  if (life_ == nullptr || life_->stopping) return nullptr;
  Connection& connection = life_->connections[id];
  connection.id = id;
  connection.peer = {IpAddress::from_v4(address), protocol::Transport::tls};
  connection.self = {0, 0, static_cast<std::uint32_t>(id), ++generations_};
  life_->by_generation.emplace(connection.self.generation, id);
  connection.deadline = life_->gateway.on_open(connection.session, connection.peer, w_.timeline.now()).deadline;
  life_->set_timer(connection);
  return this;
}

void Server::on_bytes(ConnectionId id, std::string_view bytes) {
  Connection* connection = life_ == nullptr ? nullptr : life_->find(id);
  if (connection == nullptr) return;
  connection->pending += bytes;
  // The witness must know whose login it is: the first frame's body.
  if (connection->token.empty() && connection->session.state() == DeviceSession::State::await_login) {
    const wire::Decoded first = wire::decode_frame(wire::ByteView{std::string_view{connection->pending}});
    if (first.status == wire::DecodeStatus::ok) connection->token = first.frame.body.text();
  }
  life_->pump(id, true);
}

void Server::on_end(ConnectionId id, bool /*clean*/) {
  if (life_ != nullptr) life_->forget(id);
}

}  // namespace muster::sim
