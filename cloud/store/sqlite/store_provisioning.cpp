// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <utility>

#include "cloud/domain/provision_session_life_cycle.hpp"
#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"
#include "cloud/store/sqlite/store_tokens.hpp"
#include "cloud/store/sqlite/text_search.hpp"

/// Provisioning sessions, the traces of what happened in them, and what they do to devices and tokens.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::Device;
using domain::DomainError;
using domain::InfoVerdict;
using domain::NewProvisionSession;
using domain::NewToken;
using domain::ProvisionEvent;
using domain::ProvisionFailure;
using domain::ProvisionKind;
using domain::ProvisionSession;
using domain::ProvisionState;
using domain::ProvisionStep;
using domain::ReportedInfo;
using domain::StepSource;
using domain::StoreError;
using domain::TokenEvent;
using domain::TokenKind;
using domain::UserStatus;

namespace {

/// Steps of the cloud's own, past the limit of the others.
constexpr std::int64_t cloud_steps_max = static_cast<std::int64_t>(domain::provision_steps_max) + 50;
constexpr std::size_t step_message_max_bytes = 200;

#define MUSTER_SESSION_COLUMNS                                                                                                        \
  "id, organization_id, owner_id, created_by, client, uid, kind, state, device_id, token_id, old_token_id, template_id, expires_at, " \
  "created_at, updated_at, accepted_at, first_value_at, ended_at, failure_code"

Result<ProvisionSession> session_of(const Statement& row) {
  ProvisionSession value;
  value.id = row.id<ProvisionSessionId>(0);
  value.organization_id = row.id<OrganizationId>(1);
  value.owner_id = row.id<UserId>(2);
  value.created_by = row.id<UserId>(3);
  value.client = row.text(4);
  value.uid = row.text(5);
  value.kind = static_cast<ProvisionKind>(row.integer(6));
  value.state = static_cast<ProvisionState>(row.integer(7));
  if (value.state < ProvisionState::token_issued || value.state > ProvisionState::proving) return StoreError::corrupt;
  value.device_id = row.id<DeviceId>(8);
  value.token_id = row.id<AuthTokenId>(9);
  value.old_token_id = row.id<AuthTokenId>(10);
  value.template_id = row.id<TemplateId>(11);
  value.expires_at = row.time(12);
  value.created_at = row.time(13);
  value.updated_at = row.time(14);
  value.accepted_at = row.time(15);
  value.first_value_at = row.time(16);
  value.ended_at = row.time(17);
  value.failure_code = static_cast<std::uint16_t>(row.integer(18));
  return value;
}

Result<std::vector<ProvisionSession>> all_of(Statement& rows) {
  std::vector<ProvisionSession> all;
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return all;
    MUSTER_TRY(auto session, session_of(rows));
    all.push_back(std::move(session));
  }
}

Result<std::optional<ProvisionSession>> load_session(Connection& connection, ProvisionSessionId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_SESSION_COLUMNS " FROM provision_session WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  if (!found) return std::optional<ProvisionSession>{};
  MUSTER_TRY(auto session, session_of(row));
  return std::optional{std::move(session)};
}

Result<void> add_step(Transaction& transaction, ProvisionSessionId id, const ProvisionStep& step) {
  MUSTER_TRY(const auto last, transaction->number("SELECT max(seq) FROM provision_step WHERE session_id = ?1", id));
  const auto limit = step.source == StepSource::cloud ? cloud_steps_max : static_cast<std::int64_t>(domain::provision_steps_max);
  if (last.value_or(0) >= limit) return step.source == StepSource::cloud ? Result<void>{} : Result<void>{DomainError::limit_reached};
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO provision_step (session_id, seq, at, source, step, code, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", id,
      last.value_or(0) + 1, step.at, step.source, step.step, step.code, std::string_view{step.message}.substr(0, step_message_max_bytes)));
  return {};
}

Result<void> add_cloud_step(Transaction& transaction, ProvisionSessionId id, UtcTime at, std::string_view name,
                            ProvisionFailure failure = ProvisionFailure::none, std::string message = {}) {
  ProvisionStep step;
  step.at = at;
  step.step = name;
  step.code = static_cast<std::uint16_t>(failure);
  step.message = std::move(message);
  return add_step(transaction, id, step);
}

