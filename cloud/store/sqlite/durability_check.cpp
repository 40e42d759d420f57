// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/durability_check.hpp"

#include <array>
#include <stdexcept>

namespace muster::store {

using domain::TokenKind;

void DurabilityLedger::begin(const std::string& device, std::uint64_t token) {
  std::lock_guard lock{mutex_};
  records_[device].in_flight_token = token;
}

void DurabilityLedger::acknowledge(const std::string& device, std::uint64_t token) {
  std::lock_guard lock{mutex_};
  DeviceRecord& record = records_[device];
  if (record.acknowledged_token != 0) record.replaced.push_back(record.acknowledged_token);
  record.acknowledged_token = token;
  record.in_flight_token = 0;
  ++acknowledged_;
}

void DurabilityLedger::begin_deletion(const std::string& device) {
  std::lock_guard lock{mutex_};
  records_[device].deletion_in_flight = true;
}

void DurabilityLedger::acknowledge_deletion(const std::string& device) {
  std::lock_guard lock{mutex_};
  records_[device].deleted = true;
  ++acknowledged_;
}

std::map<std::string, DeviceRecord> DurabilityLedger::records() const {
  std::lock_guard lock{mutex_};
  return records_;
}

std::size_t DurabilityLedger::acknowledged() const {
  std::lock_guard lock{mutex_};
  return acknowledged_;
}

TokenDigest digest_of_secret(std::uint64_t secret) {
  TokenDigest digest;
  digest.key_id = 1;
  std::uint64_t state = secret;
  for (auto& byte : digest.mac) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  return digest;
}

domain::NewToken token_of_secret(std::uint64_t secret) { return {digest_of_secret(secret), {}, "sealed-" + std::to_string(secret)}; }

Site prepare_site(domain::Store& store) {
  const auto first = store.set_up("Root", "root@example.com", "verifier", {});
  if (!first) throw std::runtime_error{first.error().message()};
  domain::Template product;
  product.organization_id = first->organization_id;
  product.name = "Product";
  product.tmpl_ids = {"TMPLproduct12"};
  const auto made = store.create_template(product, {});
  if (!made) throw std::runtime_error{made.error().message()};
  return {first->organization_id, made->id};
}

void run_device(domain::Store& store, const Site& site, DurabilityLedger& ledger, const std::string& name, std::uint64_t first_secret,
                int replacements, bool remove) {
  std::uint64_t secret = first_secret;
  domain::Device device;
  device.organization_id = site.organization;
  device.template_id = site.template_id;
  device.name = name;
  ledger.begin(name, secret);
  const auto made = store.create_device(device, token_of_secret(secret), {});
  if (!made) return;
  ledger.acknowledge(name, secret);
  for (int i = 0; i < replacements; ++i) {
    ++secret;
    ledger.begin(name, secret);
    if (!store.replace_token(made->id, token_of_secret(secret), {})) return;
    ledger.acknowledge(name, secret);
  }
  if (!remove) return;
  ledger.begin_deletion(name);
  if (store.delete_device(made->id, {})) ledger.acknowledge_deletion(name);
}

std::vector<std::string> compare(domain::Store& store, Connection& connection, const DurabilityLedger& ledger) {
  std::vector<std::string> wrong;
  const auto complain = [&](std::string text) {
    if (wrong.size() < 20) wrong.push_back(std::move(text));
  };
  const auto number = [&](std::string_view sql) -> std::int64_t {
    const auto result = connection.number(sql);
    if (!result) {
      complain(std::string{sql} + ": " + result.error().message());
      return -1;
    }
    return result->value_or(0);
  };

  if (auto check = connection.query("PRAGMA integrity_check(5)")) {
    if (const auto row = check->step(); !row || !*row || check->text(0) != "ok")
      complain("integrity check: " + (row && *row ? std::string{check->text(0)} : "no answer"));
  } else {
    complain("integrity check: " + check.error().message());
  }
  if (const auto broken = connection.exists("PRAGMA foreign_key_check"); !broken || *broken) complain("foreign keys");

  // What there is, by name.
  std::map<std::string, DeviceId> present;
  std::map<std::int32_t, TokenDigest> live;
  {
    auto rows = connection.query("SELECT id, name FROM device");
    if (!rows) return {"devices: " + rows.error().message()};
    for (auto row = rows->step(); row && *row; row = rows->step()) {
      if (!present.emplace(std::string{rows->text(1)}, rows->id<DeviceId>(0)).second)
        complain("two devices named " + std::string{rows->text(1)});
    }
  }
  const auto streamed = store.for_each_live_token([&](const domain::TokenRecord& record) {
    if (!live.emplace(record.device_id.value(), record.digest).second)
      complain("two live tokens of device " + std::to_string(record.device_id.value()));
  });
  if (!streamed) complain("live tokens: " + streamed.error().message());
  if (const auto devices = store.for_each_device([](const domain::DeviceRow&) {}); !devices)
    complain("devices: " + devices.error().message());
  if (live.size() != present.size())
    complain(std::to_string(live.size()) + " live tokens for " + std::to_string(present.size()) + " devices");

  const auto kind_of = [&](std::uint64_t secret) -> std::optional<TokenKind> {
    const auto found = store.find_token(std::array{digest_of_secret(secret)});
    if (!found) {
      complain("token " + std::to_string(secret) + ": " + found.error().message());
      return std::nullopt;
    }
    return *found ? std::optional{(*found)->record.kind} : std::nullopt;
  };

  for (const auto& [name, record] : ledger.records()) {
    const auto here = present.find(name);
    const bool exists = here != present.end();
    if (exists) present.erase(name);
    if (record.deleted && exists) complain(name + " is back from its deletion");
    if (record.acknowledged_token == 0) {
      // Never acknowledged: all of it or nothing of it.
      const auto kind = kind_of(record.in_flight_token);
      if (exists != (kind == TokenKind::device)) complain(name + " is there by half");
      continue;
    }
    for (const auto secret : record.replaced) {
      if (kind_of(secret) != TokenKind::revoked) complain(name + ": replaced token " + std::to_string(secret) + " is no tombstone");
    }
    const auto newest = kind_of(record.acknowledged_token);
    if (!newest) {
      complain(name + ": acknowledged token " + std::to_string(record.acknowledged_token) + " is lost");
    } else if (!exists) {
      if (!record.deleted && !record.deletion_in_flight) complain(name + " is lost");
      if (*newest != TokenKind::revoked) complain(name + " is gone and its token lives");
    } else if (*newest == TokenKind::revoked) {
      // Only a replacement that was on its way explains that.
      if (record.in_flight_token == 0 || kind_of(record.in_flight_token) != TokenKind::device)
        complain(name + ": its acknowledged token is revoked");
    } else if (record.in_flight_token != 0 && kind_of(record.in_flight_token)) {
      complain(name + ": two tokens");
    }
  }
  for (const auto& [name, id] : present) complain(name + " was never asked for");

  // Each operation with its audit entry and its sealed copy, or not at all.
  if (number("SELECT count(*) FROM audit WHERE action = 'device.create'") -
          number("SELECT count(*) FROM audit WHERE action = 'device.delete'") !=
      number("SELECT count(*) FROM device")) {
    complain("audit entries and devices differ");
  }
  if (number("SELECT count(*) FROM audit WHERE action IN ('device.create', 'device.token.replace')") !=
      number("SELECT count(*) FROM auth_token")) {
    complain("audit entries and tokens differ");
  }
  if (number("SELECT count(*) FROM auth_token_sealed") != number("SELECT count(*) FROM auth_token WHERE kind <> 6"))
    complain("sealed copies and live tokens differ");
  if (number("SELECT count(*) FROM changes WHERE kind = 1 AND id NOT IN (SELECT id FROM auth_token)") != 0)
    complain("a change of a token that is not there");
  return wrong;
}

}  // namespace muster::store
