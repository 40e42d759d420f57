// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// Webhooks, and their deliveries on the way.
namespace muster::store {

using domain::Actor;
using domain::Delivery;
using domain::DeliveryEnd;
using domain::DeliveryState;
using domain::DomainError;
using domain::Trigger;
using domain::Webhook;

namespace {

#define MUSTER_WEBHOOK_COLUMNS                                                                                                            \
  "id, organization_id, created_by, name, trigger, device_id, template_id, pin, event_code, include_sub_organizations, url, method, "     \
  "content_type, body, auth, sealed_secret, sealed_headers, sealed_auth, failure_receivers, fail_after, enabled, failures, disabled_at, " \
  "created_at, updated_at"

Webhook webhook_of(const Statement& row) {
  Webhook hook;
  hook.id = row.id<WebhookId>(0);
  hook.organization_id = row.id<OrganizationId>(1);
  hook.created_by = row.id<UserId>(2);
  hook.name = row.text(3);
  hook.trigger = static_cast<Trigger>(row.integer(4));
  hook.device_id = row.id<DeviceId>(5);
  hook.template_id = row.id<TemplateId>(6);
  hook.pin = static_cast<std::int16_t>(row.integer(7));
  hook.event_code = row.text(8);
  hook.include_sub_organizations = row.flag(9);
  hook.url = row.text(10);
  hook.method = static_cast<domain::WebhookMethod>(row.integer(11));
  hook.content_type = row.text(12);
  hook.body = row.text(13);
  hook.auth = static_cast<domain::WebhookAuth>(row.integer(14));
  hook.sealed_secret = row.text(15);
  hook.sealed_headers = row.text(16);
  hook.sealed_auth = row.text(17);
  hook.failure_receivers = row.text(18);
  hook.fail_after = static_cast<std::uint16_t>(row.integer(19));
  hook.enabled = row.flag(20);
  hook.failures = static_cast<std::uint16_t>(row.integer(21));
  hook.disabled_at = row.time(22);
  hook.created_at = row.time(23);
  hook.updated_at = row.time(24);
  return hook;
}

#define MUSTER_DELIVERY_COLUMNS                                                                                             \
  "id, webhook_id, message_id, event, organization_id, device_id, facts, state, replay_of, attempts, created_at, next_at, " \
  "last_attempt_at, last_status, last_problem, sealed_request, sealed_response"

Delivery delivery_of(const Statement& row) {
  Delivery delivery;
  delivery.id = row.id<DeliveryId>(0);
  delivery.webhook_id = row.id<WebhookId>(1);
  delivery.message_id = row.text(2);
  delivery.event = static_cast<Trigger>(row.integer(3));
  delivery.organization_id = row.id<OrganizationId>(4);
  delivery.device_id = row.id<DeviceId>(5);
  delivery.facts = row.text(6);
  delivery.state = static_cast<DeliveryState>(row.integer(7));
  delivery.replay_of = row.id<DeliveryId>(8);
  delivery.attempts = static_cast<std::uint32_t>(row.integer(9));
  delivery.created_at = row.time(10);
  delivery.next_at = row.time(11);
  delivery.last_attempt_at = row.time(12);
  delivery.last_status = static_cast<std::uint16_t>(row.integer(13));
  delivery.last_problem = row.text(14);
  delivery.sealed_request = row.text(15);
  delivery.sealed_response = row.text(16);
  return delivery;
}

Result<std::optional<Webhook>> load_webhook(Connection& connection, WebhookId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_WEBHOOK_COLUMNS " FROM webhook WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{webhook_of(row)} : std::nullopt;
}

Result<std::optional<Delivery>> load_delivery(Connection& connection, DeliveryId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_DELIVERY_COLUMNS " FROM webhook_delivery WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{delivery_of(row)} : std::nullopt;
}

JsonText describe(const Webhook& hook) {
  return JsonText{}
      .text("name", hook.name)
      .text("trigger", domain::trigger_name(hook.trigger))
      .text("method", domain::webhook_method_name(hook.method))
      .text("auth", domain::webhook_auth_name(hook.auth))
      .flag("enabled", hook.enabled);
}

Result<std::size_t> waiting_of(Connection& connection, WebhookId id) {
  MUSTER_TRY(const auto waiting,
             connection.number(
                 "SELECT count(*) FROM webhook_delivery INDEXED BY webhook_delivery_waiting WHERE webhook_id = ?1 AND state = 0", id));
  return static_cast<std::size_t>(waiting.value_or(0));
}

struct FeedRow {
  std::int64_t seq = 0;
  UtcTime at;
  Trigger event = Trigger::test;
  OrganizationId organization_id;
  DeviceId device_id;
  TemplateId template_id;
  std::int64_t pin = -1;
  std::string code, facts;
};

/// The webhooks that wait for it: of its organization, or of one above that wants to hear of those below.
Result<std::vector<WebhookId>> listeners(Connection& connection, const FeedRow& row) {
  MUSTER_TRY(
      Statement rows,
      connection.query(
          "WITH RECURSIVE up (id, parent_id) AS (SELECT id, parent_id FROM organization WHERE id = ?2 UNION ALL SELECT o.id, "
          "o.parent_id FROM organization o JOIN up ON o.id = up.parent_id) "
          "SELECT w.id FROM webhook w WHERE w.event = ?1 AND w.enabled = 1 AND w.organization_id IN (SELECT id FROM up) AND "
          "(w.organization_id = ?2 OR w.include_sub_organizations OR w.trigger IN (?7, ?8)) AND (w.device_id = 0 OR w.device_id = "
          "?3) AND (w.template_id = 0 OR w.template_id = ?4) AND (w.pin = -1 OR w.pin = ?5) AND (w.event_code = '' OR w.event_code = "
          "?6) ORDER BY w.id",
          row.event, row.organization_id, row.device_id, row.template_id, row.pin, row.code, Trigger::global_product_datastream_update,
          Trigger::global_product_log_event));
  std::vector<WebhookId> ids;
  for (;;) {
    MUSTER_TRY(const bool found, rows.step());
    if (!found) return ids;
    ids.push_back(rows.id<WebhookId>(0));
  }
}

}  // namespace

Result<Webhook> SqliteStore::create_webhook(const Webhook& hook, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Webhook> {
    MUSTER_TRY(const bool organization, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", hook.organization_id));
    if (!organization) return DomainError::not_found;
    MUSTER_TRY(const auto count, transaction->number("SELECT count(*) FROM webhook WHERE organization_id = ?1", hook.organization_id));
    if (static_cast<std::size_t>(count.value_or(0)) >= domain::webhooks_per_organization_max) return DomainError::limit_reached;
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO webhook (organization_id, created_by, name, trigger, event, device_id, template_id, pin, event_code, "
        "include_sub_organizations, url, method, content_type, body, auth, sealed_secret, sealed_headers, sealed_auth, failure_receivers, "
        "fail_after, enabled, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
        "?18, ?19, ?20, ?21, ?22, ?22)",
        hook.organization_id, actor.user_id, hook.name, hook.trigger, domain::event_of(hook.trigger), hook.device_id, hook.template_id,
        hook.pin, hook.event_code, hook.include_sub_organizations, hook.url, hook.method, hook.content_type, hook.body, hook.auth,
        blob(hook.sealed_secret), blob(hook.sealed_headers), blob(hook.sealed_auth), hook.failure_receivers, hook.fail_after, hook.enabled,
        transaction.at(actor)));
    const WebhookId id{static_cast<std::int32_t>(transaction->last_insert_id())};
    MUSTER_TRY(const auto made, load_webhook(*transaction, id));
    MUSTER_TRY_VOID(transaction.audit(actor, hook.organization_id, "webhook.create", "webhook", id.value(), describe(*made)));
    return made.value();
  });
}