/// Moves the session as its table says and writes what changed. Errors: the table's refusal.
Result<void> move_session(Transaction& transaction, ProvisionSession& session, ProvisionEvent event, UtcTime at,
                          std::optional<std::uint16_t> failure = {}) {
  MUSTER_TRY(const auto next, domain::after(session.state, event));
  const bool ends = !domain::is_ended(session.state) && domain::is_ended(next);
  session.state = next;
  session.updated_at = at;
  if (ends) session.ended_at = at;
  if (failure) session.failure_code = *failure;
  MUSTER_TRY_VOID(transaction->run(
      "UPDATE provision_session SET state = ?2, updated_at = ?3, ended_at = ?4, failure_code = ?5, template_id = ?6, accepted_at = ?7 "
      "WHERE id = ?1",
      session.id, session.state, session.updated_at, session.ended_at, session.failure_code, or_null(session.template_id),
      session.accepted_at));
  return transaction.change(ChangeKind::provision_session, session.id.value());
}

/// What a session that ends shall say of why. Where its device or app told what went wrong, that is the reason, not that somebody then let go.
std::uint16_t reason_of_end(const ProvisionSession& session, ProvisionEvent event, ProvisionFailure failure) {
  const bool was_let_go = event == ProvisionEvent::canceled || event == ProvisionEvent::given_up || event == ProvisionEvent::expired;
  return was_let_go && session.failure_code != 0 ? session.failure_code : static_cast<std::uint16_t>(failure);
}

/// Ends a session whose token still waits for its device: the token becomes a tombstone.
Result<void> end_open_session(Transaction& transaction, ProvisionSession& session, ProvisionEvent event, ProvisionFailure failure,
                              std::string_view step, UtcTime at) {
  const bool was_open = domain::is_open(session.state);
  MUSTER_TRY_VOID(move_session(transaction, session, event, at, reason_of_end(session, event, failure)));
  MUSTER_TRY_VOID(add_cloud_step(transaction, session.id, at, step, failure));
  if (!was_open) return {};
  // A device whose old settings work must not hear of this, whoever ended it: it would throw them away.
  const bool quiet = session.kind == ProvisionKind::reconfigure;
  MUSTER_TRY(const auto moved, move_token(transaction, session.token_id,
                                          event == ProvisionEvent::expired ? TokenEvent::expired : TokenEvent::canceled, quiet));
  // A device that was deleted has taken its tokens along.
  if (moved && !moved->allowed && moved->next != TokenKind::revoked) return moved->refusal;
  return {};
}

JsonText describe(const ProvisionSession& session) {
  return JsonText{}
      .number("deviceId", session.device_id.value())
      .number("organizationId", session.organization_id.value())
      .number("ownerId", session.owner_id.value())
      .number("tokenId", session.token_id.value())
      .text("state", domain::provision_state_name(session.state))
      .number("failure", session.failure_code);
}

Result<void> audit_session(Transaction& transaction, const Actor& actor, std::string_view action, const ProvisionSession& session) {
  return transaction.audit(actor, session.organization_id, action, "provision_session", session.id.value(), describe(session));
}

/// Of a new device there is no row: the placeholders of devices stand for nothing.
Result<void> push_provision_failed(Transaction& transaction, const ProvisionSession& session, UtcTime at) {
  const bool is_new = session.kind == ProvisionKind::new_device;
  return push_event(transaction,
                    {.event = domain::Trigger::provision_failed,
                     .at = at,
                     .organization_id = session.organization_id,
                     .device_id = is_new ? DeviceId{} : session.device_id,
                     .user_id = session.created_by},
                    JsonText{}.number("session_id", session.id.value()).number("failure_code", session.failure_code));
}

/// Earlier re-provisionings of the device that were still to be proved prove nothing any more. Their tokens work on until this one is proved:
/// the device may have kept any of them.
Result<void> supersede_proving(Transaction& transaction, ProvisionSession& session, UtcTime at) {
  std::vector<ProvisionSession> former;
  {
    MUSTER_TRY(Statement rows, transaction->query("SELECT " MUSTER_SESSION_COLUMNS
                                                  " FROM provision_session WHERE device_id = ?1 AND state = ?2 AND id <> ?3",
                                                  session.device_id, ProvisionState::proving, session.id));
    MUSTER_TRY(former, all_of(rows));
  }
  for (auto& older : former) {
    MUSTER_TRY_VOID(end_open_session(transaction, older, ProvisionEvent::superseded, ProvisionFailure::superseded, "superseded", at));
  }
  return {};
}

