// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/sign_in.hpp"

#include "cloud/api/people/known_device.hpp"
#include "cloud/api/people/totp.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/password.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/mail/address.hpp"

namespace muster::api {
namespace {

constexpr std::size_t email_max_bytes = 320, password_max_bytes = 1024, hash_max_bytes = 128, code_max_bytes = 64;

Refusal invalid_credentials() { return {401, "invalid_credentials", "The email or the password is wrong.", {}, 0}; }
Refusal totp_required() { return {401, "totp_required", "Give the code of your authenticator app, or a recovery code.", {}, 0}; }
Refusal totp_wrong() { return {401, "totp_wrong", "This code is wrong, or it was used before; wait for the next one.", {}, 0}; }
Refusal short_of_memory() { return {503, "unavailable", "The server is short of memory now; try again soon.", {}, 0}; }

/// The root, in which attempts on unknown accounts are told.
OrganizationId root_of(Core& core) {
  const auto all = core.store.organizations();
  if (!all) return {};
  for (const auto& organization : *all) {
    if (!organization.parent_id) return organization.id;
  }
  return {};
}

/// Who was refused, and from where. Unknown accounts get the same entry in the root, so that the time tells nothing; the email that
/// was typed is left out there: people type passwords into the wrong field.
void audit_refusal(Core& core, const Request& request, const domain::User* user, std::string_view why) {
  domain::AuditEntry entry;
  entry.at = core.clock.utc_now();
  entry.client = client_name(request, false);
  entry.ip = request.peer.text();
  const OrganizationId root = root_of(core);
  entry.organization_id = user != nullptr ? user->organization_id : root;
  entry.action = "session.refused";
  entry.object_kind = "user";
  entry.object_id = user != nullptr ? user->id.value() : 0;
  JsonWriter detail;
  detail.object().add("reason", why).end_object();
  entry.detail = detail.take();
  if (const auto written = core.store.append_audit(entry); !written)
    log::warning("audit_not_written", {{"action", entry.action}, {"error", written.error().message()}});
}

/// The throttle's side of one attempt: what was charged is taken back when nobody could decide, or it was the right person.
class Charge {
 public:
  Charge(Core& core, const Request& request, std::string_view email)
      : core_{core}, address_{request.peer.limit_key()}, account_{account_key(core, email)} {
    if (const auto device = known_device_key(core, sent_known_device(request), email)) {
      known_ = true;
      address_ = account_ = *device;
    }
  }
  [[nodiscard]] std::optional<std::chrono::seconds> begin() { return throttle().begin(address_, account_, core_.clock.now()); }
  /// Strangers hold the account, and this address may still try.
  [[nodiscard]] bool only_the_account_is_held() const {
    return !known_ && !throttle().address_blocked(address_, core_.clock.now()).has_value();
  }
  [[nodiscard]] std::optional<std::chrono::seconds> begin_past_account() { return throttle().begin_address(address_, core_.clock.now()); }
  void undecided() { throttle().undecided(address_, account_); }
  void succeeded() { throttle().succeeded(address_, account_); }

