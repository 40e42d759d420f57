// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tests/sim/random.hpp"
#include "tests/sim/timeline.hpp"

namespace muster::sim {

using ConnectionId = std::uint64_t;

/// One end of a connection, told of what arrives.
class End {
 public:
  virtual ~End() = default;
  virtual void on_bytes(ConnectionId id, std::string_view bytes) = 0;
  /// The other side is gone. `clean`: it closed; else the network broke it.
  virtual void on_end(ConnectionId id, bool clean) = 0;
};

/// What listens, if anything does.
class Listener {
 public:
  virtual ~Listener() = default;
  /// nullptr: refused.
  virtual End* on_accept(ConnectionId id, std::uint32_t address) = 0;
};

/// Streams between clients and the one server. A stream keeps its order, as TCP does; what is lost ends the connection, at both ends or at one
/// only (the other is then half open); streams overtake each other, and segments are cut anywhere. Addresses in a partition hear nothing
/// until it heals.
class Network {
 public:
  struct Weather {
    Millis delay_min_ms = 1, delay_max_ms = 80;
    std::uint32_t break_per_mille = 0;      ///< A segment that breaks its connection.
    std::uint32_t half_open_per_mille = 0;  ///< Of these: so many leave one end in the dark.
    std::uint32_t split_per_mille = 150;    ///< Segments that arrive in pieces.
  };

  Network(Timeline& timeline, Dice& dice, Trace& trace) : timeline_{timeline}, dice_{dice}, trace_{trace} {}
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Weather weather;
  Listener* listener = nullptr;

  /// `established` is called with success or refusal; neither when the address is cut off.
  ConnectionId connect(std::uint32_t address, End& client, std::function<void(ConnectionId, bool)> established);
  void send(ConnectionId id, bool from_client, std::string_view bytes);
  /// This end is done: what it sent before still arrives.
  void close(ConnectionId id, bool by_client);
  /// The client's machine lost its power: the server hears nothing of it.
  void client_died(ConnectionId id);
  /// The server's machine died: its ends are gone, clients hear it soon, late, or never.
  void server_died();
  void cut_off(std::uint32_t address, bool cut);
  void heal();
  [[nodiscard]] std::size_t open_connections() const noexcept { return links_.size(); }

 private:
  struct Direction {
    Millis last_arrival_ms = 0;
    bool receiver_gone = false;                ///< Nobody is there to hear it.
    std::deque<std::function<void()>> parked;  ///< Arrived during a partition.
  };
  struct Link {
    std::uint32_t address = 0;
    End* client = nullptr;
    End* server = nullptr;
    Direction to_server, to_client;
    bool broken = false;  ///< Nothing passes any more.
  };
  using LinkPtr = std::shared_ptr<Link>;  // Shared with the arrivals that are under way.

  void arrive(const LinkPtr& link, ConnectionId id, bool to_server, std::function<void()> what);
  void plan(const LinkPtr& link, ConnectionId id, bool to_server, std::function<void()> what, Millis extra_ms = 0);
  void tell_end(const LinkPtr& link, ConnectionId id, bool to_server, bool clean, Millis extra_ms = 0);
  void break_link(const LinkPtr& link, ConnectionId id);
  void drop_if_dead(ConnectionId id);

  Timeline& timeline_;
  Dice& dice_;
  Trace& trace_;
  std::map<ConnectionId, LinkPtr> links_;
  std::map<std::uint32_t, bool> cut_;
  ConnectionId next_id_ = 1;
};

}  // namespace muster::sim
