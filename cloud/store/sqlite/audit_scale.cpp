// SPDX-License-Identifier: Apache-2.0
// What checking a long audit log costs: muster_audit_scale [ENTRIES] (default 1,000,000). Prints the time of reading the rows and computing
// one HMAC each, that of the whole check, their ratio, and the memory at its peak after a tenth and after all of it.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cloud/base/temporary_folder.hpp"
#include "cloud/store/sqlite/audit_log.hpp"
#include "cloud/store/sqlite/migrations.hpp"

namespace {

using namespace muster;
using SteadyClock = std::chrono::steady_clock;

void must(bool fact, const char* what) {
  if (fact) return;
  std::fprintf(stderr, "muster_audit_scale: %s failed\n", what);
  std::exit(1);
}

double seconds_since(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

long peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

int main(int argc, char** argv) {
  const auto count = static_cast<std::int64_t>(argc > 1 ? std::strtoll(argv[1], nullptr, 10) : 1'000'000);
  const TemporaryFolder scratch;
  SecureRandom random;
  const auto key = AuditKey::open(scratch.path(), random).value();
  store::ConnectionOptions options;
  options.path = scratch.path() / "muster.db";
  options.synchronous = store::Synchronous::off;
  const auto opened = store::Connection::open(options, store::Connection::Use::write_create);
  must(opened.has_value(), "opening");
  store::Connection& connection = **opened;
  must(store::migrate(connection, *key, {1}).has_value(), "migrating");

  auto start = SteadyClock::now();
  must(connection.execute("BEGIN").has_value(), "begin");
  domain::AuditEntry entry;
  entry.client = "HTTPS API";
  entry.organization_id = OrganizationId{1};
  entry.action = "device.rename";
  entry.object_kind = "device";
  for (std::int64_t i = 1; i <= count; ++i) {
    entry.at = {1'767'225'600'000 + i};
    entry.actor_user_id = UserId{i % 100 + 1};
    entry.ip = "192.0.2." + std::to_string(i % 250);
    entry.object_id = i;
    entry.detail = R"({"before":{"name":"Greenhouse lamp )" + std::to_string(i) + R"("},"after":{"name":"Lamp at the door )" +
                   std::to_string(i) + R"("}})";
    entry.personal = i % 5 == 0 ? R"({"email":"someone@example.com","name":"Some One"})" : "";
    must(store::lay_audit_entry(connection, *key, entry).has_value(), "laying");
  }
  must(connection.execute("COMMIT").has_value(), "commit");
  std::printf("%ld entries laid: %.1f us each\n", static_cast<long>(count), seconds_since(start) * 1e6 / static_cast<double>(count));

  std::vector<double> ratios;
  std::uint8_t sink = 0;
  for (int round = 0; round < 7; ++round) {
    start = SteadyClock::now();
    must(store::walk_audit_chain(connection,
                                 [&](const domain::AuditLink& link) { sink ^= domain::audit_mac(*key, link.previous, link.content)[0]; })
             .has_value(),
         "reading");
    const double reading = seconds_since(start);
    const long before = peak_kib();
    long at_a_tenth = 0;
    domain::AuditCheck check{*key, {}};
    start = SteadyClock::now();
    must(store::walk_audit_chain(connection,
                                 [&](const domain::AuditLink& link) {
                                   check.take(link);
                                   if (link.content.number == count / 10) at_a_tenth = peak_kib();
                                 })
             .has_value(),
         "checking");
    check.finish(count);
    const double checking = seconds_since(start);
    must(check.findings().empty() && check.genuine() == count, "the chain");
    ratios.push_back(checking / reading);
    std::printf(
        "rows and one HMAC each %.2f s, whole check %.2f s, ratio %.2f; peak memory %ld KiB before, %ld after a tenth, %ld after all\n",
        reading, checking, ratios.back(), before, at_a_tenth, peak_kib());
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("median ratio %.2f (%u)\n", ratios[ratios.size() / 2], unsigned{sink});
  return ratios[ratios.size() / 2] <= 3.0 ? 0 : 1;
}