Result<Webhook> SqliteStore::update_webhook(const Webhook& hook, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Webhook> {
    MUSTER_TRY(const auto before, load_webhook(*transaction, hook.id));
    if (!before) return DomainError::not_found;
    const bool anew = hook.enabled && !before->enabled;
    MUSTER_TRY_VOID(transaction->run(
        "UPDATE webhook SET name = ?2, trigger = ?3, event = ?4, device_id = ?5, template_id = ?6, pin = ?7, event_code = ?8, "
        "include_sub_organizations = ?9, url = ?10, method = ?11, content_type = ?12, body = ?13, auth = ?14, sealed_secret = ?15, "
        "sealed_headers = ?16, sealed_auth = ?17, failure_receivers = ?18, fail_after = ?19, enabled = ?20, failures = iif(?21, 0, "
        "failures), disabled_at = iif(?21, 0, disabled_at), updated_at = ?22 WHERE id = ?1",
        hook.id, hook.name, hook.trigger, domain::event_of(hook.trigger), hook.device_id, hook.template_id, hook.pin, hook.event_code,
        hook.include_sub_organizations, hook.url, hook.method, hook.content_type, hook.body, hook.auth, blob(hook.sealed_secret),
        blob(hook.sealed_headers), blob(hook.sealed_auth), hook.failure_receivers, hook.fail_after, hook.enabled, anew,
        transaction.at(actor)));
    MUSTER_TRY(const auto after, load_webhook(*transaction, hook.id));
    MUSTER_TRY_VOID(transaction.audit(actor, before->organization_id, "webhook.update", "webhook", hook.id.value(),
                                      JsonText{}.object("before", describe(*before)).object("after", describe(*after))));
    return after.value();
  });
}

