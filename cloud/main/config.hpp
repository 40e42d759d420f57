// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cloud/api/api.hpp"
#include "cloud/domain/timeline_queue.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"
#include "cloud/webhook/deliverer.hpp"

namespace muster::main {

struct NetworkConfig {
  unsigned loops = 0;               ///< 0: one per core.
  std::size_t connections_max = 0;  ///< 0: what the descriptor limit allows.
  std::size_t connections_per_address_max = 4'096;
  std::size_t tls_handshakes_max = 1'024;                  ///< At the same time.
  std::chrono::milliseconds first_bytes_deadline{10'000};  ///< Also of a TLS handshake and of HTTP headers.
  std::vector<std::string> trusted_proxies;                ///< Addresses and networks; their X-Forwarded-For is believed. HTTP only.
  std::chrono::milliseconds shutdown_spread{3'000};        ///< Sessions are closed spread over this time on SIGTERM.
};

struct TlsConfig {
  std::string certificate_file;  ///< PEM chain; empty: the private CA's.
  std::string key_file;
  std::vector<std::string> extra_names;  ///< More subject names for the private CA's certificate.
};

/// The server that takes our mail. Nothing is sent while `url` is empty.
struct MailConfig {
  std::string url;               ///< smtp://HOST[:PORT] or smtps://HOST[:PORT]
  std::string tls = "starttls";  ///< Of smtp://: starttls or none.
  std::string user;
  std::string password_file;  ///< Text, or an age file.
  std::string identity_file;  ///< The age key that opens it.
  std::string from;           ///< "muster@example.org"
  std::string ca_file;        ///< PEM; empty: the system's.
  std::chrono::seconds timeout{60};
  std::chrono::milliseconds retry_first{30'000};
};

/// What muster.toml says; every key has a default. One section a struct.
struct Config {
  protocol::GatewayLimits gateway;
  api::ApiOptions api;
  NetworkConfig network;
  TlsConfig tls;
  MailConfig mail;
  std::string sign_up = "closed";  ///< api.sign_up is made of it.
  std::string log_level = "info";
  std::size_t values_memory_mib = 256;
  std::size_t organization_depth_max = 4;  ///< Levels of the tree, the root counted.
  domain::TimelineQueue::Limits timeline;
  unsigned timeline_days_kept = 90;  ///< 0: for ever.
  webhook::Options webhooks;
};

/// What is wrong with a configuration: one sentence that names the file, the line and the key, and says what to do.
struct ConfigError {
  std::string message;
};

/// Reads a TOML file. Unknown keys, wrong types and numbers out of range are errors.
[[nodiscard]] std::variant<Config, ConfigError> read_config(const std::string& file);
/// The same for text already in memory; `name` stands for the file in messages.
[[nodiscard]] std::variant<Config, ConfigError> parse_config(std::string_view text, const std::string& name);

/// The keys that `next` has another value for than the configuration in force and that a running server does not take over.
[[nodiscard]] std::vector<std::string> changes_that_need_a_restart(const Config& in_force, const Config& next);

/// Every key with its default and meaning, as a commented TOML file: `muster serve --print-config` and docs/operating.
[[nodiscard]] std::string describe_config();

}  // namespace muster::main
