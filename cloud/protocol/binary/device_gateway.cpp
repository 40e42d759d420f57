// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/device_gateway.hpp"

#include <algorithm>
#include <cstring>

#include "cloud/base/log.hpp"
#include "cloud/domain/home_rule.hpp"
#include "cloud/protocol/binary/gateway_impl.hpp"

namespace muster::protocol {
namespace {

/// A frame before login is a login: a token and little else.
constexpr std::size_t login_body_size_max_bytes = 256;
/// How often values move the device's last report: each time costs a row to write.
constexpr std::chrono::minutes report_interval{1};
constexpr std::int64_t recalled_ms = 24LL * 3'600'000;  ///< Of an earlier process: how far back a line may be missing.
constexpr std::size_t recalled_max = 1'000'000;

}  // namespace

DeviceGateway::Impl::Impl(Dependencies dependencies, GatewayLimits limits)
    : d{dependencies}, guard{limits.breaker_addresses_per_minute, limits.known_addresses_max}, limits_{nullptr} {
  set_limits(std::move(limits));
}

void DeviceGateway::Impl::set_limits(GatewayLimits limits) {
  const std::lock_guard lock{limits_mutex_};
  guard.set_limits(limits.breaker_addresses_per_minute, limits.known_addresses_max);
  limits_owned_.push_back(std::make_unique<const GatewayLimits>(std::move(limits)));
  limits_.store(limits_owned_.back().get(), std::memory_order_release);
}

Step DeviceGateway::Impl::close(Call& call, CloseReason reason, std::size_t consumed_bytes) {
  call.session.state_ = DeviceSession::State::closed;
  return {.consumed_bytes = consumed_bytes, .close = reason};
}

Step DeviceGateway::Impl::next(const Call& call, std::size_t consumed_bytes) {
  const DeviceSession& session = call.session;
  Step step{.consumed_bytes = consumed_bytes};
  switch (session.state_) {
    case DeviceSession::State::await_login: step.deadline = session.phase_since_ + call.limits.login_deadline; break;
    case DeviceSession::State::resolving:
      step.paused = true;
      step.deadline = std::min(session.mark_, session.phase_since_ + call.limits.login_hold);
      break;
    case DeviceSession::State::await_info: step.deadline = session.phase_since_ + call.limits.info_wait; break;
    case DeviceSession::State::deciding:
      step.paused = true;
      step.deadline = session.phase_since_ + call.limits.info_wait;
      break;
    case DeviceSession::State::active: step.deadline = session.last_received_ + heartbeat_timeout(session, call.limits); break;
    case DeviceSession::State::closed: break;
  }
  return step;
}

UtcTime DeviceGateway::Impl::utc(Call& call) const {
  if (call.utc_ms == 0) call.utc_ms = d.clock.utc_now().ms;
  return {call.utc_ms};
}

void DeviceGateway::Impl::respond(Call& call, std::uint16_t id, wire::Status status) {
  const wire::ResponseFrame frame = wire::make_response(id, status);
  call.out.append({frame.bytes, sizeof frame.bytes});
}

bool DeviceGateway::Impl::send(Call& call, wire::Command command, std::uint16_t id, std::string_view word, std::string_view rest) {
  const std::size_t body = word.size() + 1 + rest.size();
  // One less than the device said: one library refuses a body as large as its buffer.
  if (body + 1 > call.session.buffer_in_bytes_) {
    d.metrics.values_dropped_total.add();
    return false;
  }
  std::vector<std::uint8_t>& bytes = call.out.bytes();
  const std::size_t before = bytes.size();
  bytes.resize(before + wire::frame_header_size_bytes + body);
  wire::FrameWriter writer{{bytes.data() + before, bytes.size() - before}, command, id};
  writer.field(word).field(rest);
  bytes.resize(before + writer.finish());
  return bytes.size() != before;
}

std::uint16_t DeviceGateway::Impl::take_id(DeviceSession& session) noexcept {
  const std::uint16_t id = session.next_id_;
  session.next_id_ = id == 65'535 ? std::uint16_t{1} : static_cast<std::uint16_t>(id + 1);
  return id;
}

bool DeviceGateway::Impl::post(Lane lane, std::function<void()> job) {
  if (d.executor.post(lane, std::move(job))) return true;
  d.metrics.queue_full_total.add();
  return false;
}

DeviceGateway::DeviceGateway(Dependencies dependencies, GatewayLimits limits)
    : impl_{std::make_unique<Impl>(dependencies, std::move(limits))} {}
DeviceGateway::~DeviceGateway() = default;

void DeviceGateway::set_limits(GatewayLimits limits) { impl_->set_limits(std::move(limits)); }
bool DeviceGateway::may_say_invalid(const IpAddress& address, Instant now) { return impl_->may_say_invalid(address, now, impl_->limits()); }

bool DeviceGateway::is_elsewhere(const domain::Home& home, const std::optional<IpAddress>& local) const {
  const GatewayLimits& limits = impl_->limits();
  return domain::is_elsewhere(home, limits.own_hosts, limits.redirect_back_hosts, local);
}

void DeviceGateway::remember_address(const IpAddress& address) { impl_->guard.remember(address); }

Step DeviceGateway::on_open(DeviceSession& session, const Peer& peer, Instant now) {
  const GatewayLimits& limits = impl_->limits();
  session = DeviceSession{};
  session.phase_since_ = now;
  session.last_received_ = now;
  session.transport_ = peer.transport;
  session.buffer_in_bytes_ = limits.buffer_in_default_bytes;
  return {.deadline = now + limits.login_deadline};
}

Step DeviceGateway::on_bytes(DeviceSession& session, const domain::SessionAddress& self, const Peer& peer, wire::ByteView input,
                             Output& out, Instant now) {
  Impl& impl = *impl_;
  Impl::Call call{session, self, peer, out, now, impl.limits()};
  if (session.state_ == DeviceSession::State::closed) return Impl::close(call, CloseReason::server_error, input.size);
  using State = DeviceSession::State;
  if (session.state_ == State::resolving || session.state_ == State::deciding) return Impl::next(call);
  if (session.state_ == State::active || session.state_ == State::await_info) Impl::refill(session, call.limits, now);
  if (!input.empty()) session.last_received_ = now;

  wire::ByteView rest = input;
  CloseReason ended = CloseReason::none;
  while (ended == CloseReason::none && session.state_ != State::resolving && session.state_ != State::deciding) {
    const bool active = session.state_ != State::await_login;
    if (session.logged_in_with_legacy_command_) rest = rest.drop(session.legacy_ping_reply_.skip(rest));
    const wire::Decoded decoded = wire::decode_frame(rest, active ? call.limits.body_size_max_bytes : login_body_size_max_bytes);
    if (decoded.status == wire::DecodeStatus::need_more) break;
    if (decoded.status != wire::DecodeStatus::ok) {
      impl.d.metrics.frames_malformed_total.add();
      ended = CloseReason::malformed;
      break;
    }
    ++call.frames;
    rest = rest.drop(decoded.consumed_bytes);
    if (!active) {
      ended = impl.login(call, decoded.frame);
      continue;
    }
    if (session.logged_in_with_legacy_command_) session.legacy_ping_reply_.on_frame(decoded.frame);
    if (!impl.within_rate(call, decoded.frame, ended)) continue;
    ended = session.state_ == State::active ? impl.handle(call, decoded.frame) : impl.before_info(call, decoded.frame);
  }
  // One addition a call, not one a frame: all loops share these counters.
  if (call.frames != 0) impl.d.metrics.frames_in_total.add(call.frames);
  if (call.values != 0) {
    impl.d.metrics.values_written_total.add(call.values);
    if (session.awaits_value_) impl.first_value(session, impl.utc(call));
    if (now >= session.phase_since_) {
      session.phase_since_ = now + report_interval;
      impl.d.presence.reported(session.device_id_, impl.utc(call));
    }
  }
  const std::size_t consumed = input.size - rest.size;
  return ended == CloseReason::none ? Impl::next(call, consumed) : Impl::close(call, ended, consumed);
}

Step DeviceGateway::on_event(DeviceSession& session, const domain::SessionAddress& self, const Peer& peer, SessionEvent&& event,
                             Output& out, Instant now) {
  Impl& impl = *impl_;
  Impl::Call call{session, self, peer, out, now, impl.limits()};
  const bool active = session.state_ == DeviceSession::State::active;
  CloseReason ended = CloseReason::none;
  if (session.state_ == DeviceSession::State::closed) return Impl::close(call, CloseReason::server_error);
  if (const auto* resolved = std::get_if<TokenResolved>(&event)) {
    if (session.state_ == DeviceSession::State::resolving) ended = impl.on_resolved(call, *resolved);
  } else if (const auto* decided = std::get_if<InfoDecided>(&event)) {
    if (session.state_ == DeviceSession::State::deciding) ended = impl.on_decided(call, *decided);
  } else if (const auto* value = std::get_if<PushValue>(&event)) {
    if (active) impl.push(call, *value);
  } else if (const auto* words = std::get_if<PushInternal>(&event)) {
    const std::size_t end = std::min(words->words.find('\0'), words->words.size());
    const std::string_view all{words->words};
    // A word without a field behind it would read as a length of -1 on stock firmware: send() always puts the separator.
    if (active)
      impl.send(call, wire::Command::internal, Impl::take_id(session), all.substr(0, end), all.substr(std::min(end + 1, all.size())));
  } else if (const auto* loaded = std::get_if<ValuesLoaded>(&event)) {
    if (active) impl.answer_sync(call, loaded->request_id, loaded->pins, loaded->all, false);
  } else if (const auto* field = std::get_if<MetadataLoaded>(&event)) {
    if (active) impl.send(call, wire::Command::internal, field->request_id, "meta", field->name + '\0' + field->value);
  } else if (const auto* answer = std::get_if<InternalAnswer>(&event)) {
    const std::string_view all{answer->words};
    const std::size_t end = std::min(all.find('\0'), all.size());
    if (active) impl.send(call, wire::Command::internal, answer->request_id, all.substr(0, end), all.substr(std::min(end + 1, all.size())));
  } else if (const auto* closing = std::get_if<CloseSession>(&event)) {
    const bool meant = !closing->token || static_cast<std::uint32_t>(closing->token.value()) == session.token_tag_;
    if (!meant) return Impl::next(call);
    ended = closing->reason == CloseReason::none ? CloseReason::server_error : closing->reason;
    session.shut_down_ = ended == CloseReason::shutdown;
  }
  return ended == CloseReason::none ? Impl::next(call) : Impl::close(call, ended);
}

Step DeviceGateway::on_deadline(DeviceSession& session, const domain::SessionAddress& self, const Peer& peer, Output& out, Instant now) {
  Impl& impl = *impl_;
  Impl::Call call{session, self, peer, out, now, impl.limits()};
  if (session.state_ == DeviceSession::State::closed) return Impl::close(call, CloseReason::server_error);
  Step step = Impl::next(call);
  if (now < step.deadline) return step;
  CloseReason ended = CloseReason::none;
  switch (session.state_) {
    case DeviceSession::State::await_login:
      impl.d.metrics.login_timeouts_total.add();
      ended = CloseReason::login_timeout;
      break;
    case DeviceSession::State::resolving: ended = impl.retry_login(call); break;
    case DeviceSession::State::await_info: ended = impl.info_did_not_come(call); break;
    case DeviceSession::State::deciding: ended = CloseReason::held; break;
    case DeviceSession::State::active:
      impl.d.metrics.heartbeat_lost_total.add();
      session.silent_ = true;
      ended = CloseReason::heartbeat_lost;
      break;
    case DeviceSession::State::closed: break;
  }
  return ended == CloseReason::none ? Impl::next(call) : Impl::close(call, ended);
}

void DeviceGateway::on_closed(DeviceSession& session, const domain::SessionAddress& self, Instant now) {
  Impl& impl = *impl_;
  if (session.device_id_) {
    const Duration waited = session.silent_ ? now - session.last_received_ : Duration{};
    // Only the device's present session tells that it ended; one that was replaced leaves quietly.
    if (impl.d.sessions.leave(session.device_id_, self, now + impl.limits().offline_wait - waited, now) && !session.shut_down_) {
      impl.d.presence.disconnected(session.device_id_, impl.d.clock.utc_now());
      if (impl.d.sessions.contact(session.device_id_, now) == domain::Contact::none)  // It has been waited for long enough already.
        impl.d.timeline.offline(session.device_id_, impl.d.clock.utc_now(), impl.offline_ignore(session.device_id_));
      if (impl.d.live.watched()) impl.d.live.device_status_changed(session.device_id_);
    }
  } else {
    impl.forget_held(self);
    if (session.counted_) impl.forget_provisional(self);
  }
  if (session.counted_) impl.d.metrics.sessions_open.subtract();
  session = DeviceSession{};
  session.state_ = DeviceSession::State::closed;
}

std::chrono::seconds DeviceGateway::Impl::offline_ignore(DeviceId device) const {
  const auto place = d.views.directory.device(device);
  const auto published = place ? d.views.directory.find_template(place->template_id) : nullptr;
  return std::chrono::seconds{published ? published->offline_ignore_period_s : 0};
}

void DeviceGateway::Impl::recall(DeviceId device, UtcTime offline_at) {
  const std::lock_guard lock{recalled_mutex_};
  if (recalled_.size() < recalled_max) recalled_.emplace_back(device, offline_at);
}

void DeviceGateway::Impl::tell_recalled() {
  if (!d.views.ready()) return;
  std::vector<std::pair<DeviceId, UtcTime>> recalled;
  {
    const std::lock_guard lock{recalled_mutex_};
    recalled.swap(recalled_);
  }
  const Instant now = d.clock.now();
  for (const auto& [device, at] : recalled) {
    if (d.sessions.contact(device, now) == domain::Contact::none) d.timeline.offline(device, at, offline_ignore(device));
  }
}

Result<void> DeviceGateway::expect_devices() {
  Impl& impl = *impl_;
  const Duration wait = impl.limits().offline_wait;
  const Instant now = impl.d.clock.now();
  const UtcTime utc = impl.d.clock.utc_now();
  const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  // Those whose wait is over by longer may have been about to be told offline: the store leaves out what it was told.
  return impl.d.store.for_each_recent_session({utc.ms - wait_ms - recalled_ms}, [&](DeviceId device, UtcTime ended_at) {
    if (ended_at.ms != 0 && ended_at.ms + wait_ms <= utc.ms) return impl.recall(device, {ended_at.ms + wait_ms});
    // The wall clock may have been set meanwhile: never longer than the wait itself.
    const auto left = ended_at.ms == 0 ? wait : std::min<Duration>(wait, std::chrono::milliseconds{ended_at.ms + wait_ms - utc.ms});
    impl.d.sessions.expect(device, now + left, ended_at.ms == 0, now);
  });
}

void DeviceGateway::end_waits() {
  Impl& impl = *impl_;
  impl.end_proofs();
  std::vector<domain::SessionRegistry::Expired> expired;
  const Instant now = impl.d.clock.now();
  impl.d.sessions.expire(now, expired);
  const UtcTime utc = impl.d.clock.utc_now();
  impl.tell_recalled();
  for (const auto& [device, end_unseen, until] : expired) {
    const auto late_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - until).count();
    impl.d.timeline.offline(device, {utc.ms - late_ms}, impl.offline_ignore(device));
    // Written now, or every later start would wait for it again.
    if (end_unseen) impl.d.presence.disconnected(device, utc);
    if (impl.d.live.watched()) impl.d.live.device_status_changed(device);
  }
}

bool DeviceGateway::push_value(DeviceId device, std::uint8_t pin, std::string_view value) {
  const auto address = impl_->d.sessions.find(device);
  return address && impl_->d.router.post(*address, PushValue{pin, std::string{value}});
}

bool DeviceGateway::push_internal(DeviceId device, std::string_view words) {
  const auto address = impl_->d.sessions.find(device);
  return address && impl_->d.router.post(*address, PushInternal{std::string{words}});
}

bool DeviceGateway::close_device(DeviceId device, CloseReason reason) {
  const auto address = impl_->d.sessions.find(device);
  return address && impl_->d.router.post(*address, CloseSession{reason, {}});
}

bool DeviceGateway::close_token(DeviceId device, AuthTokenId token, CloseReason reason) {
  const auto address = impl_->d.sessions.find(device);
  return address && impl_->d.router.post(*address, CloseSession{reason, token});
}

}  // namespace muster::protocol
