// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/domain/permission.hpp"

/// The entities as rows: plain data. Rules about them are functions beside their life cycles.
/// docs/protocol/cloud-model.md section 2.
namespace muster::domain {

/// Where the devices of an organization, or one device, live when not on this node. Empty host = here.
struct Home {
  std::string host;  ///< At most 63 characters: stock firmware cuts longer ones.
  std::uint16_t port_plain = 80;
  std::uint16_t port_tls = 443;
  friend bool operator==(const Home&, const Home&) = default;
};

enum class OrganizationType : std::uint8_t {
  root = 0,
  business = 1,
  personal = 2,
  branch = 3,
  distributor = 4,
  contractor = 5,
  installer = 6,
  reseller = 7
};

/// Where those that sign up on their own get their organizations. Values are stored: never renumber.
enum class OrganizationGroup : std::uint8_t { none = 0, clients = 1, partners = 2 };

struct Organization {
  OrganizationId id;
  OrganizationId parent_id;  ///< None only for the root.
  std::string name;          ///< 1..100, unique under its parent.
  std::string description;   ///< At most 1000.
  OrganizationType type = OrganizationType::business;
  bool can_create_sub_organizations = true;
  std::string time_zone = "UTC";
  Home home;
  OrganizationGroup group = OrganizationGroup::none;  ///< Built in: neither moved nor deleted.
  std::int64_t devices_max = 0;                       ///< Of it and what is beneath it, ids that are reserved counted; 0 = no limit.
  UtcTime created_at, updated_at;
};

enum class UserStatus : std::uint8_t { pending = 0, active = 1, suspended = 2 };  ///< "Inactive" is derived from last_logged_at.

struct User {
  UserId id;
  OrganizationId organization_id;
  RoleId role_id;
  std::string email;  ///< Lower case, unique server-wide, immutable.
  std::string name;   ///< At most 60.
  UserStatus status = UserStatus::active;
  std::string locale = "en_US", time_zone = "UTC";
  UtcTime created_at, updated_at, last_logged_at;
};

/// What a role allows from one organization on, where that is not what holds above it.
struct RoleValues {
  OrganizationId organization_id;
  PermissionSet here;     ///< In this organization.
  PermissionSet beneath;  ///< In those beneath it, down to the next that has values of its own.
  friend bool operator==(const RoleValues&, const RoleValues&) = default;
};

/// Which roles there are is the same for the whole tree; what they allow is said for each organization.
struct Role {
  RoleId id;
  std::string name;  ///< 1..60, unique whatever the case of ASCII letters.
  bool is_builtin = false;
  PermissionSet permissions;         ///< Where no organization says otherwise.
  std::vector<RoleValues> values{};  ///< By organization id; few.
};
inline constexpr std::size_t roles_max = 9;  ///< The built-in ones counted.

enum class DataType : std::uint8_t { integer = 0, real = 1, string = 2, enumeration = 3, location = 4 };

struct Datastream {
  DatastreamId id;
  std::string name;  ///< 1..60, unique in its template.
  std::string alias;
  std::uint8_t pin = 0;  ///< 0..255, unique in its template.
  DataType type = DataType::string;
  std::string units;
  std::optional<double> min, max;
  std::string default_value;  ///< Delivered on the first sync after activation; empty = none.
  std::uint8_t decimals = 2;
  bool sync_on_connect = false;
  std::vector<std::string> enum_values;  ///< Only for enumeration.
};

enum class MetaFieldType : std::uint8_t {
  text = 0,
  number = 1,
  list = 2,
  switch_ = 3,
  email = 4,
  imei = 5,
  iccid = 6,
  device_eui = 7,
  join_eui = 8,
  coordinates = 9,
  firmware_update_control = 10,
  mac = 11,
  serial = 12,
  device_name = 13,
  device_owner = 14,
  location = 15,
  time_zone = 16,
  hotspot_name = 17,
  device_uid = 18
};

struct MetaField {
  MetaFieldId id;
  std::string name;  ///< Exact, case sensitive, unique in its template.
  MetaFieldType type = MetaFieldType::text;
  std::string default_value, description;
  bool in_provisioning = false, required = false, is_builtin = false;
};

enum class EventType : std::uint8_t { information = 0, warning = 1, critical = 2, content = 3 };

struct EventDef {
  EventDefId id;
  std::string name, code, description;
  EventType type = EventType::information;
  bool is_system = false;
};

struct Template {
  TemplateId id;
  OrganizationId organization_id;
  std::vector<std::string> tmpl_ids;  ///< "TMPL" + 9; the first one is shown. Unique server-wide.
  std::string name;                   ///< 1..100, unique in its organization.
  std::string board_type = "ESP32", connection_type = "WI_FI", manufacturer, description, hotspot_prefix, firmware_type;
  std::uint32_t offline_ignore_period_s = 0;
  bool allow_public_plain_text = false;  ///< Plain-text links from public addresses.
  std::uint32_t version = 1;             ///< Optimistic: an edit names the version it saw.
  std::vector<Datastream> datastreams;
  std::vector<MetaField> meta_fields;
  std::vector<EventDef> events;
  UtcTime created_at, updated_at;
};

enum class ActivationWay : std::uint8_t { manual = 0, dynamic = 1, static_ = 2, import = 3 };

struct HardwareInfo {
  std::string version, firmware_type, library_version, board_type, build, template_id, agent;
  std::uint16_t heartbeat_s = 0, buffer_in_bytes = 0;
  friend bool operator==(const HardwareInfo&, const HardwareInfo&) = default;
};

struct Device {
  DeviceId id;
  OrganizationId organization_id;
  TemplateId template_id;
  UserId owner_id;   ///< None: no owner. If any, a member of organization_id.
  std::string name;  ///< 1..60.
  ActivationWay activation_way = ActivationWay::manual;
  UtcTime activated_at, created_at, updated_at;
  UserId activated_by;
  UtcTime first_connect_time, connect_time, disconnect_time, last_reported_at;  ///< Presence: written behind.
  std::string last_ip;
  bool plain_text_link = false;  ///< The last session was not encrypted.
  HardwareInfo hardware;
  Home home;  ///< Overrides the organization's.
};

/// docs/protocol/cloud-model.md section 3. Values are stored: never renumber.
enum class TokenKind : std::uint8_t { device = 1, provision = 2, reprovision = 3, static_ = 4, grace = 5, revoked = 6 };

/// One AuthToken as the registry knows it. A revoked one keeps only its digest.
struct TokenRecord {
  AuthTokenId id;
  TokenKind kind = TokenKind::device;
  DeviceId device_id;  ///< kind provision: the id that its session reserved; there is no row yet.
  TokenDigest digest;
  UtcTime created_at, expires_at;
  bool is_quiet = false;  ///< A tombstone that nobody decided on: devices hear nothing instead of "invalid" (re-provisioning that ran out).
};

/// A provisioning session: cloud/domain/provision_session_life_cycle.hpp has its table. Values are stored: never renumber.
enum class ProvisionState : std::uint8_t {
  token_issued = 1,  ///< The token waits for its device.
  delivering,        ///< An app has begun to hand it over.
  connected,         ///< The device logged in and has not said what it is.
  active,            ///< The device exists and is its owner's.
  done,              ///< Its owner has finished, or had time to.
  failed,
  canceled,
  expired,
  superseded,      ///< A newer session took over.
  reprovisioning,  ///< The token for an existing device waits for it; the old one works.
  proving,         ///< The device logged in with the new token; both work.
};
enum class ProvisionKind : std::uint8_t { new_device = 1, reconfigure = 2 };
enum class StepSource : std::uint8_t { app = 1, agent = 2, cloud = 3 };

/// What the cloud itself fails a session with. The numbers of wire/activation_failure.hpp; a test of the API compares them.
enum class ProvisionFailure : std::uint16_t {
  none = 0,
  template_unknown = 800,
  template_foreign = 801,
  info_missing = 802,
  expired = 803,
  canceled = 804,
  superseded = 805,
  plain_text_refused = 806,
  device_limit = 807,
  owner_gone = 808,
  template_differs = 809,
};

struct ProvisionSession {
  ProvisionSessionId id;
  OrganizationId organization_id;
  UserId owner_id;  ///< None: no owner.
  UserId created_by;
  std::string client;  ///< As the app names itself; at most 60.
  std::string uid;     ///< As the app names the device; at most 60. Empty: it did not.
  ProvisionKind kind = ProvisionKind::new_device;
  ProvisionState state = ProvisionState::token_issued;
  DeviceId device_id;  ///< Reserved, or the existing one.
  AuthTokenId token_id, old_token_id;
  TemplateId template_id;  ///< None: not known yet.
  UtcTime expires_at, created_at, updated_at;
  UtcTime accepted_at;     ///< When the device's info was accepted.
  UtcTime first_value_at;  ///< When its first value came.
  UtcTime ended_at;
  std::uint16_t failure_code = 0;  ///< Of the last step that failed, until the device is active.
};

/// One line of the flight recorder.
struct ProvisionStep {
  std::int64_t seq = 0;  ///< From 1, in its session.
  UtcTime at;
  StepSource source = StepSource::cloud;
  std::string step;        ///< "board_info", "sent", "login": [a-z0-9_], at most 40.
  std::uint16_t code = 0;  ///< 0: went well.
  std::string message;     ///< At most 200 bytes.
};

struct AuditEntry {
  AuditId id;
  UtcTime at;
  UserId actor_user_id;  ///< None: the system or the operator on the data directory.
  std::string client;    ///< "Web", "CLI", "HTTPS API", "System".
  std::string ip;
  OrganizationId organization_id;
  std::string action;       ///< Stable: "device.create", "device.token.reveal", ...
  std::string object_kind;  ///< "device", "user", ...
  std::int64_t object_id = 0;
  std::string detail;  ///< JSON object with before and after; never a secret.
  /// JSON object of the same shape with what names a person (email, name): kept apart, so that it can be erased. Read entries have it in
  /// `detail` as long as it is there.
  std::string personal;
  ApiKeyId api_key_id{};            ///< The key that the actor's program used ...
  OAuthClientId oauth_client_id{};  ///< ... or its client.
};

enum class ChangeKind : std::uint8_t {
  token = 1,
  device = 2,
  template_ = 3,
  organization = 4,
  user = 5,
  role = 6,
  access_token = 7,
  settings = 8,
  provision_session = 9
};

/// One row of the change feed; `id` is the entity's. Consumers read the entity's present state, not a delta.
struct Change {
  std::int64_t seq = 0;
  ChangeKind kind = ChangeKind::device;
  std::int64_t id = 0;
};

/// A last value. Several values of one pin (location, arrays) are NUL-separated as on the wire.
struct PinValue {
  std::uint8_t pin = 0;
  std::string value;
  UtcTime at;
};

}  // namespace muster::domain