/// The next id of a device, given away for good: no other device gets it, also when this one is never made.
Result<DeviceId> reserve_device_id(Transaction& transaction) {
  MUSTER_TRY(const auto last, transaction->number("SELECT max(ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'device'), 0), "
                                                  "ifnull((SELECT max(id) FROM device), 0))"));
  const std::int64_t id = last.value_or(0) + 1;
  if (!std::in_range<std::int32_t>(id)) return DomainError::limit_reached;
  MUSTER_TRY(const auto changed, transaction->run("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'device'", id));
  if (changed == 0) MUSTER_TRY_VOID(transaction->run("INSERT INTO sqlite_sequence (name, seq) VALUES ('device', ?1)", id));
  return DeviceId{static_cast<std::int32_t>(id)};
}

Result<bool> template_is_usable(Connection& connection, TemplateId id, OrganizationId organization) {
  const auto owner = connection.number("SELECT organization_id FROM template WHERE id = ?1", id);
  if (!owner) return failed<Result<bool>>(owner.error());
  if (!*owner) return failed<Result<bool>>(DomainError::not_found);
  return is_at_or_above(connection, OrganizationId{static_cast<std::int32_t>(**owner)}, organization);
}

/// Where and whose the device shall be. Errors: not_found, owner_not_in_organization, not_active.
Result<void> check_place(Connection& connection, OrganizationId organization, UserId owner_id) {
  MUSTER_TRY(const bool found, connection.exists("SELECT 1 FROM organization WHERE id = ?1", organization));
  if (!found) return DomainError::not_found;
  if (!owner_id) return {};
  MUSTER_TRY(const auto owner, load_user(connection, owner_id));
  if (!owner || owner->organization_id != organization) return DomainError::owner_not_in_organization;
  if (owner->status != UserStatus::active) return DomainError::not_active;
  return {};
}

/// The template that a device of this session follows, or why it cannot be set up.
struct Choice {
  TemplateId template_id;
  std::string name;
  ProvisionFailure failure = ProvisionFailure::none;
  std::string why;
};
Result<Choice> choose_template(Connection& connection, const ProvisionSession& session, const ReportedInfo& info, TemplateId wanted) {
  Choice choice;
  if (info.tmpl_id.empty()) {
    choice.template_id = wanted;
    if (!wanted) choice.failure = ProvisionFailure::info_missing;
  } else {
    MUSTER_TRY(const auto id, connection.number("SELECT template_id FROM template_tmpl_id WHERE tmpl_id = ?1", info.tmpl_id));
    if (id) choice.template_id = TemplateId{static_cast<std::int32_t>(*id)};
    if (!id) {
      choice.failure = ProvisionFailure::template_unknown;
      choice.why = info.tmpl_id;
    } else if (wanted && wanted != choice.template_id) {
      choice.failure = ProvisionFailure::template_differs;
      choice.why = info.tmpl_id;
    }
  }
  if (choice.failure != ProvisionFailure::none) return choice;
  const auto usable = template_is_usable(connection, choice.template_id, session.organization_id);
  if (!usable && usable.error() != DomainError::not_found) return usable.error();
  if (!usable || !*usable) {
    choice.failure = usable ? ProvisionFailure::template_foreign : ProvisionFailure::template_unknown;
    choice.why = info.tmpl_id;
    return choice;
  }
  MUSTER_TRY(Statement row, connection.query("SELECT name, allow_public_plain_text FROM template WHERE id = ?1", choice.template_id));
  MUSTER_TRY_VOID(row.step());
  choice.name = row.text(0);
  if (info.is_public_plain_text && !row.flag(1)) choice.failure = ProvisionFailure::plain_text_refused;
  return choice;
}

/// At most 60 characters of a template's name.
std::string device_name_of(std::string_view template_name) {
  std::size_t end = 0;
  for (int characters = 0; end < template_name.size() && characters < 60; ++characters) {
    do ++end;
    while (end < template_name.size() && (static_cast<unsigned char>(template_name[end]) & 0xc0) == 0x80);
  }
  return end == 0 ? "Device" : std::string{template_name.substr(0, end)};
}

}  // namespace

