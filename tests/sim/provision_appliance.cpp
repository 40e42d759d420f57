// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/provision_appliance.hpp"

#include <algorithm>
#include <utility>

#include "agent/core/local_server.hpp"

namespace muster::sim {

using agent::CloseReason;
using agent::DeviceState;

namespace {

constexpr std::string_view base32 = "0123456789ABCDEFGHJKLMNPQRSTUVWX";
constexpr Millis dial_failure_ms = 40, silence_ms = 10'000;

}  // namespace

/// All that dies with the power.
struct Appliance::Life final : agent::sim::RadioEvents, agent::Transport, agent::LocalServer::Sink, agent::Handler, agent::Observer, End {
  explicit Life(Appliance& its)
      : owner{its},
        w{its.w_},
        place{w.air},
        radio{place, *this},
        device{agent::DeviceParts{&radio, its.flash, *this, w.dice, *this, {receive, sizeof receive}, {send_room, sizeof send_room}},
               profile(its), agent::Identity{"1.2.3", "Nov 24 2026", "0.1.0", "Sim", {}, {}}},
        web{device, *this} {
    place.attach(listener);
    device.add_observer(*this);
  }
  ~Life() override {
    device.remove_observer(*this);
    if (link != 0) w.network.client_died(link);
  }
  static agent::DeviceProfile profile(const Appliance& its) {
    agent::DeviceProfile profile;
    profile.template_id = its.facts_.template_id;
    profile.template_name = "Lamp";
    profile.firmware_version = "1.2.3";
    profile.uid = its.uid_;
    profile.suffix = its.suffix_;
    return profile;
  }
  [[nodiscard]] Millis now() const { return w.timeline.now_ms(); }

  /// One thing happens to the device.
  template <class Event>
  void happen(Event event) {
    if (dead) return;
    event();
    plan();
  }
  void plan() {
    if (dead) return;
    const Millis due = std::min(device.next_deadline(), web.next_deadline());
    if (due == agent::never || due >= planned) return;
    planned = due;
    owner.later(due > now() ? due - now() : 0, [this, due] {
      if (dead || planned != due) return;
      planned = agent::never;
      happen([this] {
        device.on_timer(now());
        web.on_timer(now());
      });
    });
  }

  // --- the radio ------------------------------------------------------------------------------------------------------------------------
  void on_opened(Millis at) override {
    happen([&] { device.on_opened(at); });
  }
  void on_open_failed(Millis at) override {
    happen([&] { device.on_open_failed(at); });
  }
  void on_scanned(const agent::ScannedNetwork* networks, std::size_t count, Millis at) override {
    happen([&] { device.on_scanned(networks, count, at); });
  }
  void on_joined(const agent::JoinedNetwork& network, Millis at) override {
    happen([&] { device.on_joined(network, at); });
  }
  void on_join_failed(agent::JoinFailure failure, Millis at) override {
    happen([&] { device.on_join_failed(failure, at); });
  }
  void on_network_lost(Millis at) override {
    happen([&] { device.on_network_lost(at); });
  }
  void on_visitors(std::size_t count, Millis at) override {
    happen([&] { device.on_visitors(count, at); });
  }
  void on_stream_opened(std::uint32_t stream, Millis at) override {
    happen([&] {
      if (!web.on_open(stream, at)) radio.close(stream);
    });
  }
  void on_stream_bytes(std::uint32_t stream, wire::ByteView bytes, Millis at) override {
    happen([&] { web.on_bytes(stream, bytes, at); });
  }
  void on_stream_closed(std::uint32_t stream, Millis at) override {
    happen([&] { web.on_closed(stream, at); });
  }
  bool send(agent::ConnectionId stream, wire::ByteView bytes) override {
    radio.send(stream, bytes);
    return true;
  }
  void close(agent::ConnectionId stream) override { radio.close(stream); }

  // --- the way to the cloud --------------------------------------------------------------------------------------------------------------
  void connect(const agent::Endpoint& endpoint) override {
    if (dead) return;
    const std::uint64_t mine = ++dials;
    const std::string token{device.settings().token.view()};
    owner.witness_.dialed(owner, token, owner.flash.holds(token));
    CloseReason failure = CloseReason::stopped;
    Millis after = dial_failure_ms;
    switch (w.air.uplink(place.id())) {
      case agent::sim::Uplink::good: break;
      case agent::sim::Uplink::dns_dead: failure = CloseReason::host_unknown; break;
      case agent::sim::Uplink::captive_portal: failure = CloseReason::captive_portal; break;
      case agent::sim::Uplink::dead:
      case agent::sim::Uplink::none:
        failure = CloseReason::connect_timeout;
        after = silence_ms;
        break;
    }
    if (failure == CloseReason::stopped) {
      if (endpoint.host != owner.facts_.cloud_host) {
        failure = CloseReason::host_unknown;
      } else if (w.road.port_closed) {
        failure = CloseReason::refused;
      } else if (w.road.certificate_bad || now() < owner.clock_wrong_until_ms) {
        failure = CloseReason::tls_untrusted;
      }
    }
    if (failure != CloseReason::stopped) {
      owner.later(after, [this, mine, failure] {
        if (mine == dials) happen([&] { device.on_closed(failure, now()); });
      });
      return;
    }
    link = w.network.connect(owner.address(), *this, [this, mine](ConnectionId id, bool accepted) {
      if (dead || mine != dials || id != link) return;
      if (accepted) owner.flash.dial_done();
      if (!accepted) link = 0;
      happen([&] {
        if (accepted) {
          device.on_connected(now());
        } else {
          device.on_closed(CloseReason::refused, now());
        }
      });
    });
  }
  bool send(wire::ByteView frame) override {
    if (!dead && link != 0) w.network.send(link, true, frame.text());
    return true;
  }
  void close() override {
    ++dials;
    if (!dead && link != 0) w.network.close(std::exchange(link, 0), true);
  }
  void on_bytes(ConnectionId id, std::string_view bytes) override {
    if (id == link) happen([&] { device.on_bytes(wire::ByteView{bytes}, now()); });
  }
  void on_end(ConnectionId id, bool clean) override {
    if (dead || id != link) return;
    w.network.close(std::exchange(link, 0), true);
    happen([&] { device.on_closed(clean ? CloseReason::peer_closed : CloseReason::network_lost, now()); });
  }

