// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// Streams that build the views, and what is written behind: presence and values.
namespace muster::store {

using domain::Home;
using domain::StoreError;

namespace {

constexpr std::int64_t day_ms = 24ll * 60 * 60 * 1000;
constexpr std::int64_t seen_ip_days = 90;  ///< Addresses nobody has logged in from for longer are strangers again.

/// The first connection of all, and the first one in the organization where the device is now.
Result<void> note_connection(Transaction& transaction, DeviceId device, UtcTime at) {
  OrganizationId organization;
  bool first = false;
  {
    MUSTER_TRY(Statement row,
               transaction->query("SELECT d.organization_id, ifnull(p.first_connect_time, 0), ifnull(p.connected_organization_id, 0) FROM "
                                  "device d LEFT JOIN device_presence p ON p.device_id = d.id WHERE d.id = ?1",
                                  device));
    MUSTER_TRY(const bool found, row.step());
    if (!found || row.integer(0) == row.integer(2)) return {};
    organization = row.id<OrganizationId>(0);
    first = row.integer(1) == 0;
  }
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO device_presence (device_id, connected_organization_id) VALUES (?1, ?2) ON CONFLICT DO UPDATE "
                       "SET connected_organization_id = excluded.connected_organization_id",
                       device, organization));
  if (first) {
    MUSTER_TRY_VOID(add_system_line(transaction, device, organization, domain::timeline_code::first_connection, at));
    MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::first_device_connection, .at = at, .device_id = device}));
  }
  return push_event(transaction, {.event = domain::Trigger::first_device_connection_in_org, .at = at, .device_id = device});
}

/// Which values webhooks wait for: looked up once a batch.
struct AwaitedValues {
  std::set<std::int64_t> devices, templates;
};
Result<AwaitedValues> awaited_values(Connection& connection) {
  AwaitedValues awaited;
  MUSTER_TRY(Statement rows, connection.query("SELECT device_id, template_id FROM webhook WHERE event = ?1 AND enabled = 1",
                                              domain::Trigger::device_datastream_update));
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return awaited;
    if (rows.integer(0) != 0) {
      awaited.devices.insert(rows.integer(0));
    } else {
      awaited.templates.insert(rows.integer(1));
    }
  }
}
Result<bool> is_awaited(Connection& connection, const AwaitedValues& awaited, DeviceId device) {
  if (awaited.devices.contains(device.value())) return true;
  if (awaited.templates.empty()) return false;
  const auto follows = connection.number("SELECT template_id FROM device WHERE id = ?1", device);
  if (!follows) return failed<Result<bool>>(follows.error());
  return *follows && awaited.templates.contains(**follows);
}

Result<void> push_value(Transaction& transaction, const domain::ValueUpdate& update) {
  std::string name, value = update.value.value;
  {
    MUSTER_TRY(Statement row,
               transaction->query("SELECT s.name FROM device d JOIN datastream s ON s.template_id = d.template_id AND s.pin = "
                                  "?2 WHERE d.id = ?1",
                                  update.device_id, update.value.pin));
    MUSTER_TRY(const bool found, row.step());
    if (found) name = row.text(0);
  }
  std::replace(value.begin(), value.end(), '\0', ',');
  return push_event(
      transaction,
      {.event = domain::Trigger::device_datastream_update, .at = update.value.at, .device_id = update.device_id, .pin = update.value.pin},
      JsonText{}.number("datastream_pin", update.value.pin).text("datastream_name", name).text("datastream_value", value));
}

}  // namespace