Result<ProvisionSession> SqliteStore::create_provision_session(const NewProvisionSession& given, const NewToken& token,
                                                               const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<ProvisionSession> {
    const UtcTime at = transaction.at(actor);
    ProvisionSession session;
    session.organization_id = given.organization_id;
    session.owner_id = given.owner_id;
    session.created_by = actor.user_id;
    session.client = given.client;
    session.uid = given.uid;
    session.template_id = given.template_id;
    session.expires_at = given.expires_at;
    session.created_at = session.updated_at = at;
    if (given.client.size() > 240 || given.uid.size() > 240) return DomainError::invalid_value;
    if (given.device_id) {
      MUSTER_TRY(const auto device, load_device(*transaction, given.device_id));
      if (!device) return DomainError::not_found;
      session.kind = ProvisionKind::reconfigure;
      session.state = ProvisionState::reprovisioning;
      session.device_id = device->id;
      session.organization_id = device->organization_id;
      session.owner_id = device->owner_id;
      session.template_id = device->template_id;
      MUSTER_TRY(const auto old,
                 transaction->number("SELECT id FROM auth_token WHERE device_id = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1", device->id,
                                     TokenKind::device));
      if (!old) return DomainError::wrong_state;
      session.old_token_id = AuthTokenId{*old};
    } else {
      MUSTER_TRY_VOID(check_place(*transaction, session.organization_id, session.owner_id));
      if (session.template_id) {
        MUSTER_TRY(const bool usable, template_is_usable(*transaction, session.template_id, session.organization_id));
        if (!usable) return DomainError::template_not_in_organization;
      }
    }

    std::vector<ProvisionSession> former;
    {
      MUSTER_TRY(
          Statement rows,
          transaction->query("SELECT " MUSTER_SESSION_COLUMNS " FROM provision_session WHERE (?1 <> 0 AND device_id = ?1 AND state = "
                             "10) OR (?3 <> '' AND created_by = ?2 AND uid = ?3 AND kind = 1 AND state IN (1, 2, 3))",
                             given.device_id, actor.user_id, given.device_id ? std::string_view{} : std::string_view{given.uid}));
      MUSTER_TRY(former, all_of(rows));
    }
    for (auto& older : former) {
      MUSTER_TRY_VOID(end_open_session(transaction, older, ProvisionEvent::superseded, ProvisionFailure::superseded, "superseded", at));
    }
    MUSTER_TRY(
        const auto open,
        transaction->number("SELECT count(*) FROM provision_session WHERE created_by = ?1 AND state IN (1, 2, 3, 10)", actor.user_id));
    if (static_cast<std::size_t>(open.value_or(0)) >= given.open_max) return DomainError::limit_reached;

    const bool is_new = session.kind == ProvisionKind::new_device;
    if (is_new) {
      MUSTER_TRY_VOID(check_device_limit(*transaction, session.organization_id, 1));
      MUSTER_TRY(session.device_id, reserve_device_id(transaction));
    }
    MUSTER_TRY(session.token_id, insert_token(transaction, is_new ? TokenKind::provision : TokenKind::reprovision,
                                              is_new ? DeviceId{} : session.device_id, token, at, session.expires_at));
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO provision_session (organization_id, owner_id, created_by, client, uid, kind, state, device_id, token_id, "
        "old_token_id, "
        "template_id, expires_at, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13)",
        session.organization_id, or_null(session.owner_id), session.created_by, session.client, session.uid, session.kind, session.state,
        session.device_id, session.token_id, or_null(session.old_token_id), or_null(session.template_id), session.expires_at, at));
    session.id = ProvisionSessionId{transaction->last_insert_id()};
    if (is_new) MUSTER_TRY_VOID(transaction->run("UPDATE auth_token SET session_id = ?2 WHERE id = ?1", session.token_id, session.id));
    MUSTER_TRY_VOID(add_cloud_step(transaction, session.id, at, "token_issued"));
    MUSTER_TRY_VOID(audit_session(transaction, actor, "provision.create", session));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::provision_session, session.id.value()));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::token, session.token_id.value()));
    return session;
  });
}