 private:
  [[nodiscard]] SignInThrottle& throttle() const { return known_ ? core_.known_device_throttle : core_.sign_in_throttle; }
  Core& core_;
  std::uint64_t address_, account_;
  bool known_ = false;
};

Refusal held(Core& core, std::chrono::seconds wait) {
  core.metrics.http_throttled_total.add();
  return throttled(wait.count());
}

domain::Actor actor_of(Core& core, const Request& request, const domain::User& user) {
  return {user.id, user.organization_id, client_name(request, false), request.peer.text(), core.clock.utc_now()};
}

std::optional<Refusal> check_shape(const SignInAttempt& attempt) {
  if (attempt.password.has_value() == attempt.password_hash.has_value())
    return wrong_value("password", "Give either password or passwordHash.");
  if (attempt.email.size() > email_max_bytes) return wrong_value("email", "An email has at most 320 bytes.");
  if (attempt.password && attempt.password->size() > password_max_bytes)
    return wrong_value("password", "A password has at most 1024 bytes.");
  if (attempt.password_hash && attempt.password_hash->size() > hash_max_bytes)
    return wrong_value("passwordHash", "A passwordHash has 44 characters.");
  if (attempt.totp.size() > code_max_bytes) return wrong_value("totp", "A code has 6 digits, a recovery code 12 characters.");
  return std::nullopt;
}

}  // namespace

Result<CodeVerdict> take_code(Core& core, UserId user, std::string_view text, const domain::Actor& actor) {
  MUSTER_TRY(const auto factor, core.store.find_second_factor(user));
  if (!factor || !factor->enabled) return CodeVerdict::wrong;
  if (!totp::looks_like_code(text)) {
    const auto digests = core.keys.digest(recovery_code_domain, std::to_string(user.value()) + ":" + totp::normal_recovery_code(text));
    const auto used = core.store.use_recovery_code(user, digests.all(), actor);
    if (used) return CodeVerdict::right;
    if (used.error() == domain::DomainError::not_found) return CodeVerdict::wrong;
    return used.error();
  }
  MUSTER_TRY(const auto secret, core.keys.open_sealed(totp_seal_context, factor->sealed));
  const auto step = totp::match(secret, text, core.clock.utc_now());
  if (!step) return CodeVerdict::wrong;
  const auto used = core.store.use_totp_step(user, *step);
  if (used) return CodeVerdict::right;
  if (used.error() == domain::DomainError::wrong_state) return CodeVerdict::wrong;  // A second time.
  return used.error();
}

namespace {

/// After a right password. Wrong codes are in the audit log.
Outcome<Done> check_second_factor(Core& core, const Request& request, const domain::User& user, std::string_view totp) {
  const auto factor = core.store.find_second_factor(user.id);
  if (!factor) return refusal_of(factor.error());
  if (!*factor || !(*factor)->enabled) return Done{};
  if (totp.empty()) return totp_required();
  const auto taken = take_code(core, user.id, totp, actor_of(core, request, user));
  if (!taken) return refusal_of(taken.error());
  if (*taken == CodeVerdict::right) return Done{};
  audit_refusal(core, request, &user, "wrong_code");
  return totp_wrong();
}

}  // namespace

Outcome<SignedIn> sign_in(Core& core, const Request& request, const SignInAttempt& attempt) {
  if (auto refused = check_shape(attempt)) return std::move(*refused);
  const std::string email = mail::normal_address(attempt.email);
  Charge charge{core, request, email};
  bool code_taken = false;
  std::optional<std::chrono::seconds> blocked = charge.begin();
  if (blocked) {
    if (attempt.totp.empty() || !charge.only_the_account_is_held()) return held(core, *blocked);
    if (const auto wait = charge.begin_past_account()) return held(core, *wait);
  }
  const auto found = core.store.find_credentials(email);
  if (!found) {
    charge.undecided();
    return refusal_of(found.error());
  }
  if (blocked) {
    // A code lets one guess of the password past strangers, and is gone with it.
    const auto taken = *found ? take_code(core, (*found)->user.id, attempt.totp, actor_of(core, request, (*found)->user))
                              : Result<CodeVerdict>{CodeVerdict::wrong};
    if (!taken) return refusal_of(taken.error());
    if (*taken == CodeVerdict::wrong) return held(core, *blocked);
    code_taken = true;
  }
  const std::string prehash = attempt.password ? password_prehash(*attempt.password, email) : *attempt.password_hash;
  // An unknown account, and one without a password yet, cost the same as a wrong password.
  const PasswordVerdict verdict = verify_password(*found ? std::string_view{(*found)->verifier} : std::string_view{}, prehash);
  if (verdict == PasswordVerdict::no_memory) {
    charge.undecided();
    return short_of_memory();
  }
  if (!*found || verdict != PasswordVerdict::right) {
    audit_refusal(core, request, *found ? &(*found)->user : nullptr, "wrong_credentials");
    return invalid_credentials();
  }
  const domain::User& user = (*found)->user;
  if (user.status != domain::UserStatus::active) {
    charge.succeeded();
    audit_refusal(core, request, &user, "not_active");
    return refusal_of(domain::DomainError::not_active);
  }
  const domain::Actor actor = actor_of(core, request, user);
  if (!code_taken) {
    // Counted like a failure: whoever has the password must not try codes for ever.
    auto checked = check_second_factor(core, request, user, attempt.totp);
    if (auto* refusal = std::get_if<Refusal>(&checked)) {
      if (refusal->status == 503) charge.undecided();
      return std::move(*refusal);
    }
  }
  charge.succeeded();
  const auto issued = issue_access_token(core, user.id, actor);
  if (!issued) return refusal_of(issued.error());
  return SignedIn{user, *issued, make_known_device(core, email)};
}

Outcome<Done> check_own_password(Core& core, const Request& request, const domain::User& user, std::string_view password,
                                 std::optional<std::string_view> totp) {
  Charge charge{core, request, user.email};
  if (const auto wait = charge.begin()) return held(core, *wait);
  const auto credentials = core.store.find_credentials(user.email);
  if (!credentials) {
    charge.undecided();
    return refusal_of(credentials.error());
  }
  const PasswordVerdict verdict =
      *credentials ? verify_password((*credentials)->verifier, password_prehash(password.substr(0, password_max_bytes), user.email))
                   : PasswordVerdict::wrong;
  if (verdict == PasswordVerdict::no_memory) {
    charge.undecided();
    return short_of_memory();
  }
  if (verdict != PasswordVerdict::right) return Refusal{401, "invalid_credentials", "The present password is wrong.", "password", 0};
  if (totp) {
    auto checked = check_second_factor(core, request, user, *totp);
    if (auto* refusal = std::get_if<Refusal>(&checked)) {
      if (refusal->status == 503) charge.undecided();
      return std::move(*refusal);
    }
  }
  charge.succeeded();
  return Done{};
}

}  // namespace muster::api
