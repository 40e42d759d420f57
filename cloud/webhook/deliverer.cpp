// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/deliverer.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "cloud/base/log.hpp"
#include "cloud/domain/webhook_text.hpp"
#include "cloud/webhook/facts.hpp"
#include "cloud/webhook/signature.hpp"

namespace muster::webhook {

using domain::Delivery;
using domain::DeliveryAttempt;
using domain::DeliveryEnd;
using domain::Webhook;

namespace {

constexpr std::size_t events_at_once = 200;  // In one transaction: others wait for it.
constexpr std::size_t fan_outs_a_look = 50;
constexpr std::size_t due_per_webhook = 32;
constexpr std::size_t problem_max_bytes = 300;
constexpr std::size_t trimmed_at_once = 500;
constexpr std::string_view auth_token_domain = "auth-token";

struct Composed {
  std::string url, body;
};

}  // namespace

struct Deliverer::Impl {
  Impl(Dependencies dependencies, Options given, HttpSender http, Notices given_notices)
      : d{dependencies}, options{std::move(given)}, sender{std::move(http)}, notices{std::move(given_notices)} {}

  const Dependencies d;
  const Options options;
  const HttpSender sender;
  const Notices notices;

  std::mutex mutex;
  std::condition_variable changed, idle;
  std::deque<Delivery> queue;
  std::set<DeliveryId> under_way;  ///< Queued or being sent.
  std::map<WebhookId, unsigned> under_way_of;
  unsigned sending = 0, waiting_threads = 0;
  bool stopping = false;
  bool more_waits = false;  ///< The last look left some behind for want of a connection.
  bool look_now = false;
  std::vector<std::thread> senders;
  std::thread looker;

  struct Bucket {
    double tokens = 0;
    Instant at{};
  };
  std::map<WebhookId, Bucket> buckets;  ///< Of the looking thread.

  struct Access {
    std::string token;
    UtcTime webhook_updated_at;
    Instant until{};
  };
  std::mutex access_mutex;
  std::map<WebhookId, Access> access;  ///< Granted by token endpoints.

  // --- looking -------------------------------------------------------------------------------------------------------------------

  [[nodiscard]] double burst() const noexcept { return std::max(1.0, static_cast<double>(options.rate_per_minute)); }

  Bucket& refilled(WebhookId id) {
    const Instant now = d.clock.now();
    const auto [found, fresh] = buckets.try_emplace(id, Bucket{burst(), now});
    Bucket& bucket = found->second;
    const double seconds = std::chrono::duration<double>(now - bucket.at).count();
    bucket.tokens = std::min(burst(), bucket.tokens + seconds * options.rate_per_minute / 60.0);
    bucket.at = now;
    return bucket;
  }

  void look() {
    for (std::size_t i = 0; i < fan_outs_a_look; ++i) {
      const auto made = d.store.fan_out_events(events_at_once);
      if (!made) return d.metrics.store_errors_total.add();
      d.metrics.webhook_dropped_total.add(made->dropped);
      if (made->events < events_at_once) break;
    }
    std::vector<WebhookId> full;
    for (auto& [id, bucket] : buckets) {
      if (refilled(id).tokens < 1) full.push_back(id);
    }
    bool left_some = false;
    {
      const std::lock_guard lock{mutex};
      for (const auto& [id, count] : under_way_of) {
        if (count < options.connections_per_webhook_max) continue;
        full.push_back(id);
        left_some = true;
      }
      // Whoever has not been heard of for a minute has a full bucket anyway.
      std::erase_if(buckets, [&](const auto& each) { return each.second.tokens >= burst() && !under_way_of.contains(each.first); });
    }
    auto due = d.store.due_deliveries(d.clock.utc_now(), due_per_webhook, full);
    if (!due) return d.metrics.store_errors_total.add();
    left_some = left_some || due->size() >= due_per_webhook;
    for (Delivery& delivery : *due) {
      Bucket& bucket = refilled(delivery.webhook_id);
      if (bucket.tokens < 1) continue;
      const std::lock_guard lock{mutex};
      if (stopping) return;
      if (under_way.contains(delivery.id)) continue;
      auto& count = under_way_of[delivery.webhook_id];
      if (count >= options.connections_per_webhook_max) {
        left_some = true;
        continue;
      }
      under_way.insert(delivery.id);
      ++count;
      bucket.tokens -= 1;
      queue.push_back(std::move(delivery));
      if (waiting_threads < queue.size() && senders.size() < options.connections_max)
        senders.emplace_back([this] { send_until_stopped(); });
      changed.notify_one();
    }
    const std::lock_guard lock{mutex};
    more_waits = left_some;
  }

