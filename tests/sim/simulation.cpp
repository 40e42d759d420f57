// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>

#include "agent/core/agent.hpp"

namespace muster::sim {
namespace {

using domain::StoreError;

constexpr const char* host = "cloud.example";
/// A token that was revoked keeps a session for at most so long after the acknowledgement.
constexpr Millis revoked_session_max_ms = 1'000;
/// A session that was replaced is closed within this time.
constexpr Millis replaced_session_max_ms = 500;

/// One agent on its own address: our real one, on a simulated network.
class Device final : public agent::Transport, public agent::Handler, public End {
 public:
  Device(Timeline& timeline, Network& network, Dice& dice, std::uint32_t address, std::string token)
      : timeline_{timeline},
        network_{network},
        dice_{dice},
        address_{address},
        token_{std::move(token)},
        agent_{*this, *this, dice, {receive_.data(), receive_.size()}, {send_.data(), send_.size()}, identity()} {}

  void start() {
    agent::DeviceConfig config;
    static_cast<void>(config.token.assign(token_));
    static_cast<void>(config.host.assign(host));
    static_cast<void>(config.template_id.assign("TMPLsim000001"));
    static_cast<void>(agent_.start(config, timeline_.now_ms()));
    plan();
  }
  /// The device was given another token (by cable, say).
  void give(std::string token) {
    token_ = std::move(token);
    heard_invalid = false;
    start();
  }
  void write(std::uint8_t pin, std::int64_t value) {
    static_cast<void>(agent_.write(pin, value, timeline_.now_ms()));
    plan();
  }
  void sync() {
    static_cast<void>(agent_.sync(timeline_.now_ms()));
    plan();
  }

  [[nodiscard]] const std::string& token() const noexcept { return token_; }
  [[nodiscard]] std::uint32_t address() const noexcept { return address_; }
  [[nodiscard]] bool online() const noexcept { return agent_.online(); }
  bool heard_invalid = false;
  std::uint64_t values_received = 0;

  // --- agent::Transport ---------------------------------------------------------------------------------------------------------------
  void connect(const agent::Endpoint&) override {
    link_ = network_.connect(address_, *this, [this](ConnectionId id, bool accepted) {
      if (id != link_) return;
      if (accepted) {
        agent_.on_connected(timeline_.now_ms());
      } else {
        link_ = 0;
        agent_.on_closed(agent::CloseReason::refused, timeline_.now_ms());
      }
      plan();
    });
  }
  bool send(wire::ByteView frame) override {
    network_.send(link_, true, frame.text());
    return true;
  }
  void close() override {
    if (link_ != 0) network_.close(std::exchange(link_, 0), true);
  }

  // --- End ------------------------------------------------------------------------------------------------------------------------------
  void on_bytes(ConnectionId id, std::string_view bytes) override {
    if (id != link_) return;
    agent_.on_bytes(wire::ByteView{bytes}, timeline_.now_ms());
    plan();
  }
  void on_end(ConnectionId id, bool clean) override {
    if (id != link_) return;
    // This end closes as well: a stream of which one side is gone is of no use.
    network_.close(std::exchange(link_, 0), true);
    agent_.on_closed(clean ? agent::CloseReason::peer_closed : agent::CloseReason::network_lost, timeline_.now_ms());
    plan();
  }

  // --- agent::Handler -------------------------------------------------------------------------------------------------------------------
  void on_event(const agent::Event& event, agent::Millis) override {
    if (event.kind == agent::EventKind::invalid_token) heard_invalid = true;
    if (event.kind == agent::EventKind::login_ok) heard_invalid = false;
  }
  void on_write(std::uint8_t, wire::Fields, agent::Millis) override { ++values_received; }

 private:
  static agent::Identity identity() {
    agent::Identity identity;
    identity.firmware_version = "1.0.0";
    identity.library_version = "1.0.0";
    identity.board = "sim";
    return identity;
  }
  void plan() {
    const agent::Millis due = agent_.next_deadline();
    if (due == agent::never || due >= planned_) return;
    planned_ = due;
    timeline_.after(due > timeline_.now_ms() ? due - timeline_.now_ms() : 0, [this, due] {
      if (planned_ != due) return;
      planned_ = agent::never;
      agent_.on_timer(timeline_.now_ms());
      plan();
    });
  }