Result<void> SqliteStore::delete_webhook(WebhookId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto before, load_webhook(*transaction, id));
    if (!before) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("DELETE FROM webhook WHERE id = ?1", id));
    return transaction.audit(actor, before->organization_id, "webhook.delete", "webhook", id.value(),
                             JsonText{}.object("before", describe(*before)));
  });
}

Result<std::optional<Webhook>> SqliteStore::find_webhook(WebhookId id) {
  return impl_->read([&](Connection& connection) { return load_webhook(connection, id); });
}

Result<domain::PageOf<Webhook>> SqliteStore::webhooks(OrganizationId organization, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<Webhook>> {
    domain::PageOf<Webhook> out;
    MUSTER_TRY(const auto total, connection.number("SELECT count(*) FROM webhook WHERE organization_id = ?1", organization));
    out.total = total.value_or(0);
    MUSTER_TRY(Statement rows,
               connection.query("SELECT " MUSTER_WEBHOOK_COLUMNS " FROM webhook WHERE organization_id = ?1 ORDER BY id LIMIT ?2 OFFSET ?3",
                                organization, std::clamp<std::int64_t>(page.limit, 1, 1000), std::max<std::int64_t>(page.offset, 0)));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      out.rows.push_back(webhook_of(rows));
    }
  });
}

Result<domain::WebhookStore::FanOut> SqliteStore::fan_out_events(std::size_t limit) {
  MUSTER_TRY(const bool any,
             impl_->read([](Connection& connection) -> Result<bool> { return connection.exists("SELECT 1 FROM event_feed LIMIT 1"); }));
  if (!any) return FanOut{};  // Without a write: it is asked several times a second.
  return impl_->write([&](Transaction& transaction) -> Result<FanOut> {
    FanOut done;
    MUSTER_TRY(const auto cursor, read_setting(*transaction, "event_feed_cursor"));
    std::vector<FeedRow> feed;
    {
      MUSTER_TRY(Statement rows, transaction->query("SELECT seq, at, event, organization_id, device_id, template_id, pin, code, facts FROM "
                                                    "event_feed WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                                                    cursor, limit));
      for (;;) {
        MUSTER_TRY(const bool row, rows.step());
        if (!row) break;
        feed.push_back({rows.integer(0), rows.time(1), static_cast<Trigger>(rows.integer(2)), rows.id<OrganizationId>(3),
                        rows.id<DeviceId>(4), rows.id<TemplateId>(5), rows.integer(6), std::string{rows.text(7)},
                        std::string{rows.text(8)}});
      }
    }
    std::map<WebhookId, std::size_t> waiting;  // Counted once a batch.
    for (const FeedRow& row : feed) {
      MUSTER_TRY(const auto hooks, listeners(*transaction, row));
      for (const WebhookId hook : hooks) {
        const auto [known, is_new] = waiting.try_emplace(hook, 0);
        if (is_new) {
          MUSTER_TRY(known->second, waiting_of(*transaction, hook));
        }
        if (known->second >= domain::deliveries_waiting_max) {
          MUSTER_TRY_VOID(transaction->run("UPDATE webhook SET dropped = dropped + 1 WHERE id = ?1", hook));
          ++done.dropped;
          continue;
        }
        MUSTER_TRY_VOID(transaction->run(
            "INSERT INTO webhook_delivery (webhook_id, message_id, event, organization_id, device_id, facts, created_at, next_at) VALUES "
            "(?1, 'msg_' || lower(hex(randomblob(16))), ?2, ?3, ?4, ?5, ?6, ?6)",
            hook, row.event, row.organization_id, row.device_id, row.facts, transaction.now()));
        ++known->second;
        ++done.deliveries;
      }
      ++done.events;
    }
    if (feed.empty()) return done;
    MUSTER_TRY_VOID(write_setting(*transaction, "event_feed_cursor", feed.back().seq));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM event_feed WHERE seq <= ?1", feed.back().seq));
    return done;
  });
}

Result<std::vector<Delivery>> SqliteStore::due_deliveries(UtcTime now, std::size_t per_webhook, std::span<const WebhookId> except) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<Delivery>> {
    std::vector<std::pair<WebhookId, bool>> hooks;
    {
      MUSTER_TRY(Statement rows,
                 connection.query("WITH RECURSIVE waiting (id) AS (SELECT min(webhook_id) FROM webhook_delivery WHERE state = 0 UNION ALL "
                                  "SELECT (SELECT min(webhook_id) FROM webhook_delivery WHERE state = 0 AND webhook_id > waiting.id) FROM "
                                  "waiting WHERE waiting.id IS NOT NULL) SELECT w.id, w.enabled FROM waiting JOIN webhook w ON w.id = "
                                  "waiting.id WHERE w.id NOT IN (SELECT value FROM json_each(?1))",
                                  id_array(except)));
      for (;;) {
        MUSTER_TRY(const bool row, rows.step());
        if (!row) break;
        hooks.emplace_back(rows.id<WebhookId>(0), rows.flag(1));
      }
    }
    std::vector<Delivery> due;
    for (const auto& [hook, enabled] : hooks) {
      constexpr std::string_view all = "SELECT " MUSTER_DELIVERY_COLUMNS
                                       " FROM webhook_delivery WHERE webhook_id = ?1 AND state = 0 AND next_at <= ?2 ORDER BY next_at "
                                       "LIMIT ?3",
                                 by_hand = "SELECT " MUSTER_DELIVERY_COLUMNS
                                           " FROM webhook_delivery WHERE webhook_id = ?1 AND state = 0 AND by_hand = 1 AND next_at <= "
                                           "?2 ORDER BY next_at LIMIT ?3";
      MUSTER_TRY(Statement rows, connection.query(enabled ? all : by_hand, hook, now, per_webhook));
      for (;;) {
        MUSTER_TRY(const bool row, rows.step());
        if (!row) break;
        due.push_back(delivery_of(rows));
      }
    }
    return due;
  });
}

