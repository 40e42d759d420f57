// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/network.hpp"

#include <algorithm>
#include <cstring>

namespace muster::agent::sim {

// ---- random
// -----------------------------------------------------------------------------------------------------------

std::uint64_t Random::next64() {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

std::uint64_t Random::between(std::uint64_t low, std::uint64_t high) {
  if (high <= low) {
    return low;
  }
  return low + next64() % (high - low + 1);  // The bias is far below what any test here could see.
}

// ---- links
// ------------------------------------------------------------------------------------------------------------

Link::Link(Network& network) : network_{network}, client_{++network.last_client_} { network_.links_[client_] = this; }

Link::~Link() {
  close();
  network_.links_.erase(client_);
}

void Link::poke() { network_.follow_deadline(*this); }

void Link::connect(const Endpoint& endpoint) {
  close();
  Network& net = network_;
  const ConnectionId id = ++net.last_connection_;
  connection_ = id;
  Network::Connection connection;
  connection.link = this;
  net.connections_[id] = connection;
  const Faults& faults = net.faults_;
  // The draws are made in any case, so that one fault more does not shift all that follows.
  const bool refused = net.random_.chance(faults.connect_refused);
  const bool ignored = net.random_.chance(faults.connect_ignored);
  const Millis there = net.now_ + net.delay();
  const Millis back = there + net.delay();
  if (ignored) {
    return;
  }
  const std::pair<std::string, std::uint16_t> place{std::string{endpoint.host}, endpoint.port};
  net.schedule(there, [&net, id, refused, back, place] {
    Network::Connection* const found = net.find(id);
    if (found == nullptr || found->link_closed) {
      return;
    }
    const auto listener = net.listeners_.find(place);
    if (refused || listener == net.listeners_.end()) {
      net.schedule(back, [&net, id] { net.refuse(id, CloseReason::refused); });
      return;
    }
    found->server = listener->second;
    found->accepted = true;
    found->to_link_at = back;
    net.trace_event('a', id, {});
    // Planned before the server hears of it: what the server sends at once arrives behind it.
    net.schedule(back, [&net, id] {
      Network::Connection* const accepted = net.find(id);
      if (accepted == nullptr || accepted->link_closed) {
        return;
      }
      net.trace_event('c', id, {});
      Link& link = *accepted->link;
      link.agent_->on_connected(net.now_);
      net.follow_deadline(link);
    });
    found->server->on_accepted(id, found->link->client_, net.now_);
  });
}

bool Link::send(wire::ByteView frame) {
  if (connection_ != 0) {
    network_.carry(connection_, true, frame);
  }
  return true;
}

void Link::close() {
  const ConnectionId id = connection_;
  if (id == 0) {
    return;
  }
  connection_ = 0;
  Network& net = network_;
  Network::Connection* const found = net.find(id);
  if (found == nullptr) {
    return;
  }
  found->link_closed = true;
  found->link = nullptr;
  if (!found->accepted || found->server_closed) {
    net.forget_if_over(id);
    return;
  }
  if (found->silent) {
    return;  // The server is never told: it has to find out by itself.
  }
  // The end travels behind the bytes that are on their way.
  const Millis at = std::max(net.now_ + net.delay(), found->to_server_at);
  net.schedule(at, [&net, id] { net.end_for_server(id); });
}

// ---- the network
// ------------------------------------------------------------------------------------------------------

Network::Network(std::uint64_t seed) : random_{seed} {}

void Network::listen(std::string_view host, std::uint16_t port, ServerSide& server) { listeners_[{std::string{host}, port}] = &server; }

void Network::stop_listening(std::string_view host, std::uint16_t port) { listeners_.erase({std::string{host}, port}); }

Network::Connection* Network::find(ConnectionId id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : &found->second;
}

void Network::carry(ConnectionId id, bool to_server, wire::ByteView bytes) {
  Connection* const connection = find(id);
  if (connection == nullptr || bytes.empty()) {
    return;
  }
  const bool silenced = random_.chance(faults_.gone_silent);
  const bool lost = random_.chance(faults_.lost_connection);
  const bool split = random_.chance(faults_.split) && bytes.size > 1;
  Millis& last = to_server ? connection->to_server_at : connection->to_link_at;
  const Millis at = std::max(now_ + delay(), last);
  if (silenced) {
    connection->silent = true;
  }
  if (connection->silent) {
    return;
  }
  if (lost) {
    schedule(at, [this, id] { lose(id); });
    return;
  }
  const std::size_t cut = split ? static_cast<std::size_t>(random_.between(1, bytes.size - 1)) : bytes.size;
  std::vector<std::uint8_t> first{bytes.begin(), bytes.begin() + cut};
  schedule(at, [this, id, to_server, piece = std::move(first)] { deliver(id, to_server, piece); });
  last = at;
  if (cut < bytes.size) {
    std::vector<std::uint8_t> second{bytes.begin() + cut, bytes.end()};
    last = at + delay();
    schedule(last, [this, id, to_server, piece = std::move(second)] { deliver(id, to_server, piece); });
  }
}

void Network::deliver(ConnectionId id, bool to_server, const std::vector<std::uint8_t>& bytes) {
  Connection* const connection = find(id);
  if (connection == nullptr || connection->silent) {
    return;
  }
  if (to_server) {
    if (!connection->server_closed && connection->server != nullptr) {
      trace_event('s', id, {bytes.data(), bytes.size()});
      connection->server->on_bytes(id, {bytes.data(), bytes.size()}, now_);
    }
  } else if (!connection->link_closed) {
    trace_event('l', id, {bytes.data(), bytes.size()});
    Link& link = *connection->link;
    link.agent_->on_bytes({bytes.data(), bytes.size()}, now_);
    follow_deadline(link);
  }
}

void Network::server_send(ConnectionId id, wire::ByteView bytes) {
  Connection* const connection = find(id);
  if (connection != nullptr && !connection->server_closed) {
    carry(id, false, bytes);
  }
}

void Network::server_close(ConnectionId id) {
  Connection* const connection = find(id);
  if (connection == nullptr || connection->server_closed) {
    return;
  }
  connection->server_closed = true;
  if (connection->link_closed) {
    forget_if_over(id);
    return;
  }
  if (connection->silent) {
    return;
  }
  const Millis at = std::max(now_ + delay(), connection->to_link_at);
  schedule(at, [this, id] { end_for_link(id, CloseReason::peer_closed); });
}

void Network::refuse(ConnectionId id, CloseReason reason) { end_for_link(id, reason); }

void Network::end_for_link(ConnectionId id, CloseReason reason) {
  Connection* const connection = find(id);
  if (connection == nullptr || connection->link_closed) {
    return;
  }
  connection->link_closed = true;
  Link& link = *connection->link;
  connection->link = nullptr;
  link.connection_ = 0;
  trace_event('x', id, {});
  forget_if_over(id);
  link.agent_->on_closed(reason, now_);
  follow_deadline(link);
}

void Network::end_for_server(ConnectionId id) {
  Connection* const connection = find(id);
  if (connection == nullptr || connection->server_closed || connection->silent) {
    return;
  }
  connection->server_closed = true;
  ServerSide* const server = connection->server;
  trace_event('y', id, {});
  forget_if_over(id);
  if (server != nullptr) {
    server->on_closed(id, now_);
  }
}

void Network::lose(ConnectionId id) {
  end_for_server(id);
  end_for_link(id, CloseReason::network_lost);
}

void Network::silence(ConnectionId id) {
  if (Connection* const connection = find(id); connection != nullptr) {
    connection->silent = true;
  }
}

void Network::drop_all(const ServerSide& server) {
  std::vector<ConnectionId> mine;
  for (auto& [id, connection] : connections_) {
    if (connection.server == &server && !connection.server_closed) {
      connection.server_closed = true;
      mine.push_back(id);
    }
  }
  for (const ConnectionId id : mine) {
    Connection* const connection = find(id);
    if (connection->silent || connection->link_closed) {
      forget_if_over(id);
      continue;
    }
    const Millis at = std::max(now_ + delay(), connection->to_link_at);
    schedule(at, [this, id] { end_for_link(id, CloseReason::network_lost); });
  }
}

void Network::forget_if_over(ConnectionId id) {
  const Connection* const connection = find(id);
  if (connection != nullptr && connection->link_closed && (connection->server_closed || !connection->accepted)) {
    connections_.erase(id);
  }
}

// ---- time
// -------------------------------------------------------------------------------------------------------------

void Network::schedule(Millis when, std::function<void()> action) {
  events_.push_back({std::max(when, now_), ++order_, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), Later{});
}

void Network::follow_deadline(Link& link) {
  if (link.agent_ == nullptr) {
    return;
  }
  const Millis due = std::max(link.agent_->next_deadline(), now_);
  if (due == never || due >= link.timer_at_) {
    return;  // A timer that comes too early finds nothing due, and is set anew.
  }
  link.timer_at_ = due;
  schedule(due, [this, client = link.client_] { timer(client); });
}

void Network::timer(std::uint32_t client) {
  const auto found = links_.find(client);
  if (found == links_.end()) {
    return;
  }
  Link& link = *found->second;
  if (link.timer_at_ > now_) {
    return;  // Another one was set for later.
  }
  link.timer_at_ = never;
  if (link.agent_->next_deadline() <= now_) {
    trace_event('t', client, {});
    link.agent_->on_timer(now_);
  }
  follow_deadline(link);
}

bool Network::step() {
  if (events_.empty()) {
    return false;
  }
  std::pop_heap(events_.begin(), events_.end(), Later{});
  const Event event = std::move(events_.back());  // Out of the queue before it runs: it may plan others.
  events_.pop_back();
  now_ = event.at;
  event.action();
  return true;
}

void Network::run_until(Millis end) {
  while (!events_.empty() && events_.front().at <= end) {
    step();
  }
  now_ = std::max(now_, end);
}

void Network::trace_event(char kind, std::uint64_t who, wire::ByteView bytes) {
  ++delivered_;
  const auto add = [this](std::uint8_t byte) { trace_ = (trace_ ^ byte) * 0x100000001b3U; };  // FNV-1a
  add(static_cast<std::uint8_t>(kind));
  for (int shift = 0; shift < 64; shift += 8) {
    add(static_cast<std::uint8_t>(now_ >> shift));
    add(static_cast<std::uint8_t>(who >> shift));
  }
  for (const std::uint8_t byte : bytes) {
    add(byte);
  }
}

void Network::note(std::string_view text) { trace_event('n', 0, wire::ByteView{text}); }

// ---- agents
// -----------------------------------------------------------------------------------------------------------

SimAgent::SimAgent(Network& network, Handler& handler, const Identity& identity, const Limits& limits)
    : network_{network},
      link_{network},
      random_{network.random().next64()},
      agent_{link_, handler, random_, {receive_room_, sizeof receive_room_}, {send_room_, sizeof send_room_}, identity, limits} {
  link_.attach(agent_);
}

bool SimAgent::start(const DeviceConfig& config) {
  const bool started = agent_.start(config, network_.now());
  link_.poke();
  return started;
}

void SimAgent::stop() { agent_.stop(network_.now()); }

void SimAgent::retry_now() {
  agent_.retry_now(network_.now());
  link_.poke();
}

// ---- store
// ------------------------------------------------------------------------------------------------------------

StoreStatus MemoryStore::load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) {
  const auto found = records_.find(slot);
  if (found == records_.end()) {
    return StoreStatus::absent;
  }
  if (found->second.size() > room.size) {
    return StoreStatus::too_big;
  }
  std::copy(found->second.begin(), found->second.end(), room.data);
  size_bytes = found->second.size();
  return StoreStatus::ok;
}

StoreStatus MemoryStore::save(Slot slot, wire::ByteView record) {
  if (writes_left_ == 0) {
    return StoreStatus::io_failed;
  }
  if (writes_left_ != UINT32_MAX) {
    --writes_left_;
  }
  records_[slot] = {record.begin(), record.end()};
  return StoreStatus::ok;
}

StoreStatus MemoryStore::erase(Slot slot) {
  if (writes_left_ == 0) {
    return StoreStatus::io_failed;
  }
  if (writes_left_ != UINT32_MAX) {
    --writes_left_;
  }
  records_.erase(slot);
  return StoreStatus::ok;
}

}  // namespace muster::agent::sim
