// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/store_events.hpp"

#include <string>

namespace muster::store {

using domain::TimelineType;
using domain::Trigger;

Result<void> add_system_line(Transaction& transaction, DeviceId device, OrganizationId organization, std::string_view code, UtcTime at,
                             UserId user, std::string_view description) {
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO timeline (device_id, organization_id, at, type, code, name, description, user_id) VALUES (?1, ?2, ?3, "
                       "?4, ?5, '', ?6, ?7)",
                       device, organization, at, TimelineType::system, code, description, user));
  return {};
}

Result<void> erase_timeline(Transaction& transaction, DeviceId device) {
  MUSTER_TRY_VOID(transaction->run("DELETE FROM timeline WHERE device_id = ?1", device));
  return {};
}

Result<bool> is_awaited(Connection& connection, Trigger event) {
  return connection.exists("SELECT 1 FROM webhook WHERE event = ?1 AND enabled = 1 LIMIT 1", event);
}

namespace {

/// What is known of the device, for placeholders; also where it is and what it follows.
Result<void> add_device(Connection& connection, FeedEvent& event, TemplateId& template_id, JsonText& facts) {
  MUSTER_TRY(Statement row,
             connection.query(
                 "SELECT d.name, d.organization_id, d.template_id, d.created_at, t.name, o.name, (SELECT tmpl_id FROM template_tmpl_id m "
                 "WHERE m.template_id = t.id ORDER BY position LIMIT 1), ifnull(d.owner_id, 0) FROM device d JOIN template t ON t.id = "
                 "d.template_id JOIN organization o ON o.id = d.organization_id WHERE d.id = ?1",
                 event.device_id));
  MUSTER_TRY(const bool found, row.step());
  if (!found) return {};
  if (!event.organization_id) event.organization_id = row.id<OrganizationId>(1);
  if (!event.user_id) event.user_id = row.id<UserId>(7);
  template_id = row.id<TemplateId>(2);
  facts.number("device_id", event.device_id.value())
      .text("device_name", row.text(0))
      .text("device_templateId", row.text(6))
      .text("device_productName", row.text(4))
      .text("device_orgName", row.text(5))
      .number("device_dateCreated", row.integer(3));
  MUSTER_TRY(Statement fields, connection.query("SELECT f.name, v.value FROM device_metadata v JOIN meta_field f ON f.template_id = ?2 AND "
                                                "f.id = v.field_id WHERE v.device_id = ?1 ORDER BY f.id",
                                                event.device_id, template_id));
  std::string name;
  for (;;) {
    MUSTER_TRY(const bool more, fields.step());
    if (!more) return {};
    name = "device_metadata_";
    name += fields.text(0);
    facts.text(name, fields.text(1));
  }
}

Result<void> add_user(Connection& connection, FeedEvent& event, JsonText& facts) {
  MUSTER_TRY(Statement row, connection.query("SELECT u.email, u.name, u.organization_id, o.name FROM user u JOIN organization o ON o.id = "
                                             "u.organization_id WHERE u.id = ?1",
                                             event.user_id));
  MUSTER_TRY(const bool found, row.step());
  if (!found) return {};
  if (!event.organization_id) event.organization_id = row.id<OrganizationId>(2);
  facts.number("user_id", event.user_id.value())
      .text("user_email", row.text(0))
      .text("user_name", row.text(1))
      .text("user_orgName", row.text(3));
  return {};
}

}  // namespace

Result<void> push_event(Transaction& transaction, const FeedEvent& given, const JsonText& more) {
  MUSTER_TRY(const bool awaited, is_awaited(*transaction, given.event));
  if (!awaited) return {};
  FeedEvent event = given;
  if (event.at.ms == 0) event.at = transaction.now();
  TemplateId template_id;
  JsonText facts;
  facts.text("trigger", domain::trigger_name(event.event)).number("timestamp_unix", event.at.ms / 1000).number("timestamp_ms", event.at.ms);
  if (event.device_id) MUSTER_TRY_VOID(add_device(*transaction, event, template_id, facts));
  if (event.user_id) MUSTER_TRY_VOID(add_user(*transaction, event, facts));
  facts.number("org_id", event.organization_id.value());
  facts.append(more);
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO event_feed (at, event, organization_id, device_id, template_id, pin, code, facts) VALUES (?1, ?2, ?3, "
                       "?4, ?5, ?6, ?7, ?8)",
                       event.at, event.event, event.organization_id, event.device_id, template_id, event.pin, event.code, facts.finish()));
  return {};
}

Result<void> note_device_added(Transaction& transaction, const domain::Device& device, UtcTime at) {
  MUSTER_TRY_VOID(
      add_system_line(transaction, device.id, device.organization_id, domain::timeline_code::activated, at, device.activated_by));
  return push_event(transaction,
                    {.event = Trigger::device_added, .at = at, .organization_id = device.organization_id, .device_id = device.id});
}

}  // namespace muster::store
