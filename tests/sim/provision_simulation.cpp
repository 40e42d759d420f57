// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/provision_simulation.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "cloud/base/auth_token.hpp"
#include "cloud/domain/provision_session_life_cycle.hpp"
#include "tests/sim/provision_appliance.hpp"
#include "tests/sim/provision_phone.hpp"

namespace muster::sim {
namespace {

using F = wire::ActivationFailure;
using agent::sim::HomeNetwork;
using domain::StoreError;
using domain::TokenKind;

constexpr const char* cloud_host = "cloud.example";
constexpr std::uint16_t cloud_port = 9443;
constexpr std::string_view good_template = "TMPLgood00001", foreign_template = "TMPLforeign01", unknown_template = "TMPLunknown01";
constexpr std::string_view token_domain = "auth-token";
constexpr Millis minute_ms = 60'000;
constexpr Millis trouble_max_ms = 3 * minute_ms;
/// Of a token: the least that can be configured.
constexpr Millis token_life_ms = 10 * minute_ms;
/// A device waits 10 minutes for an app, and 5 after a refused token; whatever it does then takes 2 at most.
constexpr Millis calm_ms = 25 * minute_ms;
constexpr Millis last_try_ms = 2 * minute_ms;
/// How the cloud knows that a device has kept its new token.
constexpr Millis proof_ms = 60'000;

constexpr const char *home_ssid = "Home", *home_password = "home-password", *garden_ssid = "Garden", *garden_password = "garden-password";

/// What every world begins with: a database that was set up long ago.
struct Beginning {
  store::PowerCutDisk::Image image;
  OrganizationId root;
  UserId admin;
  TemplateId known;
};
const Beginning& beginning() {
  static const Beginning made = [] {
    Timeline timeline;
    Disk disk{timeline, Bug::none, 1};
    Beginning out;
    domain::Actor actor;
    actor.client = "Simulation";
    actor.at = timeline.utc_now();
    const auto first = disk.store().set_up("Root", "admin@example.com", "verifier", actor).value();
    out.root = first.organization_id;
    out.admin = actor.user_id = first.user_id;
    domain::Template mine;
    mine.organization_id = out.root;
    mine.name = "Lamp";
    mine.tmpl_ids = {std::string{good_template}};
    out.known = disk.store().create_template(mine, actor).value().id;
    domain::Organization other;
    other.parent_id = out.root;
    other.name = "Other";
    domain::Template theirs = mine;
    theirs.organization_id = disk.store().create_organization(other, actor).value().id;
    theirs.name = "Their lamp";
    theirs.tmpl_ids = {std::string{foreign_template}};
    static_cast<void>(disk.store().create_template(theirs, actor).value());
    out.image = disk.image();
    return out;
  }();
  return made;
}

/// The one thing that goes wrong in a world with one trouble, and what the person may be told then.
enum class Trouble : std::uint8_t {
  none,
  wrong_password,
  network_unknown,
  no_dhcp,
  dns_dead,
  portal,
  port_closed,
  certificate,
  clock_1970,
  token_expired,
  token_revoked,
  token_superseded,
  token_used,
  template_unknown,
  template_foreign,
  cloud_dead,
  count_,
};
struct TroubleText {
  const char* name;
  std::vector<F> codes;
};
const TroubleText& text_of(Trouble trouble) {
  static const TroubleText texts[] = {
      {"none", {}},
      {"wrong password", {F::wrong_password}},
      {"network unknown", {F::network_not_found}},
      {"no DHCP", {F::no_address}},
      {"DNS dead", {F::dns_failed}},
      {"captive portal", {F::captive_portal}},
      {"port closed", {F::cloud_timeout}},
      {"certificate bad", {F::certificate_invalid}},
      {"clock at 1970", {F::certificate_invalid}},
      {"token expired", {F::token_refused, F::expired}},
      {"token revoked", {F::token_refused, F::canceled}},
      {"token superseded", {F::token_refused, F::superseded}},
      {"token used up", {F::token_refused, F::canceled}},
      {"template unknown", {F::template_unknown, F::template_not_in_account}},
      {"template foreign", {F::template_foreign, F::template_not_in_account}},
      {"cloud dead", {F::cloud_timeout, F::cloud_unreachable}},
  };
  return texts[static_cast<std::size_t>(trouble)];
}

class World final : public Witness, public Appliance::Witness, public ProvisionDesk {
 public:
  explicit World(const ProvisionOptions& options)
      : options_{options},
        dice_{options.seed * 0x9E3779B97F4A7C15ull + 1},
        secrets_{options.seed},
        keys_{KeyRing::in_memory(secrets_)},
        disk_{timeline_, options.bug, options.seed, &beginning().image},
        network_{timeline_, dice_, trace_},
        air_{timeline_, trace_, options.seed},
        server_{{timeline_, network_, dice_, trace_, disk_, *keys_, *this, options.bug, true, 5'000}, limits()} {}

  ProvisionOutcome run() {
    homes_[0] = home(home_ssid, home_password, 1);
    homes_[1] = home(garden_ssid, garden_password, 6);
    publish_homes();
    server_.start();
    const bool one_trouble = dice_.chance(250);
    if (one_trouble) {
      set_up_one_trouble();
    } else {
      set_up_chaos();
    }
    advance_to(trouble_max_ms);
    calm();
    advance_to(trouble_max_ms + calm_ms);
    if (!done()) judge();
    if (!done()) last_try();
    finish();
    return std::move(out_);
  }

 private:
  /// What is known of a string that was issued as a token.
  struct TokenFact {
    std::int64_t session = 0;  ///< 0: the device was made with it.
    std::int64_t device = 0;
    Appliance* meant_for = nullptr;
    bool ended_by_person = false;  ///< Canceled, superseded, or its phone gave up.
    bool accepted = false;         ///< The cloud took its device's info.
    Millis accepted_ms = 0;        ///< Last.
    std::uint32_t logins = 0;      ///< After that.
    bool kept = false;             ///< Its device has lived on it: proved, and on its flash.
    bool let_go = false;           ///< A person has reset its device, or given it other settings.
  };
  struct Owned {
    std::unique_ptr<Appliance> appliance;
    bool had_home = false;    ///< It works, and nobody has made it forget that.
    std::int64_t device = 0;  ///< Its row in the account, as its owner knows it.
    std::uint32_t tries = 0, resets = 0;
  };

  static protocol::GatewayLimits limits() {
    protocol::GatewayLimits limits;
    limits.own_hosts = {cloud_host};
    limits.breaker_addresses_per_minute = 100'000;
    return limits;
  }
  static HomeNetwork home(const char* ssid, const char* password, std::uint16_t channel) {
    HomeNetwork network;
    network.ssid = ssid;
    network.passphrase = password;
    network.channel = channel;
    return network;
  }
  void publish_homes() { air_.set_homes({homes_[0], homes_[1]}); }
  [[nodiscard]] Millis now() const { return timeline_.now_ms(); }
  [[nodiscard]] bool done() const { return !out_.violations.empty(); }
  void advance_to(Millis end_ms) {
    for (Millis at = now(); at < end_ms && !done(); at = now()) timeline_.run_until(std::min(end_ms, at + 5'000));
  }
  void violation(std::string what) {
    if (out_.violations.size() < 20) out_.violations.push_back("at " + std::to_string(now()) + " ms: " + std::move(what));
  }
  void tell(std::string what) { out_.story += (out_.story.empty() ? "" : "; ") + std::to_string(now()) + " " + std::move(what); }
  /// Only while trouble lasts.
  void after(Millis delay_ms, std::function<void()> what) {
    timeline_.after(delay_ms, [this, what = std::move(what)] {
      if (!calm_ && !done()) what();
    });
  }
  [[nodiscard]] domain::Actor actor() const {
    domain::Actor actor;
    actor.user_id = beginning().admin;
    actor.client = "Simulation";
    actor.at = timeline_.utc_now();
    return actor;
  }
  [[nodiscard]] TokenDigests digests(std::string_view token) const { return keys_->digest(token_domain, token); }
  [[nodiscard]] std::optional<Disk::TokenRow> row_of(std::string_view token) { return disk_.token(digests(token).newest().mac); }
  [[nodiscard]] bool is_live(std::string_view token) {
    const auto row = row_of(token);
    return row && row->kind != static_cast<std::int64_t>(TokenKind::revoked);
  }
  [[nodiscard]] static std::string who(const Appliance& appliance) { return "device " + std::to_string(appliance.number()); }
  [[nodiscard]] Owned& owned(const Appliance& appliance) { return owned_[appliance.number() - 1]; }
  [[nodiscard]] TokenFact* fact(std::string_view token) {
    const auto found = tokens_.find(token);
    return found == tokens_.end() ? nullptr : &found->second;
  }

  // --- things and people ---------------------------------------------------------------------------------------------------------------
  Appliance& add_appliance(std::string_view template_id) {
    Owned& one = owned_.emplace_back();
    one.appliance =
        std::make_unique<Appliance>(Appliance::Wiring{timeline_, network_, air_, dice_, trace_, road_, options_.bug},
                                    Appliance::Facts{static_cast<std::uint32_t>(owned_.size()), template_id, cloud_host}, *this);
    Appliance& appliance = *one.appliance;
    appliance.flash.on_lost = [this, &appliance](agent::Slot slot, const std::string& token) { record_lost(appliance, slot, token); };
    ++out_.appliances;
    return appliance;
  }
  /// It has worked for long: its row, its token, its network.
  void give_home(Appliance& appliance) {
    const AuthToken token = AuthToken::generate(secrets_);
    const std::string text{token.reveal()};
    const TokenDigests all = digests(text);
    domain::Device row;
    row.organization_id = beginning().root;
    row.template_id = beginning().known;
    row.owner_id = beginning().admin;
    row.name = appliance.name();
    row.activated_at = timeline_.utc_now();
    const auto made = disk_.store().create_device(row, {all.newest(), all.all(), "sealed"}, actor()).value();
    tokens_[text] = {0, made.id.value(), &appliance, false, true, 0, 2, false, false};
    Owned& one = owned(appliance);
    one.had_home = true;
    one.device = made.id.value();
    agent::DeviceConfig config;
    static_cast<void>(config.token.assign(text));
    static_cast<void>(config.host.assign(cloud_host));
    config.port = cloud_port;
    static_cast<void>(config.template_id.assign(appliance.template_id()));
    config.network.interface = agent::Interface::wifi;
    static_cast<void>(config.network.ssid.assign(home_ssid));
    static_cast<void>(config.network.passphrase.assign(home_password));
    config.generation = 1;
    appliance.flash.put(agent::Slot::proved, config);
  }
  [[nodiscard]] Phone::Plan good_plan(const Appliance& appliance) {
    Phone::Plan plan;
    plan.device_name = appliance.name();
    plan.ssid = home_ssid;
    plan.password = home_password;
    plan.reconfigure = owned(appliance).device;
    return plan;
  }
  Phone& send_phone(Appliance& appliance, Phone::Plan plan) {
    phones_.push_back(std::make_unique<Phone>(Phone::Wiring{timeline_, air_, dice_, trace_, server_, *this}, std::move(plan),
                                              [this, &appliance](Phone& phone) { phone_done(appliance, phone); }));
    ++out_.phones;
    if (phones_.back()->plan().reconfigure != 0) ++out_.reconfigurations;
    phones_.back()->start();
    return *phones_.back();
  }
  void phone_done(Appliance& appliance, Phone& phone) {
    if (phone.muster().succeeded()) {
      tell(who(appliance) + ": phone content");
    } else if (!phone.died()) {
      ++out_.failures[phone.muster().failure().code];
      tell(who(appliance) + ": phone told " + std::to_string(phone.muster().failure().code));
    } else {
      tell(who(appliance) + ": phone died");
    }
    if (one_trouble_) return judge_one_trouble(appliance, phone);
    // People try again, most of them with the right words then.
    Owned& one = owned(appliance);
    if (phone.muster().succeeded() || calm_ || one.tries >= 3 || !dice_.chance(600)) return;
    ++one.tries;
    after(dice_.between(1'000, 40'000), [this, &appliance] {
      Phone::Plan plan = good_plan(appliance);
      spoil(plan, 100);
      send_phone(appliance, std::move(plan));
    });
  }
  void spoil(Phone::Plan& plan, std::uint32_t per_mille) {
    if (dice_.chance(150)) {
      plan.ssid = garden_ssid;
      plan.password = garden_password;
    }
    if (dice_.chance(per_mille)) plan.password = "not-this-one";
    if (dice_.chance(per_mille)) plan.ssid = "Nowhere";
    plan.careless = dice_.chance(300);
    if (dice_.chance(2 * per_mille)) {
      plan.leaves_after = static_cast<std::uint32_t>(dice_.between(1, 40) < 30 ? dice_.between(1, 9) : dice_.between(10, 120));
      plan.politely = dice_.chance(400);
    }
    if (plan.reconfigure != 0 && dice_.chance(100)) plan.reconfigure = 0;  // They take it for a new one.
  }

  // --- one trouble -----------------------------------------------------------------------------------------------------------------------
  void set_up_one_trouble() {
    one_trouble_ = true;
    trouble_ = static_cast<Trouble>(dice_.below(static_cast<std::uint64_t>(Trouble::count_)));
    const bool has_template = trouble_ != Trouble::template_unknown && trouble_ != Trouble::template_foreign;
    Appliance& appliance = add_appliance(trouble_ == Trouble::template_unknown   ? unknown_template
                                         : trouble_ == Trouble::template_foreign ? foreign_template
                                                                                 : good_template);
    if (has_template && dice_.chance(400)) give_home(appliance);
    tell(std::string{text_of(trouble_).name} + (owned(appliance).had_home ? ", has a home" : ""));
    appliance.switch_on();
    Phone::Plan plan = good_plan(appliance);
    plan.careless = dice_.chance(500);
    if (trouble_ == Trouble::token_used) use_up_a_token();
    switch (trouble_) {
      case Trouble::wrong_password: plan.password = "not-this-one"; break;
      case Trouble::network_unknown: plan.ssid = "Nowhere"; break;
      default: break;
    }
    // The device's own network is another one than the troubled one.
    plan.ssid = plan.ssid == home_ssid ? garden_ssid : plan.ssid;
    plan.password = plan.password == home_password ? garden_password : plan.password;
    HomeNetwork& garden = homes_[1];
    garden.no_dhcp = trouble_ == Trouble::no_dhcp;
    garden.dns_dead = trouble_ == Trouble::dns_dead;
    garden.captive_portal = trouble_ == Trouble::portal;
    garden.dead = trouble_ == Trouble::cloud_dead;
    publish_homes();
    after(dice_.between(5'000, 10'000), [this, &appliance, plan] { send_phone(appliance, plan); });
  }
  /// Once it is on its new network: what was not wrong before it had its settings.
  void token_issued_in_one_trouble(const TokenFact& fact, std::string& handed_out) {
    switch (trouble_) {
      case Trouble::port_closed: road_.port_closed = true; break;
      case Trouble::certificate: road_.certificate_bad = true; break;
      case Trouble::clock_1970: fact.meant_for->clock_wrong_until_ms = trouble_max_ms; break;
      case Trouble::token_revoked: cancel(fact.session); break;
      case Trouble::token_superseded: {
        provisioner::TokenRequest again;
        again.uid = fact.meant_for->uid();
        again.template_id = good_template;
        again.device_id = owned(*fact.meant_for).device;
        trouble_ = Trouble::none;  // It does not supersede itself.
        static_cast<void>(issue(again));
        trouble_ = Trouble::token_superseded;
        break;
      }
      case Trouble::token_used: handed_out = used_token_; break;
      default: break;
    }
  }
  /// A token that has made another device active, which is deleted meanwhile.
  void use_up_a_token() {
    provisioner::TokenRequest request;
    request.template_id = good_template;
    request.uid = "another one";
    const Token used = issue(request);
    domain::ReportedInfo info;
    info.tmpl_id = good_template;
    info.at = timeline_.utc_now();
    const auto verdict = disk_.store().accept_info(ProvisionSessionId{used.token.session_id}, info, actor()).value();
    static_cast<void>(disk_.store().delete_device(verdict.device->id, actor()));
    used_token_ = used.token.token;
    tokens_.erase(used_token_);
  }
  void judge_one_trouble(const Appliance& appliance, const Phone& phone) {
    if (phone.died()) return;
    const bool good = phone.muster().succeeded();
    const std::uint16_t code = phone.muster().failure().code;
    const auto& codes = text_of(trouble_).codes;
    if (trouble_ == Trouble::none) {
      if (!good) violation(who(appliance) + " was not set up although nothing is wrong: " + std::to_string(code));
    } else if (good) {
      violation(who(appliance) + " is said to be active although: " + text_of(trouble_).name);
    } else if (std::none_of(codes.begin(), codes.end(), [&](F each) { return static_cast<std::uint16_t>(each) == code; })) {
      violation(who(appliance) + ": " + text_of(trouble_).name + " is told as " + std::to_string(code));
    }
  }

  // --- chaos -------------------------------------------------------------------------------------------------------------------------------
  void set_up_chaos() {
    const std::uint64_t kind = dice_.below(1000);
    const std::size_t count = kind < 450   ? 1
                              : kind < 750 ? dice_.between(2, 3)
                              : kind < 930 ? dice_.between(4, 8)
                              : kind < 975 ? dice_.between(9, 19)
                                           : 20;
    const bool at_once = count == 20 || dice_.chance(200);
    const bool calm_network = dice_.chance(400);
    const bool powered = dice_.chance(500), resets = dice_.chance(250), cuts_at_yes = dice_.chance(250), bad_flash = dice_.chance(50);
    cut_at_yes_per_mille_ = cuts_at_yes ? 500 : 0;
    tell(std::to_string(count) + " devices" + (calm_network ? "" : ", weather") + (powered ? ", power cuts" : "") +
         (resets ? ", resets" : "") + (cuts_at_yes ? ", cuts at the yes" : ""));
    for (std::size_t i = 0; i < count; ++i) {
      const bool has_home = dice_.chance(450);
      const std::uint64_t what = dice_.below(1000);
      Appliance& appliance = add_appliance(has_home || what < 900 ? good_template : what < 950 ? unknown_template : foreign_template);
      if (has_home) give_home(appliance);
      appliance.switch_on();
      if (dice_.chance(80)) appliance.clock_wrong_until_ms = dice_.between(1'000, 60'000);
      if (bad_flash) {
        after(dice_.below(60'000), [this, &appliance] { appliance.flash.fail_next(static_cast<std::uint32_t>(dice_.between(1, 2))); });
      }
      const Millis begins = at_once ? 5'000 + dice_.below(500) : 3'000 + dice_.below(60'000);
      const std::uint64_t phones = dice_.chance(150) ? 2 : 1;
      for (std::uint64_t phone = 0; phone < phones; ++phone) {
        after(begins + (phone == 0 ? 0 : dice_.below(dice_.chance(500) ? 2'000 : 30'000)), [this, &appliance] {
          Phone::Plan plan = good_plan(appliance);
          spoil(plan, 150);
          send_phone(appliance, std::move(plan));
        });
      }
      if (powered && dice_.chance(500)) {
        if (dice_.chance(700)) {
          appliance.flash.cut_at(static_cast<std::uint32_t>(dice_.between(1, 4)));
        } else {
          after(begins + dice_.below(60'000), [&appliance] { appliance.switch_off(); });
        }
      }
      if (resets && dice_.chance(500)) {
        const std::uint64_t times = dice_.between(1, 2);
        for (std::uint64_t time = 0; time < times; ++time) {
          after(begins + dice_.below(60'000), [&appliance] { appliance.press_button(12'000); });
        }
      }
      if (dice_.chance(60)) after(begins + dice_.below(40'000), [this, &appliance] { air_.lose_access_point(appliance.radio()); });
    }
    air_.set_lose_on_hop(dice_.chance(200));
    if (!calm_network) {
      auto& weather = network_.weather;
      weather.delay_max_ms = dice_.chance(200) ? dice_.between(500, 4'000) : dice_.between(20, 200);
      weather.break_per_mille = static_cast<std::uint32_t>(dice_.chance(500) ? dice_.between(10, 150) : 1);
      weather.half_open_per_mille = static_cast<std::uint32_t>(dice_.between(0, 600));
    }
    if (dice_.chance(350)) plan_home_trouble();
    if (dice_.chance(200)) plan_road_trouble();
    if (dice_.chance(350)) after(dice_.below(80'000), [this] { kill_cloud(); });
    kill_after_token_ = dice_.chance(150);
    if (dice_.chance(200)) plan_store_trouble();
    cancel_per_mille_ = dice_.chance(200) ? 300 : 0;
  }
  void plan_home_trouble() {
    after(dice_.below(60'000), [this] {
      HomeNetwork& one = homes_[dice_.chance(750) ? 0 : 1];
      const HomeNetwork before = one;
      const std::uint64_t what = dice_.below(7);
      one.absent = what == 0;
      one.no_dhcp = what == 1;
      one.dns_dead = what == 2;
      one.captive_portal = what == 3;
      one.dead = what == 4;
      one.weak = what == 5;
      one.refuses_all = what == 6;
      publish_homes();
      tell("home trouble " + std::to_string(what));
      after(dice_.between(2'000, 120'000), [this, &one, before] {
        one = before;
        publish_homes();
        tell("home well");
      });
      if (dice_.chance(300)) plan_home_trouble();
    });
  }
  void plan_road_trouble() {
    after(dice_.below(60'000), [this] {
      (dice_.chance(500) ? road_.port_closed : road_.certificate_bad) = true;
      after(dice_.between(1'000, 60'000), [this] { road_ = {}; });
    });
  }
  void plan_store_trouble() {
    after(dice_.below(60'000), [this] {
      constexpr StoreError errors[] = {StoreError::unavailable, StoreError::busy, StoreError::disk_full};
      disk_.faults().fail_sometimes(store::FaultScript::all, dice_.chance(300) ? 1.0 : 0.2, errors[dice_.below(std::size(errors))]);
      after(dice_.between(1'000, 20'000), [this] { disk_.faults().clear(); });
    });
  }
  void kill_cloud() {
    if (!server_.running()) return;
    ++out_.kills;
    const bool power_cut = dice_.chance(500);
    tell(power_cut ? "cloud loses its power" : "cloud killed");
    server_.kill(power_cut);
    after(dice_.chance(700) ? dice_.between(50, 5'000) : dice_.between(5'000, 90'000), [this] { server_.start(); });
  }
  void power_comes_back(Appliance& appliance) {
    const Millis off_ms = dice_.chance(800) ? dice_.between(200, 10'000) : dice_.between(10'000, 15 * minute_ms);
    timeline_.after(off_ms, [&appliance] { appliance.switch_on(); });
  }
  void calm() {
    calm_ = true;
    cut_at_yes_per_mille_ = 0;
    disk_.faults().clear();
    road_ = {};
    network_.weather = {.delay_min_ms = 1, .delay_max_ms = 30, .break_per_mille = 0, .half_open_per_mille = 0, .split_per_mille = 100};
    homes_[0] = home(home_ssid, home_password, 1);
    homes_[1] = home(garden_ssid, garden_password, 6);
    publish_homes();
    air_.set_lose_on_hop(false);
    timeline_.after(5'000, [this] { server_.start(); });
    for (auto& one : owned_) {
      one.appliance->flash.cut_at(0);
      one.appliance->flash.fail_next(0);
    }
  }

  // --- ProvisionDesk: what people do in the cloud ----------------------------------------------------------------------------------------
  bool template_is_usable(std::string_view template_id) override { return template_id == good_template; }
  bool reconfigure(std::int64_t device) override {
    return server_.push_internal(DeviceId{static_cast<std::int32_t>(device)}, std::string_view{"dbg\0config start", 16});
  }
  Token issue(const provisioner::TokenRequest& request) override {
    domain::NewProvisionSession wanted;
    wanted.organization_id = beginning().root;
    wanted.owner_id = beginning().admin;
    wanted.client = "Phone";
    wanted.uid = request.uid;
    if (request.template_id == good_template) wanted.template_id = beginning().known;
    wanted.device_id = DeviceId{static_cast<std::int32_t>(request.device_id)};
    const Millis life_ms = trouble_ == Trouble::token_expired ? 1'000 : token_life_ms;
    wanted.expires_at = {timeline_.utc_now().ms + static_cast<std::int64_t>(life_ms)};
    const AuthToken token = AuthToken::generate(secrets_);
    const std::string text{token.reveal()};
    const TokenDigests all = digests(text);
    const auto session = disk_.store().create_provision_session(wanted, {all.newest(), all.all(), "sealed"}, actor());
    Token out;
    // Also when the answer is lost: the session may be there.
    Appliance* const meant_for = appliance_of(request);
    if (!session) {
      out.refused = true;
      return out;
    }
    for (auto& [string, fact] : tokens_) {
      // A newer session for the same.
      if (fact.session != 0 && !fact.accepted && fact.meant_for == meant_for) fact.ended_by_person = true;
    }
    TokenFact& fact = tokens_[text];
    fact.session = session->id.value();
    fact.device = session->device_id.value();
    fact.meant_for = meant_for;
    out.token.token = text;
    out.token.device_id = fact.device;
    out.token.session_id = fact.session;
    out.token.host = cloud_host;
    out.token.port = cloud_port;
    if (one_trouble_ && meant_for != nullptr) token_issued_in_one_trouble(fact, out.token.token);
    if (kill_after_token_ && dice_.chance(500)) after(dice_.below(8'000), [this] { kill_cloud(); });
    if (dice_.chance(cancel_per_mille_)) {
      after(dice_.below(15'000), [this, id = fact.session] { static_cast<void>(server_.api([this, id] { cancel(id); })); });
    }
    return out;
  }
  [[nodiscard]] Appliance* appliance_of(const provisioner::TokenRequest& request) {
    for (auto& one : owned_) {
      if (one.appliance->uid() == request.uid) return one.appliance.get();
    }
    for (auto& one : owned_) {
      if (request.device_id != 0 && one.device == request.device_id) return one.appliance.get();
    }
    return nullptr;
  }
  provisioner::SessionView session(std::int64_t id) override {
    provisioner::SessionView view;
    const auto found = disk_.store().find_provision_session(ProvisionSessionId{id});
    if (!found || !*found) return view;
    view.state = domain::provision_state_name((*found)->state);
    view.failure = (*found)->failure_code;
    return view;
  }
  void post_step(std::int64_t id, std::string_view step, std::uint16_t code, std::string_view message) override {
    domain::ProvisionStep one;
    one.at = timeline_.utc_now();
    one.source = domain::StepSource::app;
    one.step = step;
    one.code = code;
    one.message = message;
    static_cast<void>(disk_.store().post_provision_step(ProvisionSessionId{id}, one));
  }
  void cancel(std::int64_t id) override {
    static_cast<void>(disk_.store().cancel_provision_session(ProvisionSessionId{id}, actor()));
    // Whether or not the answer is an error: it may be done.
    for (auto& [string, fact] : tokens_) {
      if (fact.session == id && !fact.accepted) fact.ended_by_person = true;
    }
  }

  // --- what is seen meanwhile --------------------------------------------------------------------------------------------------------------
  void logged_in(std::string_view token, DeviceId device) override {
    if (TokenFact* const its = taken(token, device)) ++its->logins;
  }
  void info_taken(std::string_view token, DeviceId device) override {
    TokenFact* const its = taken(token, device);
    if (its == nullptr || its->meant_for == nullptr || !dice_.chance(cut_at_yes_per_mille_)) return;
    tell(who(*its->meant_for) + ": power cut at the yes");
    timeline_.after(dice_.chance(700) ? 0 : dice_.below(100), [its] { its->meant_for->switch_off(); });
  }
  TokenFact* taken(std::string_view token, DeviceId device) {
    TokenFact* const its = fact(token);
    if (its == nullptr) {
      violation("a string that was never issued logged in");
      return nullptr;
    }
    if (its->device != device.value()) violation("a token became another device's");
    its->accepted_ms = now();
    if (its->session != 0 && its->meant_for != nullptr) {
      if (!its->accepted) {
        ++out_.activations;
        tell(who(*its->meant_for) + ": the cloud says yes");
      }
      owned(*its->meant_for).device = its->device;
    }
    its->accepted = true;
    return its;
  }
  void heard_invalid(std::string_view token) override {
    ++out_.invalids;
    TokenFact* const its = fact(token);
    if (its == nullptr) return;
    if (is_live(token)) return violation("a live token is about to hear \"invalid\"");
    if (its->meant_for == nullptr) return;
    const Appliance& appliance = *its->meant_for;
    tell(who(appliance) + " hears 9");
    const auto proved = appliance.flash.read(agent::Slot::proved);
    if (!proved || proved->token.view() != token || its->ended_by_person) return;
    // The settings that it lives on. Only a new token that has proved itself ends them.
    const bool is_proved = std::any_of(tokens_.begin(), tokens_.end(), [&](const auto& other) {
      return other.second.device == its->device && other.second.accepted && other.second.session > its->session &&
             (other.second.logins >= 1 || now() >= other.second.accepted_ms + proof_ms);
    });
    if (!is_proved) violation(who(appliance) + " hears \"invalid\" for the token that it lives on, and no other has proved itself");
  }
  void process_ended() override {}
  void dialed(Appliance& appliance, std::string_view token, bool on_disk) override {
    if (!on_disk) violation(who(appliance) + " dials with a token that it has not written down");
    static_cast<void>(token);
  }
  void online(Appliance& appliance, std::string_view token) override {
    tell(who(appliance) + " online");
    TokenFact* const its = fact(token);
    if (its == nullptr || !its->accepted)
      return violation(who(appliance) + " believes to be online with a token that the cloud did not take");
    its->kept = true;
    owned(appliance).had_home = true;
  }
  void gave_up(Appliance& appliance, std::uint16_t code) override {
    tell(who(appliance) + " gave up " + std::to_string(code));
    ++out_.fallbacks;
  }
  void power_failed(Appliance& appliance) override {
    ++out_.power_cuts;
    tell(who(appliance) + " off");
    power_comes_back(appliance);
  }
  void reset(Appliance& appliance) override {
    ++out_.resets;
    tell(who(appliance) + " reset");
    forgotten(appliance);
  }
  void forgotten(Appliance& appliance) {
    Owned& one = owned(appliance);
    ++one.resets;
    one.had_home = false;
    for (auto& [string, fact] : tokens_) {
      if (fact.meant_for == &appliance) fact.let_go = true;
    }
  }
  /// With all the tokens that the row has.
  void let_go_of(std::int64_t device) {
    for (auto& [string, fact] : tokens_) fact.let_go = fact.let_go || fact.device == device;
  }
  /// Nothing on the device holds this any more.
  void record_lost(Appliance& appliance, agent::Slot slot, const std::string& token) {
    TokenFact* const its = fact(token);
    if (its == nullptr) return;
    if (appliance.state() == agent::DeviceState::reset_config) {  // Also when the power fails in the middle of that.
      its->let_go = true;
      if (slot == agent::Slot::proved) forgotten(appliance);
      return;
    }
    const auto proved = appliance.flash.read(agent::Slot::proved);
    if (slot == agent::Slot::proved && proved) {
      // Somebody took it for a new one: it has another row now.
      const TokenFact* const next = fact(proved->token.view());
      if (next != nullptr && next->device != its->device) let_go_of(its->device);
    }
    if (slot == agent::Slot::proved) its->kept = true;
    const auto pending = appliance.flash.read(agent::Slot::pending);
    if (slot == agent::Slot::pending && pending && pending->token.view() != token) its->let_go = true;
  }

  // --- the judge ---------------------------------------------------------------------------------------------------------------------------
  void judge() {
    for (auto& one : owned_) judge(one);
    const auto rows = disk_.devices();
    const auto sessions = disk_.provision_sessions();
    std::map<std::string, std::uint32_t> rows_by_uid;
    for (const auto& session : sessions) {
      const auto state = static_cast<domain::ProvisionState>(session.state);
      const std::string name = "session " + std::to_string(session.id) + " (" + std::string{domain::provision_state_name(state)} + ")";
      const bool is_over = session.expires_at <= timeline_.utc_now().ms;
      // What a device has kept that has not come since, nobody can know.
      const bool may_prove =
          state == domain::ProvisionState::proving && !server_.online(DeviceId{static_cast<std::int32_t>(session.device_id)});
      if (is_over && !domain::is_ended(state) && !may_prove) violation(name + " has not ended in all the time that it had");
      const bool is_active = state == domain::ProvisionState::active || state == domain::ProvisionState::done;
      if (session.uid == "another one") continue;  // Its device was deleted.
      if (session.kind == 1 && rows.contains(static_cast<std::int32_t>(session.device_id)) != (session.accepted_at != 0))
        violation(name + (session.accepted_at != 0 ? " was accepted and has no device" : " was never accepted and has a device"));
      if (is_active && session.accepted_at == 0) violation(name + " was never accepted");
      if (session.steps == 0) violation(name + " has left no trace");
      if (session.kind == 1 && session.accepted_at != 0) ++rows_by_uid[session.uid];
    }
    std::set<std::int64_t> with_token;
    for (auto& [token, fact] : tokens_) {
      const auto row = row_of(token);
      if (!row || row->kind == static_cast<std::int64_t>(TokenKind::revoked)) continue;
      with_token.insert(row->device_id);
      if (row->kind == static_cast<std::int64_t>(TokenKind::provision) || row->kind == static_cast<std::int64_t>(TokenKind::reprovision)) {
        violation("a token of session " + std::to_string(fact.session) + " is live after its time, and never had a device");
        continue;
      }
      if (fact.meant_for == nullptr) continue;
      const Appliance& appliance = *fact.meant_for;
      if (appliance.online() && appliance.token() == token) continue;
      if (fact.let_go) {
        ++(fact.kept || fact.session == 0 ? out_.earlier_homes : out_.let_go_early);
        continue;
      }
      violation(who(appliance) + " does not use a token of session " + std::to_string(fact.session) + " that lives on (kind " +
                std::to_string(row->kind) + ", " + (appliance.flash.holds(token) ? "held" : "not held") + ")");
    }
    for (const auto& [id, row] : rows) {
      if (!with_token.contains(id)) violation("the row " + std::to_string(id) + " has no live token");
    }
    for (auto& one : owned_) {
      std::uint32_t let_go = 0;
      for (const auto& [token, fact] : tokens_)
        let_go += fact.meant_for == one.appliance.get() && fact.let_go && rows.contains(static_cast<int>(fact.device)) ? 1 : 0;
      if (const auto found = rows_by_uid.find(one.appliance->uid()); found != rows_by_uid.end() && found->second > 1 + one.resets + let_go)
        violation(who(*one.appliance) + " has " + std::to_string(found->second) + " rows");
    }
    if (disk_.tokens_twice() != 0) violation("a token is in the registry twice");
  }
  void judge(Owned& one) {
    Appliance& appliance = *one.appliance;
    const std::string name = who(appliance) + " (" + std::string{to_text(appliance.state())} + ")";
    if (!appliance.on()) return violation(name + " has no power");
    const auto proved = appliance.flash.read(agent::Slot::proved);
    if (one.had_home && !proved) return violation(name + " has lost its home");
    if (!proved) {
      if (appliance.state() != agent::DeviceState::idle && !appliance.open_for_setup()) violation(name + " is neither online nor open");
      return;
    }
    if (!appliance.online()) return violation(name + " has proved settings and is not online");
    if (!is_live(proved->token.view())) violation(name + " lives on a dead token");
    const TokenFact* const its = fact(proved->token.view());
    if (its != nullptr && !server_.online(DeviceId{static_cast<std::int32_t>(its->device)}))
      violation(name + " is not online for the cloud");
  }
  /// Who is not online can be set up now, at once or after a press of the button.
  void last_try() {
    std::vector<Appliance*> waiting;
    for (auto& one : owned_) {
      if (one.appliance->online() || one.appliance->template_id() != good_template) continue;
      if (one.appliance->state() == agent::DeviceState::idle) one.appliance->press_button(200);
      waiting.push_back(one.appliance.get());
    }
    if (waiting.empty()) return;
    one_trouble_ = false;
    trouble_ = Trouble::none;
    advance_to(now() + 2'000);
    for (Appliance* const appliance : waiting) {
      appliance->clock_wrong_until_ms = 0;
      if (!appliance->open_for_setup()) violation(who(*appliance) + " does not open when its button is pressed");
      send_phone(*appliance, good_plan(*appliance));
    }
    advance_to(now() + last_try_ms);
    for (const Appliance* const appliance : waiting) {
      if (!appliance->online()) violation(who(*appliance) + " could not be set up although nothing is wrong any more");
    }
  }

  /// What the judge saw, for people.
  void tell_sessions() {
    for (const auto& session : disk_.provision_sessions()) {
      const auto state = static_cast<domain::ProvisionState>(session.state);
      std::string line = "session " + std::to_string(session.id) + (session.kind == 1 ? " new" : " again") + " of row " +
                         std::to_string(session.device_id) + " " + std::string{domain::provision_state_name(state)};
      for (const auto& [token, fact] : tokens_) {
        if (fact.device != session.device_id || fact.meant_for == nullptr) continue;
        const auto row = row_of(token);
        line +=
            ", token of " + std::to_string(fact.session) + " kind " + std::to_string(row ? row->kind : 0) + " for " + who(*fact.meant_for);
      }
      tell(std::move(line));
    }
  }
  void finish() {
    if (done()) tell_sessions();
    for (const auto& session : disk_.provision_sessions()) {
      trace_.add(static_cast<std::uint64_t>(session.id) << 8 | static_cast<std::uint64_t>(session.state));
      trace_.add(static_cast<std::uint64_t>(session.failure_code));
      trace_.add(static_cast<std::uint64_t>(session.steps));
    }
    for (const auto& [id, kind] : disk_.tokens()) trace_.add(static_cast<std::uint64_t>(id) << 8 | static_cast<std::uint64_t>(kind));
    out_.trace_hash = trace_.hash();
    out_.events = timeline_.happened();
  }

  ProvisionOptions options_;
  ProvisionOutcome out_;
  Timeline timeline_;
  Dice dice_;
  Trace trace_;
  SeededRandom secrets_;
  std::unique_ptr<KeyRing> keys_;
  Disk disk_;
  Network network_;
  Airspace air_;
  CloudRoad road_;
  Server server_;
  std::array<HomeNetwork, 2> homes_;
  std::map<std::string, TokenFact, std::less<>> tokens_;
  std::deque<Owned> owned_;
  std::vector<std::unique_ptr<Phone>> phones_;
  Trouble trouble_ = Trouble::none;
  std::string used_token_;  ///< Of a device that was deleted.
  std::uint32_t cut_at_yes_per_mille_ = 0, cancel_per_mille_ = 0;
  bool one_trouble_ = false, calm_ = false, kill_after_token_ = false;
};

}  // namespace

ProvisionOutcome simulate_provisioning(const ProvisionOptions& options) {
  World world{options};
  try {
    return world.run();
  } catch (const std::runtime_error& broken) {  // From Disk: not even the judge can read it.
    ProvisionOutcome outcome;
    outcome.violations.emplace_back(broken.what());
    return outcome;
  }
}

}  // namespace muster::sim
