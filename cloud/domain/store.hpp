// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/access_store.hpp"
#include "cloud/domain/audit_store.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/mail_store.hpp"
#include "cloud/domain/organization_store.hpp"
#include "cloud/domain/people_store.hpp"
#include "cloud/domain/store_types.hpp"
#include "cloud/domain/timeline_store.hpp"
#include "cloud/domain/webhook_store.hpp"

/// What the domain needs from a store. Calls block: make them on an executor's lane, never on a network loop. Thread-safe.
/// One operation is one transaction, including its audit entry (for those that take an Actor) and its change rows; when it
/// has returned a value, that is on disk. Every operation may return any StoreError besides the errors named.
/// Every backend passes cloud/store/store_contract.hpp.
namespace muster::domain {

struct NewToken {
  TokenDigest digest;                        ///< Under the newest key; what is stored.
  std::span<const TokenDigest> all_digests;  ///< Under every key: checked against everything ever issued. May be just {digest}.
  std::string sealed;
};

struct DeviceFilter {
  std::span<const OrganizationId> organizations;  ///< Which to look in; never empty.
  UserId owner;                                   ///< Only this owner's when set.
  TemplateId template_id;                         ///< Only this template's when set.
  UtcTime activated_from;                         ///< Only those activated since then when set.
};

struct StoredAccessToken {
  UserId user_id;
  UtcTime created_at, expires_at;
};

struct FoundToken {
  TokenRecord record;  ///< kind revoked: a tombstone.
};

/// A provisioning session to be made.
struct NewProvisionSession {
  OrganizationId organization_id;  ///< Kind reconfigure: the device's, whatever is given.
  UserId owner_id;                 ///< Kind reconfigure: the device's.
  std::string client, uid;
  TemplateId template_id;  ///< None: whatever the device says, if the organization can use it.
  DeviceId device_id;      ///< Set: an existing device gets new settings. None: an id is reserved.
  UtcTime expires_at;
  std::size_t open_max = 50;  ///< Of its user.
};

struct ProvisionSessionFilter {
  std::span<const OrganizationId> organizations;  ///< Which to look in ...
  UserId or_user;                                 ///< ... and besides those that this user made or owns; `organizations` may be empty then.
  std::optional<ProvisionState> state;
  UserId user;         ///< Made or owned by this one only, when set.
  std::string client;  ///< Substring, case-insensitive.
  std::uint16_t code = 0;
  DeviceId device;
};

/// What a device said of itself after the login with a provisioning token.
struct ReportedInfo {
  std::string tmpl_id;  ///< As the firmware has it; empty: it does not say.
  UtcTime at;
  bool is_public_plain_text = false;  ///< Its link is plain text from a public address: only some templates allow that.
};
struct InfoVerdict {
  ProvisionFailure failure = ProvisionFailure::none;  ///< None: accepted.
  ProvisionSession session;                           ///< As it is now.
  std::optional<Device> device;                       ///< When accepted.
};

/// Compact row for building the in-memory views; 1,000,000 of them stream through a callback.
struct DeviceRow {
  DeviceId id;
  OrganizationId organization_id;
  TemplateId template_id;
  UserId owner_id;
};

/// Presence of one device, written behind; only fields that are set are changed.
struct PresenceUpdate {
  DeviceId device_id;
  std::optional<UtcTime> connected_at, disconnected_at, reported_at;  ///< connected_at also sets first_connect_time when it was 0.
  std::optional<std::string> ip;
  std::optional<bool> plain_text_link;
  std::optional<HardwareInfo> hardware;
};

struct ValueUpdate {
  DeviceId device_id;
  PinValue value;
};

/// What to change of an organization. Only what is set is written: what somebody else changes at the same moment stays.
struct OrganizationChange {
  std::optional<std::string> name, description, time_zone;
  std::optional<Home> home;
  std::optional<OrganizationType> type;  ///< Never to or from root.
  std::optional<bool> can_create_sub_organizations;
  std::optional<std::int64_t> devices_max;
};

/// What to change of a user. Only what is set is written.
struct UserChange {
  std::optional<std::string> name, locale, time_zone;
  std::optional<RoleId> role_id;
  std::optional<UserStatus> status;  ///< Active or suspended. One that is pending stays so: wrong_state.
};

/// Sealed secrets of one live token, for key rotation.
struct TokenToRotate {
  AuthTokenId id;
  std::string sealed;
};
/// A live token as it is stored, for checking that its key is the right one.
struct SealedToken {
  TokenDigest digest;
  std::string sealed;
};
struct RotatedToken {
  AuthTokenId id;
  TokenDigest digest;
  std::string sealed;
};

enum class UnknownTokens : std::uint8_t {
  refuse = 0,
  hold = 1,                 ///< The store was restored from a backup and may not know the newest tokens, or is not set up yet.
  hold_through_set_up = 2,  ///< The same, and `set_up` does not end it: keys of an earlier store were there when this one was made.
};

inline constexpr std::size_t provision_steps_max = 200;                           ///< Of one session; the cloud's own few fit in any case.
inline constexpr std::int64_t provision_history_kept_ms = 90LL * 24 * 3'600'000;  ///< How long a session that ended can be looked at.

class Store : public OrganizationStore,
              public TimelineStore,
              public WebhookStore,
              public PeopleStore,
              public MailStore,
              public AccessStore,
              public AuditStore {
 public:
  ~Store() override = default;

  // --- state -----------------------------------------------------------------------------------------------------------
  /// Success: reads work now. Else why not (StoreError). Cheap; may try to open again.
  virtual Result<void> check() = 0;
  virtual Result<UnknownTokens> unknown_tokens() = 0;
  virtual Result<void> set_unknown_tokens(UnknownTokens mode, const Actor& actor) = 0;

  // --- change feed -----------------------------------------------------------------------------------------------------
  virtual Result<std::int64_t> newest_change() = 0;
  struct Changes {
    std::vector<Change> rows;
    bool too_far_behind = false;
  };  ///< too_far_behind: trimmed past `after`; rebuild.
  virtual Result<Changes> changes_after(std::int64_t after, std::size_t limit) = 0;
  virtual Result<void> trim_changes(std::int64_t up_to) = 0;

  // --- streams that build the views: one consistent snapshot each ----------------------------------------------------------
  virtual Result<void> for_each_live_token(const std::function<void(const TokenRecord&)>& each) = 0;
  virtual Result<void> for_each_device(const std::function<void(const DeviceRow&)>& each) = 0;
  virtual Result<void> for_each_seen_ip(const std::function<void(std::string_view ip)>& each) = 0;  ///< Distinct addresses of past logins.
  /// Devices that had a session lately, for a start: it ended after `since`, or (`ended_at` 0) nobody wrote down that it ended.
  virtual Result<void> for_each_recent_session(UtcTime since, const std::function<void(DeviceId, UtcTime ended_at)>& each) = 0;
  /// Devices with a home of their own (few).
  virtual Result<void> for_each_device_home(const std::function<void(DeviceId, const Home&)>& each) = 0;

  // --- setup and administrator recovery -----------------------------------------------------------------------------------
  virtual Result<bool> has_administrator() = 0;
  struct FirstAdministrator {
    OrganizationId organization_id;
    UserId user_id;
  };
  /// Makes the root organization and its first Admin; ends UnknownTokens::hold. Errors: already_set_up.
  virtual Result<FirstAdministrator> set_up(std::string_view organization_name, std::string_view email, std::string_view verifier,
                                            const Actor& actor) = 0;
  /// Gives the Admin of the root with this email a new verifier and active status (makes the user when there is none). Ends its access tokens.
  virtual Result<UserId> recover_administrator(std::string_view email, std::string_view verifier, const Actor& actor) = 0;

  // --- organizations -------------------------------------------------------------------------------------------------------
  /// Errors: not_found (parent), name_taken, tree_too_deep, limit_reached.
  virtual Result<Organization> create_organization(const Organization& organization, const Actor& actor) = 0;
  /// Errors: not_found, name_taken, invalid_value (a type that what is above or beneath it does not allow).
  virtual Result<Organization> update_organization(OrganizationId id, const OrganizationChange& change, const Actor& actor) = 0;
  /// Errors: not_found, in_use, protected_entity.
  virtual Result<void> delete_organization(OrganizationId id, const Actor& actor) = 0;
  virtual Result<std::vector<Organization>> organizations() = 0;  ///< All of them: there are few, and the views hold them.
  virtual Result<std::optional<Organization>> find_organization(OrganizationId id) = 0;

  // --- users, roles, access tokens ------------------------------------------------------------------------------------------
  /// Errors: email_taken, not_found (organization).
  virtual Result<User> create_user(const User& user, std::string_view verifier, const Actor& actor) = 0;
  /// Suspending ends his access tokens and the open provisioning sessions that he made. Errors: not_found (also the role), last_admin, wrong_state.
  virtual Result<User> update_user(UserId id, const UserChange& change, const Actor& actor) = 0;
  /// Ends the user's access tokens but `keep`. Errors: not_found.
  virtual Result<void> set_password(UserId id, std::string_view verifier, const std::optional<TokenDigest>& keep, const Actor& actor) = 0;
  /// Ends the same. Errors: not_found, last_admin, in_use (owns devices).
  virtual Result<void> delete_user(UserId id, const Actor& actor) = 0;
  virtual Result<std::vector<User>> all_users() = 0;  ///< For the views.
  virtual Result<PageOf<User>> users(OrganizationId organization, const Page& page) = 0;
  virtual Result<std::optional<User>> find_user(UserId id) = 0;
  struct Credentials {
    User user;
    std::string verifier;
  };
  virtual Result<std::optional<Credentials>> find_credentials(std::string_view email) = 0;
  virtual Result<std::vector<Role>> roles() = 0;

  /// `remember_login` also sets last_logged_at. Audited as "session.create". Errors: not_found, not_active.
  virtual Result<void> create_access_token(UserId user, const TokenDigest& digest, UtcTime expires_at, const Actor& actor) = 0;
  virtual Result<std::optional<StoredAccessToken>> find_access_token(
      std::span<const TokenDigest> digests) = 0;  ///< Expired ones are not found.
  virtual Result<void> extend_access_token(std::span<const TokenDigest> digests, UtcTime expires_at) = 0;
  virtual Result<void> delete_access_token(std::span<const TokenDigest> digests, const Actor& actor) = 0;

  // --- templates -----------------------------------------------------------------------------------------------------------
  /// `tmpl_ids` given by the caller. Built-in metadata fields and system events are added here. Errors: name_taken, not_found.
  virtual Result<Template> create_template(const Template& value, const Actor& actor) = 0;
  /// Replaces everything but id, organization and tmpl_ids; datastreams, fields and events without id get one, missing ones are deleted
  /// (built-in ones stay). Errors: not_found, name_taken, version_conflict, pin_taken.
  virtual Result<Template> update_template(const Template& value, std::uint32_t seen_version, const Actor& actor) = 0;
  /// Errors: not_found, in_use (has devices, unless `with_devices`: then they and their tokens go too).
  virtual Result<void> delete_template(TemplateId id, bool with_devices, const Actor& actor) = 0;
  virtual Result<std::optional<Template>> find_template(TemplateId id) = 0;
  virtual Result<std::vector<Template>> templates() = 0;  ///< All: for the views.

  // --- devices and their tokens ---------------------------------------------------------------------------------------------
  /// One transaction: row, token (kind device), audit, changes. Errors: not_found, template_not_in_organization, owner_not_in_organization, token_taken, not_active,
  /// limit_reached (devices of the organization or of one above it).
  virtual Result<Device> create_device(const Device& device, const NewToken& token, const Actor& actor) = 0;
  virtual Result<std::optional<Device>> find_device(DeviceId id) = 0;
  virtual Result<PageOf<Device>> devices(const DeviceFilter& filter, const Page& page) = 0;
  virtual Result<Device> rename_device(DeviceId id, std::string_view name, const Actor& actor) = 0;
  virtual Result<void> set_device_home(DeviceId id, const Home& home, const Actor& actor) = 0;
  /// Row, values and metadata go; its tokens go where their life cycle says (TokenEvent::device_removed): all but static ones become
  /// tombstones. Errors: not_found, wrong_state.
  virtual Result<void> delete_device(DeviceId id, const Actor& actor) = 0;
  /// The sealed copy of the live token, audited as "device.token.reveal" in the same transaction. Errors: not_found.
  virtual Result<std::string> reveal_token(DeviceId id, const Actor& actor) = 0;
  /// The present token becomes a tombstone, `token` takes its place. Tokens that cannot be replaced (TokenEvent::replaced) stay.
  /// Errors: not_found, token_taken, wrong_state (the device has none but such).
  virtual Result<void> replace_token(DeviceId id, const NewToken& token, const Actor& actor) = 0;
  /// nullopt: positively never issued. Looks for any of the digests (one per key).
  virtual Result<std::optional<FoundToken>> find_token(std::span<const TokenDigest> digests) = 0;
  virtual Result<std::vector<TokenRecord>> tokens_of_device(DeviceId id) = 0;  ///< Live ones, for the views.
  virtual Result<std::optional<TokenRecord>> find_token_by_id(AuthTokenId id) = 0;

  /// Metadata values of one device by field name.
  virtual Result<std::optional<std::string>> device_metadata(DeviceId id, std::string_view field) = 0;
  virtual Result<void> set_device_metadata(DeviceId id, std::string_view field, std::string_view value, const Actor& actor) = 0;
  struct MetadataValue {
    std::string field, value;
  };
  virtual Result<std::vector<MetadataValue>> all_device_metadata(DeviceId id) = 0;

  // --- provisioning sessions: their moves follow cloud/domain/provision_session_life_cycle.hpp, their tokens' the token's table ------------
  /// Reserves a device id that is never given again and issues the token, or issues one for an existing device. An open session of the
  /// same user and uid, and any of the same device, is superseded. Errors: not_found (organization, template, device),
  /// template_not_in_organization, owner_not_in_organization, not_active, token_taken, limit_reached (open sessions of the user, devices),
  /// wrong_state (the device's token is its maker's).
  virtual Result<ProvisionSession> create_provision_session(const NewProvisionSession& session, const NewToken& token,
                                                            const Actor& actor) = 0;
  virtual Result<std::optional<ProvisionSession>> find_provision_session(ProvisionSessionId id) = 0;
  virtual Result<std::vector<ProvisionSession>> live_provision_sessions() = 0;  ///< Those that have not ended: for the views.
  virtual Result<PageOf<ProvisionSession>> provision_sessions(const ProvisionSessionFilter& filter,
                                                              const Page& page) = 0;      ///< Newest first.
  virtual Result<std::vector<ProvisionStep>> provision_steps(ProvisionSessionId id) = 0;  ///< Oldest first.
  /// Adds to the trace; not audited. Of an app or agent, `step` "done" finishes an active session, and a code becomes the session's
  /// failure until its device is active. Errors: not_found, limit_reached (the trace is full), wrong_state.
  virtual Result<void> post_provision_step(ProvisionSessionId id, const ProvisionStep& step) = 0;
  /// A device logged in with the session's token. Not audited. Errors: not_found, wrong_state.
  virtual Result<void> note_provision_login(ProvisionSessionId id, UtcTime at, std::string_view ip) = 0;
  /// The first value of its device; later ones change nothing. Not audited. Errors: not_found.
  virtual Result<void> note_first_value(ProvisionSessionId id, UtcTime at) = 0;
  /// Decides about a device. Accepted: its row exists and the token is its own (kind new_device; again: the same answer), or the old token
  /// works on beside it (kind reconfigure). Refused: the session has failed and the token is a tombstone, but a re-provisioning token
  /// waits on. A session out of time expires here. Errors: not_found, wrong_state (it has ended).
  virtual Result<InfoVerdict> accept_info(ProvisionSessionId id, const ReportedInfo& info, const Actor& actor) = 0;
  /// Ends what a re-provisioned device was between: `held` is the token that it has shown to have kept, and it is the device's from now on.
  /// The session's own: it is proved. An earlier one: the device fell back. All its other tokens are tombstones, but not one that waits in
  /// a newer session. Errors: not_found, wrong_state (also: `held` is none of the device's tokens).
  virtual Result<void> finish_reprovision(ProvisionSessionId id, AuthTokenId held, const Actor& actor) = 0;
  /// Errors: not_found, wrong_state.
  virtual Result<void> cancel_provision_session(ProvisionSessionId id, const Actor& actor) = 0;
  /// Ends every session whose time is over by `now`, at most `limit` in one transaction, and deletes traces that ended more than
  /// `provision_history_kept` ago; how many ended.
  virtual Result<std::size_t> expire_provision_sessions(UtcTime now, std::size_t limit) = 0;

  // --- written behind: no audit, no change rows ------------------------------------------------------------------------------
  virtual Result<void> write_presence(std::span<const PresenceUpdate> batch) = 0;  ///< Unknown devices are skipped.
  virtual Result<void> write_values(std::span<const ValueUpdate> batch) = 0;       ///< Unknown devices are skipped.
  virtual Result<std::vector<PinValue>> values_of(DeviceId id) = 0;

  // --- key rotation: resumable batches ---------------------------------------------------------------------------------------
  /// Live tokens whose digest is not under `newest_key`, at most `limit`.
  virtual Result<std::vector<TokenToRotate>> tokens_to_rotate(std::uint16_t newest_key, std::size_t limit) = 0;
  virtual Result<void> rotate_tokens(
      std::span<const RotatedToken>
          batch) = 0;  ///< Those deleted meanwhile are skipped. The old digest is kept as an alias only if it is still needed for look-up.
  /// Some live tokens whose digest is under `key`, at most `limit`; none when there are none. Not audited: nobody is shown them.
  virtual Result<std::vector<SealedToken>> sealed_tokens(std::uint16_t key, std::size_t limit) = 0;
  virtual Result<std::vector<std::uint16_t>> key_ids_in_use() = 0;  ///< By live tokens, tombstones or access tokens.
};

}  // namespace muster::domain
