// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/node.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "cloud/api/api.hpp"
#include "cloud/base/audit_key.hpp"
#include "cloud/base/error.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/metrics.hpp"
#include "cloud/base/random.hpp"
#include "cloud/base/worker_pool.hpp"
#include "cloud/domain/session_registry.hpp"
#include "cloud/domain/value_cache.hpp"
#include "cloud/domain/views.hpp"
#include "cloud/domain/write_behind.hpp"
#include "cloud/main/adapters.hpp"
#include "cloud/main/audit_heads.hpp"
#include "cloud/main/data_store.hpp"
#include "cloud/main/key_fit.hpp"
#include "cloud/main/mail_parts.hpp"
#include "cloud/main/public_url.hpp"
#include "cloud/main/turn.hpp"
#include "cloud/main/version.hpp"
#include "cloud/main/webhook_notices.hpp"
#include "cloud/net/server.hpp"
#include "cloud/net/tls_context.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"
#include "cloud/webhook/deliverer.hpp"

namespace muster::main {
namespace {

using namespace std::chrono_literals;

constexpr auto follow_interval = 250ms;        // How often other processes' changes are looked for: a revoked token is out within 1 s.
constexpr auto write_behind_interval = 500ms;  // What kill -9 may lose of values: this, and the time of one write.
constexpr auto audit_head_interval = 60s;      // How much of the audit log's end could be cut off without a head that tells.
constexpr auto expiry_interval = 60s;          // How long after its end a provisioning session may still be shown as open.
constexpr std::size_t expired_at_once = 200;   // In one transaction: others wait for it.
constexpr std::size_t expired_links_at_once = 1'000;
constexpr std::size_t trimmed_at_once = 1'000;
constexpr auto housekeeping_interval = 10min;
constexpr std::int64_t changes_kept = 100'000;  // A consumer further behind than this rebuilds.
constexpr auto stop_grace = 8s;

/// 20 characters of Crockford's base32: 100 bits, easy to type.
std::string make_setup_code(Random& random) {
  static constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string code;
  for (int i = 0; i < 20; ++i) code += alphabet[random.below(alphabet.size())];
  return code;
}

WorkerPoolOptions lanes() {
  WorkerPoolOptions options;
  options[Lane::login] = {2, 2'048};
  options[Lane::api] = {8, 1'024};  // They wait for group commits most of the time.
  // 64 MiB and all of a core each: half the cores at most, and those only when nobody else wants them.
  options[Lane::password] = {std::max(1u, std::thread::hardware_concurrency() / 2), 64, 19};
  options[Lane::values] = {1, 4'096};
  options[Lane::device_writes] = {4, 4'096};  // They wait for group commits most of the time.
  return options;
}

net::NetLimits net_limits(const Config& config) {
  net::NetLimits limits;
  limits.connections_max = config.network.connections_max;
  limits.connections_per_address_max = config.network.connections_per_address_max;
  limits.tls_handshakes_max = config.network.tls_handshakes_max;
  limits.opening_deadline = config.network.first_bytes_deadline;
  limits.http_header_deadline = config.network.first_bytes_deadline;
  limits.device_input_max_bytes = config.gateway.body_size_max_bytes + wire::frame_header_size_bytes;
  limits.http_body_max_bytes = config.api.body_size_max_bytes;
  // One address can always send two of the largest.
  limits.http_body_memory_per_address_max_bytes = std::max(limits.http_body_memory_per_address_max_bytes, 2 * limits.http_body_max_bytes);
  limits.http_body_memory_max_bytes = std::max(limits.http_body_memory_max_bytes, 4 * limits.http_body_max_bytes);
  return limits;
}

net::TrustedProxies trusted_proxies(const Config& config) {
  std::vector<IpNetwork> networks;
  for (const auto& text : config.network.trusted_proxies) {
    if (const auto network = IpNetwork::parse(text)) networks.push_back(*network);
  }
  return net::TrustedProxies{std::move(networks)};
}

webhook::SenderOptions webhook_sender(const webhook::Options& options) {
  std::vector<IpNetwork> allowed;
  for (const auto& text : options.allowed_networks) {
    if (const auto network = IpNetwork::parse(text)) allowed.push_back(*network);
  }
  webhook::SenderOptions sender;
  sender.targets = domain::WebhookTargets{std::move(allowed)};
  sender.timeout = options.timeout;
  sender.ca_file = options.ca_file;
  return sender;
}

protocol::GatewayLimits gateway_limits(const ServeOptions& options, const Config& config) {
  auto limits = config.gateway;
  for (auto& host : own_hosts(options.public_url)) limits.own_hosts.push_back(std::move(host));
  return limits;
}

std::string store_folder_complaint(const std::filesystem::path& database) {
  std::error_code ignored;
  if (!database.has_parent_path() || std::filesystem::is_directory(database.parent_path(), ignored)) return {};
  return fmt::format("--store names {}, but the directory {} is not there; make it first", database.string(),
                     database.parent_path().string());
}

net::TlsIdentityOptions tls_options(const std::filesystem::path& directory, const ServeOptions& options, const Config& config) {
  net::TlsIdentityOptions tls{.directory = directory,
                              .extra_names = config.tls.extra_names,
                              .certificate_file = config.tls.certificate_file,
                              .key_file = config.tls.key_file};
  if (auto host = host_of(options.public_url); !host.empty()) tls.extra_names.push_back(std::move(host));
  return tls;
}

/// What is wrong with what was given, as far as it can be told before there is a data directory: a start that is refused leaves none behind.
std::string judge_before_making_anything(const ServeOptions& options, const Config& config, const Clock& clock) {
  if (!config.tls.certificate_file.empty()) {
    const auto identity = net::open_tls_identity(tls_options({}, options, config), clock);
    if (!identity) return fmt::format("{}: {}", config.tls.certificate_file, identity.error().message());
  }
  std::error_code ignored;
  if (options.store_url.empty() || std::filesystem::exists(options.data_directory, ignored)) return {};
  const auto folder = database_of_url(options.store_url).parent_path();
  const auto inside = std::filesystem::absolute(folder, ignored)
                          .lexically_normal()
                          .lexically_relative(std::filesystem::absolute(options.data_directory, ignored).lexically_normal());
  const bool is_inside = !inside.empty() && *inside.begin() != "..";  // That is looked at when the directory is there.
  return is_inside ? std::string{} : store_folder_complaint(database_of_url(options.store_url));
}

/// "127.0.0.1:8080" for people who type it: an address that means "all" is reached by loopback.
std::string reachable(net::SocketAddress address) {
  if (address.is_any()) address.ip = *IpAddress::parse(address.ip.is_v4() ? "127.0.0.1" : "::1");
  return address.text();
}

}  // namespace

/// In the order they are built; destroyed in the opposite one.
struct Node::Parts final : domain::Views::Listener {
  Parts(ServeOptions serve_options, const Config& config)
      : options{std::move(serve_options)}, values{config.values_memory_mib << 20}, timeline{config.timeline} {}

  const ServeOptions options;
  SystemClock clock;
  SecureRandom random;
  Metrics metrics;
  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<KeyRing> keys;
  std::shared_ptr<const AuditKey> audit_key;  ///< Shared as in SqliteOptions.
  std::shared_ptr<net::TicketKeys> tickets;
  std::unique_ptr<net::TlsContext> tls;
  std::unique_ptr<domain::Store> store;
  std::unique_ptr<domain::Views> views;
  std::unique_ptr<mail::Transport> mail_transport;  ///< Null: none is configured.
  std::unique_ptr<mail::Mailer> mailer;
  domain::SessionRegistry sessions;
  domain::ValueCache values;
  domain::PresenceQueue presence;
  domain::TimelineQueue timeline;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<net::Server> server;
  GatewayLink link;  ///< Breaks the circle: the API pushes to devices, the gateway tells the API's live feed.
  std::unique_ptr<api::Api> api;
  std::unique_ptr<protocol::DeviceGateway> gateway;
  std::optional<GatewayHandler> device_handler;
  std::optional<ApiHandler> http_handler;
  std::unique_ptr<webhook::Deliverer> webhooks;

  std::mutex mutex;
  std::condition_variable changed;
  Config present_config;  ///< Guarded by `mutex`.
  bool stopping = false, ready = false;
  bool devices_expected = false;       ///< Of the follower's thread only.
  bool follow_now = false;             ///< The change feed is to be looked at before its time.
  std::int64_t audit_head_count = -1;  ///< Of the newest head, of the follower's thread only.
  Instant audit_head_at{};
  std::string setup_code;
  bool has_administrator = false;
  std::thread follower, writer;

  // --- Views::Listener -------------------------------------------------------------------------------------------------------
  void token_gone(DeviceId device, AuthTokenId token) override { gateway->close_token(device, token, protocol::CloseReason::token_gone); }
  void device_gone(DeviceId device) override {
    gateway->close_device(device, protocol::CloseReason::token_gone);
    values.forget(device);
    api->device_gone(device);
  }
  void permissions_changed() override { api->permissions_changed(); }
  void access_tokens_changed(UserId user) override { api->access_tokens_changed(user); }
  void provision_session_changed(const domain::ProvisionSession& session) override { api->provision_session_changed(session); }
  void settings_changed() override {
    reload_keys();
    note_use_of_keys();
  }

  /// From its set-up on a database belongs to the keys: should it get lost, the next one made beside them does not know every token.
  void note_use_of_keys() {
    if (!keys->unused()) return;
    if (const auto administrator = store->has_administrator(); !administrator || !*administrator) return;
    if (const auto noted = keys->mark_used(); !noted) log::error("key_ring_not_written", {{"reason", noted.error().message()}});
  }

  Result<void> check_key(std::uint16_t key_id) {
    const auto fits = check_key_fits(*keys, *store, key_id);
    if (fits || fits.error() != BaseError::key_unknown) return fits;
    reload_keys();
    return check_key_fits(*keys, *store, key_id);
  }

  /// A database that was made beside keys of an earlier one does not know the tokens of that fleet.
  Result<void> hold_tokens_of_lost_database() {
    if (keys->unused()) return {};
    MUSTER_TRY(const auto mode, store->unknown_tokens());
    if (mode != domain::UnknownTokens::hold_through_set_up)
      MUSTER_TRY_VOID(store->set_unknown_tokens(domain::UnknownTokens::hold_through_set_up, {}));
    log::warning(
        "database_is_new_keys_are_not",
        {{"why", "these keys were used with another database; unknown AuthTokens are held, also after the set-up, never called invalid"},
         {"what_to_do",
          "restore a backup into a new data directory; or, when no device of the earlier database is left, "
          "muster restore --complete --data DIR"}});
    return {};
  }

  void reload_keys() {
    // Until the first time that keys and store fit together, whoever mends the directory may put other keys there.
    const auto result = keys->reload(views->ready() ? KeyRing::Foreign::refuse : KeyRing::Foreign::take);
    if (!result)
      log::error("key_ring_unreadable", {{"reason", result.error().message()}});
    else if (*result)
      log::info("key_ring_reloaded", {{"newest_key", int{keys->newest_key_id()}}});
  }

  /// Waits for `pause`, or until there is something to do. False: stopping.
  template <class Pause>
  bool sleep(Pause pause) {
    std::unique_lock lock{mutex};
    changed.wait_for(lock, pause, [this] { return stopping || follow_now; });
    follow_now = false;
    return !stopping;
  }

  /// Gets the views ready, keeps them current, and does what has to be done now and then.
  void follow() {
    Error last_trouble;
    auto housekeeping = clock.now() + housekeeping_interval;
    auto expiry = clock.now(), audit_head = clock.now();
    std::int64_t keys_changed_ns = keys_mtime();
    do {
      take_turn("follower", [&] {
        // A key must be known before tokens under it are: `muster key rotate` adds it, waits, and only then uses it.
        if (const auto now = keys_mtime(); now != keys_changed_ns) {
          keys_changed_ns = now;
          reload_keys();
        }
        const auto result = views->ready() ? catch_up() : get_ready();
        const Error trouble = result ? Error{} : result.error();
        if (trouble) metrics.store_errors_total.add();
        if (trouble != last_trouble) {
          tell_trouble(trouble);
          last_trouble = trouble;
        }
        if (clock.now() >= expiry) {
          expiry = clock.now() + expiry_interval;
          expire_provision_sessions();
        }
        if (clock.now() >= audit_head) {
          audit_head = clock.now() + audit_head_interval;
          write_audit_head_if_due();
        }
        if (clock.now() >= housekeeping) {
          housekeeping = clock.now() + housekeeping_interval;
          keep_house();
        }
      });
    } while (sleep(views->ready() ? follow_interval : 500ms));
    take_turn("follower", [&] { write_audit_head_if_due(); });
  }

  void tell_trouble(const Error& trouble) const {
    if (!trouble) {
      log::info("store_works_again");
    } else if (trouble == BaseError::keys_foreign || trouble == BaseError::key_unknown) {
      log::error("keys_not_of_this_database",
                 {{"reason", trouble.message()},
                  {"keys", directory->keys().string()},
                  {"what_to_do",
                   "these keys are not this database's: put the keys/ directory that belongs to it beside it, or restore a "
                   "backup; until then every login is held"}});
    } else {
      log::error("store_trouble", {{"reason", trouble.message()}});
    }
  }

  [[nodiscard]] std::int64_t keys_mtime() const {
    struct stat facts{};
    return ::stat(directory->keys().c_str(), &facts) == 0 ? facts.st_mtim.tv_sec * 1'000'000'000 + facts.st_mtim.tv_nsec : 0;
  }

  Result<void> get_ready() {
    MUSTER_TRY_VOID(store->check());
    if (!devices_expected) MUSTER_TRY_VOID(gateway->expect_devices());
    devices_expected = true;
    const auto administrator = store->has_administrator();
    if (!administrator) return administrator.error();
    if (!*administrator) MUSTER_TRY_VOID(hold_tokens_of_lost_database());
    MUSTER_TRY_VOID(views->rebuild());
    note_use_of_keys();
    const std::lock_guard lock{mutex};
    has_administrator = *administrator;
    ready = true;
    changed.notify_all();
    log::info("views_ready", {{"devices", std::uint64_t{views->directory.device_count()}},
                              {"tokens", std::uint64_t{views->credentials.size()}},
                              {"unknown_tokens_held", views->hold_unknown_tokens()}});
    return {};
  }

  Result<void> catch_up() {
    const auto newest = store->newest_change();
    if (!newest) return newest.error();
    return *newest == views->applied_change() ? Result<void>{} : views->catch_up();
  }

  void expire_provision_sessions() {
    if (!views->ready()) return;
    for (std::size_t ended = expired_at_once; ended == expired_at_once;) {
      const auto result = store->expire_provision_sessions(clock.utc_now(), expired_at_once);
      if (!result) return metrics.store_errors_total.add();
      ended = *result;
      metrics.provision_expired_total.add(ended);
    }
  }

  /// A minute in which nothing was done needs no head; an hour does, to show that the log was whole then.
  void write_audit_head_if_due() {
    if (!views->ready()) return;
    const auto tip = store->audit_tip();
    if (!tip) return metrics.store_errors_total.add();
    if (tip->count == audit_head_count && clock.now() - audit_head_at < 1h) return;
    const auto head = write_audit_head(directory->path(), *audit_key, *store, clock.utc_now());
    if (!head) return log::error("audit_head_not_written", {{"reason", head.error().message()}});
    audit_head_count = head->tip.count;
    audit_head_at = clock.now();
    log::info("audit_head", {{"head", domain::audit_head_line(*head)}});
  }

  void keep_house() {
    if (views->ready() && !store->expire_links(clock.utc_now(), expired_links_at_once)) metrics.store_errors_total.add();
    if (const auto rotated = tickets->rotate_if_due(); !rotated)
      log::warning("ticket_keys_not_written", {{"reason", rotated.error().message()}});
    if (const auto up_to = views->applied_change() - changes_kept; up_to > 0) {
      if (const auto trimmed = store->trim_changes(up_to); !trimmed) metrics.store_errors_total.add();
    }
    trim_timeline();
    (void)webhooks->trim();
    reload_certificate();  // Renews the private CA's certificate when it nears its end.
  }

  /// What devices have logged today counts against their limit across a restart, too.
  void remember_logged_events() {
    constexpr std::int64_t day_ms = 24LL * 3'600'000;
    const UtcTime now = clock.utc_now();
    const auto logged = store->logged_since({now.ms / day_ms * day_ms}, timeline.limits().counted_devices_max);
    if (!logged) return metrics.store_errors_total.add();  // They begin anew then: it is not worth a refusal to start.
    for (const auto& [device, count] : *logged) timeline.remember(device, count, now);
  }

  void trim_timeline() {
    unsigned days = 0;
    {
      const std::lock_guard lock{mutex};
      days = present_config.timeline_days_kept;
    }
    if (days == 0) return;
    const UtcTime before{clock.utc_now().ms - std::int64_t{days} * 24 * 3'600'000};
    for (std::size_t gone = trimmed_at_once; gone == trimmed_at_once;) {
      const auto trimmed = store->trim_timeline(before, trimmed_at_once);
      if (!trimmed) return metrics.store_errors_total.add();
      gone = *trimmed;
    }
  }

  void reload_certificate() {
    Config config;
    {
      const std::lock_guard lock{mutex};
      config = present_config;
    }
    const auto identity = net::open_tls_identity(tls_options(directory->tls(), options, config), clock);
    const auto result = identity ? tls->reload(*identity) : Result<void>{identity.error()};
    if (!result) log::error("certificate_not_reloaded", {{"reason", result.error().message()}});
  }

  void write_behind_until_stopped() {
    const auto pass = [this] {
      const bool done = take_turn("writer", [this] {
        gateway->end_waits();
        const auto result = domain::write_behind(*store, values, presence);
        // After presence: what a first connection leaves comes before the line that says online.
        const auto lines = domain::write_behind(*store, timeline, clock.utc_now());
        api->write_key_uses();
        metrics.write_behind_rows_total.add(result.rows + lines.rows);
        if (result.error || lines.error) metrics.write_behind_errors_total.add();
        api->follow_timeline();
      });
      if (!done) metrics.write_behind_errors_total.add();
    };
    for (;;) {
      {
        std::unique_lock lock{mutex};
        if (changed.wait_for(lock, write_behind_interval, [this] { return stopping; })) break;
      }
      pass();
    }
    pass();
  }
};

Node::Node(std::unique_ptr<Parts> parts) noexcept : parts_{std::move(parts)} {}
Node::~Node() { stop(); }

std::variant<std::unique_ptr<Node>, Node::Problem> Node::start(const ServeOptions& options, const Config& config) {
  auto parts = std::make_unique<Parts>(options, config);
  auto& p = *parts;
  p.present_config = config;

  if (auto complaint = judge_before_making_anything(options, config, p.clock); !complaint.empty()) return Problem{std::move(complaint)};
  auto opened = DataDirectory::open(options.data_directory);
  if (auto* problem = std::get_if<DataDirectory::Problem>(&opened)) return Problem{std::move(problem->message)};
  p.directory = std::move(std::get<std::unique_ptr<DataDirectory>>(opened));

  // A data directory with a database and without its keys is not a new one: with fresh keys every token would be unknown.
  const auto recorded = recorded_database(p.directory->path());
  if (!recorded) {
    return Problem{fmt::format("{} cannot be read ({}); it says where the store lies: `sqlite:PATH` on one line",
                               (p.directory->path() / "store").string(), recorded.error().message())};
  }
  const auto database = options.store_url.empty() ? p.directory->database() : database_of_url(options.store_url);
  if (auto complaint = store_folder_complaint(database); !complaint.empty()) return Problem{std::move(complaint)};
  if (options.store_url.empty() && *recorded != database) {
    return Problem{
        fmt::format("{} was last served with --store sqlite:{}; give that again, or --store sqlite:{} for the database in the directory",
                    p.directory->path().string(), recorded->string(), database.string())};
  }
  std::error_code ignored;
  if (std::filesystem::exists(database, ignored) && !std::filesystem::exists(p.directory->keys(), ignored)) {
    return Problem{fmt::format(
        "{} is missing, but there is a database: without its keys no device can log in. Bring keys/ back, or use `muster restore`",
        p.directory->keys().string())};
  }
  auto keys = KeyRing::open(p.directory->keys(), p.random);
  if (!keys) return Problem{fmt::format("{}: {}", p.directory->keys().string(), keys.error().message())};
  p.keys = std::move(*keys);
  auto audit_key = AuditKey::open(p.directory->keys(), p.random);
  if (!audit_key) return Problem{fmt::format("{}: {}", (p.directory->keys() / AuditKey::file_name).string(), audit_key.error().message())};
  p.audit_key = std::move(*audit_key);

  const auto identity = net::open_tls_identity(tls_options(p.directory->tls(), options, config), p.clock);
  if (!identity) {
    const auto& file = config.tls.certificate_file.empty() ? p.directory->tls().string() : config.tls.certificate_file;
    return Problem{fmt::format("{}: {}", file, identity.error().message())};
  }
  auto tickets = net::TicketKeys::open(p.directory->tls() / "ticket.key", p.random, p.clock);
  if (!tickets) return Problem{fmt::format("{}: {}", (p.directory->tls() / "ticket.key").string(), tickets.error().message())};
  p.tickets = std::move(*tickets);
  auto tls = net::TlsContext::make(*identity, p.tickets);
  if (!tls) return Problem{fmt::format("TLS cannot be set up: {}", tls.error().message())};
  p.tls = std::move(*tls);

  // Before anything is written there: commands without the server must find the store that the tokens are in.
  if (const auto written = record_database(p.directory->path(), database); !written) {
    return Problem{fmt::format("{} cannot be written: {}", (p.directory->path() / "store").string(), written.error().message())};
  }
  p.store =
      store::SqliteStore::open(database, store::SqliteOptions{.clock = &p.clock,
                                                              .audit_key = p.audit_key,
                                                              .organization_depth_max = static_cast<int>(config.organization_depth_max)});
  p.views = std::make_unique<domain::Views>(*p.store);
  if (config.api.has_smtp) {
    auto transport = make_mail_transport(config, host_of(options.public_url));
    if (auto* problem = std::get_if<std::string>(&transport)) return Problem{std::move(*problem)};
    p.mail_transport = std::move(std::get<std::unique_ptr<mail::Transport>>(transport));
    mail::MailerOptions mailer;
    mailer.from = {config.mail.from, config.api.brand.name};
    mailer.backoff_first = config.mail.retry_first;
    p.mailer = std::make_unique<mail::Mailer>(mail::Mailer::Dependencies{*p.store, *p.keys, *p.mail_transport, p.clock}, mailer);
    if (options.public_url.empty())
      log::warning("mail_needs_public_url", {{"why", "links in mails are made of --public-url only; without it none is queued"}});
  }
  p.pool = std::make_unique<WorkerPool>(lanes());
  p.server = std::make_unique<net::Server>(net::Server::Dependencies{*p.pool, p.clock, p.metrics, p.tls.get()},
                                           net::ServerOptions{.listen = options.listen,
                                                              .listen_tls = options.listen_tls,
                                                              .loops = config.network.loops,
                                                              .limits = net_limits(config),
                                                              .proxies = trusted_proxies(config)});
  if (const auto bound = p.server->bind(); !bound)
    return Problem{p.server->problem().empty() ? bound.error().message() : p.server->problem()};

  p.setup_code = make_setup_code(p.random);
  auto api_options = config.api;
  api_options.public_url = options.public_url;
  api_options.allow_plain_from_public = config.gateway.allow_plain_from_public;
  api_options.setup_code = p.setup_code;
  api_options.version = version;
  for (const auto& address : p.server->addresses()) api_options.ports_plain.push_back(address.port);
  for (const auto& address : p.server->tls_addresses()) api_options.ports_tls.push_back(address.port);
  p.api = std::make_unique<api::Api>(api::Api::Dependencies{*p.store, *p.views, p.sessions, p.values, p.presence, p.timeline, p.link,
                                                            *p.keys, p.random, p.clock, p.metrics},
                                     api_options);
  p.gateway = std::make_unique<protocol::DeviceGateway>(
      protocol::DeviceGateway::Dependencies{*p.store, *p.views, p.sessions, p.values, p.presence, p.timeline, p.api->live_feed(), *p.keys,
                                            *p.pool, *p.server, p.clock, p.metrics},
      gateway_limits(options, config));
  p.link.connect(*p.gateway);
  p.views->set_listener(&p);
  // A token under a key that this ring lacks would miss, and look unknown: the ring comes first, or nothing is applied.
  p.views->set_key_check([&p](std::uint16_t key_id) { return p.check_key(key_id); });
  p.views->set_seen_ip_sink([gateway = p.gateway.get()](std::string_view ip) {
    if (const auto address = IpAddress::parse(ip)) gateway->remember_address(*address);
  });
  p.device_handler.emplace(*p.gateway);
  p.http_handler.emplace(*p.api);

  p.remember_logged_events();

  p.webhooks = std::make_unique<webhook::Deliverer>(
      webhook::Deliverer::Dependencies{*p.store, p.views->directory, *p.keys, p.random, p.clock, p.metrics}, config.webhooks,
      webhook::HttpSender{webhook_sender(config.webhooks)},
      // As every mail: none is queued that nobody takes away.
      config.api.has_smtp && !options.public_url.empty() ? webhook_notices(config.api.brand, p.views->directory, *p.keys, p.random)
                                                         : webhook::Deliverer::Notices{});

  p.webhooks->start();
  p.follower = std::thread{[&p] { p.follow(); }};
  p.writer = std::thread{[&p] { p.write_behind_until_stopped(); }};
  if (p.mailer) p.mailer->start();
  auto node = std::unique_ptr<Node>{new Node{std::move(parts)}};
  if (const auto started = p.server->start(*p.device_handler, *p.http_handler); !started)
    return Problem{fmt::format("the network threads cannot start: {}", started.error().message())};
  return node;
}

bool Node::wait_ready() {
  std::unique_lock lock{parts_->mutex};
  parts_->changed.wait(lock, [this] { return parts_->ready || parts_->stopping; });
  return parts_->ready;
}

std::string Node::ready_line() const {
  std::string line = R"({"event":"ready")";
  const auto add = [&line](std::string_view name, std::string_view scheme, const std::vector<net::SocketAddress>& addresses) {
    if (!addresses.empty()) line += fmt::format(R"(,"{}":"{}://{}")", name, scheme, reachable(addresses.front()));
  };
  add("http", "http", parts_->server->addresses());
  // Every listener speaks TLS; without one of its own it is reached on a plain one.
  add("https", "https", parts_->server->tls_addresses().empty() ? parts_->server->addresses() : parts_->server->tls_addresses());
  const std::lock_guard lock{parts_->mutex};
  if (!parts_->has_administrator) line += fmt::format(R"(,"setup_code":"{}")", parts_->setup_code);
  return line + "}";
}

void Node::reload(const Config& config) {
  auto& p = *parts_;
  {
    const std::lock_guard lock{p.mutex};
    const std::size_t frame_body_max_bytes = p.present_config.gateway.body_size_max_bytes;
    p.present_config = config;
    p.present_config.gateway.body_size_max_bytes = frame_body_max_bytes;  // The network's buffers were made for it.
    p.follow_now = true;
    p.gateway->set_limits(gateway_limits(p.options, p.present_config));
  }
  p.changed.notify_all();
  p.reload_certificate();
  p.reload_keys();
}

void Node::stop() {
  auto& p = *parts_;
  std::chrono::milliseconds spread;
  {
    const std::lock_guard lock{p.mutex};
    if (p.stopping) return;
    spread = p.present_config.network.shutdown_spread;
  }
  p.server->stop({.spread = spread, .grace = stop_grace});
  {
    const std::lock_guard lock{p.mutex};
    p.stopping = true;
  }
  p.changed.notify_all();
  if (p.mailer) p.mailer->stop();
  p.webhooks->stop();
  if (p.follower.joinable()) p.follower.join();
  p.pool->stop(WorkerPool::Waiting::drop);
  if (p.writer.joinable()) p.writer.join();  // After the workers: what they wrote is written, too.
}

}  // namespace muster::main