Result<void> SqliteStore::for_each_device(const std::function<void(const domain::DeviceRow&)>& each) {
  return impl_->read([&](Connection& connection) -> Result<void> {
    MUSTER_TRY(const auto expected, read_setting(connection, "devices"));
    std::int64_t seen = 0;
    MUSTER_TRY(Statement rows, connection.query("SELECT id, organization_id, template_id, owner_id FROM device NOT INDEXED ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      each({rows.id<DeviceId>(0), rows.id<OrganizationId>(1), rows.id<TemplateId>(2), rows.id<UserId>(3)});
      ++seen;
    }
    if (seen != expected) return StoreError::corrupt;
    return {};
  });
}

Result<void> SqliteStore::for_each_seen_ip(const std::function<void(std::string_view)>& each) {
  return impl_->read([&](Connection& connection) -> Result<void> {
    MUSTER_TRY(Statement rows, connection.query("SELECT ip FROM seen_ip"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return {};
      each(rows.text(0));
    }
  });
}

Result<void> SqliteStore::for_each_recent_session(UtcTime since, const std::function<void(DeviceId, UtcTime)>& each) {
  return impl_->read([&](Connection& connection) -> Result<void> {
    MUSTER_TRY(Statement rows,
               connection.query("SELECT device_id, iif(connect_time > disconnect_time, 0, disconnect_time) FROM device_presence "
                                "WHERE connect_time > disconnect_time OR disconnect_time > ?1",
                                since));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return {};
      each(rows.id<DeviceId>(0), rows.time(1));
    }
  });
}

Result<void> SqliteStore::for_each_device_home(const std::function<void(DeviceId, const Home&)>& each) {
  return impl_->read([&](Connection& connection) -> Result<void> {
    MUSTER_TRY(
        Statement rows,
        connection.query("SELECT id, home_host, home_port_plain, home_port_tls FROM device WHERE home_host IS NOT NULL ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return {};
      each(rows.id<DeviceId>(0),
           {std::string{rows.text(1)}, static_cast<std::uint16_t>(rows.integer(2)), static_cast<std::uint16_t>(rows.integer(3))});
    }
  });
}

Result<void> SqliteStore::write_presence(std::span<const domain::PresenceUpdate> batch) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    const auto today = transaction.now().ms / day_ms;
    for (const domain::PresenceUpdate& update : batch) {
      // What is not set is bound as NULL and keeps its column.
      std::optional<std::string_view> hardware[7];
      std::optional<std::int64_t> heartbeat, buffer;
      if (update.hardware) {
        const auto& info = *update.hardware;
        const std::string_view texts[] = {info.version,     info.firmware_type, info.library_version, info.board_type, info.build,
                                          info.template_id, info.agent};
        std::copy(std::begin(texts), std::end(texts), std::begin(hardware));
        heartbeat = info.heartbeat_s;
        buffer = info.buffer_in_bytes;
      }
      const auto write = [&] {
        return transaction->run(
            "UPDATE device_presence SET first_connect_time = CASE WHEN first_connect_time = 0 THEN coalesce(?2, 0) ELSE first_connect_time "
            "END, "
            "connect_time = coalesce(?2, connect_time), disconnect_time = coalesce(?3, disconnect_time), last_reported_at = coalesce(?4, "
            "last_reported_at), "
            "last_ip = coalesce(?5, last_ip), plain_text_link = coalesce(?6, plain_text_link), hardware_version = coalesce(?7, "
            "hardware_version), "
            "hardware_firmware_type = coalesce(?8, hardware_firmware_type), hardware_library_version = coalesce(?9, "
            "hardware_library_version), "
            "hardware_board_type = coalesce(?10, hardware_board_type), hardware_build = coalesce(?11, hardware_build), "
            "hardware_template_id = coalesce(?12, hardware_template_id), hardware_agent = coalesce(?13, hardware_agent), "
            "hardware_heartbeat_s = coalesce(?14, hardware_heartbeat_s), hardware_buffer_in_bytes = coalesce(?15, "
            "hardware_buffer_in_bytes) WHERE device_id = ?1",
            update.device_id, update.connected_at, update.disconnected_at, update.reported_at, update.ip, update.plain_text_link,
            hardware[0], hardware[1], hardware[2], hardware[3], hardware[4], hardware[5], hardware[6], heartbeat, buffer);
      };
      if (update.connected_at) MUSTER_TRY_VOID(note_connection(transaction, update.device_id, *update.connected_at));
      MUSTER_TRY(const auto rows, write());
      if (rows == 0) {
        MUSTER_TRY(const auto made,
                   transaction->run("INSERT INTO device_presence (device_id) SELECT id FROM device WHERE id = ?1", update.device_id));
        if (made == 0) continue;  // Deleted meanwhile.
        MUSTER_TRY_VOID(write());
      }
      if (update.ip && !update.ip->empty()) {
        MUSTER_TRY_VOID(transaction->run(
            "INSERT INTO seen_ip (ip, last_seen_day) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET last_seen_day = excluded.last_seen_day "
            "WHERE last_seen_day <> excluded.last_seen_day",
            *update.ip, today));
      }
    }
    if (impl_->seen_ip_trimmed_day != today) {
      MUSTER_TRY_VOID(transaction->run("DELETE FROM seen_ip WHERE last_seen_day < ?1", today - seen_ip_days));
      impl_->seen_ip_trimmed_day = today;
    }
    return {};
  });
}

Result<void> SqliteStore::write_values(std::span<const domain::ValueUpdate> batch) {
  // In the order of the table: neighbours share pages, and each page is gone through once.
  std::vector<const domain::ValueUpdate*> sorted;
  sorted.reserve(batch.size());
  for (const domain::ValueUpdate& update : batch) sorted.push_back(&update);
  std::stable_sort(sorted.begin(), sorted.end(), [](const domain::ValueUpdate* a, const domain::ValueUpdate* b) {
    return std::pair{a->device_id, a->value.pin} < std::pair{b->device_id, b->value.pin};
  });
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const AwaitedValues awaited, awaited_values(*transaction));
    const bool any = !awaited.devices.empty() || !awaited.templates.empty();
    for (const domain::ValueUpdate* update : sorted) {
      if (any) {
        MUSTER_TRY(const bool wanted, is_awaited(*transaction, awaited, update->device_id));
        if (wanted) MUSTER_TRY_VOID(push_value(transaction, *update));
      }
      const domain::PinValue& value = update->value;
      // Most values have a row already: that is one search. Only a first value asks whether its device is still there, and
      // has not been emptied since the value came.
      MUSTER_TRY(const auto rows, transaction->run("UPDATE device_value SET value = ?3, at = ?4 WHERE device_id = ?1 AND pin = ?2",
                                                   update->device_id, value.pin, blob(value.value), value.at));
      if (rows != 0) continue;
      MUSTER_TRY_VOID(
          transaction->run("INSERT INTO device_value (device_id, pin, value, at) SELECT id, ?2, ?3, ?4 FROM device WHERE id = ?1 "
                           "AND (erased_at = 0 OR erased_at < ?4)",
                           update->device_id, value.pin, blob(value.value), value.at));
    }
    return {};
  });
}

Result<std::vector<domain::PinValue>> SqliteStore::values_of(DeviceId id) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<domain::PinValue>> {
    std::vector<domain::PinValue> all;
    MUSTER_TRY(Statement rows, connection.query("SELECT pin, value, at FROM device_value WHERE device_id = ?1 ORDER BY pin", id));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back({static_cast<std::uint8_t>(rows.integer(0)), std::string{rows.text(1)}, rows.time(2)});
    }
  });
}

}  // namespace muster::store