  void look_until_stopped() {
    std::unique_lock lock{mutex};
    while (!stopping) {
      lock.unlock();
      look();
      lock.lock();
      idle.wait_for(lock, options.look_interval, [this] { return stopping || look_now; });
      look_now = false;
    }
  }

  // --- sending -------------------------------------------------------------------------------------------------------------------

  void send_until_stopped() {
    std::unique_lock lock{mutex};
    for (;;) {
      ++waiting_threads;
      changed.wait(lock, [this] { return stopping || !queue.empty(); });
      --waiting_threads;
      if (stopping) return;
      const Delivery delivery = std::move(queue.front());
      queue.pop_front();
      ++sending;
      lock.unlock();
      try {
        deliver(delivery);
      } catch (const std::exception& exception) {
        log::error("webhook_delivery_failed", {{"delivery", delivery.id.value()}, {"reason", exception.what()}});
      }
      lock.lock();
      --sending;
      under_way.erase(delivery.id);
      if (const auto found = under_way_of.find(delivery.webhook_id); --found->second == 0) under_way_of.erase(found);
      if (more_waits) look_now = true;
      if (look_now || (queue.empty() && sending == 0)) idle.notify_all();
    }
  }

  void deliver(const Delivery& seen) {
    // Anew: it may have been sent between the look and now.
    const auto present = d.store.find_delivery(seen.id);
    if (!present || !*present) return;  // Not to be known now, or deleted.
    const Delivery& delivery = **present;
    if (delivery.state != domain::DeliveryState::waiting || delivery.next_at > d.clock.utc_now()) return;
    const auto found = d.store.find_webhook(delivery.webhook_id);
    if (!found || !*found) return;
    const Webhook& hook = **found;
    DeliveryAttempt attempt;
    attempt.at = d.clock.utc_now();
    const Answer answer = try_once(hook, delivery, attempt);
    attempt.status = answer.status;
    attempt.succeeded = answer.problem.empty() && answer.status >= 200 && answer.status < 300;
    if (!attempt.succeeded) {
      attempt.problem = !answer.problem.empty() ? answer.problem
                        : answer.status >= 300 && answer.status < 400
                            ? "The target answered " + std::to_string(answer.status) + "; redirects are not followed."
                            : "The target answered " + std::to_string(answer.status) + ".";
      if (attempt.problem.size() > problem_max_bytes) attempt.problem.resize(problem_max_bytes);
      const std::int64_t age_ms = attempt.at.ms - delivery.created_at.ms;
      if (!domain::is_given_up(delivery.attempts + 1, age_ms))
        attempt.next_at = {attempt.at.ms + spread(domain::retry_delay_ms(delivery.attempts + 1, options.retry_first.count()))};
      if (attempt.next_at.ms == 0 && notices) attempt.notices = notices(hook, attempt.problem);
    }
    if (!answer.body.empty()) attempt.sealed_response = d.keys.seal(response_context, answer.body, d.random);
    d.metrics.webhook_attempts_total.add();
    (attempt.succeeded ? d.metrics.webhook_delivered_total : d.metrics.webhook_attempts_failed_total).add();
    const auto end = d.store.note_attempt(delivery.id, attempt);
    if (!end) {
      // It is sent again, with the same id.
      if (end.error().category() == domain::store_category()) d.metrics.store_errors_total.add();
      return;
    }
    if (*end == DeliveryEnd::given_up || *end == DeliveryEnd::disabled) d.metrics.webhook_given_up_total.add();
    if (*end != DeliveryEnd::disabled) return;
    log::warning("webhook_disabled",
                 {{"webhook", hook.id.value()}, {"organization", hook.organization_id.value()}, {"problem", attempt.problem}});
  }

  /// A tenth more or less, so that what failed together does not come back together.
  std::int64_t spread(std::int64_t delay_ms) {
    const auto tenth = std::max<std::int64_t>(delay_ms / 10, 1);
    return delay_ms - tenth + static_cast<std::int64_t>(d.random.below(static_cast<std::uint64_t>(2 * tenth)));
  }

