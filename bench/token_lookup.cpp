// SPDX-License-Identifier: Apache-2.0
//
// How fast a login's token is found, without sockets: digest (HMAC-SHA-256) and look-up in the credential index, in random
// order. One JSON line: tokens, bytes per token and per device of the permission view, nanoseconds per digest, hit and miss.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/process_meter.hpp"
#include "cloud/base/auth_token.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/domain/credential_index.hpp"
#include "cloud/domain/directory.hpp"

namespace {

using namespace muster;

constexpr std::string_view token_domain = "auth-token";

/// Mean nanoseconds of `operation(i)` over `count` calls.
template <typename Operation>
double nanoseconds(std::size_t count, Operation operation) {
  const std::uint64_t begin = bench::own_cpu_ns();
  for (std::size_t i = 0; i < count; ++i) operation(i);
  return static_cast<double>(bench::own_cpu_ns() - begin) / static_cast<double>(count);
}

}  // namespace

int main(int argc, char** argv) {
  const long long asked = argc == 1 ? 1'000'000 : argc == 2 ? std::atoll(argv[1]) : 0;
  if (asked < 1 || asked > 20'000'000) {
    std::fprintf(stderr, "Usage: token_lookup [TOKENS]\n");
    return 2;
  }
  const auto count = static_cast<std::size_t>(asked);
  constexpr std::size_t lookups = 1'000'000;
  SeededRandom random{1};
  const auto keys = KeyRing::in_memory(random);
  std::vector<std::string> tokens(count);
  for (std::string& token : tokens) token = AuthToken::generate(random).reveal();

  const bench::ProcessMeter meter{getpid()};
  const std::uint64_t memory_before = meter.anonymous_bytes();
  domain::CredentialIndex index;
  index.reserve(count);
  domain::Directory directory;
  directory.reserve_devices(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::int32_t>(i + 1);
    domain::TokenRecord record;
    record.id = AuthTokenId{number};
    record.device_id = DeviceId{number};
    record.digest = keys->digest(token_domain, tokens[i]).newest();
    index.apply(record);
    directory.put_device({DeviceId{number}, OrganizationId{1}, TemplateId{1}, UserId{}});
  }
  const std::uint64_t memory_after = meter.anonymous_bytes();

  std::vector<std::uint32_t> order(lookups);
  for (std::uint32_t& at : order) at = static_cast<std::uint32_t>(random.below(count));
  std::uint64_t found = 0;
  const double digest_ns =
      nanoseconds(lookups, [&](std::size_t i) { found += keys->digest(token_domain, tokens[order[i]]).newest().mac[0]; });
  found = 0;
  const double hit_ns =
      nanoseconds(lookups, [&](std::size_t i) { found += index.find(keys->digest(token_domain, tokens[order[i]])) ? 1 : 0; });
  if (found != lookups) {
    std::fprintf(stderr, "token_lookup: %zu tokens were not found\n", lookups - static_cast<std::size_t>(found));
    return 1;
  }
  found = 0;
  std::string stranger(AuthToken::length_chars, '-');
  const double miss_ns = nanoseconds(lookups, [&](std::size_t i) {
    std::snprintf(stranger.data(), stranger.size(), "stranger-%015zu", i);
    found += index.find(keys->digest(token_domain, stranger)) ? 1 : 0;
  });
  if (found != 0) {
    std::fprintf(stderr, "token_lookup: a token was found that was never put in\n");
    return 1;
  }
  const auto per_token = [count](std::uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(count); };
  std::printf(
      "{\"tokens\":%zu,\"bytes\":%.1f,\"index_bytes\":%.1f,\"directory_bytes\":%.1f,\"digest_ns\":%.0f,\"hit_ns\":%.0f,\"miss_ns\":%.0f}\n",
      count, per_token(memory_after - memory_before), per_token(index.memory_bytes()), per_token(directory.memory_bytes()), digest_ns,
      hit_ns, miss_ns);
  return 0;
}
