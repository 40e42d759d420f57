// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/cloud_thread.hpp"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "cli/json_text.hpp"

namespace muster::cli {

namespace pv = muster::provisioner;
using agent::Millis;

namespace {

pv::ProvisionToken read_token(const json::value& answer) {
  pv::ProvisionToken token;
  token.token = text_of(answer, "token");
  token.device_id = number_of(answer, "deviceId");
  token.session_id = number_of(answer, "sessionId");
  token.host = text_of(answer, "host");
  token.port = static_cast<std::uint16_t>(number_of(answer, "port"));
  token.port_plain = static_cast<std::uint16_t>(number_of(answer, "portPlain"));
  const auto* const object = answer.if_object();
  const auto* const warnings = object == nullptr ? nullptr : object->if_contains("warnings");
  if (warnings != nullptr && warnings->is_array()) {
    for (const auto& warning : warnings->get_array()) {
      if (warning.is_string()) token.warnings.emplace_back(warning.get_string());
    }
  }
  return token;
}

/// Of a device's metadata, what it has told about itself.
pv::KnownDevice read_known_device(const json::value& answer) {
  pv::KnownDevice known;
  const auto* const object = answer.if_object();
  const auto* const fields = object == nullptr ? nullptr : object->if_contains("content");
  if (fields == nullptr || !fields->is_array()) return known;
  for (const auto& field : fields->get_array()) {
    const auto name = text_of(field, "name");
    if (name == "Device UID") known.uid = text_of(field, "value");
    if (name == "Hotspot Name") known.hotspot_name = text_of(field, "value");
  }
  return known;
}

pv::SessionView read_session(const json::value& answer) {
  pv::SessionView view;
  view.state = text_of(answer, "state");
  const auto* const object = answer.if_object();
  if (const auto* const failure = object == nullptr ? nullptr : object->if_contains("failure"); failure != nullptr) {
    view.failure = static_cast<std::uint16_t>(number_of(*failure, "code"));
    view.failure_message = text_of(*failure, "sentence");
  }
  return view;
}

}  // namespace

CloudThread::CloudThread(ApiClient client, const WakePipe& pipe, std::optional<std::int64_t> organization)
    : client_{std::move(client)}, pipe_{pipe}, organization_{organization} {
  client_.end_when(abandoned_);
  thread_ = std::thread{[this] { work(); }};
}

CloudThread::~CloudThread() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  abandoned_ = true;
  wanted_.notify_all();
  thread_.join();
}

void CloudThread::ask_template(const std::string& id) {
  ask("GET", "/api/v1/template", {{"templateId", id}}, std::nullopt,
      [](pv::Provisioner& to, const json::value&, Millis now) { to.on_template(true, now); });
}

void CloudThread::ask_reconfigure(std::int64_t id) {
  ask("GET", "/api/v1/organization/device/metafield", {{"deviceId", std::to_string(id)}}, std::nullopt,
      [this, id](pv::Provisioner&, const json::value& fields, Millis) {
        ask("POST", "/api/v1/organization/device/provision/reconfigure", {}, json::object{{"deviceId", id}},
            [known = read_known_device(fields)](pv::Provisioner& to, const json::value& answer, Millis now) mutable {
              known.offline = flag_of(answer, "deviceIsOffline");
              to.on_reconfigure(known, now);
            });
      });
}

void CloudThread::ask_token(const pv::TokenRequest& request) {
  json::object body{{"client", "muster provision"}};
  put_given(body, "uid", request.uid);
  std::string path = "/api/v1/organization/device/provision/token";
  if (request.device_id != 0) {
    path = "/api/v1/organization/device/provision/reprovision/token";
    body["deviceId"] = request.device_id;
  } else {
    put_given(body, "templateId", request.template_id);
    if (organization_) body["orgId"] = *organization_;
  }
  ask("POST", path, {}, std::move(body),
      [](pv::Provisioner& to, const json::value& answer, Millis now) { to.on_token(read_token(answer), now); });
}

void CloudThread::ask_session(std::int64_t id) {
  ask("GET", "/api/v1/provision/session", {{"sessionId", std::to_string(id)}}, std::nullopt,
      [](pv::Provisioner& to, const json::value& answer, Millis now) { to.on_session(read_session(answer), now); });
}

void CloudThread::post_step(std::int64_t id, std::string_view step, std::uint16_t code, std::string_view message) {
  json::object body{{"step", std::string{step}}, {"code", code}};
  put_given(body, "message", printable(message));
  ask("POST", "/api/v1/provision/session/" + std::to_string(id) + "/step", {}, std::move(body), nullptr);
}

void CloudThread::cancel_session(std::int64_t id) {
  ask("DELETE", "/api/v1/provision/session/" + std::to_string(id), {}, std::nullopt, nullptr);
}

void CloudThread::deliver(Millis now) {
  std::deque<std::function<void(Millis)>> answers;
  {
    const std::lock_guard lock{mutex_};
    answers.swap(answers_);
  }
  for (const auto& answer : answers) answer(now);
}

void CloudThread::finish() {
  std::unique_lock lock{mutex_};
  idle_.wait_for(lock, std::chrono::milliseconds{last_words_ms}, [this] { return work_.empty() && !busy_; });
  work_.clear();
}

void CloudThread::ask(std::string method, std::string path, Query query, std::optional<json::object> body, Answer answer) {
  {
    const std::lock_guard lock{mutex_};
    work_.push_back({std::move(method), std::move(path), std::move(query), std::move(body), std::move(answer)});
  }
  wanted_.notify_one();
}

void CloudThread::work() {
  // Ctrl-C is the main thread's.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock{mutex_};
  for (;;) {
    busy_ = false;
    if (work_.empty()) idle_.notify_all();
    wanted_.wait(lock, [this] { return stopping_ || !work_.empty(); });
    if (stopping_) return;
    const Work next = std::move(work_.front());
    work_.pop_front();
    busy_ = true;
    lock.unlock();
    auto answer = client_.call(next.method, next.path, next.query, next.body ? &*next.body : nullptr);
    lock.lock();
    if (!next.answer) {
      if (!answer && answer.error().exit_code == exit_unreachable) {
        // What the cloud is to be told waits until the way there is back: on a device's network there may be none.
        work_.push_front(next);
        wanted_.wait_for(lock, std::chrono::milliseconds{tell_again_ms}, [this] { return stopping_; });
      }
      continue;
    }
    if (answer) {
      answers_.emplace_back([this, act = next.answer, value = std::move(*answer)](Millis now) { act(*provisioner_, value, now); });
    } else {
      const auto failure = answer.error();
      answers_.emplace_back([this, failure](Millis now) {
        provisioner_->on_cloud_trouble({failure.exit_code == exit_unreachable, failure.code == "not_found", failure.message}, now);
      });
    }
    pipe_.wake();
  }
}

}  // namespace muster::cli