  Answer try_once(const Webhook& hook, const Delivery& delivery, DeliveryAttempt& attempt) {
    const auto trouble = [](std::string problem) { return Answer{0, {}, std::move(problem)}; };
    attempt.sealed_request = delivery.sealed_request;
    const auto secret = d.keys.open_sealed(secret_context, hook.sealed_secret);
    if (!secret) return trouble("The webhook's secret cannot be opened.");
    Composed composed;
    if (delivery.sealed_request.empty()) {
      composed = compose(hook, delivery);
      attempt.sealed_request = d.keys.seal(request_context, composed.url + '\n' + composed.body, d.random);
    } else {
      const auto before = d.keys.open_sealed(request_context, delivery.sealed_request);
      if (!before) return trouble("The request's sealed copy cannot be opened.");
      const auto end = std::min(before->find('\n'), before->size());
      composed = {before->substr(0, end), before->substr(std::min(end + 1, before->size()))};
    }
    Outgoing request;
    request.method = hook.method;
    request.url = std::move(composed.url);
    request.body = std::move(composed.body);
    if (!hook.sealed_headers.empty()) {
      const auto headers = d.keys.open_sealed(headers_context, hook.sealed_headers);
      if (!headers) return trouble("The webhook's headers cannot be opened.");
      request.headers = domain::split_lines(*headers);
    }
    if (hook.method != domain::WebhookMethod::get) request.headers.push_back("Content-Type: " + hook.content_type);
    if (auto problem = authorize(hook, request); !problem.empty()) return trouble(std::move(problem));
    const std::string timestamp = std::to_string(attempt.at.ms / 1000);
    request.headers.push_back("webhook-id: " + delivery.message_id);
    request.headers.push_back("webhook-timestamp: " + timestamp);
    request.headers.push_back("webhook-signature: " + sign(*secret, delivery.message_id, timestamp, request.body));
    Answer answer = sender.send(request);
    if (answer.status == 401) forget_access(hook.id);
    return answer;
  }

  Composed compose(const Webhook& hook, const Delivery& delivery) {
    Facts facts = parse_facts(delivery.facts);
    facts["message_id"] = delivery.message_id;
    facts["timestamp_iso8601"] = iso8601(event_time(facts, delivery));
    if (!facts.contains("org_name")) {
      if (const auto organization = d.directory.organization(delivery.organization_id)) facts["org_name"] = organization->name;
    }
    std::optional<std::optional<std::string>> auth_token;  // Asked for once, for its revealing is audited.
    const auto value = [&](std::string_view name) -> std::optional<std::string> {
      if (name == domain::auth_token_placeholder) {
        if (!auth_token) auth_token = reveal(hook, delivery);
        return *auth_token;
      }
      const auto found = facts.find(name);
      return found == facts.end() ? std::nullopt : std::optional{found->second};
    };
    Composed composed;
    composed.url = domain::render(hook.url, domain::Escape::percent, value);
    if (hook.method == domain::WebhookMethod::get) return composed;
    composed.body = hook.body.empty() ? whole_event(delivery.message_id, domain::trigger_name(delivery.event), event_time(facts, delivery),
                                                    delivery.facts)
                                      : domain::render(hook.body, domain::escape_for(hook.content_type), value);
    return composed;
  }

  static UtcTime event_time(const Facts& facts, const Delivery& delivery) {
    const auto found = facts.find("timestamp_ms");
    if (found == facts.end()) return delivery.created_at;
    return {std::strtoll(found->second.c_str(), nullptr, 10)};
  }