  Timeline& timeline_;
  Network& network_;
  Dice& dice_;
  std::uint32_t address_;
  std::string token_;
  std::array<std::uint8_t, 1024> receive_{};
  std::array<std::uint8_t, 512> send_{};
  agent::Agent agent_;
  ConnectionId link_ = 0;
  agent::Millis planned_ = agent::never;
};

class World final : public Witness {
 public:
  explicit World(const Options& options)
      : options_{options},
        dice_{options.seed * 0x9E3779B97F4A7C15ull + 1},
        secrets_{options.seed},
        keys_{KeyRing::in_memory(secrets_)},
        disk_{timeline_, options.bug, options.seed},
        network_{timeline_, dice_, trace_},
        server_{{timeline_, network_, dice_, trace_, disk_, *keys_, *this, options.bug}, limits()} {}

  Outcome run() {
    set_up();
    weather();
    every(800, 2'500, [this] { person(); });
    every(100, 400, [this] { traffic(); });
    every(20'000, 50'000, [this] { server_trouble(); });
    every(5'000, 20'000, [this] { store_trouble(); });
    every(4'000, 15'000, [this] { partition(); });
    every(10'000, 30'000, [this] { weather(); });
    watch();
    advance_to(options_.trouble_ms);
    calm();
    advance_to(options_.trouble_ms + options_.calm_ms);
    if (!done()) judge_at_the_end();
    trace_the_disk();
    out_.store_faults = disk_.faults_injected();
    out_.trace_hash = trace_.hash();
    out_.events = timeline_.happened();
    for (const auto& device : devices_) out_.values_received += device->values_received;
    return std::move(out_);
  }

 private:
  enum class Fate : std::uint8_t { live, revoked };
  /// What people were told of a token. In doubt: asked, and no answer came.
  struct TokenFact {
    DeviceId device;
    Fate fate = Fate::live;
    std::optional<Millis> revoked_ms;  ///< When its revocation was acknowledged.
  };
  struct DeviceFact {
    std::int64_t activated_at = 0;
    std::string token;      ///< The one that its owner was told last.
    bool in_doubt = false;  ///< A change of its token, or its deletion, was asked for, and no answer came.
    bool deleted = false;
  };

  static protocol::GatewayLimits limits() {
    protocol::GatewayLimits limits;
    limits.own_hosts = {host};
    // Many are refused rightly here; the breaker has its own tests.
    limits.breaker_addresses_per_minute = 100'000;
    return limits;
  }

  // --- running ------------------------------------------------------------------------------------------------------------------------
  [[nodiscard]] bool done() const { return options_.stop_at_first_violation && !out_.violations.empty(); }
  void advance_to(Millis end_ms) {
    // In slices, so that a violation ends the run early.
    for (Millis at = timeline_.now_ms(); at < end_ms && !done(); at = timeline_.now_ms()) timeline_.run_until(std::min(end_ms, at + 1'000));
  }
  void violation(std::string what) {
    if (out_.violations.size() < 20) out_.violations.push_back("at " + std::to_string(timeline_.now_ms()) + " ms: " + std::move(what));
  }
  void every(Millis low_ms, Millis high_ms, std::function<void()> what) {
    timeline_.after(dice_.between(low_ms, high_ms), [this, low_ms, high_ms, what = std::move(what)] {
      if (calm_) return;
      what();
      every(low_ms, high_ms, what);
    });
  }

  void set_up() {
    const auto first = disk_.store().set_up("Root", "admin@example.com", "verifier", actor()).value();
    root_ = first.organization_id;
    admin_ = first.user_id;
    domain::Template value;
    value.organization_id = root_;
    value.name = "Sim";
    value.tmpl_ids = {"TMPLsim000001"};
    template_ = disk_.store().create_template(value, actor()).value();
    // A part is there from the start; the rest is created by people.
    for (std::uint32_t i = 0; i < options_.devices; ++i) {
      const AuthToken token = AuthToken::generate(secrets_);
      const domain::Device made = disk_.store().create_device(row(), new_token(token), actor()).value();
      ++expected_audit_["device.create"];
      remember_created(made.id, token);
    }
    server_.start();
  }
  [[nodiscard]] domain::Device row() {
    domain::Device device;
    device.organization_id = root_;
    device.template_id = template_.id;
    device.name = "Device " + std::to_string(++names_);
    device.activated_at = timeline_.utc_now();
    return device;
  }
  [[nodiscard]] domain::Actor actor() const {
    domain::Actor actor;
    actor.user_id = admin_;
    actor.client = "Simulation";
    actor.at = timeline_.utc_now();
    return actor;
  }
  [[nodiscard]] TokenDigests digests(std::string_view token) const { return keys_->digest("auth-token", token); }
  [[nodiscard]] domain::NewToken new_token(const AuthToken& token) {
    held_digests_ = digests(token.reveal());
    return {held_digests_.newest(), held_digests_.all(), "sealed"};
  }
  Device& add_agent(const std::string& token) {
    devices_.push_back(
        std::make_unique<Device>(timeline_, network_, dice_, 0x0A000000u + static_cast<std::uint32_t>(devices_.size()) + 1, token));
    Device& device = *devices_.back();
    // Some are switched on before the change feed has told every node of them.
    timeline_.after(dice_.chance(500) ? dice_.below(100) : dice_.below(3'000), [&device] { device.start(); });
    return device;
  }
  void remember_created(DeviceId id, const AuthToken& token) {
    const std::string text{token.reveal()};
    tokens_[text] = {id, Fate::live, std::nullopt};
    facts_[id.value()] = {disk_.activated_at(id), text, false, false};
    owners_[id.value()] = &add_agent(text);
    // Now and then somebody flashes two boards with one token.
    if (dice_.chance(30)) {
      add_agent(text);
      cloned_.insert(id.value());
    }
  }

  // --- trouble -------------------------------------------------------------------------------------------------------------------------
  /// Down: every operation fails; flaky: three in ten. With every error that a store has.
  void set_faults() {
    constexpr StoreError errors[] = {StoreError::unavailable, StoreError::busy,    StoreError::read_only,
                                     StoreError::disk_full,   StoreError::corrupt, StoreError::shutting_down};
    store::FaultScript& faults = disk_.faults();
    faults.clear();
    for (std::size_t i = 0; i < std::size(errors) && (store_down_ || store_flaky_); ++i) {
      // Each error as often as another: the first that fires decides.
      faults.fail_sometimes(store::FaultScript::all, store_down_ ? 1.0 / static_cast<double>(std::size(errors) - i) : 0.06, errors[i]);
    }
  }
  void store_trouble() {
    store_down_ = dice_.chance(200);
    store_flaky_ = !store_down_ && dice_.chance(250);
    set_faults();
    const bool slow = dice_.chance(200);
    server_.job_delay_max_ms = slow ? dice_.between(500, 7'000) : 20;
  }
  void server_trouble() {
    if (!server_.running()) return;
    remember_rows();
    const bool kill = dice_.chance(600);
    const Millis over_ms = dice_.between(200, 3'000);
    if (kill) {
      ++out_.kills;
      server_.kill(dice_.chance(500));
    } else {
      ++out_.stops;
      server_.stop(over_ms);
    }
    timeline_.after((kill ? 0 : over_ms + 10) + dice_.between(50, 8'000), [this] { start_server(); });
  }
  void start_server() {
    if (server_.running()) return;
    server_.start();
    check_rows();
  }
  void weather() {
    auto& weather = network_.weather;
    weather.delay_max_ms = dice_.chance(200) ? dice_.between(500, 4'000) : dice_.between(20, 200);
    weather.break_per_mille = dice_.chance(300) ? static_cast<std::uint32_t>(dice_.between(5, 60)) : 1;
    weather.half_open_per_mille = static_cast<std::uint32_t>(dice_.between(0, 400));
    weather.split_per_mille = static_cast<std::uint32_t>(dice_.between(0, 500));
  }
  void partition() {
    if (devices_.empty()) return;
    const std::uint64_t count = dice_.between(1, 1 + devices_.size() / 8);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint32_t address = devices_[dice_.below(devices_.size())]->address();
      network_.cut_off(address, true);
      timeline_.after(dice_.between(500, 90'000), [this, address] { network_.cut_off(address, false); });
    }
  }
  void calm() {
    calm_ = true;
    store_down_ = store_flaky_ = false;
    set_faults();
    server_.job_delay_max_ms = 10;
    network_.weather = {.delay_min_ms = 1, .delay_max_ms = 30, .break_per_mille = 0, .half_open_per_mille = 0, .split_per_mille = 100};
    network_.heal();
    timeline_.after(15'000, [this] { start_server(); });
  }

  // --- what devices and people do --------------------------------------------------------------------------------------------------------
  void traffic() {
    const std::uint64_t count = 1 + devices_.size() / 20;
    for (std::uint64_t i = 0; i < count; ++i) {
      Device& device = *devices_[dice_.below(devices_.size())];
      if (!device.online()) continue;
      if (dice_.chance(50)) {
        device.sync();
      } else {
        device.write(static_cast<std::uint8_t>(dice_.below(4)), static_cast<std::int64_t>(dice_.below(1'000)));
      }
    }
    if (!facts_.empty()) static_cast<void>(server_.push_value(any_device(), 9, "on"));
  }
  [[nodiscard]] DeviceId any_device() {
    auto it = facts_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(dice_.below(facts_.size())));
    return DeviceId{it->first};
  }

  /// One request of a person: `work` runs as a job of the server, `told` is what the person hears. When the server dies first the person
  /// hears nothing at all, or that there was no answer.
  enum class Said : std::uint8_t { refused, acknowledged, in_doubt };
  void request(std::function<Said()> work, std::function<void(Said)> told) {
    const std::uint64_t life = server_.incarnation();
    const bool taken = server_.api([this, life, work = std::move(work), told] {
      const Said said = work();
      // The answer travels; when the server dies before it is out, nobody hears it.
      timeline_.after(dice_.between(1, 60), [this, life, said, told] {
        const bool lost = said != Said::refused && (!server_.running() || server_.incarnation() != life);
        const Said heard = lost ? Said::in_doubt : said;
        ++(heard == Said::acknowledged ? out_.operations_acknowledged
           : heard == Said::refused    ? out_.operations_refused
                                       : out_.operations_in_doubt);
        trace_.add(static_cast<std::uint64_t>(heard) << 56 | timeline_.now_ms());
        told(heard);
      });
    });
    if (taken) return;
    ++out_.operations_refused;
    told(Said::refused);
  }
  /// After a write that committed: acknowledged only when the views know it too.
  [[nodiscard]] Said committed() { return server_.catch_up() ? Said::acknowledged : Said::in_doubt; }

  void person() {
    const std::uint64_t what = dice_.below(100);
    if (what < 25 || facts_.empty()) return create();
    const DeviceId device = any_device();
    if (facts_[device.value()].deleted) return import_old_token();
    if (what < 60) return regenerate(device);
    if (what < 80) return reveal(device);
    if (what < 90) return remove(device);
    import_old_token();
  }

  void create() {
    const auto token = std::make_shared<AuthToken>(AuthToken::generate(secrets_));  // Shared by the job and its answer.
    const auto id = std::make_shared<DeviceId>();
    const domain::Device wanted = row();
    if (dice_.chance(400)) return create_elsewhere(wanted, *token);
    request(
        [this, token, id, wanted] {
          if (options_.bug == Bug::early_acknowledgement) {
            *id = DeviceId{-1};
            const std::uint64_t life = server_.incarnation();
            timeline_.after(1'500, [this, token, wanted, life] {
              if (server_.running() && server_.incarnation() == life)
                static_cast<void>(disk_.store().create_device(wanted, new_token(*token), actor()));
            });
            return Said::acknowledged;
          }
          const auto made = disk_.store().create_device(wanted, new_token(*token), actor());
          if (!made) return Said::refused;
          *id = made->id;
          ++expected_audit_["device.create"];
          return committed();
        },
        [this, token, id](Said said) {
          if (said != Said::acknowledged) return;
          if (!disk_.has_device(*id)) {
            acknowledged_unseen_.insert(std::string{token->reveal()});
            return;
          }
          remember_created(*id, *token);
        });
  }

  /// Another node on the same store takes the request: this server learns of the device from the change feed, or when it logs in first.
  void create_elsewhere(const domain::Device& wanted, const AuthToken& token) {
    const auto made = disk_.store().create_device(wanted, new_token(token), actor());
    if (!made) {
      ++out_.operations_refused;
      return;
    }
    ++expected_audit_["device.create"];
    timeline_.after(dice_.between(1, 60), [this, id = made->id, token] {
      ++out_.operations_acknowledged;
      remember_created(id, token);
    });
  }

  void regenerate(DeviceId device) {
    DeviceFact& fact = facts_[device.value()];
    if (fact.in_doubt) return;
    fact.in_doubt = true;
    const auto token = std::make_shared<AuthToken>(AuthToken::generate(secrets_));
    const std::string old_token = fact.token;
    request(
        [this, device, token] {
          if (!disk_.store().replace_token(device, new_token(*token), actor())) return Said::refused;
          ++expected_audit_["device.token.replace"];
          return options_.bug == Bug::late_revocation ? Said::acknowledged : committed();
        },
        [this, device, token, old_token](Said said) {
          DeviceFact& now = facts_[device.value()];
          if (said == Said::in_doubt) return;
          now.in_doubt = false;
          if (said == Said::refused) return;
          const std::string text{token->reveal()};
          tokens_[old_token].fate = Fate::revoked;
          tokens_[old_token].revoked_ms = timeline_.now_ms();
          tokens_[text] = {device, Fate::live, std::nullopt};
          now.token = text;
          // Its owner flashes the new one, soon or late, or never and adds a second board.
          Device* owner = owners_[device.value()];
          if (dice_.chance(800)) {
            timeline_.after(dice_.between(100, 20'000), [this, owner, device, text] {
              if (facts_[device.value()].token == text) owner->give(text);
            });
          } else {
            owners_[device.value()] = &add_agent(text);
          }
        });
  }

  void reveal(DeviceId device) {
    request(
        [this, device] {
          if (!disk_.store().reveal_token(device, actor())) return Said::refused;
          ++expected_audit_["device.token.reveal"];
          return Said::acknowledged;
        },
        [](Said) {});
  }

  void remove(DeviceId device) {
    DeviceFact& fact = facts_[device.value()];
    if (fact.in_doubt) return;
    fact.in_doubt = true;
    const std::string token = fact.token;
    request(
        [this, device] {
          if (!disk_.store().delete_device(device, actor())) return Said::refused;
          ++expected_audit_["device.delete"];
          return committed();
        },
        [this, device, token](Said said) {
          DeviceFact& now = facts_[device.value()];
          if (said == Said::in_doubt) return;
          now.in_doubt = false;
          if (said == Said::refused) return;
          now.deleted = true;
          tokens_[token].fate = Fate::revoked;
          tokens_[token].revoked_ms = timeline_.now_ms();
        });
  }

  /// Somebody imports a list of old tokens: those ever issued must be refused.
  void import_old_token() {
    if (tokens_.empty()) return;
    auto it = tokens_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(dice_.below(tokens_.size())));
    const std::string text = it->first;
    const domain::Device wanted = row();
    request(
        [this, text, wanted] {
          const auto made = disk_.store().create_device(wanted, new_token(*AuthToken::parse(text)), actor());
          if (!made) return Said::refused;
          ++expected_audit_["device.create"];
          violation("invariant 1: a token that was issued before was issued again");
          return committed();
        },
        [](Said) {});
  }

  // --- the judge --------------------------------------------------------------------------------------------------------------------------
  /// Past every fault: what is on disk.
  [[nodiscard]] bool live_on_disk(std::string_view token) { return disk_.is_live_token(digests(token).newest().mac); }

  void logged_in(std::string_view token, DeviceId device) override {
    ++out_.logins;
    const auto fact = tokens_.find(std::string{token});
    if (fact == tokens_.end()) return violation("a token that nobody was given logged in");
    if (fact->second.device != device)
      violation("invariant 1: a token of device " + std::to_string(fact->second.device.value()) + " logged in as " +
                std::to_string(device.value()));
    if (fact->second.revoked_ms) violation("a token logged in after its revocation was acknowledged");
  }
  void heard_invalid(std::string_view token) override {
    ++out_.invalids;
    if (live_on_disk(token)) violation("invariant 10: a live token heard \"invalid\"");
    if (const auto fact = tokens_.find(std::string{token});
        fact != tokens_.end() && fact->second.fate == Fate::live && !facts_[fact->second.device.value()].in_doubt) {
      violation("invariant 10: a token that nobody revoked heard \"invalid\"");
    }
  }

  /// Each second: who holds a session that should not.
  void watch() {
    timeline_.after(1'000, [this] {
      std::map<std::int32_t, int> sessions;
      for (const Server::Session& session : server_.sessions()) {
        const Millis now = timeline_.now_ms();
        const auto fact = tokens_.find(session.token);
        if (fact != tokens_.end() && fact->second.revoked_ms && now - *fact->second.revoked_ms > revoked_session_max_ms) {
          violation("a session of a revoked token lives " + std::to_string(now - *fact->second.revoked_ms) +
                    " ms after the acknowledgement");
        }
        if (now - session.logged_in_ms > replaced_session_max_ms) ++sessions[session.device.value()];
      }
      for (const auto& [device, count] : sessions) {
        if (count > 1) violation("newest login wins: device " + std::to_string(device) + " has " + std::to_string(count) + " sessions");
      }
      watch();
    });
  }

  void process_ended() override { set_faults(); }

  void remember_rows() {
    online_at_stop_.clear();
    for (const Server::Session& session : server_.sessions()) {
      if (session.registered) online_at_stop_.insert(session.device.value());
    }
    stopped_at_ = timeline_.utc_now();
    devices_before_ = disk_.devices();
    tokens_before_ = disk_.tokens();
  }
  /// A start must not change a row; a stop must not look like a disconnect of all devices at once.
  void check_rows() {
    const auto tokens = disk_.tokens();
    for (const auto& [id, kind] : tokens_before_) {
      const auto now = tokens.find(id);
      if (now == tokens.end()) {
        violation("invariant 20: a restart lost a token");
      } else if (now->second != kind && now->second != static_cast<std::int64_t>(domain::TokenKind::revoked)) {
        violation("invariant 20: a restart changed the kind of a token");
      }
    }
    std::size_t disconnected = 0;
    for (const auto& [id, now] : disk_.devices()) {
      const auto then = devices_before_.find(id);
      if (then == devices_before_.end()) continue;
      if (then->second.activated_at != now.activated_at)
        violation("invariant 20: a restart changed activatedAt of device " + std::to_string(id));
      if (then->second.organization_id != now.organization_id || then->second.owner_id != now.owner_id ||
          then->second.template_id != now.template_id)
        violation("invariant 20: a restart changed whose device " + std::to_string(id) + " is");
      if (then->second.first_connect_time != 0 && then->second.first_connect_time != now.first_connect_time)
        violation("invariant 20: a restart changed the first connection of device " + std::to_string(id));
      if (online_at_stop_.contains(id) && now.disconnect_time >= stopped_at_.ms) ++disconnected;
    }
    // A few leave by themselves while the server stops; that half of all do is the server's doing.
    if (online_at_stop_.size() >= 8 && disconnected * 2 > online_at_stop_.size()) {
      violation("invariant 20: a restart counted as a disconnect of " + std::to_string(disconnected) + " of " +
                std::to_string(online_at_stop_.size()) + " devices");
    }
  }

  void judge_at_the_end() {
    // Nothing acknowledged is lost.
    for (const std::string& token : acknowledged_unseen_) {
      if (!live_on_disk(token)) violation("an acknowledged creation is lost");
    }
    const auto rows = disk_.devices();
    for (const auto& [id, fact] : facts_) {
      const auto row = rows.find(id);
      if (fact.deleted) {
        if (row != rows.end()) violation("an acknowledged deletion of device " + std::to_string(id) + " is lost");
        continue;
      }
      if (fact.in_doubt) continue;
      if (row == rows.end()) {
        violation("an acknowledged creation is lost: device " + std::to_string(id));
        continue;
      }
      if (row->second.activated_at != fact.activated_at)
        violation("invariant 20: activatedAt of device " + std::to_string(id) + " changed");
      if (!live_on_disk(fact.token)) violation("the token that the owner of device " + std::to_string(id) + " was given is not live");
      // Everything came right in the calm: who has a live token is online.
      if (!cloned_.contains(id) && owners_[id]->token() == fact.token && (!owners_[id]->online() || !server_.online(DeviceId{id}))) {
        violation("device " + std::to_string(id) + " is not online after minutes of calm");
      }
    }
    for (const auto& device : devices_) {
      const auto fact = tokens_.find(device->token());
      if (fact == tokens_.end() || !fact->second.revoked_ms) continue;
      if (device->online()) violation("an agent with a revoked token is online");
      if (!device->heard_invalid) violation("an agent with a revoked token never heard \"invalid\"");
    }
    // Invariant 1, on disk: a string is there once.
    if (disk_.tokens_twice() != 0) violation("invariant 1: a token is in the registry twice");
    if (const std::string damage = disk_.damage(); !damage.empty()) violation("the database is damaged: " + damage);
    // Invariant 19: one entry for each.
    auto entries = disk_.audit();
    for (const auto& [action, expected] : expected_audit_) {
      if (entries[action] != expected) {
        violation("invariant 19: " + std::to_string(expected) + " times " + action + ", " + std::to_string(entries[action]) +
                  " audit entries");
      }
    }
  }

  /// What is left is part of what must be the same twice.
  void trace_the_disk() {
    for (const auto& [id, row] : disk_.devices()) {
      trace_.add(static_cast<std::uint64_t>(id));
      trace_.add(static_cast<std::uint64_t>(row.activated_at));
      trace_.add(static_cast<std::uint64_t>(row.first_connect_time));
      trace_.add(static_cast<std::uint64_t>(row.disconnect_time));
    }
    for (const auto& [id, kind] : disk_.tokens()) trace_.add(static_cast<std::uint64_t>(id) << 8 | static_cast<std::uint64_t>(kind));
    for (const auto& [action, count] : disk_.audit()) {
      trace_.add(action);
      trace_.add(count);
    }
  }

  Options options_;
  Outcome out_;
  Timeline timeline_;
  Dice dice_;
  Trace trace_;
  SeededRandom secrets_;
  std::unique_ptr<KeyRing> keys_;
  Disk disk_;
  Network network_;
  Server server_;
  domain::Template template_;
  TokenDigests held_digests_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::map<std::int32_t, Device*> owners_;
  std::map<std::int32_t, DeviceFact> facts_;
  std::map<std::string, TokenFact> tokens_;
  std::set<std::int32_t> cloned_, online_at_stop_;
  std::set<std::string> acknowledged_unseen_;
  std::map<std::string, std::uint64_t> expected_audit_;  ///< What the store committed, by action.
  std::map<std::int32_t, Disk::DeviceRow> devices_before_;
  std::map<std::int64_t, std::int64_t> tokens_before_;
  OrganizationId root_;
  UserId admin_;
  UtcTime stopped_at_;
  bool calm_ = false, store_down_ = false, store_flaky_ = false;
  int names_ = 0;
};

}  // namespace

Outcome simulate(const Options& options) {
  World world{options};
  try {
    return world.run();
  } catch (const std::runtime_error& broken) {  // From Disk: not even the judge can read it.
    Outcome outcome;
    outcome.violations.emplace_back(broken.what());
    return outcome;
  }
}

}  // namespace muster::sim
