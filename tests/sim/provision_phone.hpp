// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "provisioner/provisioner.hpp"
#include "tests/sim/provision_air.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/server.hpp"

namespace muster::sim {

/// What people do at the cloud's API, as its handlers do it. Called on the api lane; what an answer tells is carried to who asked.
class ProvisionDesk {
 public:
  struct Token {
    provisioner::ProvisionToken token;
    bool refused = false;  ///< The cloud is there and says no.
  };
  virtual ~ProvisionDesk() = default;
  virtual bool template_is_usable(std::string_view template_id) = 0;
  virtual bool reconfigure(std::int64_t device) = 0;  ///< False: it is offline.
  virtual Token issue(const provisioner::TokenRequest& request) = 0;
  virtual provisioner::SessionView session(std::int64_t id) = 0;
  virtual void post_step(std::int64_t id, std::string_view step, std::uint16_t code, std::string_view message) = 0;
  virtual void cancel(std::int64_t id) = 0;
};

/// A person with a phone who sets one device up: our real provisioner. It can go away for good at any moment, politely or not.
class Phone final : public provisioner::CloudApi, public provisioner::Front {
 public:
  struct Wiring {
    Timeline& timeline;
    Airspace& air;
    Dice& dice;
    Trace& trace;
    Server& server;
    ProvisionDesk& desk;
  };
  struct Plan {
    std::string device_name, ssid, password;
    std::int64_t reconfigure = 0;
    bool careless = false;  ///< Asks for a token without saying of what, and does not check the template before.
    /// It goes after so many messages that it sent to device and cloud; 0: stays to the end.
    std::uint32_t leaves_after = 0;
    bool politely = false;  ///< Ctrl-C, not a dead battery.
  };
  using Done = std::function<void(Phone&)>;

  Phone(const Wiring& wiring, Plan plan, Done done);
  ~Phone();
  Phone(const Phone&) = delete;
  Phone& operator=(const Phone&) = delete;

  void start();
  /// Neither in its own work any more, nor will it ever be.
  [[nodiscard]] bool gone() const noexcept { return gone_; }
  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }
  [[nodiscard]] const provisioner::Provisioner& muster() const noexcept { return *muster_; }
  [[nodiscard]] bool died() const noexcept { return died_; }
  /// Of the token that it got; empty: none.
  [[nodiscard]] const std::string& token() const noexcept { return token_; }
  [[nodiscard]] std::int64_t session_id() const noexcept { return session_; }

 private:
  template <class Event>
  void happen(Event event);
  void plan_next();
  void message();
  /// A job at the cloud; its result is carried back and met with `answer`.
  template <class Job, class Answer>
  void ask(Job job, Answer answer);
  void unreachable();

  // --- provisioner::CloudApi --------------------------------------------------------------------------------------------------------------
  void ask_template(const std::string& template_id) override;
  void ask_reconfigure(std::int64_t device_id) override;
  void ask_token(const provisioner::TokenRequest& request) override;
  void ask_session(std::int64_t session_id) override;
  void post_step(std::int64_t session_id, std::string_view step, std::uint16_t code, std::string_view message) override;
  void cancel_session(std::int64_t session_id) override;
  // --- provisioner::Front -----------------------------------------------------------------------------------------------------------------
  void on_report(const provisioner::Report& report, agent::Millis now) override;
  void on_warning(std::string_view, const std::string&, agent::Millis) override {}
  void on_choose_device(const std::vector<provisioner::AccessPoint>&, agent::Millis now) override;
  void on_choose_network(const std::vector<provisioner::SeenNetwork>&, agent::Millis now) override;
  void on_ask_password(const std::string&, agent::Millis now) override;

  struct Air;
  Wiring w_;
  Plan plan_;
  Done done_;
  std::unique_ptr<Air> air_;
  std::unique_ptr<provisioner::Provisioner> muster_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< What is planned for it looks here first.
  Millis planned_ = agent::never;
  std::uint64_t question_ = 0;
  std::uint32_t messages_ = 0;
  std::string token_;
  std::int64_t session_ = 0;
  bool gone_ = false, died_ = false;
};

}  // namespace muster::sim