  /// The device's AuthToken, if the one who made the webhook may see it now. That of a static token is its maker's alone.
  std::optional<std::string> reveal(const Webhook& hook, const Delivery& delivery) {
    if (!delivery.device_id) return std::nullopt;
    const auto caller = d.directory.caller(hook.created_by);
    if (!caller) return std::nullopt;
    const auto seen = d.directory.device_access(*caller, delivery.device_id);
    if (!seen.see || !seen.permissions.has(domain::Permission::auth_token_view)) return std::nullopt;
    const auto tokens = d.store.tokens_of_device(delivery.device_id);
    if (!tokens || tokens->empty()) return std::nullopt;
    if (std::any_of(tokens->begin(), tokens->end(), [](const auto& token) { return token.kind == domain::TokenKind::static_; }))
      return std::nullopt;
    domain::Actor actor;
    actor.user_id = hook.created_by;
    actor.organization_id = seen.place.organization_id;
    actor.client = "Webhook";
    actor.at = d.clock.utc_now();
    const auto sealed = d.store.reveal_token(delivery.device_id, actor);
    if (!sealed) return std::nullopt;
    const auto token = d.keys.open_sealed(auth_token_domain, *sealed);
    return token ? std::optional{*token} : std::nullopt;
  }

  /// Puts the webhook's credentials into the request; why not, if it cannot.
  std::string authorize(const Webhook& hook, Outgoing& request) {
    if (hook.auth == domain::WebhookAuth::none) return {};
    const auto opened = d.keys.open_sealed(auth_context, hook.sealed_auth);
    if (!opened) return "The webhook's credentials cannot be opened.";
    auto lines = domain::split_lines(*opened);
    lines.resize(4);
    if (hook.auth == domain::WebhookAuth::basic) {
      request.user = lines[0];
      request.password = lines[1];
      return {};
    }
    const Instant now = d.clock.now();
    {
      const std::lock_guard lock{access_mutex};
      const auto found = access.find(hook.id);
      if (found != access.end() && found->second.webhook_updated_at == hook.updated_at && now < found->second.until) {
        request.headers.push_back("Authorization: Bearer " + found->second.token);
        return {};
      }
    }
    Outgoing ask;
    ask.url = lines[0];
    ask.user = lines[1];
    ask.password = lines[2];
    ask.headers = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"};
    ask.body = "grant_type=client_credentials";
    if (!lines[3].empty()) ask.body += "&scope=" + domain::percent_encoded(lines[3]);
    const Answer answer = sender.send(ask);
    if (!answer.problem.empty()) return "The token endpoint did not answer: " + answer.problem;
    if (answer.status != 200) return "The token endpoint answered " + std::to_string(answer.status) + ".";
    const auto granted = parse_granted_token(answer.body);
    if (!granted) return "The token endpoint's answer holds no access token.";
    request.headers.push_back("Authorization: Bearer " + granted->token);
    const auto life = std::chrono::seconds{std::clamp<std::int64_t>(granted->expires_in_s - 30, 0, 86'400)};
    const std::lock_guard lock{access_mutex};
    access[hook.id] = {granted->token, hook.updated_at, now + life};
    return {};
  }

  void forget_access(WebhookId id) {
    const std::lock_guard lock{access_mutex};
    access.erase(id);
  }
};

Deliverer::Deliverer(Dependencies dependencies, Options options, HttpSender sender, Notices notices)
    : impl_{std::make_unique<Impl>(dependencies, std::move(options), std::move(sender), std::move(notices))} {}
Deliverer::~Deliverer() { stop(); }

void Deliverer::start() {
  impl_->looker = std::thread{[this] { impl_->look_until_stopped(); }};
}

void Deliverer::stop() {
  std::vector<std::thread> senders;
  {
    const std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
    impl_->queue.clear();
    senders.swap(impl_->senders);
  }
  impl_->changed.notify_all();
  impl_->idle.notify_all();
  if (impl_->looker.joinable()) impl_->looker.join();
  for (auto& thread : senders) thread.join();
}

void Deliverer::look() { impl_->look(); }

void Deliverer::wait_idle() {
  std::unique_lock lock{impl_->mutex};
  impl_->idle.wait(lock, [this] { return impl_->queue.empty() && impl_->sending == 0; });
}

std::size_t Deliverer::trim() {
  if (impl_->options.log_days == 0) return 0;
  const UtcTime before{impl_->d.clock.utc_now().ms - std::int64_t{impl_->options.log_days} * 24 * 3'600'000};
  std::size_t all = 0;
  for (std::size_t gone = trimmed_at_once; gone == trimmed_at_once; all += gone) {
    const auto trimmed = impl_->d.store.trim_deliveries(before, trimmed_at_once);
    if (!trimmed) break;
    gone = *trimmed;
  }
  return all;
}

}  // namespace muster::webhook
