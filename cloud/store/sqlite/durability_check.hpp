// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cloud/domain/store.hpp"
#include "cloud/store/sqlite/connection.hpp"

/// What the tests that cut off a store share: a workload that remembers what was acknowledged, and the check of what survived.
namespace muster::store {

/// What the workload knows of one device it asked for. Its tokens stand for consecutive secrets.
struct DeviceRecord {
  std::uint64_t acknowledged_token = 0;  ///< The newest one; 0: the device was never acknowledged.
  std::uint64_t in_flight_token = 0;     ///< Asked for, not acknowledged; 0: none.
  bool deletion_in_flight = false, deleted = false;
  std::vector<std::uint64_t> replaced;  ///< Acknowledged as replaced.
};

/// Thread-safe; devices are known by the name they were given.
class DurabilityLedger {
 public:
  void begin(const std::string& device, std::uint64_t token);
  void acknowledge(const std::string& device, std::uint64_t token);
  void begin_deletion(const std::string& device);
  void acknowledge_deletion(const std::string& device);
  [[nodiscard]] std::map<std::string, DeviceRecord> records() const;
  [[nodiscard]] std::size_t acknowledged() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, DeviceRecord> records_;
  std::size_t acknowledged_ = 0;
};

/// A digest and a sealed copy that stand for a secret.
[[nodiscard]] TokenDigest digest_of_secret(std::uint64_t secret);
[[nodiscard]] domain::NewToken token_of_secret(std::uint64_t secret);

/// The root, its Admin and one template in an empty store.
struct Site {
  OrganizationId organization;
  TemplateId template_id;
};
[[nodiscard]] Site prepare_site(domain::Store& store);

/// Creates a device named `name`, then replaces its token, `replacements` times; deletes it at the end if asked to. Stops at
/// the first operation that fails. Secrets start at `first_secret`.
void run_device(domain::Store& store, const Site& site, DurabilityLedger& ledger, const std::string& name, std::uint64_t first_secret,
                int replacements, bool remove);

/// What is wrong with the database, compared with what the ledger says was acknowledged or in flight; empty: nothing.
/// `connection` is one to the database, for the integrity check and the counts.
[[nodiscard]] std::vector<std::string> compare(domain::Store& store, Connection& connection, const DurabilityLedger& ledger);

}  // namespace muster::store
