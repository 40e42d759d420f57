// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/agent.hpp"
#include "agent/port/clock.hpp"
#include "agent/port/random.hpp"
#include "agent/port/store.hpp"
#include "agent/port/transport.hpp"

/// Virtual time and a network with faults, for hundreds of agents in one process. Everything follows from one seed: the
/// same seed and the same calls give the same trace. Single-threaded. Not for production.
namespace muster::agent::sim {

/// SplitMix64: small, and the same everywhere (the standard library's distributions are not).
class Random final : public RandomSource {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}
  [[nodiscard]] std::uint32_t next() override { return static_cast<std::uint32_t>(next64() >> 32); }
  [[nodiscard]] std::uint64_t next64();
  /// Uniform in low..high, both included.
  [[nodiscard]] std::uint64_t between(std::uint64_t low, std::uint64_t high);
  /// True in `permille` of 1,000 cases.
  [[nodiscard]] bool chance(std::uint32_t permille) { return between(1, 1000) <= permille; }

 private:
  std::uint64_t state_;
};

/// What goes wrong, and how often. All chances are in 1,000.
struct Faults {
  std::uint32_t delay_min_ms = 1;  ///< Of each segment and of each connect, one way.
  std::uint32_t delay_max_ms = 20;
  std::uint32_t connect_refused = 0;  ///< Of connects.
  std::uint32_t connect_ignored = 0;  ///< Of connects: no answer at all.
  std::uint32_t split = 0;            ///< Of segments: arrives in two pieces at two times.
  std::uint32_t lost_connection = 0;  ///< Of segments: instead of it arriving both ends lose the connection.
  std::uint32_t gone_silent = 0;      ///< Of segments: from now on nothing arrives either way, and nobody is told.
};

/// One accepted connection, as the server sees it. Never used twice.
using ConnectionId = std::uint64_t;

/// The cloud's side of the network, implemented by the test. Calls may use Network's server calls at once.
class ServerSide {
 public:
  virtual ~ServerSide() = default;
  /// `client` tells agents apart, as an address would.
  virtual void on_accepted(ConnectionId connection, std::uint32_t client, Millis now) = 0;
  virtual void on_bytes(ConnectionId connection, wire::ByteView bytes, Millis now) = 0;
  /// The client closed, or the network lost the connection. Not called for what the server closed itself.
  virtual void on_closed(ConnectionId connection, Millis now) = 0;
};

class Network;

/// An agent's transport. Attach it to its agent before the agent is started.
class Link final : public Transport {
 public:
  explicit Link(Network& network);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void attach(Agent& agent) { agent_ = &agent; }
  void connect(const Endpoint& endpoint) override;
  [[nodiscard]] bool send(wire::ByteView frame) override;
  void close() override;

  /// Tells the network that the agent was called from outside (start, stop, retry_now), so that its deadline may be
  /// earlier.
  void poke();
  [[nodiscard]] std::uint32_t client() const noexcept { return client_; }

 private:
  friend class Network;
  Network& network_;
  Agent* agent_ = nullptr;
  std::uint32_t client_;
  ConnectionId connection_ = 0;  ///< 0: none.
  Millis timer_at_ = never;      ///< The earliest timer event that is queued for it.
};

class Network {
 public:
  explicit Network(std::uint64_t seed);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  [[nodiscard]] Millis now() const noexcept { return now_; }
  [[nodiscard]] Random& random() noexcept { return random_; }
  /// For what happens from now on; connections that are silent stay so.
  void set_faults(const Faults& faults) { faults_ = faults; }
  [[nodiscard]] const Faults& faults() const noexcept { return faults_; }

  /// Connects to host and port are refused while nobody listens there.
  void listen(std::string_view host, std::uint16_t port, ServerSide& server);
  /// Existing connections stay; see drop_all.
  void stop_listening(std::string_view host, std::uint16_t port);

  // What a server does with its connections. Calls for one that has ended do nothing.
  void server_send(ConnectionId connection, wire::ByteView bytes);
  void server_close(ConnectionId connection);

  // Scripted faults.
  /// Both ends lose it, as by a reset.
  void lose(ConnectionId connection);
  void silence(ConnectionId connection);
  /// Every connection of a server at once, as when its process dies: the server is told nothing.
  void drop_all(const ServerSide& server);