  // --- what it tells ---------------------------------------------------------------------------------------------------------------------
  void on_step(const agent::Step& step, Millis at) override {
    if (dead) return;
    w.trace.add(at << 8 | static_cast<std::uint64_t>(step.kind));
    w.trace.add(std::uint64_t{owner.facts_.number} << 16 | static_cast<std::uint64_t>(step.code));
    switch (step.kind) {
      case agent::StepKind::online: {
        const std::string token{device.settings().token.view()};
        owner.later(0, [this, token] {
          if (dead) return;
          owner.witness_.online(owner, token);
          happen([this] { static_cast<void>(device.agent().write(0, 1, now())); });
        });
        break;
      }
      case agent::StepKind::gave_up:
        owner.later(0, [this, code = static_cast<std::uint16_t>(step.code)] { owner.witness_.gave_up(owner, code); });
        break;
      case agent::StepKind::reset: owner.witness_.reset(owner); break;
      default: break;
    }
  }
  void on_restart_wanted(Millis) override {
    owner.later(0, [its = &owner] {
      its->switch_off();
      its->w_.timeline.after(500, [its] { its->switch_on(); });
    });
  }

  struct Listener final : agent::sim::AirListener {
    explicit Listener(agent::sim::AirRadio& to) : radio{to} {}
    void on_air(const agent::sim::AirEvent& event, Millis at) override { radio.on_air(event, at); }
    agent::sim::AirRadio& radio;
  };

  Appliance& owner;
  Wiring& w;
  Airspace::Place place;
  agent::sim::AirRadio radio;
  Listener listener{radio};
  std::uint8_t receive[1100], send_room[1100];
  agent::Device device;
  agent::LocalServer web;
  ConnectionId link = 0;
  std::uint64_t dials = 0;
  Millis planned = agent::never;
  bool dead = false;
};

Appliance::Appliance(const Wiring& wiring, const Facts& facts, Witness& witness)
    : flash{wiring.dice, wiring.bug}, w_{wiring}, facts_{facts}, witness_{witness} {
  for (std::uint32_t digit = 0, rest = facts.number; digit < 4; ++digit, rest /= 32) suffix_ += base32[rest % 32];
  uid_ = "00000000-0000-4000-8000-0000000" + std::to_string(10'000 + facts.number);
  name_ = "Blynk Lamp-" + suffix_;
  flash.on_cut = [this] { switch_off(); };
}
Appliance::~Appliance() {
  if (life_ != nullptr) life_->dead = true;
}

void Appliance::later(Millis delay_ms, std::function<void()> what) {
  w_.timeline.after(delay_ms, [this, life = lives_, what = std::move(what)] {
    if (life_ != nullptr && lives_ == life && !dying_) what();
  });
}

void Appliance::switch_on() {
  if (dying_) return w_.timeline.after(1, [this] { switch_on(); });
  if (life_ != nullptr) return;
  flash.power_on();
  ++lives_;
  life_ = std::make_unique<Life>(*this);
  life_->happen([this] { life_->device.start(w_.timeline.now_ms()); });
}

void Appliance::switch_off() {
  if (life_ == nullptr || dying_) return;
  dying_ = life_->dead = true;
  life_->place.mute();
  // It may be in the middle of its own work now.
  w_.timeline.after(0, [this] {
    life_.reset();
    dying_ = false;
    witness_.power_failed(*this);
  });
}

void Appliance::press_button(Millis held_ms) {
  if (!on()) return;
  life_->happen([this] { life_->device.on_button(true, w_.timeline.now_ms()); });
  later(held_ms, [this] { life_->happen([this] { life_->device.on_button(false, w_.timeline.now_ms()); }); });
}

DeviceState Appliance::state() const { return on() ? life_->device.state() : DeviceState::idle; }
bool Appliance::online() const { return on() && life_->device.state() == DeviceState::running && life_->device.agent().online(); }
bool Appliance::open_for_setup() const { return on() && life_->device.open_for_setup() && w_.air.is_open(life_->place.id()); }
std::string Appliance::token() const { return on() ? std::string{life_->device.settings().token.view()} : std::string{}; }
agent::sim::RadioId Appliance::radio() const { return on() ? life_->place.id() : 0; }

}  // namespace muster::sim