Result<DeliveryEnd> SqliteStore::note_attempt(DeliveryId id, const domain::DeliveryAttempt& attempt) {
  return impl_->write([&](Transaction& transaction) -> Result<DeliveryEnd> {
    MUSTER_TRY(const auto delivery, load_delivery(*transaction, id));
    if (!delivery) return DomainError::not_found;
    if (delivery->state != DeliveryState::waiting) return DomainError::wrong_state;
    const bool ends = attempt.succeeded || attempt.next_at.ms == 0;
    const DeliveryState state = attempt.succeeded ? DeliveryState::delivered : ends ? DeliveryState::given_up : DeliveryState::waiting;
    MUSTER_TRY_VOID(transaction->run(
        "UPDATE webhook_delivery SET state = ?2, attempts = attempts + 1, next_at = ?3, last_attempt_at = ?4, last_status = ?5, "
        "last_problem = ?6, sealed_request = ?7, sealed_response = ?8 WHERE id = ?1",
        id, state, attempt.next_at, attempt.at, attempt.status, attempt.problem, blob(attempt.sealed_request),
        blob(attempt.sealed_response)));
    if (!ends) return DeliveryEnd::none;
    if (attempt.succeeded) {
      MUSTER_TRY_VOID(transaction->run("UPDATE webhook SET failures = 0 WHERE id = ?1 AND failures <> 0", delivery->webhook_id));
      return DeliveryEnd::delivered;
    }
    MUSTER_TRY_VOID(transaction->run("UPDATE webhook SET failures = failures + 1 WHERE id = ?1", delivery->webhook_id));
    MUSTER_TRY(const auto disabled, transaction->run("UPDATE webhook SET enabled = 0, disabled_at = ?2 WHERE id = ?1 AND enabled = 1 AND "
                                                     "failures >= fail_after",
                                                     delivery->webhook_id, attempt.at));
    if (disabled == 0) return DeliveryEnd::given_up;
    MUSTER_TRY(const auto hook, load_webhook(*transaction, delivery->webhook_id));
    Actor system;
    system.at = attempt.at;
    MUSTER_TRY_VOID(transaction.audit(system, hook->organization_id, "webhook.disabled", "webhook", hook->id.value(),
                                      describe(*hook).number("failures", hook->failures).text("problem", attempt.problem)));
    for (const auto& notice : attempt.notices)
      MUSTER_TRY_VOID(insert_mail(transaction, notice, hook->organization_id, MailGoes::out, attempt.at));
    return DeliveryEnd::disabled;
  });
}