Result<std::optional<ProvisionSession>> SqliteStore::find_provision_session(ProvisionSessionId id) {
  return impl_->read([&](Connection& connection) { return load_session(connection, id); });
}

Result<std::vector<ProvisionSession>> SqliteStore::live_provision_sessions() {
  return impl_->read([&](Connection& connection) -> Result<std::vector<ProvisionSession>> {
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_SESSION_COLUMNS
                                                " FROM provision_session WHERE state IN (1, 2, 3, 4, 10, 11) ORDER BY expires_at"));
    return all_of(rows);
  });
}

Result<domain::PageOf<ProvisionSession>> SqliteStore::provision_sessions(const domain::ProvisionSessionFilter& filter,
                                                                         const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<ProvisionSession>> {
    domain::PageOf<ProvisionSession> out;
    std::string where = " FROM provision_session WHERE (organization_id IN (SELECT value FROM json_each(:organizations))";
    if (filter.or_user) where += " OR created_by = :or_user OR owner_id = :or_user";
    where += ')';
    if (filter.state) where += " AND state = :state";
    if (filter.user) where += " AND (created_by = :user OR owner_id = :user)";
    if (!filter.client.empty()) where += " AND muster_contains(client, :client)";
    if (filter.code != 0) where += " AND failure_code = :code";
    if (filter.device) where += " AND device_id = :device";
    const std::string organizations = id_array(filter.organizations);
    const std::string client = fold_case(filter.client);
    const auto bind = [&](Statement& statement) {
      statement.bind_named(":organizations", organizations);
      statement.bind_named(":or_user", filter.or_user);
      statement.bind_named(":state", filter.state);
      statement.bind_named(":user", filter.user);
      statement.bind_named(":client", client);
      statement.bind_named(":code", filter.code);
      statement.bind_named(":device", filter.device);
      bind_limit(statement, page);
    };
    MUSTER_TRY(Statement count, connection.prepare("SELECT count(*)" + where));
    bind(count);
    MUSTER_TRY_VOID(count.step());
    out.total = count.integer(0);
    MUSTER_TRY(Statement rows,
               connection.prepare("SELECT " MUSTER_SESSION_COLUMNS + where + " ORDER BY id DESC LIMIT :limit OFFSET :offset"));
    bind(rows);
    MUSTER_TRY(out.rows, all_of(rows));
    return out;
  });
}

Result<std::vector<ProvisionStep>> SqliteStore::provision_steps(ProvisionSessionId id) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<ProvisionStep>> {
    std::vector<ProvisionStep> all;
    MUSTER_TRY(
        Statement rows,
        connection.query("SELECT seq, at, source, step, code, message FROM provision_step WHERE session_id = ?1 ORDER BY at, seq", id));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      ProvisionStep step;
      step.seq = rows.integer(0);
      step.at = rows.time(1);
      step.source = static_cast<StepSource>(rows.integer(2));
      step.step = rows.text(3);
      step.code = static_cast<std::uint16_t>(rows.integer(4));
      step.message = rows.text(5);
      all.push_back(std::move(step));
    }
  });
}

Result<void> SqliteStore::post_provision_step(ProvisionSessionId id, const ProvisionStep& step) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(auto session, load_session(*transaction, id));
    if (!session) return DomainError::not_found;
    if (step.step.empty() || step.step.size() > 40) return DomainError::invalid_value;
    ProvisionStep written = step;
    if (written.at.ms == 0) written.at = transaction.now();
    MUSTER_TRY_VOID(add_step(transaction, id, written));
    if (step.source == StepSource::cloud) {
      MUSTER_TRY_VOID(
          transaction->run("UPDATE provision_session SET failure_code = iif(?2 = 0, failure_code, ?2), updated_at = ?3 WHERE id = ?1", id,
                           step.code, written.at));
      return transaction.change(ChangeKind::provision_session, id.value());
    }
    const bool still_to_come = domain::is_open(session->state);
    const bool finishes = step.step == "done" && step.code == 0 && session->state == ProvisionState::active;
    return move_session(transaction, *session, finishes ? ProvisionEvent::finished : ProvisionEvent::step_posted, written.at,
                        still_to_come && step.code != 0 ? std::optional{step.code} : std::nullopt);
  });
}

