// SPDX-License-Identifier: Apache-2.0
// Logins with provisioning tokens: the device says what it is, the store decides, and it goes on as an ordinary device.
// docs/protocol/cloud-model.md section 5.2.
//
// The device keeps its new settings once it has heard "yes" to its info, so that is said only when the store holds the same.
#include <algorithm>
#include <string>
#include <utility>

#include "cloud/base/log.hpp"
#include "cloud/protocol/binary/gateway_impl.hpp"
#include "wire/info.hpp"

namespace muster::protocol {
namespace {

constexpr std::chrono::milliseconds look_again_in{250};
constexpr std::size_t sessions_expired_at_once = 1'000;

}  // namespace

bool DeviceGateway::Impl::plain_text_may_be_allowed(const domain::ProvisionSession& session) const {
  if (session.template_id) {
    const auto its_template = d.views.directory.find_template(session.template_id);
    return its_template && its_template->allow_public_plain_text;
  }
  const auto usable = d.views.directory.templates_of(session.organization_id);
  return std::any_of(usable.begin(), usable.end(), [](const auto& one) { return one->allow_public_plain_text; });
}

void DeviceGateway::Impl::post_step(ProvisionSessionId session, std::string_view name, domain::ProvisionFailure failure, UtcTime at) {
  domain::ProvisionStep step;
  step.at = at;
  step.step = name;
  step.code = static_cast<std::uint16_t>(failure);
  post(Lane::device_writes, [this, session, step = std::move(step)] {
    if (!d.store.post_provision_step(session, step)) d.metrics.store_errors_total.add();
  });
}

void DeviceGateway::Impl::expire_sessions_and_look_again(const domain::SessionAddress& self) {
  post(Lane::device_writes, [this, self] {
    const auto ended = d.store.expire_provision_sessions(d.clock.utc_now(), sessions_expired_at_once);
    if (!ended) return d.metrics.store_errors_total.add();
    d.metrics.provision_expired_total.add(*ended);
    if (d.views.catch_up()) d.router.post(self, TokenResolved{.outcome = TokenResolved::Outcome::look_again});
  });
}

CloseReason DeviceGateway::Impl::await_info(Call& call, const AuthToken& token, const TokenDigests& digests,
                                            const domain::CredentialIndex::Entry& entry) {
  DeviceSession& session = call.session;
  const auto known = d.views.provisioning.by_token(entry.token_id);
  if (!known) return hold(call, &token, look_again_in);  // The views are a moment apart.
  if (known->expires_at <= utc(call)) {
    // Only the store makes a token invalid. The next look finds out what it became.
    if (const CloseReason reason = hold(call, &token, std::chrono::seconds{1}); reason != CloseReason::none) return reason;
    expire_sessions_and_look_again(call.self);
    return CloseReason::none;
  }
  const bool plain = !is_encrypted(call.peer.transport);
  if (plain && !call.limits.allow_plain_from_public && !call.peer.address.is_private() && !plain_text_may_be_allowed(*known)) {
    d.metrics.plain_refused_total.add();
    post_step(known->id, "plain_text_refused", domain::ProvisionFailure::plain_text_refused, utc(call));
    return CloseReason::plain_refused;
  }
  if (const auto sent_away = redirect(call, entry.device_id, plain)) return *sent_away;

  if (session.state_ == DeviceSession::State::resolving) forget_held(call.self);
  session.state_ = DeviceSession::State::await_info;
  session.phase_since_ = call.now;
  session.last_received_ = call.now;
  session.mark_ = {};
  session.flood_tokens_ = static_cast<float>(call.limits.flood_burst);
  session.token_tag_ = static_cast<std::uint32_t>(entry.token_id.value());
  session.counted_ = true;
  d.metrics.sessions_open.add();
  d.metrics.logins_ok_total.add();
  d.metrics.provision_logins_total.add();
  guard.remember(call.peer.address);
  {
    const std::lock_guard lock{provisional_mutex_};
    provisional_.insert_or_assign(call.self, Provisional{known->id, entry, digests, 0, {}});
  }
  respond(call, session.login_id_, wire::Status::success);
  post(Lane::device_writes, [this, id = known->id, at = utc(call), ip = call.peer.address.text()] {
    const auto noted = d.store.note_provision_login(id, at, ip);
    if (!noted && noted.error().category() == domain::store_category()) d.metrics.store_errors_total.add();
  });
  return CloseReason::none;
}

CloseReason DeviceGateway::Impl::before_info(Call& call, const wire::Frame& frame) {
  if (frame.command == wire::Command::ping) {
    respond(call, frame.id, wire::Status::success);
  } else if (frame.command == wire::Command::internal && wire::is_info(frame.body)) {
    return decide_info(call, frame);
  }
  // Whatever else it says belongs to a device that does not exist yet.
  return CloseReason::none;
}

CloseReason DeviceGateway::Impl::decide_info(Call& call, const wire::Frame& frame) {
  auto hardware = read_info(call, frame);
  if (!hardware) return CloseReason::none;
  domain::ReportedInfo info;
  info.tmpl_id = hardware->template_id;
  info.at = utc(call);
  info.is_public_plain_text = !is_encrypted(call.peer.transport) && !call.limits.allow_plain_from_public && !call.peer.address.is_private();
  ProvisionSessionId id;
  {
    const std::lock_guard lock{provisional_mutex_};
    const auto found = provisional_.find(call.self);
    if (found == provisional_.end()) return CloseReason::server_error;
    found->second.info_id = frame.id;
    found->second.hardware = std::move(*hardware);
    id = found->second.session;
  }
  call.session.state_ = DeviceSession::State::deciding;
  call.session.phase_since_ = call.now;
  domain::Actor actor;
  actor.client = "Device";
  actor.ip = call.peer.address.text();
  actor.at = info.at;
  const bool posted = post(Lane::device_writes, [this, self = call.self, id, info = std::move(info), actor = std::move(actor)] {
    InfoDecided answer;
    const auto verdict = d.store.accept_info(id, info, actor);
    if (!verdict) {
      // The domain's refusal: the session has ended. The next login hears what became of its token.
      const bool trouble = verdict.error().category() == domain::store_category();
      if (trouble) d.metrics.store_errors_total.add();
      answer.outcome = trouble ? InfoDecided::Outcome::trouble : InfoDecided::Outcome::refused;
    } else {
      answer.outcome = verdict->failure == domain::ProvisionFailure::none ? InfoDecided::Outcome::accepted : InfoDecided::Outcome::refused;
      if (!d.views.catch_up()) answer.outcome = InfoDecided::Outcome::trouble;
    }
    d.router.post(self, answer);
  });
  return posted ? CloseReason::none : CloseReason::server_error;
}

CloseReason DeviceGateway::Impl::on_decided(Call& call, const InfoDecided& event) {
  std::optional<Provisional> said;
  {
    const std::lock_guard lock{provisional_mutex_};
    if (const auto found = provisional_.find(call.self); found != provisional_.end()) {
      said = std::move(found->second);
      provisional_.erase(found);
    }
  }
  if (event.outcome == InfoDecided::Outcome::refused) {
    d.metrics.provision_refused_total.add();
    return CloseReason::provisioning_refused;
  }
  // Trouble: nobody knows what the store holds now. The device tries again with what it has.
  if (event.outcome == InfoDecided::Outcome::trouble || !said) return CloseReason::server_error;
  const DeviceId device = said->entry.device_id;
  if (!d.views.directory.device(device) || !become_active(call, said->digests, said->entry.token_id, device))
    return CloseReason::server_error;
  respond(call, said->info_id, wire::Status::success);
  domain::PresenceUpdate update;
  update.device_id = device;
  update.reported_at = utc(call);
  update.hardware = std::move(said->hardware);
  d.presence.put(std::move(update));
  d.metrics.provision_accepted_total.add();
  if (const auto session = d.views.provisioning.find(said->session); session && session->state == domain::ProvisionState::proving) {
    const std::lock_guard lock{provisional_mutex_};
    proofs_.insert_or_assign(device, Proof{session->id, said->entry.token_id, call.self, call.now});
  }
  return CloseReason::none;
}

CloseReason DeviceGateway::Impl::info_did_not_come(Call& call) {
  ProvisionSessionId session;
  {
    const std::lock_guard lock{provisional_mutex_};
    if (const auto found = provisional_.find(call.self); found != provisional_.end()) session = found->second.session;
  }
  d.metrics.provision_info_missing_total.add();
  if (session) post_step(session, "info_missing", domain::ProvisionFailure::info_missing, utc(call));
  return CloseReason::info_missing;
}

void DeviceGateway::Impl::forget_provisional(const domain::SessionAddress& self) {
  const std::lock_guard lock{provisional_mutex_};
  provisional_.erase(self);
}

void DeviceGateway::Impl::finish_reprovision(DeviceId device, const Proof& proof) {
  // It is due: end_proofs() finds it.
  const auto again = [this, device, proof] {
    const std::lock_guard lock{provisional_mutex_};
    proofs_.try_emplace(device, proof);
  };
  const bool posted = post(Lane::device_writes, [this, proof, again] {
    domain::Actor system;
    system.at = d.clock.utc_now();
    const auto finished = d.store.finish_reprovision(proof.session, proof.token, system);
    if (!finished) {
      if (finished.error().category() != domain::store_category()) return;
      d.metrics.store_errors_total.add();
      return again();
    }
    (proof.fell_back_at ? d.metrics.reprovision_fell_back_total : d.metrics.reprovision_proved_total).add();
    if (!d.views.catch_up()) d.metrics.store_errors_total.add();
  });
  if (!posted) again();
}

void DeviceGateway::Impl::notice_token(Call& call, const domain::CredentialIndex::Entry& entry) {
  if (d.views.provisioning.size() == 0) return;
  {
    const std::lock_guard lock{provisional_mutex_};
    proofs_.erase(entry.device_id);  // What an earlier session was about to prove.
  }
  using enum domain::ProvisionState;
  if (const auto session = d.views.provisioning.by_token(entry.token_id);
      session && (session->state == proving || session->state == reprovisioning)) {
    // It has stored the new token: this is the second login with it. (The view of the session may be a moment behind that of its token.)
    finish_reprovision(entry.device_id, {session->id, entry.token_id, call.self, call.now - call.limits.reprovision_proof, std::nullopt});
  } else if (const auto replacing = d.views.provisioning.proving_of(entry.device_id)) {
    const Proof proof{replacing->id, entry.token_id, call.self, call.now, replacing->expires_at};
    if (replacing->expires_at <= utc(call)) return finish_reprovision(entry.device_id, proof);
    const std::lock_guard lock{provisional_mutex_};
    proofs_.insert_or_assign(entry.device_id, proof);
  }
}

void DeviceGateway::Impl::first_value(DeviceSession& session, UtcTime now) {
  const auto waiting = d.views.provisioning.awaits_first_value(session.device_id_);
  if (waiting && !post(Lane::device_writes, [this, id = *waiting, now] {
        if (!d.store.note_first_value(id, now)) return d.metrics.store_errors_total.add();
        if (!d.views.catch_up()) d.metrics.store_errors_total.add();
      }))
    return;
  session.awaits_value_ = false;
}

void DeviceGateway::Impl::end_proofs() {
  const Instant now = d.clock.now();
  const UtcTime utc_now = d.clock.utc_now();
  const auto proof_time = limits().reprovision_proof;
  std::vector<std::pair<DeviceId, Proof>> proved;
  {
    const std::lock_guard lock{provisional_mutex_};
    for (auto proof = proofs_.begin(); proof != proofs_.end();) {
      const auto present = d.sessions.find(proof->first);
      const bool is_up = present && *present == proof->second.address;
      const bool lasted = proof->second.fell_back_at ? *proof->second.fell_back_at <= utc_now : now - proof->second.since >= proof_time;
      if (is_up && !lasted) {
        ++proof;
        continue;
      }
      if (is_up) proved.emplace_back(*proof);
      proof = proofs_.erase(proof);
    }
  }
  for (const auto& [device, proof] : proved) finish_reprovision(device, proof);
}

}  // namespace muster::protocol
