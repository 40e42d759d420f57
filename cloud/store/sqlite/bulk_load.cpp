// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/bulk_load.hpp"

#include "cloud/base/clock.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/migrations.hpp"

namespace muster::store {

Result<DeviceId> bulk_load(const std::filesystem::path& database, const BulkDevices& devices) {
  ConnectionOptions options;
  options.path = database;
  options.cache_kib = 512 * 1024;
  MUSTER_TRY(const auto connection, Connection::open(options, Connection::Use::write));
  MUSTER_TRY(const Contents contents, look_at(*connection));
  if (contents != Contents::current) return domain::StoreError::corrupt;
  MUSTER_TRY_VOID(connection->execute("BEGIN IMMEDIATE"));
  const auto work = [&]() -> Result<DeviceId> {
    MUSTER_TRY(const auto last_device, connection->number("SELECT seq FROM sqlite_sequence WHERE name = 'device'"));
    MUSTER_TRY(const auto last_token, connection->number("SELECT seq FROM sqlite_sequence WHERE name = 'auth_token'"));
    const std::int64_t first_device = last_device.value_or(0) + 1, first_token = last_token.value_or(0) + 1;
    const UtcTime now = SystemClock{}.utc_now();
    TokenDigest digest;
    std::string sealed;
    for (std::size_t i = 0; i < devices.count; ++i) {
      devices.token(i, digest, sealed);
      const auto device = first_device + static_cast<std::int64_t>(i), token = first_token + static_cast<std::int64_t>(i);
      MUSTER_TRY_VOID(
          connection->run("INSERT INTO device (id, organization_id, template_id, owner_id, name, activation_way, activated_at, "
                          "activated_by, created_at, updated_at, "
                          "home_host, home_port_plain, home_port_tls) VALUES (?1, ?2, ?3, NULL, ?4, 0, ?5, 0, ?5, ?5, NULL, 80, 443)",
                          device, devices.organization_id, devices.template_id, devices.name_prefix + std::to_string(device), now));
      MUSTER_TRY_VOID(connection->run(
          "INSERT INTO auth_token (id, kind, device_id, key_id, mac, created_at, expires_at) VALUES (?1, 1, ?2, ?3, ?4, ?5, 0)", token,
          device, digest.key_id, blob(digest.mac), now));
      MUSTER_TRY_VOID(connection->run("INSERT INTO auth_token_sealed (token_id, sealed) VALUES (?1, ?2)", token, blob(sealed)));
    }
    MUSTER_TRY_VOID(connection->execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)"));
    return DeviceId{static_cast<std::int32_t>(first_device)};
  };
  auto result = work();
  if (!result && connection->in_transaction()) static_cast<void>(connection->execute("ROLLBACK"));
  return result;
}

}  // namespace muster::store
