// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/api_client.hpp"
#include "cli/outcome.hpp"
#include "cli/terminal.hpp"

/// What each command does. They write their answer to `out`; what concerns the way there goes to `err`.
namespace muster::cli {

/// Options that every command takes.
struct Globals {
  std::string url;  ///< Empty: MUSTER_URL, else the saved login's.
  std::string ca;   ///< Empty: MUSTER_CA, else the saved login's.
  std::optional<std::int64_t> organization;
  bool json = false;
  bool yes = false;
};

struct Context {
  Globals globals;
  Input& input;
  std::ostream& out;
  std::ostream& err;

  /// Signed in as the environment or the saved login says. Errors: exit_usage when no server is known, exit_refused when not signed in.
  [[nodiscard]] Outcome<ApiClient> connect() const;
  /// Not signed in. `url` and `ca` as above.
  [[nodiscard]] Outcome<ApiClient> connect_anonymously() const;
};

// --- setup and session ---------------------------------------------------------------------------------------------------------
struct SetupOptions {
  std::string code;  ///< "-": the first line of stdin.
  std::string email;
  std::string organization_name;
};
[[nodiscard]] Outcome<void> set_up(Context& context, const SetupOptions& options);
[[nodiscard]] Outcome<void> log_in(Context& context, const std::string& email);
[[nodiscard]] Outcome<void> log_out(Context& context);

// --- templates -------------------------------------------------------------------------------------------------------------------
struct TemplateOptions {
  std::string name, board_type, connection_type, manufacturer, description, hotspot_prefix, firmware_type;
  bool allow_public_plain_text = false;
};
struct ListOptions {
  std::string query;
  Paging paging;
};
struct DatastreamOptions {
  std::string template_id, pin, name, alias, type, units, default_value;
  std::optional<double> min, max;
  std::optional<int> decimals;
  bool sync_on_connect = false;
  std::vector<std::string> enum_values;
};
[[nodiscard]] Outcome<void> create_template(Context& context, const TemplateOptions& options);
[[nodiscard]] Outcome<void> list_templates(Context& context, const ListOptions& options);
[[nodiscard]] Outcome<void> show_template(Context& context, const std::string& id);
[[nodiscard]] Outcome<void> delete_template(Context& context, const std::string& id, bool with_devices);
[[nodiscard]] Outcome<void> add_datastream(Context& context, const DatastreamOptions& options);
[[nodiscard]] Outcome<void> list_datastreams(Context& context, const std::string& template_id);
[[nodiscard]] Outcome<void> delete_datastream(Context& context, const std::string& template_id, const std::string& pin,
                                              std::optional<std::int64_t> id);

// --- devices ---------------------------------------------------------------------------------------------------------------------
struct DeviceCreateOptions {
  std::string template_id, name;
  std::optional<std::int64_t> owner;
};
struct DeviceListOptions {
  ListOptions list;
  std::string template_id;
  std::optional<std::int64_t> owner;
  bool with_sub_organizations = false;
};
struct WatchOptions {
  std::vector<std::int64_t> devices;  ///< Empty: all of the organization.
  bool with_sub_organizations = false;
  std::int64_t count = 0;  ///< Ends after so many events; 0: never.
};
[[nodiscard]] Outcome<void> create_device(Context& context, const DeviceCreateOptions& options);
[[nodiscard]] Outcome<void> list_devices(Context& context, const DeviceListOptions& options);
[[nodiscard]] Outcome<void> show_device(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> show_device_token(Context& context, std::int64_t id, bool regenerate);
[[nodiscard]] Outcome<void> rename_device(Context& context, std::int64_t id, const std::string& name);
[[nodiscard]] Outcome<void> delete_device(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> watch_devices(Context& context, const WatchOptions& options);
struct TransferOptions {
  std::string owner;  ///< Id or email address; or
  std::optional<std::int64_t> organization;
};
[[nodiscard]] Outcome<void> transfer_device(Context& context, std::int64_t id, const TransferOptions& options);
struct BulkOptions {
  std::string action;                 ///< "transfer", "remove-owner", "erase" or "delete".
  std::vector<std::int64_t> devices;  ///< Or what they have in common:
  std::string template_id, query;
  std::optional<std::int64_t> owner;
  bool with_sub_organizations = false;
  TransferOptions to;  ///< Of a transfer.
};
[[nodiscard]] Outcome<void> start_job(Context& context, const BulkOptions& options);
[[nodiscard]] Outcome<void> list_jobs(Context& context);
[[nodiscard]] Outcome<void> show_job(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> cancel_job(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> remove_device_owner(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> erase_device(Context& context, std::int64_t id);

// --- provisioning ----------------------------------------------------------------------------------------------------------------
struct ProvisionOptions {
  std::string device_url;  ///< http://HOST[:PORT]; or
  std::string radio;       ///< nm[:INTERFACE], wpa[:INTERFACE], ble[:ADAPTER], sim[:PATH]; see cli/provision/host_link.hpp
  std::string template_id, ssid, prefix, device_name;
  std::string reconfigure;  ///< Id of a device of the cloud that gets a new network and token; empty: a new device.
  bool ble = false;         ///< As radio "ble".
  bool password_from_stdin = false;
};
/// With --json the last line is {"event":"done","deviceId":...} or {"event":"failed","step":...,"code":...,"message":...,"fix":...}.
[[nodiscard]] Outcome<void> provision(Context& context, const ProvisionOptions& options);
[[nodiscard]] Outcome<void> list_provision_sessions(Context& context, const Paging& paging);

// --- organizations, users, audit -------------------------------------------------------------------------------------------------
struct OrganizationOptions {
  std::string name, description, type, time_zone;
  std::optional<std::int64_t> device_limit;  ///< 0: none.
  std::optional<std::string> may_divide;     ///< "yes" or "no".
};
struct RoleOptions {
  std::string role;  ///< Id or name; of a new one its name.
  std::vector<std::string> permissions;
  bool with_sub_organizations = false;
};
struct UserOptions {
  std::string email, name, role;
};
struct UserTransferOptions {
  std::string user;  ///< Id or email address.
  std::optional<std::int64_t> organization;
  std::string admin;  ///< Of the destination, by email; instead of `organization`.
  std::string role;
  bool move_devices = false, release_devices = false;
};
/// Without mail the link is printed, for handing over.
[[nodiscard]] Outcome<void> invite_user(Context& context, const UserOptions& options);
[[nodiscard]] Outcome<void> list_invitations(Context& context, const Paging& paging);
[[nodiscard]] Outcome<void> resend_invitation(Context& context, const std::string& id_or_email);
[[nodiscard]] Outcome<void> revoke_invitation(Context& context, const std::string& id_or_email);
[[nodiscard]] Outcome<void> set_user_role(Context& context, const std::string& id_or_email, const std::string& role);
[[nodiscard]] Outcome<void> transfer_user(Context& context, const UserTransferOptions& options);
/// `id_or_email` empty: one's own.
[[nodiscard]] Outcome<void> list_user_sessions(Context& context, const std::string& id_or_email);
/// `session` none: all of them; of oneself all others.
[[nodiscard]] Outcome<void> end_user_sessions(Context& context, const std::string& id_or_email, std::optional<std::int64_t> session);
[[nodiscard]] Outcome<void> show_oneself(Context& context);

struct AuditOptions {
  std::string action, from, to, user, object, text, out;
  bool with_sub_organizations = false;
  Paging paging;
};
[[nodiscard]] Outcome<void> create_organization(Context& context, const OrganizationOptions& options);
[[nodiscard]] Outcome<void> list_organizations(Context& context, const ListOptions& options);
[[nodiscard]] Outcome<void> show_organization(Context& context, std::int64_t id);  ///< 0: one's own.
[[nodiscard]] Outcome<void> edit_organization(Context& context, std::int64_t id, const OrganizationOptions& options);
[[nodiscard]] Outcome<void> move_organization(Context& context, std::int64_t id, std::int64_t parent);
[[nodiscard]] Outcome<void> delete_organization(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> list_roles(Context& context);
[[nodiscard]] Outcome<void> show_role(Context& context, const std::string& id_or_name);
[[nodiscard]] Outcome<void> create_role(Context& context, const RoleOptions& options);
[[nodiscard]] Outcome<void> rename_role(Context& context, const std::string& id_or_name, const std::string& name);
/// `how`: "grant", "revoke", or "permissions" for the whole set.
[[nodiscard]] Outcome<void> change_role(Context& context, const RoleOptions& options, std::string_view how);
[[nodiscard]] Outcome<void> delete_role(Context& context, const std::string& id_or_name, const std::string& replacement);
[[nodiscard]] Outcome<void> create_user(Context& context, const UserOptions& options);
[[nodiscard]] Outcome<void> list_users(Context& context, const ListOptions& options);
[[nodiscard]] Outcome<void> set_user_enabled(Context& context, const std::string& id_or_email, bool enabled);
[[nodiscard]] Outcome<void> set_user_password(Context& context, const std::string& id_or_email);  ///< Empty: one's own.

// --- webhooks, timelines -----------------------------------------------------------------------------------------------------------
struct WebhookOptions {
  std::string name, trigger, url, method, content_type, body, template_id, event_code;
  std::optional<std::int64_t> device, pin, fail_after;
  bool with_sub_organizations = false;
};
struct TimelineOptions {
  std::string type, code, from, to;
  Paging paging;
};
[[nodiscard]] Outcome<void> create_webhook(Context& context, const WebhookOptions& options);
[[nodiscard]] Outcome<void> list_webhooks(Context& context, const ListOptions& options);
[[nodiscard]] Outcome<void> show_webhook(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> enable_webhook(Context& context, std::int64_t id, bool enabled);
/// Sends a test, and waits for its first attempt. The same with a delivery that ended.
[[nodiscard]] Outcome<void> test_webhook(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> replay_delivery(Context& context, std::int64_t delivery);
[[nodiscard]] Outcome<void> list_deliveries(Context& context, std::int64_t id, const std::string& state, const Paging& paging);
[[nodiscard]] Outcome<void> delete_webhook(Context& context, std::int64_t id);
[[nodiscard]] Outcome<void> show_timeline(Context& context, std::int64_t device, const TimelineOptions& options);

[[nodiscard]] Outcome<void> list_audit(Context& context, const AuditOptions& options);
/// As CSV, to a file that must not exist or to stdout.
[[nodiscard]] Outcome<void> export_audit(Context& context, const AuditOptions& options);
// --- what programs come in by ---------------------------------------------------------------------------------------------------
struct AccessOptions {
  std::string name, expires;
  std::vector<std::string> scopes, addresses, redirect_urls;
  std::int64_t requests_per_minute = 0, id = 0;
  bool no_refresh_tokens = false;
};
[[nodiscard]] Outcome<void> create_api_key(Context& context, const AccessOptions& options);
[[nodiscard]] Outcome<void> list_api_keys(Context& context);
[[nodiscard]] Outcome<void> delete_api_key(Context& context, const AccessOptions& options);
[[nodiscard]] Outcome<void> create_oauth_client(Context& context, const AccessOptions& options);
[[nodiscard]] Outcome<void> list_oauth_clients(Context& context);
[[nodiscard]] Outcome<void> renew_oauth_secret(Context& context, const AccessOptions& options);
[[nodiscard]] Outcome<void> revoke_oauth_tokens(Context& context, const AccessOptions& options);
[[nodiscard]] Outcome<void> delete_oauth_client(Context& context, const AccessOptions& options);

/// "2026-01-31", "2026-01-31 09:30[:00]" (local time) or Unix milliseconds.
[[nodiscard]] Outcome<std::int64_t> parse_time(const std::string& text);

// --- on a data directory, without the API ------------------------------------------------------------------------------------------
struct DataOptions {
  std::string directory;
  std::string store_url = {};  ///< sqlite:PATH; empty: where the server said that its store lies.
};
struct BackupOptions {
  DataOptions data;
  std::string out;
  std::vector<std::string> recipients;  ///< age1...; none: a passphrase is asked for.
};
struct RestoreOptions {
  DataOptions data;
  std::string in;
  std::string identity;  ///< File with an age secret key; empty: a passphrase is asked for.
  bool complete = false;
};
[[nodiscard]] Outcome<void> back_up(Context& context, const BackupOptions& options);
[[nodiscard]] Outcome<void> restore(Context& context, const RestoreOptions& options);
[[nodiscard]] Outcome<void> complete_restore(Context& context, const DataOptions& data);
struct VerifyAuditOptions {
  DataOptions data;
  std::vector<std::string> heads;  ///< Files with heads that were kept elsewhere.
};
[[nodiscard]] Outcome<void> verify_audit(Context& context, const VerifyAuditOptions& options);
[[nodiscard]] Outcome<void> rotate_keys(Context& context, const DataOptions& data);
struct RecoverOptions {
  DataOptions data;
  std::string email;                ///< Empty: that of the only administrator.
  bool make_administrator = false;  ///< The address may be nobody's yet, or that of a user of the root who is none.
};
[[nodiscard]] Outcome<void> recover_administrator(Context& context, const RecoverOptions& options);

}  // namespace muster::cli