Result<void> SqliteStore::note_provision_login(ProvisionSessionId id, UtcTime at, std::string_view ip) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(auto session, load_session(*transaction, id));
    if (!session) return DomainError::not_found;
    MUSTER_TRY_VOID(move_session(transaction, *session, ProvisionEvent::login, at));
    return add_cloud_step(transaction, id, at, "login", ProvisionFailure::none, std::string{ip});
  });
}

Result<void> SqliteStore::note_first_value(ProvisionSessionId id, UtcTime at) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto session, load_session(*transaction, id));
    if (!session) return DomainError::not_found;
    if (session->first_value_at.ms != 0) return {};
    MUSTER_TRY_VOID(transaction->run("UPDATE provision_session SET first_value_at = ?2, updated_at = ?2 WHERE id = ?1", id, at));
    MUSTER_TRY_VOID(add_cloud_step(transaction, id, at, "first_value"));
    return transaction.change(ChangeKind::provision_session, id.value());
  });
}

Result<InfoVerdict> SqliteStore::accept_info(ProvisionSessionId id, const ReportedInfo& info, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<InfoVerdict> {
    MUSTER_TRY(auto loaded, load_session(*transaction, id));
    if (!loaded) return DomainError::not_found;
    InfoVerdict verdict;
    ProvisionSession& session = verdict.session = std::move(*loaded);
    const UtcTime at = info.at.ms != 0 ? info.at : transaction.now();
    MUSTER_TRY_VOID(domain::after(session.state, ProvisionEvent::info_accepted));

    if (domain::is_open(session.state) && session.expires_at.ms <= at.ms) {
      verdict.failure = ProvisionFailure::expired;
      MUSTER_TRY_VOID(end_open_session(transaction, session, ProvisionEvent::expired, verdict.failure, "expired", at));
      MUSTER_TRY_VOID(audit_session(transaction, actor, "provision.expired", session));
      MUSTER_TRY_VOID(push_provision_failed(transaction, session, at));
      return verdict;
    }

    TemplateId wanted = session.template_id;
    const bool again = !domain::is_open(session.state);
    if (session.kind == ProvisionKind::reconfigure || again) {
      MUSTER_TRY(verdict.device, load_device(*transaction, session.device_id));
      if (!verdict.device) return DomainError::not_found;
      wanted = verdict.device->template_id;
      session.organization_id = verdict.device->organization_id;  // It may have been moved meanwhile.
    }
    MUSTER_TRY(const Choice choice, choose_template(*transaction, session, info, wanted));
    verdict.failure = choice.failure;
    std::string why = choice.why;
    if (again) {
      // Idempotent, but another kind of device does not become this one.
      if (verdict.failure != ProvisionFailure::none) verdict.device.reset();
      return verdict;
    }
    const bool is_new = session.kind == ProvisionKind::new_device;
    if (is_new) {
      if (const auto place = check_place(*transaction, session.organization_id, session.owner_id); !place) {
        if (place.error().category() != domain::domain_category()) return place.error();
        verdict.failure = ProvisionFailure::owner_gone;
        why.clear();
      }
      // Its own id counts already; the limit may have been lowered, or the organization moved, since it was reserved.
      const auto fits = check_device_limit(*transaction, session.organization_id, 0);
      if (!fits && fits.error().category() != domain::domain_category()) return fits.error();
      if (!fits && verdict.failure == ProvisionFailure::none) verdict.failure = ProvisionFailure::device_limit;
    }

    if (verdict.failure != ProvisionFailure::none) {
      verdict.device.reset();
      const auto code = static_cast<std::uint16_t>(verdict.failure);
      // These two may go better the next time, with the same token; the others cannot.
      const bool may_try_again =
          verdict.failure == ProvisionFailure::info_missing || verdict.failure == ProvisionFailure::plain_text_refused;
      const auto event = may_try_again                                     ? ProvisionEvent::login
                         : verdict.failure == ProvisionFailure::owner_gone ? ProvisionEvent::owner_gone
                                                                           : ProvisionEvent::info_refused;
      MUSTER_TRY_VOID(move_session(transaction, session, event, at, code));
      MUSTER_TRY_VOID(add_cloud_step(transaction, id, at, "info_refused", verdict.failure, std::move(why)));
      if (may_try_again) return verdict;
      MUSTER_TRY_VOID(move_token(transaction, session.token_id, TokenEvent::info_refused));
      MUSTER_TRY_VOID(audit_session(transaction, actor, "provision.refused", session));
      MUSTER_TRY_VOID(push_provision_failed(transaction, session, at));
      return verdict;
    }

    session.template_id = choice.template_id;
    session.accepted_at = at;
    if (is_new) {
      Device device;
      device.organization_id = session.organization_id;
      device.template_id = session.template_id;
      device.owner_id = session.owner_id;
      device.name = device_name_of(choice.name);
      device.activation_way = domain::ActivationWay::dynamic;
      device.activated_at = at;
      device.activated_by = session.created_by;
      MUSTER_TRY_VOID(insert_device(transaction, device, session.device_id, actor));
      MUSTER_TRY_VOID(
          transaction->run("UPDATE auth_token SET device_id = ?2, session_id = NULL WHERE id = ?1", session.token_id, session.device_id));
    } else {
      MUSTER_TRY_VOID(supersede_proving(transaction, session, at));
      MUSTER_TRY_VOID(move_tokens_of(transaction, session.device_id, TokenEvent::successor_logged_in, session.token_id));
    }
    MUSTER_TRY(const auto moved, move_token(transaction, session.token_id, TokenEvent::info_accepted));
    if (!moved || !moved->allowed) return StoreError::corrupt;  // An open session whose token is gone.
    MUSTER_TRY_VOID(move_session(transaction, session, ProvisionEvent::info_accepted, at, std::uint16_t{0}));
    MUSTER_TRY_VOID(add_cloud_step(transaction, id, at, is_new ? "active" : "proving", ProvisionFailure::none, info.tmpl_id));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::device, session.device_id.value()));
    MUSTER_TRY_VOID(transaction.audit(actor, session.organization_id, is_new ? "device.create" : "device.reprovision", "device",
                                      session.device_id.value(),
                                      describe(session).number("sessionId", id.value()).number("templateId", session.template_id.value())));
    MUSTER_TRY(verdict.device, load_device(*transaction, session.device_id));
    if (is_new && verdict.device) MUSTER_TRY_VOID(note_device_added(transaction, *verdict.device, at));
    return verdict;
  });
}

