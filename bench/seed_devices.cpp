// SPDX-License-Identifier: Apache-2.0
//
// Fills a new data directory with devices, through the same store operations as the API, and writes their tokens to a file, one
// a line. Only the flushing of each commit is left out: the directory is thrown away when it is interrupted.
#include <sys/stat.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cloud/base/auth_token.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/random.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace {

using namespace muster;

constexpr std::string_view token_domain = "auth-token";
constexpr std::size_t threads = 64;  // They only wait: each has one operation in the writer's queue.

template <class T>
T must(Result<T> result, const char* what) {
  if (result) {
    if constexpr (std::is_void_v<T>)
      return;
    else
      return std::move(result).value();
  }
  std::fprintf(stderr, "seed_devices: %s: %s\n", what, result.error().message().c_str());
  std::_Exit(1);
}

struct Arguments {
  std::filesystem::path data, tokens;
  std::size_t devices = 0;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const std::string_view value = argv[i + 1];
    if (option == "--data")
      arguments.data = value;
    else if (option == "--tokens")
      arguments.tokens = value;
    else if (option != "--devices" || std::from_chars(value.data(), value.data() + value.size(), arguments.devices).ec != std::errc{})
      return false;
  }
  return argc == 7 && arguments.devices > 0 && arguments.devices <= 20'000'000;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "Usage: seed_devices --data DIR --devices N --tokens FILE\n");
    return 2;
  }
  umask(077);
  std::filesystem::create_directories(arguments.data);
  if (std::filesystem::exists(arguments.data / "muster.db")) {
    std::fprintf(stderr, "seed_devices: %s has a database already\n", arguments.data.c_str());
    return 1;
  }
  SecureRandom random;
  const SystemClock clock;
  const auto keys = must(KeyRing::open(arguments.data / "keys", random), "keys");
  store::SqliteOptions options;
  options.durability = store::Durability::off;
  options.group_max = 1024;
  const auto store = store::SqliteStore::open(arguments.data / "muster.db", options);

  domain::Actor actor;
  actor.at = clock.utc_now();
  const auto admin = must(store->set_up("Bench", "bench@example.com", "no password fits this", actor), "set-up");
  must(store->set_unknown_tokens(domain::UnknownTokens::refuse, actor), "set-up");
  actor.user_id = admin.user_id;
  actor.organization_id = admin.organization_id;
  domain::Template prototype;
  prototype.organization_id = admin.organization_id;
  prototype.name = "Bench";
  prototype.manufacturer = "Bench";
  prototype.tmpl_ids = {domain::generate_tmpl_id(random)};
  prototype = must(store->create_template(prototype, actor), "template");

  std::vector<std::string> tokens(arguments.devices);
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      for (std::size_t at = next++; at < arguments.devices; at = next++) {
        const AuthToken secret = AuthToken::generate(random);
        const TokenDigests digests = keys->digest(token_domain, secret.reveal());
        domain::NewToken token;
        token.digest = digests.newest();
        token.all_digests = digests.all();
        token.sealed = keys->seal(token_domain, secret.reveal(), random);
        domain::Device device;
        device.organization_id = admin.organization_id;
        device.template_id = prototype.id;
        device.name = "Bench " + std::to_string(at + 1);
        device.activated_at = device.created_at = device.updated_at = actor.at;
        device.activated_by = admin.user_id;
        must(store->create_device(device, token, actor), "device");
        tokens[at] = secret.reveal();
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  store->close();

  std::ofstream file{arguments.tokens};
  for (const std::string& token : tokens) file << token << '\n';
  if (!file.flush()) {
    std::fprintf(stderr, "seed_devices: cannot write %s\n", arguments.tokens.c_str());
    return 1;
  }
  return 0;
}
