// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/network.hpp"

#include <algorithm>

namespace muster::sim {

Network::~Network() {
  for (const auto& [id, link] : links_) {
    link->to_client.parked.clear();
    link->to_server.parked.clear();
  }
}

ConnectionId Network::connect(std::uint32_t address, End& client, std::function<void(ConnectionId, bool)> established) {
  const ConnectionId id = next_id_++;
  auto link = std::make_shared<Link>();
  link->address = address;
  link->client = &client;
  links_.emplace(id, link);
  const Millis there = dice_.between(weather.delay_min_ms, weather.delay_max_ms);
  const Millis back = dice_.between(weather.delay_min_ms, weather.delay_max_ms);
  timeline_.after(there, [this, link, id, address, back, established = std::move(established)] {
    if (link->to_client.receiver_gone || cut_[address]) return;
    link->server = listener == nullptr ? nullptr : listener->on_accept(id, address);
    const bool accepted = link->server != nullptr;
    trace_.add(id << 1 | (accepted ? 1u : 0u));
    if (!accepted) link->to_server.receiver_gone = true;
    plan(
        link, id, false,
        [link, id, accepted, established] {
          if (!link->to_client.receiver_gone) {
            if (!accepted) link->to_client.receiver_gone = true;
            established(id, accepted);
          }
        },
        back);
  });
  return id;
}

void Network::arrive(const LinkPtr& link, ConnectionId id, bool to_server, std::function<void()> what) {
  Direction& direction = to_server ? link->to_server : link->to_client;
  if (cut_[link->address] || !direction.parked.empty()) {
    if (links_.contains(id)) direction.parked.push_back(std::move(what));
    return;
  }
  what();
  drop_if_dead(id);
}

void Network::plan(const LinkPtr& link, ConnectionId id, bool to_server, std::function<void()> what, Millis extra_ms) {
  Direction& direction = to_server ? link->to_server : link->to_client;
  const Millis arrival =
      std::max(direction.last_arrival_ms, timeline_.now_ms() + extra_ms + dice_.between(weather.delay_min_ms, weather.delay_max_ms));
  direction.last_arrival_ms = arrival;
  timeline_.after(arrival - timeline_.now_ms(),
                  [this, link, id, to_server, what = std::move(what)]() mutable { arrive(link, id, to_server, std::move(what)); });
}

void Network::send(ConnectionId id, bool from_client, std::string_view bytes) {
  const auto found = links_.find(id);
  if (found == links_.end() || found->second->broken || bytes.empty()) return;
  const LinkPtr link = found->second;
  if (dice_.chance(weather.break_per_mille)) return break_link(link, id);
  while (!bytes.empty()) {
    const std::size_t size = bytes.size() > 1 && dice_.chance(weather.split_per_mille)
                                 ? static_cast<std::size_t>(dice_.between(1, bytes.size() - 1))
                                 : bytes.size();
    plan(link, id, from_client, [this, link, id, from_client, piece = std::string{bytes.substr(0, size)}] {
      if (link->broken) return;
      Direction& direction = from_client ? link->to_server : link->to_client;
      End* end = from_client ? link->server : link->client;
      if (direction.receiver_gone || end == nullptr) return;
      trace_.add(timeline_.now_ms());
      trace_.add(id << 1 | (from_client ? 1u : 0u));
      trace_.add(piece);
      end->on_bytes(id, piece);
    });
    bytes.remove_prefix(size);
  }
}

void Network::tell_end(const LinkPtr& link, ConnectionId id, bool to_server, bool clean, Millis extra_ms) {
  plan(
      link, id, to_server,
      [this, link, id, to_server, clean] {
        Direction& direction = to_server ? link->to_server : link->to_client;
        End* end = to_server ? link->server : link->client;
        if (direction.receiver_gone || end == nullptr) return;
        direction.receiver_gone = true;
        trace_.add(timeline_.now_ms());
        trace_.add(id << 2 | (to_server ? 2u : 0u) | (clean ? 1u : 0u));
        end->on_end(id, clean);
      },
      extra_ms);
}

void Network::close(ConnectionId id, bool by_client) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const LinkPtr link = found->second;
  (by_client ? link->to_client : link->to_server).receiver_gone = true;
  if (!link->broken) tell_end(link, id, by_client, true);
  drop_if_dead(id);
}

void Network::break_link(const LinkPtr& link, ConnectionId id) {
  link->broken = true;
  const bool half_open = dice_.chance(weather.half_open_per_mille);
  const bool server_hears = !half_open || dice_.chance(500);
  const bool client_hears = !half_open || !server_hears;
  if (server_hears) tell_end(link, id, true, false);
  if (client_hears) tell_end(link, id, false, false);
}

void Network::client_died(ConnectionId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const LinkPtr link = found->second;
  link->client = nullptr;
  link->to_client.receiver_gone = true;
  link->broken = true;
  drop_if_dead(id);
}

void Network::server_died() {
  const auto links = links_;
  for (const auto& [id, link] : links) {
    link->to_server.receiver_gone = true;
    link->server = nullptr;
    if (link->broken) continue;
    link->broken = true;
    // Most hear the reset at once; behind some routers nobody answers for the dead machine.
    if (!dice_.chance(weather.half_open_per_mille)) tell_end(link, id, false, false, dice_.below(300));
  }
}

void Network::cut_off(std::uint32_t address, bool cut) {
  cut_[address] = cut;
  if (cut) return;
  const auto links = links_;
  for (const auto& [id, link] : links) {
    if (link->address != address) continue;
    for (Direction* direction : {&link->to_server, &link->to_client}) {
      // What waited comes in its order; what arrives meanwhile waits behind it.
      auto parked = std::move(direction->parked);
      direction->parked.clear();
      for (auto& what : parked) what();
    }
    drop_if_dead(id);
  }
}

void Network::heal() {
  const auto cut = cut_;
  for (const auto& [address, is_cut] : cut) {
    if (is_cut) cut_off(address, false);
  }
}

void Network::drop_if_dead(ConnectionId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const LinkPtr link = found->second;
  if (!link->to_client.receiver_gone || !(link->to_server.receiver_gone || link->server == nullptr)) return;
  // What is parked refers to its link.
  link->to_client.parked.clear();
  link->to_server.parked.clear();
  links_.erase(found);
}

}  // namespace muster::sim
