// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/provision_phone.hpp"

#include <utility>

#include "provisioner/radios/air_radio.hpp"

namespace muster::sim {

namespace {

constexpr Millis road_min_ms = 5, road_max_ms = 60;  ///< To the cloud and back, each.
constexpr Millis nobody_there_ms = 300, no_answer_ms = 10'000;

}  // namespace

/// Its radio, and the requests to the device on it, which are counted.
struct Phone::Air final : agent::sim::AirPlace, agent::sim::AirListener, provisioner::DeviceHttp {
  explicit Air(Phone& its) : phone{its}, place{its.w_.air}, radio{*this} { place.attach(*this); }
  void submit(const agent::sim::AirCommand& command) override { place.submit(command); }
  void on_air(const agent::sim::AirEvent& event, Millis now) override {
    phone.happen([&] { radio.on_air(event, now); });
  }
  void get(const std::string& target) override {
    radio.get(target);
    phone.message();
  }
  void cancel() override { radio.cancel(); }

  Phone& phone;
  Airspace::Place place;
  provisioner::AirHostRadio radio;
};

Phone::Phone(const Wiring& wiring, Plan plan, Done done) : w_{wiring}, plan_{std::move(plan)}, done_{std::move(done)} {
  air_ = std::make_unique<Air>(*this);
  provisioner::Options options;
  options.device_name = plan_.device_name;
  options.reconfigure = plan_.reconfigure;
  muster_ = std::make_unique<provisioner::Provisioner>(&air_->radio, *air_, *this, *this, options);
  air_->radio.attach(*muster_);
}
Phone::~Phone() { *alive_ = false; }

void Phone::start() {
  happen([this] { muster_->start(w_.timeline.now_ms()); });
}

template <class Event>
void Phone::happen(Event event) {
  if (gone_) return;
  event();
  plan_next();
}

void Phone::plan_next() {
  if (gone_) return;
  if (muster_->finished()) {
    gone_ = true;
    air_->place.mute();
    w_.timeline.after(0, [this, alive = alive_] {
      if (*alive) done_(*this);
    });
    return;
  }
  // Its radio puts the phone's own network back at once.
  w_.timeline.after(1, [this, alive = alive_] {
    if (*alive && !gone_ && air_->radio.serve(w_.timeline.now_ms())) plan_next();
  });
  const Millis due = muster_->next_deadline();
  if (due == agent::never || due >= planned_) return;
  planned_ = due;
  w_.timeline.after(due > w_.timeline.now_ms() ? due - w_.timeline.now_ms() : 0, [this, alive = alive_, due] {
    if (!*alive || gone_ || planned_ != due) return;
    planned_ = agent::never;
    happen([this] { muster_->on_timer(w_.timeline.now_ms()); });
  });
}

/// One more message is on its way. After the last one the phone is gone, a moment later: the message may have an effect or an answer.
void Phone::message() {
  if (++messages_ != plan_.leaves_after) return;
  w_.timeline.after(w_.dice.below(200), [this, alive = alive_] {
    if (!*alive || gone_) return;
    if (plan_.politely) return happen([this] { muster_->stop(w_.timeline.now_ms()); });
    gone_ = died_ = true;
    air_->place.mute();
    done_(*this);
  });
}

void Phone::unreachable() {
  happen([this] { muster_->on_cloud_trouble({true, false, "The cloud does not answer."}, w_.timeline.now_ms()); });
}

template <class Job, class Answer>
void Phone::ask(Job job, Answer answer) {
  message();
  const std::uint64_t mine = ++question_;
  // What is answered or given up is no question any more.
  const auto open = [this, alive = alive_, mine] { return *alive && !gone_ && question_ == mine; };
  w_.timeline.after(w_.dice.between(road_min_ms, road_max_ms), [this, open, job = std::move(job), answer = std::move(answer)] {
    if (!open()) return;
    // The job runs to its end though nobody may wait for it any more.
    const bool taken = w_.server.api([this, alive = alive_, open, job, answer] {
      if (!*alive) return;
      auto result = job();
      w_.timeline.after(w_.dice.between(road_min_ms, road_max_ms), [this, open, answer, result = std::move(result)] {
        if (!open()) return;
        ++question_;
        happen([&] { answer(result); });
      });
    });
    w_.timeline.after(taken ? no_answer_ms : nobody_there_ms, [this, open] {
      if (!open()) return;
      ++question_;
      unreachable();
    });
  });
}

void Phone::ask_template(const std::string& template_id) {
  ask([this, template_id] { return plan_.careless || w_.desk.template_is_usable(template_id); },
      [this](bool usable) { muster_->on_template(usable, w_.timeline.now_ms()); });
}

void Phone::ask_reconfigure(std::int64_t device_id) {
  ask([this, device_id] { return w_.desk.reconfigure(device_id); },
      [this](bool told) { muster_->on_reconfigure({{}, {}, !told}, w_.timeline.now_ms()); });
}

void Phone::ask_token(const provisioner::TokenRequest& request) {
  provisioner::TokenRequest wanted = request;
  if (plan_.careless) wanted.template_id.clear();
  ask([this, wanted] { return w_.desk.issue(wanted); },
      [this](const ProvisionDesk::Token& issued) {
        if (issued.refused) {
          muster_->on_cloud_trouble({false, false, "No."}, w_.timeline.now_ms());
          return;
        }
        token_ = issued.token.token;
        session_ = issued.token.session_id;
        muster_->on_token(issued.token, w_.timeline.now_ms());
      });
}

void Phone::ask_session(std::int64_t session_id) {
  ask([this, session_id] { return w_.desk.session(session_id); },
      [this](const provisioner::SessionView& session) { muster_->on_session(session, w_.timeline.now_ms()); });
}

void Phone::post_step(std::int64_t session_id, std::string_view step, std::uint16_t code, std::string_view text) {
  w_.timeline.after(w_.dice.between(road_min_ms, road_max_ms),
                    [this, alive = alive_, session_id, step = std::string{step}, code, text = std::string{text}] {
                      if (!*alive) return;
                      static_cast<void>(w_.server.api([this, alive, session_id, step, code, text] {
                        if (*alive) w_.desk.post_step(session_id, step, code, text);
                      }));
                    });
}

void Phone::cancel_session(std::int64_t session_id) {
  w_.timeline.after(w_.dice.between(road_min_ms, road_max_ms), [this, alive = alive_, session_id] {
    if (!*alive) return;
    static_cast<void>(w_.server.api([this, alive, session_id] {
      if (*alive) w_.desk.cancel(session_id);
    }));
  });
}

void Phone::on_report(const provisioner::Report& report, agent::Millis now) {
  w_.trace.add(now << 16 | static_cast<std::uint64_t>(report.step) << 8 | static_cast<std::uint64_t>(report.state));
  w_.trace.add(std::uint64_t{report.code});
}
void Phone::on_choose_device(const std::vector<provisioner::AccessPoint>&, agent::Millis now) {
  muster_->choose_device(plan_.device_name, now);
}
void Phone::on_choose_network(const std::vector<provisioner::SeenNetwork>&, agent::Millis now) { muster_->choose_network(plan_.ssid, now); }
void Phone::on_ask_password(const std::string&, agent::Millis now) { muster_->give_password(plan_.password, now); }

}  // namespace muster::sim