Result<void> SqliteStore::finish_reprovision(ProvisionSessionId id, AuthTokenId held, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(auto session, load_session(*transaction, id));
    if (!session) return DomainError::not_found;
    const bool proved = held == session->token_id;
    const UtcTime at = transaction.at(actor);
    const auto failure = proved ? ProvisionFailure::none : ProvisionFailure::expired;
    MUSTER_TRY_VOID(move_session(transaction, *session, proved ? ProvisionEvent::proved : ProvisionEvent::fell_back, at,
                                 static_cast<std::uint16_t>(failure)));
    if (!proved) {
      MUSTER_TRY(const bool own,
                 transaction->exists("SELECT 1 FROM auth_token WHERE id = ?1 AND device_id = ?2", held, session->device_id));
      if (!own) return DomainError::wrong_state;
      MUSTER_TRY_VOID(move_token(transaction, session->token_id, TokenEvent::unproved, true));
      MUSTER_TRY(const auto back, move_token(transaction, held, TokenEvent::successor_dropped));
      if (!back || !back->allowed) return DomainError::wrong_state;
    }
    MUSTER_TRY_VOID(move_tokens_of(transaction, session->device_id, TokenEvent::successor_proved, held));
    MUSTER_TRY_VOID(add_cloud_step(transaction, id, at, proved ? "proved" : "fell_back", failure));
    if (proved) {
      MUSTER_TRY_VOID(add_system_line(transaction, session->device_id, session->organization_id,
                                      domain::timeline_code::device_reprovisioned, at, session->created_by));
      MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::device_reprovisioned, .at = at, .device_id = session->device_id}));
    }
    MUSTER_TRY_VOID(transaction.change(ChangeKind::device, session->device_id.value()));
    return audit_session(transaction, actor, proved ? "provision.proved" : "provision.fell_back", *session);
  });
}

