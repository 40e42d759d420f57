// SPDX-License-Identifier: Apache-2.0
// From the login frame to a session that is bound to its device. docs/protocol/device-protocol.md section 4,
// docs/protocol/cloud-model.md section 3.
//
// The index in memory alone says "yes"; the store alone says "never issued" or "revoked"; whoever does not know says
// nothing, and the login waits. "Invalid token" takes a device off the field, so every other way ends in a close.
#include <algorithm>
#include <array>
#include <charconv>

#include "cloud/base/log.hpp"
#include "cloud/domain/home_rule.hpp"
#include "cloud/domain/token_life_cycle.hpp"
#include "cloud/protocol/binary/gateway_impl.hpp"

namespace muster::protocol {
namespace {

/// The registry is being built: it may be there any moment.
constexpr std::chrono::milliseconds retry_when_starting{250};
/// Everything else that may pass.
constexpr std::chrono::seconds retry_when_troubled{1};
constexpr std::size_t conflicts_remembered_max = 4'096;

}  // namespace

CloseReason DeviceGateway::Impl::login(Call& call, const wire::Frame& frame) {
  if (frame.command != wire::Command::hw_login && frame.command != wire::Command::login) {
    // A stray RESPONSE gets no answer: answering it could go round in circles.
    if (frame.command != wire::Command::response) respond(call, frame.id, wire::Status::not_authenticated);
    return CloseReason::not_logged_in;
  }
  call.session.login_id_ = frame.id;
  call.session.logged_in_with_legacy_command_ = frame.command == wire::Command::login;
  call.session.phase_since_ = call.now;
  const auto token = AuthToken::parse(wire::Fields{frame.body}.next());
  if (token) return resolve(call, *token);
  d.metrics.logins_malformed_total.add();
  if (!budget.take(call.peer.address, call.limits.login_misses_per_address_per_s, call.now))
    return hold(call, nullptr, retry_when_troubled);
  return refuse_invalid(call);
}

CloseReason DeviceGateway::Impl::resolve_from_index(Call& call, const AuthToken& token, bool& missed) {
  missed = false;
  if (!d.views.ready()) return hold(call, &token, retry_when_starting);
  const TokenDigests digests = d.keys.digest("auth-token", token.reveal());
  if (const auto entry = d.views.credentials.find(digests)) return admit(call, token, digests, *entry);
  missed = true;
  return CloseReason::none;
}

CloseReason DeviceGateway::Impl::resolve(Call& call, const AuthToken& token) {
  bool missed = false;
  const CloseReason reason = resolve_from_index(call, token, missed);
  return missed ? ask_store(call, token) : reason;
}

CloseReason DeviceGateway::Impl::ask_store(Call& call, const AuthToken& token) {
  if (!budget.take(call.peer.address, call.limits.login_misses_per_address_per_s, call.now)) return hold(call, &token, retry_when_troubled);
  if (look_ups_waiting_.fetch_add(1, std::memory_order_relaxed) >= call.limits.login_misses_queued_max) {
    look_ups_waiting_.fetch_sub(1, std::memory_order_relaxed);
    d.metrics.queue_full_total.add();
    return hold(call, &token, retry_when_troubled);
  }
  if (const CloseReason reason = hold(call, &token, retry_when_troubled, true); reason != CloseReason::none) {
    look_ups_waiting_.fetch_sub(1, std::memory_order_relaxed);
    return reason;
  }
  if (post(Lane::login, [this, self = call.self, token] { look_up(self, token); })) return CloseReason::none;
  look_ups_waiting_.fetch_sub(1, std::memory_order_relaxed);
  return hold(call, &token, retry_when_troubled);
}

void DeviceGateway::Impl::look_up(const domain::SessionAddress& self, const AuthToken& token) {
  TokenResolved answer;
  const TokenDigests digests = d.keys.digest("auth-token", token.reveal());
  if (const auto found = d.store.find_token(digests.all()); !found) {
    d.metrics.store_errors_total.add();
  } else if (!*found) {
    if (d.views.hold_unknown_tokens()) {
      d.metrics.unknown_token_holds_total.add();
    } else {
      answer.outcome = TokenResolved::Outcome::invalid;
    }
  } else if (!domain::may_log_in((*found)->record.kind)) {
    answer.outcome = (*found)->record.is_quiet ? TokenResolved::Outcome::silent : TokenResolved::Outcome::invalid;
  } else if (d.views.catch_up()) {
    // The index decides about "yes", so that a revocation can never be overtaken by an answer that is on its way.
    answer = {TokenResolved::Outcome::live, (*found)->record.device_id, (*found)->record.kind};
  }
  look_ups_waiting_.fetch_sub(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock{held_mutex_};
    if (const auto held = held_.find(self); held != held_.end()) held->second.in_flight = false;
  }
  // When the loop's queue is full the session's own timer asks again.
  d.router.post(self, answer);
}

CloseReason DeviceGateway::Impl::on_resolved(Call& call, const TokenResolved& event) {
  std::optional<AuthToken> token;
  bool in_flight = false;
  {
    const std::lock_guard lock{held_mutex_};
    if (const auto held = held_.find(call.self); held != held_.end()) {
      token = held->second.token;
      in_flight = held->second.in_flight;
    }
  }
  if (!token) return CloseReason::none;
  if (event.outcome == TokenResolved::Outcome::look_again) return in_flight ? CloseReason::none : resolve(call, *token);
  if (event.outcome == TokenResolved::Outcome::hold) return hold(call, &*token, retry_when_troubled);
  bool missed = false;
  const CloseReason reason = resolve_from_index(call, *token, missed);
  if (!missed) return reason;
  if (event.outcome == TokenResolved::Outcome::silent) {
    d.metrics.logins_held_total.add();
    return CloseReason::held;
  }
  return event.outcome == TokenResolved::Outcome::invalid ? refuse_invalid(call) : hold(call, &*token, retry_when_starting);
}

CloseReason DeviceGateway::Impl::retry_login(Call& call) {
  if (call.now >= call.session.phase_since_ + call.limits.login_hold) {
    d.metrics.logins_held_total.add();
    return CloseReason::held;
  }
  std::optional<AuthToken> token;
  bool in_flight = false;
  {
    const std::lock_guard lock{held_mutex_};
    if (const auto held = held_.find(call.self); held != held_.end()) {
      token = held->second.token;
      in_flight = held->second.in_flight;
    }
  }
  if (!token) {
    call.session.mark_ = Instant::max();
  } else if (!d.views.ready()) {
    call.session.mark_ = call.now + retry_when_starting;
  } else {
    // As an event, because only those end a pause. When the loop's queue is full the next turn comes by itself.
    call.session.mark_ = call.now + retry_when_troubled;
    if (!in_flight) d.router.post(call.self, TokenResolved{.outcome = TokenResolved::Outcome::look_again});
  }
  return CloseReason::none;
}

CloseReason DeviceGateway::Impl::hold(Call& call, const AuthToken* token, Duration retry_in, bool in_flight) {
  call.session.state_ = DeviceSession::State::resolving;
  call.session.mark_ = token == nullptr ? Instant::max() : call.now + retry_in;
  const std::lock_guard lock{held_mutex_};
  auto held = held_.find(call.self);
  if (held == held_.end()) {
    if (held_.size() >= call.limits.logins_held_max) {
      d.metrics.logins_held_total.add();
      return CloseReason::held;
    }
    held = held_.try_emplace(call.self).first;
  }
  if (token == nullptr) {
    held->second.token.reset();
  } else {
    held->second.token = *token;
  }
  held->second.in_flight = in_flight;
  return CloseReason::none;
}

void DeviceGateway::Impl::forget_held(const domain::SessionAddress& self) {
  const std::lock_guard lock{held_mutex_};
  held_.erase(self);
}

bool DeviceGateway::Impl::may_say_invalid(const IpAddress& address, Instant now, const GatewayLimits& limits) {
  const InvalidGuard::Verdict verdict = guard.ask(address, now);
  if (verdict.opened) {
    log::error("invalid_breaker_opened", {{"meaning",
                                           "more devices that had logged in before than allowed were about to hear 'invalid token'; nobody "
                                           "hears it now: check that this is the right database"},
                                          {"addresses_per_minute", static_cast<std::int64_t>(limits.breaker_addresses_per_minute)}});
  }
  (verdict.may_answer ? d.metrics.logins_invalid_total : d.metrics.invalid_suppressed_by_breaker_total).add();
  return verdict.may_answer;
}

CloseReason DeviceGateway::Impl::refuse_invalid(Call& call) {
  if (!may_say_invalid(call.peer.address, call.now, call.limits)) return hold(call, nullptr, retry_when_troubled);
  respond(call, call.session.login_id_, wire::Status::invalid_token);
  return CloseReason::invalid_token;
}

bool DeviceGateway::Impl::lives_elsewhere(const Call& call, const domain::Home& home) const {
  // Which address the device dialed is asked only of who is about to be sent away.
  const auto elsewhere = [&](const std::optional<IpAddress>& local) {
    return domain::is_elsewhere(home, call.limits.own_hosts, call.limits.redirect_back_hosts, local);
  };
  return elsewhere(std::nullopt) && elsewhere(d.router.local_address(call.self));
}

std::optional<CloseReason> DeviceGateway::Impl::redirect(Call& call, DeviceId device, bool is_plain) {
  const auto home = d.views.directory.home_of(device);
  if (!home || !lives_elsewhere(call, *home)) return std::nullopt;
  if (!redirects.ask(device, home->host, call.now)) {
    log::warning("redirect_comes_back", {{"device", device.value()}, {"host", home->host}});
    return hold(call, nullptr, retry_when_troubled);
  }
  std::array<char, 8> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), is_plain ? home->port_plain : home->port_tls).ptr;
  std::string port{text.data(), static_cast<std::size_t>(end - text.data())};
  // One old library takes a length that is also a status for that status. A leading zero changes the length alone.
  if (const std::size_t body = home->host.size() + 1 + port.size();
      call.session.logged_in_with_legacy_command_ && (body == 9 || body == 200))
    port.insert(0, 1, '0');
  send(call, wire::Command::redirect, call.session.login_id_, home->host, port);
  d.metrics.logins_redirected_total.add();
  return CloseReason::redirected;
}