  /// Runs `action` at `when` (now when that has passed). For scripts, the cloud's timers, and the test's own pace.
  void schedule(Millis when, std::function<void()> action);
  /// Does what is due next, moving the time there. False when nothing is left to do.
  bool step();
  /// Does all that is due up to `end`, and moves the time there.
  void run_until(Millis end);

  /// A digest of all that was delivered so far, and when: equal for equal runs.
  [[nodiscard]] std::uint64_t trace() const noexcept { return trace_; }
  /// Adds something of the test's own to the trace, such as an invariant's state.
  void note(std::string_view text);
  [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }

 private:
  friend class Link;
  struct Connection {
    Link* link = nullptr;
    ServerSide* server = nullptr;
    Millis to_server_at = 0;  ///< When the last thing on the way arrives: later ones never overtake it.
    Millis to_link_at = 0;
    bool accepted = false;
    bool silent = false;
    bool server_closed = false;
    bool link_closed = false;
  };
  struct Event {
    Millis at = 0;
    std::uint64_t order = 0;
    std::function<void()> action;
  };
  /// For a heap with the earliest in front; of two at one time the one planned first.
  struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };

  [[nodiscard]] Connection* find(ConnectionId id);
  [[nodiscard]] Millis delay() { return random_.between(faults_.delay_min_ms, faults_.delay_max_ms); }
  /// Sends bytes one way, with the faults that befall them.
  void carry(ConnectionId id, bool to_server, wire::ByteView bytes);
  void deliver(ConnectionId id, bool to_server, const std::vector<std::uint8_t>& bytes);
  void refuse(ConnectionId id, CloseReason reason);
  void end_for_link(ConnectionId id, CloseReason reason);
  void end_for_server(ConnectionId id);
  void forget_if_over(ConnectionId id);
  void follow_deadline(Link& link);
  void timer(std::uint32_t client);
  void trace_event(char kind, std::uint64_t who, wire::ByteView bytes);

  Random random_;
  Faults faults_;
  Millis now_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325U;
  std::uint64_t delivered_ = 0;
  ConnectionId last_connection_ = 0;
  std::uint32_t last_client_ = 0;
  std::map<std::pair<std::string, std::uint16_t>, ServerSide*> listeners_;
  std::map<ConnectionId, Connection> connections_;
  std::map<std::uint32_t, Link*> links_;
  std::vector<Event> events_;
};

/// An agent with all that it borrows, in one piece.
class SimAgent {
 public:
  SimAgent(Network& network, Handler& handler, const Identity& identity = {"1.0.0", {}, "0.1.0", "sim", {}, {}}, const Limits& limits = {});
  SimAgent(const SimAgent&) = delete;
  SimAgent& operator=(const SimAgent&) = delete;

  bool start(const DeviceConfig& config);
  void stop();
  void retry_now();
  /// For sending and asking: the time to pass is Network::now().
  [[nodiscard]] Agent& agent() noexcept { return agent_; }
  [[nodiscard]] Link& link() noexcept { return link_; }

 private:
  static constexpr std::size_t room_size_bytes = 1024 + wire::frame_header_size_bytes;

  Network& network_;
  Link link_;
  Random random_;
  std::uint8_t receive_room_[room_size_bytes];
  std::uint8_t send_room_[room_size_bytes];
  Agent agent_;
};

/// Records in memory, with power cuts: a cut forgets what was not saved, never half of it; and saving can be made to
/// fail.
class MemoryStore final : public Store {
 public:
  [[nodiscard]] StoreStatus load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) override;
  [[nodiscard]] StoreStatus save(Slot slot, wire::ByteView record) override;
  [[nodiscard]] StoreStatus erase(Slot slot) override;
  /// How many more saves and erases succeed before all fail.
  void fail_after(std::uint32_t writes) { writes_left_ = writes; }
  void repair() { writes_left_ = UINT32_MAX; }

 private:
  std::map<Slot, std::vector<std::uint8_t>> records_;
  std::uint32_t writes_left_ = UINT32_MAX;
};

}  // namespace muster::agent::sim