Result<void> SqliteStore::cancel_provision_session(ProvisionSessionId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(auto session, load_session(*transaction, id));
    if (!session) return DomainError::not_found;
    const auto event = domain::event_of_letting_go(session->failure_code);
    const auto failure = event == ProvisionEvent::canceled ? ProvisionFailure::canceled : ProvisionFailure::none;
    MUSTER_TRY_VOID(end_open_session(transaction, *session, event, failure, domain::provision_event_name(event), transaction.at(actor)));
    return audit_session(transaction, actor, "provision.cancel", *session);
  });
}

Result<std::size_t> SqliteStore::expire_provision_sessions(UtcTime now, std::size_t limit) {
  return impl_->write([&](Transaction& transaction) -> Result<std::size_t> {
    std::vector<ProvisionSession> due;
    {
      MUSTER_TRY(Statement rows, transaction->query("SELECT " MUSTER_SESSION_COLUMNS
                                                    " FROM provision_session INDEXED BY provision_session_live WHERE state IN (1, 2, 3, 4, "
                                                    "10, 11) AND state <> 11 AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
                                                    now, limit));
      MUSTER_TRY(due, all_of(rows));
    }
    Actor system;
    system.at = now;
    for (auto& session : due) {
      if (session.state == ProvisionState::active) {
        MUSTER_TRY_VOID(move_session(transaction, session, ProvisionEvent::expired, now));
        continue;
      }
      MUSTER_TRY_VOID(end_open_session(transaction, session, ProvisionEvent::expired, ProvisionFailure::expired, "expired", now));
      MUSTER_TRY_VOID(audit_session(transaction, system, "provision.expired", session));
      MUSTER_TRY_VOID(push_provision_failed(transaction, session, now));
    }
    MUSTER_TRY_VOID(transaction->run("DELETE FROM provision_session WHERE ended_at <> 0 AND ended_at < ?1",
                                     now.ms - domain::provision_history_kept_ms));
    return due.size();
  });
}

Result<void> end_sessions_of_user(Transaction& transaction, UserId user, std::string_view step, const Actor& actor) {
  std::vector<ProvisionSession> open;
  {
    MUSTER_TRY(Statement rows,
               transaction->query(
                   "SELECT " MUSTER_SESSION_COLUMNS " FROM provision_session WHERE created_by = ?1 AND state IN (1, 2, 3, 10)", user));
    MUSTER_TRY(open, all_of(rows));
  }
  for (auto& session : open) {
    MUSTER_TRY_VOID(
        end_open_session(transaction, session, ProvisionEvent::canceled, ProvisionFailure::canceled, step, transaction.at(actor)));
    MUSTER_TRY_VOID(audit_session(transaction, actor, "provision.cancel", session));
  }
  return {};
}

Result<void> end_sessions_of_devices(Transaction& transaction, std::string_view where, std::int64_t id) {
  std::vector<ProvisionSession> touched;
  {
    std::string sql = "SELECT " MUSTER_SESSION_COLUMNS
                      " FROM provision_session WHERE state IN (4, 10, 11) AND device_id IN "
                      "(SELECT device.id FROM device WHERE device.";
    MUSTER_TRY(Statement rows, transaction->query(sql.append(where).append(")"), id));
    MUSTER_TRY(touched, all_of(rows));
  }
  for (auto& session : touched) {
    MUSTER_TRY_VOID(move_session(transaction, session, ProvisionEvent::device_removed, transaction.now()));
    MUSTER_TRY_VOID(add_cloud_step(transaction, session.id, transaction.now(), "device_removed"));
  }
  return {};
}

Result<void> end_waiting_reprovision(Transaction& transaction, DeviceId device, std::string_view step, const Actor& actor) {
  std::vector<ProvisionSession> waiting;
  {
    MUSTER_TRY(Statement rows,
               transaction->query("SELECT " MUSTER_SESSION_COLUMNS " FROM provision_session WHERE device_id = ?1 AND state = ?2", device,
                                  ProvisionState::reprovisioning));
    MUSTER_TRY(waiting, all_of(rows));
  }
  for (auto& session : waiting) {
    MUSTER_TRY_VOID(
        end_open_session(transaction, session, ProvisionEvent::canceled, ProvisionFailure::canceled, step, transaction.at(actor)));
    MUSTER_TRY_VOID(audit_session(transaction, actor, "provision.cancel", session));
  }
  return {};
}

}  // namespace muster::store