bool DeviceGateway::Impl::become_active(Call& call, const TokenDigests& digests, AuthTokenId token, DeviceId device) {
  DeviceSession& session = call.session;
  const std::uint64_t generation = d.views.directory.template_generation();
  const auto place = d.views.directory.device(device);
  auto its_template = place ? d.views.directory.find_template(place->template_id) : nullptr;

  const bool was_away = d.sessions.contact(device, call.now) == domain::Contact::none;
  const auto replaced = d.sessions.bind(device, call.self, call.now);
  // Whoever revokes erases from the index first and looks for a session then; we bind first and look into the index then: one
  // of the two sees the other.
  const auto still = d.views.credentials.find(digests);
  if (replaced && replaced->address != call.self) {
    d.router.post(replaced->address, CloseSession{CloseReason::replaced, {}});
    d.metrics.sessions_replaced_total.add();
  }
  if (!still || still->device_id != device) {
    d.sessions.leave(device, call.self, call.now + call.limits.offline_wait, call.now);
    return false;
  }
  session.device_id_ = device;
  session.token_tag_ = static_cast<std::uint32_t>(token.value());
  session.template_ = std::move(its_template);
  session.template_generation_ = generation;
  session.state_ = DeviceSession::State::active;
  session.mark_ = {};
  session.phase_since_ = {};
  session.awaits_value_ = d.views.provisioning.awaits_first_value(device).has_value();
  session.flood_tokens_ = static_cast<float>(call.limits.flood_burst);
  session.last_received_ = call.now;
  if (!session.counted_) d.metrics.sessions_open.add();
  session.counted_ = true;
  d.presence.connected(device, utc(call), call.peer.address.text(), !is_encrypted(call.peer.transport));
  if (was_away) d.timeline.online(device, utc(call));
  guard.remember(call.peer.address);
  if (d.live.watched()) d.live.device_status_changed(device);
  if (replaced && replaced->swaps_in_last_minute > call.limits.conflict_swaps_per_minute)
    tell_conflict(device, call.peer.address, call.now, utc(call));
  return true;
}

