// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/config.hpp"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <functional>

#include "cloud/base/ip_network.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/mail/texts.hpp"
#include "cloud/main/mail_parts.hpp"

namespace muster::main {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t config_size_max_bytes = 1u << 20;

/// One key of the file: where its value goes, what it may be. The table below is the whole schema.
struct Key {
  std::string_view path;          // section.key
  std::string_view meaning;       // with its unit
  std::int64_t min = 0, max = 0;  // numbers only
  std::variant<std::size_t*, unsigned*, std::uint16_t*, milliseconds*, std::chrono::seconds*, double*, bool*, std::string*,
               std::vector<std::string>*>
      target;
};

/// What a running server takes over from a file that is read again; everything else is fixed when the parts are built.
bool takes_effect_on_reload(std::string_view path) noexcept {
  if (path == "gateway.body_size_max_bytes") return false;  // The network's buffers are made for it.
  return path == "log.level" || path == "network.shutdown_spread_ms" || path == "timeline.days_kept" || path.starts_with("tls.") ||
         path.starts_with("gateway.");
}

std::vector<Key> schema(Config& c) {
  constexpr std::int64_t million = 1'000'000;
  return {
      {"log.level", "debug, info, warning or error", 0, 0, &c.log_level},
      {"network.loops", "network threads; 0: one per core", 0, 256, &c.network.loops},
      {"network.connections_max", "open connections; 0: what the descriptor limit allows", 0, 100 * million, &c.network.connections_max},
      {"network.connections_per_address_max", "open connections of one address (IPv6: of one /64)", 1, 100 * million,
       &c.network.connections_per_address_max},
      {"network.tls_handshakes_max", "TLS handshakes under way at the same time", 1, million, &c.network.tls_handshakes_max},
      {"network.first_bytes_deadline_ms", "until the first bytes, a TLS handshake or HTTP headers are complete", 100, 600'000,
       &c.network.first_bytes_deadline},
      {"network.trusted_proxies",
       "addresses and networks, like \"10.0.0.0/8\", of reverse proxies whose X-Forwarded-For and -Proto are believed; HTTP only", 0, 0,
       &c.network.trusted_proxies},
      {"network.shutdown_spread_ms", "sessions are closed spread over this time on SIGTERM", 0, 9'000, &c.network.shutdown_spread},
      {"tls.certificate_file", "PEM chain of your own certificate; empty: one from the private CA", 0, 0, &c.tls.certificate_file},
      {"tls.key_file", "PEM key of that certificate", 0, 0, &c.tls.key_file},
      {"tls.extra_names", "more host names or addresses for the private CA's certificate", 0, 0, &c.tls.extra_names},
      {"gateway.login_deadline_ms", "from accept to a complete login", 100, 600'000, &c.gateway.login_deadline},
      {"gateway.login_hold_ms", "how long a login waits for the registry; clients give up after 5-6 s", 100, 60'000, &c.gateway.login_hold},
      {"gateway.heartbeat_default_ms", "heartbeat of a device that has not said one", 1'000, 86'400'000, &c.gateway.heartbeat_default},
      {"gateway.heartbeat_factor", "silence of this many heartbeats ends a session", 1, 10, &c.gateway.heartbeat_factor},
      {"gateway.offline_wait_ms", "a device whose session ended is shown as offline when none came back in this time", 0, 86'400'000,
       &c.gateway.offline_wait},
      {"gateway.body_size_max_bytes", "largest frame body accepted from a device", 256, 65'535, &c.gateway.body_size_max_bytes},
      {"gateway.flood_rate_per_s", "frames a second and device; past it they are dropped", 1, 10 * million, &c.gateway.flood_rate_per_s},
      {"gateway.flood_burst", "frames that may come at once", 1, 10 * million, &c.gateway.flood_burst},
      {"gateway.flood_close_after_s", "a flood that lasts this long ends the session", 1, 86'400, &c.gateway.flood_close_after},
      {"gateway.login_misses_queued_max", "unknown tokens that may wait for the store", 1, million, &c.gateway.login_misses_queued_max},
      {"gateway.login_misses_per_address_per_s", "unknown tokens of one address that the store is asked about in a second", 1, million,
       &c.gateway.login_misses_per_address_per_s},
      {"gateway.breaker_addresses_per_minute",
       "known addresses that may hear \"invalid token\" in a minute before the breaker holds it back", 1, million,
       &c.gateway.breaker_addresses_per_minute},
      {"gateway.conflict_swaps_per_minute", "logins of one token that replace each other in a minute and raise token_conflict", 1, 10'000,
       &c.gateway.conflict_swaps_per_minute},
      {"gateway.allow_plain_from_public", "allow unencrypted device links from public addresses for every template", 0, 0,
       &c.gateway.allow_plain_from_public},
      {"gateway.own_hosts",
       "more names of this node (it knows its public URL, host name and addresses): devices are never redirected to them", 0, 0,
       &c.gateway.own_hosts},
      {"gateway.redirect_back_hosts", "hosts known to redirect back here: devices are never redirected to them", 0, 0,
       &c.gateway.redirect_back_hosts},
      {"api.body_size_max_bytes", "largest HTTP body", 1'024, 512 * million, &c.api.body_size_max_bytes},
      {"api.sign_in_failures_per_address", "wrong sign-ins of one address or account before it is blocked", 1, million,
       &c.api.sign_in_failures_per_address},
      {"api.sign_in_block_s", "how long that block lasts", 1, 86'400, &c.api.sign_in_block},
      {"api.requests_per_minute_per_organization", "platform API requests of one organization in a minute", 1, 1'000 * million,
       &c.api.requests_per_minute_per_organization},
      {"api.requests_per_minute_per_key", "platform API requests of one API key or OAuth2 client in a minute; 0: no limit", 0,
       1'000 * million, &c.api.requests_per_minute_per_key},
      {"api.updates_per_day_per_device", "values that /external/api/update sets on one device in a day; 0: no limit", 0, 1'000 * million,
       &c.api.updates_per_day_per_device},
      {"api.stream_clients_max", "live streams signed in at the same time", 1, million, &c.api.stream_clients_max},
      {"api.stream_rows_max", "rows that one live stream may subscribe to", 1, million, &c.api.stream_rows_max},
      {"provision.token_ttl_s", "how long a provisioning token waits for its device", 600, 604'800, &c.api.provision_token_life},
      {"provision.sessions_open_max", "provisioning sessions of one user that may be open at once", 1, 100'000,
       &c.api.provision_sessions_open_max},
      {"provision.tokens_per_hour_per_user", "provisioning tokens that one user may ask for in an hour; 0: no limit", 0, million,
       &c.api.provision_tokens_per_hour_per_user},
      {"provision.requests_per_hour_per_device", "calls of /external/api/provision with one token in an hour; 0: no limit", 0, million,
       &c.api.provision_requests_per_hour_per_device},
      {"organizations.depth_max", "levels of the tree of organizations, the root counted", 1, 16, &c.organization_depth_max},
      {"people.sign_up", "who may make an account without an invitation: closed, clients, partners or both", 0, 0, &c.sign_up},
      {"people.invitations_per_day", "invitations of one organization in a day; 0: no limit", 0, million, &c.api.invitations_per_day},
      {"mail.url", "smtp://HOST[:PORT] or smtps://HOST[:PORT] of the server that takes our mail; empty: no mail is sent", 0, 0,
       &c.mail.url},
      {"mail.tls", "of smtp://: starttls, or none for a relay on this machine", 0, 0, &c.mail.tls},
      {"mail.user", "name for that server; empty: it wants none", 0, 0, &c.mail.user},
      {"mail.password_file", "file with the password, for the owner only (0600); may be an age file", 0, 0, &c.mail.password_file},
      {"mail.identity_file", "file with the age key that opens it", 0, 0, &c.mail.identity_file},
      {"mail.from", "address that our mail comes from", 0, 0, &c.mail.from},
      {"mail.ca_file", "PEM file of the authority that vouches for the mail server; empty: the system's", 0, 0, &c.mail.ca_file},
      {"mail.timeout_s", "how long sending one mail may take", 1, 600, &c.mail.timeout},
      {"mail.retry_first_ms", "wait after the first failure; each further one doubles it, up to an hour", 100, 3'600'000,
       &c.mail.retry_first},
      {"brand.name", "how this server calls itself in mails and on its pages", 0, 0, &c.api.brand.name},
      {"brand.logo_url", "https:// address of a picture; empty: the name is shown", 0, 0, &c.api.brand.logo_url},
      {"brand.color", "of buttons, as #rrggbb", 0, 0, &c.api.brand.color},
      {"brand.support", "email or https:// address for help; empty: none is shown", 0, 0, &c.api.brand.support},
      {"brand.terms_url", "address of your terms; who signs up must accept them", 0, 0, &c.api.brand.terms_url},
      {"brand.privacy_url", "address of your privacy notice", 0, 0, &c.api.brand.privacy_url},
      {"timeline.days_kept", "lines of devices' timelines are kept this long; 0: for ever", 0, 36'500, &c.timeline_days_kept},
      {"timeline.events_per_day_per_device", "events that a device may log in a day; 0: no limit", 0, million, &c.timeline.events_per_day},
      {"timeline.same_event_apart_ms", "how far apart a device logs the same event", 0, 86'400'000, &c.timeline.same_event_apart},
      {"webhooks.rate_per_minute", "attempts of one webhook in a minute", 1, million, &c.webhooks.rate_per_minute},
      {"webhooks.retry_first_ms", "pause after the first failed attempt of a delivery; doubled with each, at most 2 h", 1, 3'600'000,
       &c.webhooks.retry_first},
      {"webhooks.timeout_ms", "how long an attempt may take", 100, 60'000, &c.webhooks.timeout},
      {"webhooks.connections_max", "attempts at the same time", 1, 256, &c.webhooks.connections_max},
      {"webhooks.connections_per_webhook_max", "attempts of one webhook at the same time", 1, 256, &c.webhooks.connections_per_webhook_max},
      {"webhooks.allowed_networks",
       "addresses and networks, like \"10.1.0.0/16\", that webhooks may reach although they are loopback, private or reserved", 0, 0,
       &c.webhooks.allowed_networks},
      {"webhooks.ca_file", "PEM certificates that targets are verified with; empty: the system's", 0, 0, &c.webhooks.ca_file},
      {"webhooks.log_days", "ended deliveries are kept this long; 0: for ever", 0, 36'500, &c.webhooks.log_days},
      {"values.memory_mib", "memory for last values", 1, 1'000'000, &c.values_memory_mib},
  };
}

/// Puts what two keys say together where it is used; what is wrong, or empty.
std::string judge_people(Config& config) {
  static constexpr std::pair<std::string_view, api::SignUpMode> modes[] = {{"closed", api::SignUpMode::closed},
                                                                           {"clients", api::SignUpMode::clients},
                                                                           {"partners", api::SignUpMode::partners},
                                                                           {"both", api::SignUpMode::both}};
  const auto mode = std::find_if(std::begin(modes), std::end(modes), [&](const auto& each) { return each.first == config.sign_up; });
  if (mode == std::end(modes)) return fmt::format("people.sign_up must be closed, clients, partners or both, not \"{}\"", config.sign_up);
  config.api.sign_up = mode->second;
  if (const auto complaint = mail::check_brand(config.api.brand); !complaint.empty()) return "brand: " + complaint;
  config.api.has_smtp = !config.mail.url.empty();
  if (!config.api.has_smtp) return {};
  if (!parse_mail_url(config.mail.url)) return "mail.url must be like smtp://mail.example.org:587 or smtps://mail.example.org";
  if (config.mail.tls != "starttls" && config.mail.tls != "none") return "mail.tls must be starttls or none";
  if (const auto complaint = domain::check_email(config.mail.from)) return "mail.from: " + *complaint;
  if (config.mail.user.empty() != config.mail.password_file.empty())
    return "mail.user and mail.password_file go together: give both or neither";
  return {};
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

std::string hint(std::string_view path, const std::vector<Key>& keys) {
  const auto nearest = std::min_element(keys.begin(), keys.end(),
                                        [&](const Key& a, const Key& b) { return distance(a.path, path) < distance(b.path, path); });
  return distance(nearest->path, path) <= 5 ? fmt::format("; did you mean {}?", nearest->path)
                                            : std::string{"; `muster serve --print-config` lists all keys"};
}

/// Puts `node` where `key` says, or answers what is wrong with it.
std::string assign(const Key& key, const toml::node& node) {
  const auto number = [&](auto& out, double scale = 1) -> std::string {
    const auto whole = node.value_exact<std::int64_t>();
    if (!whole) return "must be a whole number";
    if (*whole < key.min || *whole > key.max) return fmt::format("must be {}..{}", key.min, key.max);
    out = static_cast<std::remove_reference_t<decltype(out)>>(static_cast<double>(*whole) * scale);
    return {};
  };
  return std::visit(
      [&]<class T>(T* out) -> std::string {
        if constexpr (std::is_same_v<T, std::string>) {
          const auto text = node.value_exact<std::string>();
          if (!text) return "must be a text in quotes";
          *out = *text;
        } else if constexpr (std::is_same_v<T, bool>) {
          const auto flag = node.value_exact<bool>();
          if (!flag) return "must be true or false";
          *out = *flag;
        } else if constexpr (std::is_same_v<T, double>) {
          const auto value = node.value<double>();
          if (!value) return "must be a number";
          if (!(*value >= static_cast<double>(key.min) && *value <= static_cast<double>(key.max)))  // Not a number is neither.
            return fmt::format("must be {}..{}", key.min, key.max);
          *out = *value;
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          const auto* list = node.as_array();
          if (!list) return "must be a list of texts";
          out->clear();
          for (const auto& item : *list) {
            const auto text = item.value_exact<std::string>();
            if (!text) return "must be a list of texts";
            out->push_back(*text);
          }
        } else if constexpr (std::is_same_v<T, milliseconds> || std::is_same_v<T, std::chrono::seconds>) {
          std::int64_t count = 0;
          if (auto complaint = number(count); !complaint.empty()) return complaint;
          *out = T{count};
        } else {
          return number(*out);
        }
        return {};
      },
      key.target);
}

}  // namespace

std::variant<Config, ConfigError> parse_config(std::string_view text, const std::string& name) {
  Config config;
  const auto keys = schema(config);
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    return ConfigError{fmt::format("{}:{}: {}", name, error.source().begin.line, error.description())};
  }
  for (const auto& [section, node] : root) {
    const auto* table = node.as_table();
    const auto line = node.source().begin.line;
    if (!table)
      return ConfigError{fmt::format("{}:{}: {} must stand in a section{}", name, line, section.str(), hint(section.str(), keys))};
    for (const auto& [word, value] : *table) {
      const std::string path = fmt::format("{}.{}", section.str(), word.str());
      const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.path == path; });
      const auto value_line = value.source().begin.line;
      if (key == keys.end()) return ConfigError{fmt::format("{}:{}: unknown key {}{}", name, value_line, path, hint(path, keys))};
      if (const auto complaint = assign(*key, value); !complaint.empty())
        return ConfigError{fmt::format("{}:{}: {} {}", name, value_line, path, complaint)};
    }
  }
  static constexpr std::string_view levels[] = {"debug", "info", "warning", "error"};
  if (std::find(std::begin(levels), std::end(levels), config.log_level) == std::end(levels)) {
    return ConfigError{fmt::format("{}: log.level must be debug, info, warning or error, not \"{}\"", name, config.log_level)};
  }
  for (const auto& proxy : config.network.trusted_proxies) {
    if (!IpNetwork::parse(proxy)) {
      return ConfigError{
          fmt::format("{}: network.trusted_proxies: \"{}\" is no address or network; write it like 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32",
                      name, proxy)};
    }
  }
  if (const auto complaint = judge_people(config); !complaint.empty()) return ConfigError{fmt::format("{}: {}", name, complaint)};
  for (const auto& network : config.webhooks.allowed_networks) {
    if (!IpNetwork::parse(network)) {
      return ConfigError{fmt::format(
          "{}: webhooks.allowed_networks: \"{}\" is no address or network; write it like 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32", name,
          network)};
    }
  }
  if (config.tls.certificate_file.empty() != config.tls.key_file.empty()) {
    return ConfigError{fmt::format("{}: tls.certificate_file and tls.key_file go together: give both or neither", name)};
  }
  return config;
}

std::variant<Config, ConfigError> read_config(const std::string& file) {
  const auto text = read_file(file, config_size_max_bytes);
  if (!text)
    return ConfigError{
        fmt::format("{}: cannot be read ({}); check the path after --config and its permissions", file, text.error().message())};
  return parse_config(*text, file);
}

std::vector<std::string> changes_that_need_a_restart(const Config& in_force, const Config& next) {
  Config a = in_force, b = next;
  const auto before = schema(a), after = schema(b);
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool same = std::visit(
        [&]<class T>(const T* value) {
          T* const* other = std::get_if<T*>(&after[i].target);
          return other == nullptr || *value == **other;
        },
        before[i].target);
    if (!same && !takes_effect_on_reload(before[i].path)) paths.emplace_back(before[i].path);
  }
  return paths;
}

std::string describe_config() {
  Config defaults;
  std::string out =
      "# Every key of the configuration file with its default. Give it with: muster serve --config FILE\n"
      "# SIGHUP reads the file again; a key that says \"(restart)\" takes effect with the next start only.\n";
  std::string_view section;
  for (const auto& key : schema(defaults)) {
    const auto dot = key.path.find('.');
    if (key.path.substr(0, dot) != section) {
      section = key.path.substr(0, dot);
      out += fmt::format("\n[{}]\n", section);
    }
    const auto value = std::visit(
        []<class T>(const T* v) -> std::string {
          if constexpr (std::is_same_v<T, std::string>)
            return fmt::format("\"{}\"", *v);
          else if constexpr (std::is_same_v<T, bool>)
            return *v ? "true" : "false";
          else if constexpr (std::is_same_v<T, std::vector<std::string>>)
            return "[]";
          else if constexpr (std::is_same_v<T, milliseconds> || std::is_same_v<T, std::chrono::seconds>)
            return fmt::format("{}", v->count());
          else
            return fmt::format("{}", *v);
        },
        key.target);
    out += fmt::format("# {}{}\n# {} = {}\n", key.meaning, takes_effect_on_reload(key.path) ? "" : " (restart)", key.path.substr(dot + 1),
                       value);
  }
  return out;
}

}  // namespace muster::main