Result<Delivery> SqliteStore::create_test_delivery(WebhookId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Delivery> {
    MUSTER_TRY(const auto hook, load_webhook(*transaction, id));
    if (!hook) return DomainError::not_found;
    MUSTER_TRY(const auto waiting, waiting_of(*transaction, id));
    if (waiting >= domain::deliveries_waiting_max) return DomainError::limit_reached;
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO webhook_delivery (webhook_id, message_id, event, organization_id, device_id, facts, by_hand, created_at, next_at) "
        "VALUES (?1, 'msg_' || lower(hex(randomblob(16))), ?2, ?3, 0, ?4, 1, ?5, ?5)",
        id, Trigger::test, hook->organization_id,
        JsonText{}
            .text("trigger", domain::trigger_name(Trigger::test))
            .text("tested_trigger", domain::trigger_name(hook->trigger))
            .number("timestamp_unix", at.ms / 1000)
            .number("timestamp_ms", at.ms)
            .number("org_id", hook->organization_id.value())
            .finish(),
        at));
    const DeliveryId made{transaction->last_insert_id()};
    MUSTER_TRY_VOID(transaction.audit(actor, hook->organization_id, "webhook.test", "webhook", id.value()));
    MUSTER_TRY(const auto delivery, load_delivery(*transaction, made));
    return delivery.value();
  });
}

Result<Delivery> SqliteStore::replay_delivery(DeliveryId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Delivery> {
    MUSTER_TRY(const auto before, load_delivery(*transaction, id));
    if (!before) return DomainError::not_found;
    if (before->state == DeliveryState::waiting) return DomainError::wrong_state;
    MUSTER_TRY(const auto waiting, waiting_of(*transaction, before->webhook_id));
    if (waiting >= domain::deliveries_waiting_max) return DomainError::limit_reached;
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO webhook_delivery (webhook_id, message_id, event, organization_id, device_id, facts, by_hand, replay_of, created_at, "
        "next_at, sealed_request) SELECT webhook_id, message_id, event, organization_id, device_id, facts, 1, id, ?2, ?2, sealed_request "
        "FROM webhook_delivery WHERE id = ?1",
        id, transaction.at(actor)));
    const DeliveryId made{transaction->last_insert_id()};
    MUSTER_TRY_VOID(transaction.audit(actor, before->organization_id, "webhook.replay", "webhook", before->webhook_id.value(),
                                      JsonText{}.number("deliveryId", id.value())));
    MUSTER_TRY(const auto delivery, load_delivery(*transaction, made));
    return delivery.value();
  });
}

Result<std::optional<Delivery>> SqliteStore::find_delivery(DeliveryId id) {
  return impl_->read([&](Connection& connection) { return load_delivery(connection, id); });
}

Result<domain::PageOf<Delivery>> SqliteStore::deliveries(WebhookId id, std::optional<DeliveryState> state, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<Delivery>> {
    domain::PageOf<Delivery> out;
    MUSTER_TRY(const auto total,
               connection.number("SELECT count(*) FROM webhook_delivery WHERE webhook_id = ?1 AND (?2 IS NULL OR state = ?2)", id, state));
    out.total = total.value_or(0);
    MUSTER_TRY(Statement rows,
               connection.query("SELECT " MUSTER_DELIVERY_COLUMNS
                                " FROM webhook_delivery WHERE webhook_id = ?1 AND (?2 IS NULL OR state = ?2) ORDER BY id "
                                "DESC LIMIT ?3 OFFSET ?4",
                                id, state, std::clamp<std::int64_t>(page.limit, 1, 1000), std::max<std::int64_t>(page.offset, 0)));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      out.rows.push_back(delivery_of(rows));
    }
  });
}

Result<std::size_t> SqliteStore::trim_deliveries(UtcTime before, std::size_t limit) {
  return impl_->write([&](Transaction& transaction) -> Result<std::size_t> {
    MUSTER_TRY(const auto gone,
               transaction->run("DELETE FROM webhook_delivery WHERE id IN (SELECT d.id FROM webhook_delivery d JOIN webhook w ON w.id = "
                                "d.webhook_id WHERE d.created_at < ?1 AND (d.state <> 0 OR w.enabled = 0) ORDER BY d.created_at LIMIT ?2)",
                                before, limit));
    return static_cast<std::size_t>(gone);
  });
}

}  // namespace muster::store