CloseReason DeviceGateway::Impl::admit(Call& call, const AuthToken& token, const TokenDigests& digests,
                                       const domain::CredentialIndex::Entry& entry) {
  if (entry.kind == domain::TokenKind::provision || entry.kind == domain::TokenKind::reprovision)
    return await_info(call, token, digests, entry);
  const auto place = d.views.directory.device(entry.device_id);
  if (!place) return hold(call, &token, retry_when_starting);  // The views are a moment apart.
  const bool plain = !is_encrypted(call.peer.transport);
  if (plain && !call.limits.allow_plain_from_public && !call.peer.address.is_private()) {
    const auto its_template = d.views.directory.find_template(place->template_id);
    if (!its_template || !its_template->allow_public_plain_text) {
      d.metrics.plain_refused_total.add();
      return CloseReason::plain_refused;
    }
  }
  if (const auto sent_away = redirect(call, entry.device_id, plain)) return *sent_away;
  const bool was_held = call.session.state_ == DeviceSession::State::resolving;
  if (!become_active(call, digests, entry.token_id, entry.device_id)) return hold(call, &token, retry_when_starting);
  if (was_held) forget_held(call.self);
  respond(call, call.session.login_id_, wire::Status::success);
  d.metrics.logins_ok_total.add();
  notice_token(call, entry);
  return CloseReason::none;
}

void DeviceGateway::Impl::tell_conflict(DeviceId device, const IpAddress& address, Instant now, UtcTime at) {
  d.metrics.token_conflicts_total.add();
  {
    // Two devices that fight for a token would otherwise fill the audit log: once a minute says it.
    const std::lock_guard lock{conflict_mutex_};
    if (conflict_told_.size() >= conflicts_remembered_max) conflict_told_.clear();
    const auto [told, is_new] = conflict_told_.try_emplace(device, now);
    if (!is_new && now - told->second < std::chrono::minutes{1}) return;
    told->second = now;
  }
  domain::TimelineNote note;
  note.device_id = device;
  note.at = at;
  note.code = domain::timeline_code::token_conflict;
  note.description = "Two devices log in with one AuthToken; the newest came from " + address.text() + ".";
  d.timeline.put(std::move(note));
  log::warning("token_conflict", {{"device", device.value()}, {"ip", address.text()}});
  const auto place = d.views.directory.device(device);
  domain::AuditEntry entry;
  entry.at = at;
  entry.client = "System";
  entry.ip = address.text();
  if (place) entry.organization_id = place->organization_id;
  entry.action = "device.token_conflict";
  entry.object_kind = "device";
  entry.object_id = device.value();
  entry.detail = "{}";
  post(Lane::login, [this, entry = std::move(entry)] {
    if (!d.store.append_audit(entry)) d.metrics.store_errors_total.add();
  });
}

}  // namespace muster::protocol
