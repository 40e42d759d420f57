// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/stream/stream_client.hpp"

#include <algorithm>
#include <charconv>

#include "cloud/api/core.hpp"
#include "cloud/api/provision_json.hpp"
#include "cloud/api/router.hpp"
#include "cloud/api/stream/stream_text.hpp"
#include "cloud/domain/device_life_cycle.hpp"

namespace muster::api {
namespace {

using domain::Permission;

std::optional<std::int64_t> parse_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string value_row(DeviceId device, const domain::PinValue& value) {
  JsonWriter json;
  json.object().add("deviceId", device.value()).add("pin", static_cast<int>(value.pin));
  if (value.value.find('\0') == std::string::npos) {
    json.add("value", value.value);
  } else {
    json.array("values");
    std::string_view rest = value.value;
    for (auto end = rest.find('\0');; end = rest.find('\0')) {
      json.item(rest.substr(0, end));
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
    json.end_array();
  }
  json.add("at", value.at.ms).end_object();
  return json.take();
}

std::string device_row(DeviceId device, domain::Contact contact, const std::string* name) {
  JsonWriter json;
  json.object().add("deviceId", device.value());
  // Whether it was connected at some time decides between two states that are both not online.
  json.add("online", domain::device_state(false, contact) == domain::DeviceState::online);
  json.add("connected", contact == domain::Contact::connected);
  if (name != nullptr) json.add("name", *name);
  json.end_object();
  return json.take();
}

}  // namespace

std::string error_text(std::string_view id, std::string_view code, std::string_view message) {
  JsonWriter json;
  json.object().add("type", "error");
  if (!id.empty()) json.add("id", id);
  json.add("code", code).add("message", message).end_object();
  return json.take();
}

std::string reset_text(std::string_view reason) {
  JsonWriter json;
  json.object().add("type", "reset").add("reason", reason).end_object();
  return json.take();
}

std::string rows_text(std::string_view type, const std::string& id, const std::string& cursor, std::span<const std::string> rows,
                      std::optional<bool> last) {
  JsonWriter json;
  json.object().add("type", type).add("id", id).add("cursor", cursor);
  if (last) json.add("last", *last);
  std::string all = "[";
  for (const auto& row : rows) {
    if (all.size() > 1) all += ',';
    all += row;
  }
  all += ']';
  json.add_raw("rows", all).end_object();
  return json.take();
}

StreamClient::StreamClient(StreamHub& hub, std::string_view access_token)
    : hub_{hub}, pending_token_{access_token}, opened_at_{hub.d_.clock.now()}, polled_at_{hub.d_.clock.now()} {}

StreamClient::~StreamClient() {
  std::vector<DeviceId> devices;
  std::vector<OrganizationId> organizations;
  for (const auto& [id, subscription] : subscriptions_) {
    if (subscription.kind == Kind::sessions) hub_.session_watchers_.fetch_sub(1, std::memory_order_acq_rel);
    if (subscription.kind == Kind::timeline) hub_.end_timeline();
    for (const auto& [device, rows] : subscription.devices) devices.push_back(device);
    organizations.insert(organizations.end(), subscription.organizations.begin(), subscription.organizations.end());
  }
  hub_.unwatch(devices, organizations, hub_.d_.clock.now());
  hub_.closed(this);
}

// --- messages, on a worker -------------------------------------------------------------------------------------------------------

void StreamClient::queue_locked(std::string message) {
  outbox_bytes_ += message.size();
  outbox_.push_back(std::move(message));
}

void StreamClient::queue(std::string message) {
  const std::lock_guard lock{mutex_};
  queue_locked(std::move(message));
}

void StreamClient::fail(std::string_view id, std::string_view code, std::string_view message) { queue(error_text(id, code, message)); }

void StreamClient::on_message(std::string_view text) {
  const std::lock_guard one_at_a_time{message_mutex_};
  const auto close_with = [&](std::string_view code, std::string_view message) {
    const std::lock_guard lock{mutex_};
    queue_locked(error_text({}, code, message));
    closing_ = true;
  };
  {
    const std::lock_guard lock{mutex_};
    if (closing_) return;
  }
  const Instant now = hub_.d_.clock.now();
  if (now - message_window_start_ >= hub_.limits_.message_window) {
    message_window_start_ = now;
    messages_in_window_ = 0;
  }
  if (++messages_in_window_ > hub_.limits_.messages_per_window) return close_with("too_many_requests", "Too many messages.");
  if (text.size() > hub_.limits_.message_size_max_bytes) return close_with("body_too_large", "A message has at most 64 KiB.");
  const ParsedJson parsed = parse_json(text);
  if (parsed.problem == JsonProblem::bad_utf8) return close_with("invalid_utf8", "A message must be UTF-8.");
  if (parsed.problem == JsonProblem::too_many)
    return close_with("body_too_large", "A message has at most " + std::to_string(json_values_max) + " values.");
  if (parsed.problem != JsonProblem::none || parsed.value.kind != Json::Kind::object)
    return close_with("invalid_json", "A message must be a JSON object.");
  handle(parsed.value);
}

bool StreamClient::authenticate(std::string_view token) {
  const TokenDigests digests = hub_.d_.keys.digest(access_token_domain, token);
  // Both counts are read before what they stand for: what changes from here on makes them differ.
  const std::uint64_t tokens = hub_.access_token_generation_.load(std::memory_order_seq_cst);
  const std::uint64_t permissions = hub_.permission_generation_.load(std::memory_order_acquire);
  const auto found = hub_.d_.store.find_access_token(digests.all());
  if (!found || !hub_.d_.views.ready()) {
    fail({}, "unavailable", "The server cannot reach its store now; try again soon.");
    return false;
  }
  const auto caller = *found ? hub_.d_.views.directory.caller((*found)->user_id) : std::nullopt;
  if (!caller) {
    const std::lock_guard lock{mutex_};
    queue_locked(error_text({}, "access_token_invalid", "This access token is unknown, expired or signed out; sign in again."));
    if (++auth_failures_ >= 3) closing_ = true;
    return false;
  }
  if (!hub_.signed_in(this, caller->user_id, digests)) {
    const std::lock_guard lock{mutex_};
    queue_locked(error_text({}, "limit_reached", "As many live streams are open as this server allows; close one, or try again later."));
    closing_ = true;
    return false;
  }
  if (hub_.access_token_generation_.load(std::memory_order_seq_cst) != tokens) {
    // Some token changed since, perhaps this one, and the hub did not know yet whose stream this is.
    const auto again = hub_.d_.store.find_access_token(digests.all());
    if (!again || !*again) end_.store(again ? End::token_gone : End::unsure, std::memory_order_release);
  }
  const std::lock_guard lock{mutex_};
  caller_ = caller;
  expires_at_ = (*found)->expires_at;
  permission_generation_ = permissions;
  JsonWriter json;
  json.object().add("type", "ready").add("userId", caller->user_id.value()).end_object();
  queue_locked(json.take());
  return true;
}

void StreamClient::handle(const Json& message) {
  // Names that each type of message takes, beside `type`; the first one that is none is named.
  struct Known {
    std::string_view type;
    std::vector<std::string_view> fields;
  };
  static const std::vector<Known> known{{"auth", {"accessToken"}},
                                        {"subscribe", {"id", "kind", "deviceIds", "orgId", "includeSubOrgDevices", "snapshot"}},
                                        {"unsubscribe", {"id"}},
                                        {"resume", {"cursor"}},
                                        {"ping", {}}};
  const auto text_of = [&](std::string_view name) -> std::optional<std::string> {
    const Json* given = message.find(name);
    return given != nullptr && given->kind == Json::Kind::text ? std::optional{given->text} : std::nullopt;
  };
  const std::string id = text_of("id").value_or("").substr(0, 64);
  const std::string type = text_of("type").value_or("");
  const auto kind = std::find_if(known.begin(), known.end(), [&](const Known& each) { return each.type == type; });
  if (kind == known.end()) return fail(id, "invalid_request", "type must be auth, subscribe, unsubscribe, resume or ping.");
  for (const auto& [name, value] : message.members) {
    if (name != "type" && std::find(kind->fields.begin(), kind->fields.end(), name) == kind->fields.end()) {
      return fail(id, "unknown_field", "Unknown field \"" + name.substr(0, 100) + "\".");
    }
  }
  bool known_caller = false;
  {
    const std::lock_guard lock{mutex_};
    known_caller = caller_.has_value();
  }
  if (type == "auth") {
    const auto token = text_of("accessToken");
    if (!token) return fail({}, "wrong_type", "Field \"accessToken\" must be a string.");
    if (known_caller) return fail({}, "invalid_request", "This connection is signed in already.");
    (void)authenticate(*token);
    return;
  }
  if (type == "ping") return queue("{\"type\":\"pong\"}");
  if (!known_caller) {
    if (pending_token_.empty()) return fail(id, "not_signed_in", "Send auth first.");
    const std::string token = std::exchange(pending_token_, {});
    if (!authenticate(token)) return;
  }
  if (type == "resume") {
    const auto cursor = text_of("cursor");
    if (!cursor) return fail({}, "wrong_type", "Field \"cursor\" must be a string.");
    return resume(*cursor);
  }
  if (id.empty() || message.find("id")->text.size() > 64)
    return fail(id, "invalid_value", "Field \"id\" must be a string of 1 to 64 bytes.");
  if (type == "unsubscribe") return unsubscribe(id);
  subscribe(message, id);
}

void StreamClient::subscribe(const Json& message, const std::string& id) {
  const Json* kind_given = message.find("kind");
  if (kind_given != nullptr && kind_given->kind == Json::Kind::text && kind_given->text == "sessions")
    return subscribe_sessions(message, id);
  if (kind_given != nullptr && kind_given->kind == Json::Kind::text && kind_given->text == "timeline")
    return subscribe_timeline(message, id);
  Subscription subscription;
  if (kind_given != nullptr && kind_given->kind == Json::Kind::text && kind_given->text == "devices") {
    subscription.kind = Kind::devices;
  } else if (kind_given != nullptr && kind_given->kind == Json::Kind::text && kind_given->text == "values") {
    subscription.kind = Kind::values;
  } else {
    return fail(id, "invalid_value", "Field \"kind\" must be \"devices\", \"values\", \"sessions\" or \"timeline\".");
  }
  const Json* device_ids = message.find("deviceIds");
  const Json* organization_given = message.find("orgId");
  const Json* beneath = message.find("includeSubOrgDevices");
  const Json* snapshot = message.find("snapshot");
  if ((device_ids == nullptr) == (organization_given == nullptr)) return fail(id, "invalid_value", "Give either deviceIds or orgId.");
  for (const Json* flag : {beneath, snapshot}) {
    if (flag != nullptr && flag->kind != Json::Kind::boolean)
      return fail(id, "wrong_type", "snapshot and includeSubOrgDevices must be true or false.");
  }

  domain::Caller caller;
  std::size_t rows = 0;
  const std::uint64_t generation = hub_.permission_generation_.load(std::memory_order_acquire);
  {
    const std::lock_guard lock{mutex_};
    if (subscriptions_.contains(id))
      return queue_locked(error_text(id, "conflicting_field", "There is a subscription with this id already."));
    if (subscriptions_.size() >= hub_.limits_.subscriptions_max)
      return queue_locked(error_text(id, "limit_reached", "Too many subscriptions."));
    caller = *caller_;
    rows = row_count();
  }
  const domain::Directory& directory = hub_.d_.views.directory;
  std::vector<DeviceId> devices;
  if (device_ids != nullptr) {
    if (device_ids->kind != Json::Kind::array) return fail(id, "wrong_type", "Field \"deviceIds\" must be an array.");
    for (const Json& item : device_ids->items) {
      if (item.kind != Json::Kind::integer) return fail(id, "wrong_type", "deviceIds must hold integers.");
      const bool possible = item.integer > 0 && item.integer <= INT32_MAX;
      const DeviceId device{possible ? static_cast<std::int32_t>(item.integer) : 0};
      if (!directory.device_access(caller, device).see || !possible)
        return fail(id, "not_found", "There is no device " + std::to_string(item.integer) + ", or you may not see it.");
      devices.push_back(device);
    }
  } else {
    if (organization_given->kind != Json::Kind::integer) return fail(id, "wrong_type", "Field \"orgId\" must be an integer.");
    const bool possible = organization_given->integer > 0 && organization_given->integer <= INT32_MAX;
    const OrganizationId top{possible ? static_cast<std::int32_t>(organization_given->integer) : 0};
    if (!possible || !directory.in_subtree(top, caller.organization_id))
      return fail(id, "not_found", "There is no such organization, or you may not see it.");
    std::vector<OrganizationId> everything;
    bool own_only = false;
    for (const OrganizationId each : beneath != nullptr && beneath->boolean ? directory.subtree(top) : std::vector{top}) {
      const auto permissions = directory.permissions_in(caller, each);
      if (permissions.has(Permission::org_devices_view)) {
        everything.push_back(each);
      } else if (each == caller.organization_id && permissions.has(Permission::own_devices_view)) {
        own_only = true;
      }
    }
    if (everything.empty() && !own_only) return fail(id, "forbidden", "Your role does not allow this there.");
    domain::DeviceFilter filter;
    const std::vector<OrganizationId> own{caller.organization_id};
    filter.organizations = everything.empty() ? own : everything;
    if (everything.empty()) filter.owner = caller.user_id;
    subscription.organizations = everything.empty() ? own : everything;
    domain::Page page;
    page.limit = 1000;
    for (;;) {
      const auto found = hub_.d_.store.devices(filter, page);
      if (!found) return fail(id, "unavailable", "The server cannot reach its store now; try again soon.");
      for (const auto& device : found->rows) devices.push_back(device.id);
      page.offset += page.limit;
      if (found->rows.empty() || page.offset >= found->total || rows + devices.size() > hub_.limits_.rows_max) break;
    }
  }
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  if (rows + devices.size() > hub_.limits_.rows_max)
    return fail(id, "limit_reached", "These are more rows than a client may subscribe to.");
  for (const DeviceId device : devices) subscription.devices.try_emplace(device);

  std::uint64_t position = 0;
  const Instant now = hub_.d_.clock.now();
  if (!hub_.watch(devices, subscription.organizations, now, position))
    return fail(id, "limit_reached", "The server watches too many rows already.");
  const bool with_snapshot = snapshot == nullptr || snapshot->boolean;
  {
    const std::lock_guard lock{mutex_};
    if (position_ == 0) position_ = position;
    subscription.live = !with_snapshot;
    subscriptions_.emplace(id, std::move(subscription));
    // A poll may have followed a change since, without this subscription: it is gone through like the others.
    if (hub_.permission_generation_.load(std::memory_order_acquire) != generation) {
      permission_generation_ = generation;
      if (!follow_permissions(now)) return;  // The next poll ends the stream.
    }
  }
  if (with_snapshot) queue_snapshot(id);
}

void StreamClient::subscribe_sessions(const Json& message, const std::string& id) {
  const Json* organization_given = message.find("orgId");
  const Json* snapshot = message.find("snapshot");
  if (message.find("deviceIds") != nullptr || message.find("includeSubOrgDevices") != nullptr)
    return fail(id, "invalid_value", "Sessions are subscribed to by orgId, or without one.");
  if (snapshot != nullptr && snapshot->kind != Json::Kind::boolean) return fail(id, "wrong_type", "snapshot must be true or false.");
  Subscription subscription;
  subscription.kind = Kind::sessions;
  const bool with_snapshot = snapshot == nullptr || snapshot->boolean;
  subscription.live = !with_snapshot;
  if (organization_given != nullptr) {
    if (organization_given->kind != Json::Kind::integer) return fail(id, "wrong_type", "Field \"orgId\" must be an integer.");
    const bool possible = organization_given->integer > 0 && organization_given->integer <= INT32_MAX;
    subscription.session_organization = OrganizationId{possible ? static_cast<std::int32_t>(organization_given->integer) : 0};
  }
  {
    const std::lock_guard lock{mutex_};
    if (organization_given != nullptr && !hub_.d_.views.directory.in_subtree(subscription.session_organization, caller_->organization_id))
      return queue_locked(error_text(id, "not_found", "There is no such organization, or you may not see it."));
    if (subscriptions_.contains(id))
      return queue_locked(error_text(id, "conflicting_field", "There is a subscription with this id already."));
    if (subscriptions_.size() >= hub_.limits_.subscriptions_max)
      return queue_locked(error_text(id, "limit_reached", "Too many subscriptions."));
    subscriptions_.emplace(id, std::move(subscription));
    wants_sessions_.store(true, std::memory_order_release);
    hub_.session_watchers_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (with_snapshot) queue_session_snapshot(id);
}

bool StreamClient::shows(const Subscription& subscription, const domain::ProvisionSession& session) const {
  if (subscription.session_organization) {
    if (session.organization_id != subscription.session_organization) return false;
  } else if (session.organization_id != caller_->organization_id && session.created_by != caller_->user_id &&
             session.owner_id != caller_->user_id) {
    return false;
  }
  return may_see_provision_session(hub_.d_.views.directory, *caller_, session);
}

void StreamClient::queue_session_snapshot(const std::string& id) {
  domain::ProvisionSessionFilter filter;
  std::vector<OrganizationId> organizations;
  {
    const std::lock_guard lock{mutex_};
    const auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    found->second.live = false;
    const OrganizationId given = found->second.session_organization;
    const OrganizationId organization = given ? given : caller_->organization_id;
    const bool sees_all = hub_.d_.views.directory.permissions_in(*caller_, organization).has(domain::Permission::provision_sessions_view);
    if (given || sees_all) organizations.push_back(organization);
    if (!given) filter.or_user = caller_->user_id;
    if (given && !sees_all) filter.user = caller_->user_id;
  }
  filter.organizations = organizations;
  domain::Page page;
  page.limit = hub_.limits_.sessions_in_snapshot;
  const auto stored = hub_.d_.store.provision_sessions(filter, page);
  if (!stored) {
    if (remove_subscription(id)) fail(id, "unavailable", "The server cannot reach its store now; subscribe again soon.");
    return;
  }
  const std::lock_guard lock{mutex_};
  if (!follow_permissions(hub_.d_.clock.now())) return;  // The next poll ends the stream.
  const auto found = subscriptions_.find(id);
  if (found == subscriptions_.end()) return;
  std::vector<std::string> rows;
  found->second.shown.clear();
  for (const auto& session : stored->rows) {
    if (!shows(found->second, session)) continue;
    JsonWriter json;
    json.object();
    write_provision_session(json, hub_.d_.views.directory, session);
    json.end_object();
    rows.push_back(json.take());
    found->second.shown.push_back(session.id);
  }
  std::sort(found->second.shown.begin(), found->second.shown.end());
  queue_locked(rows_text("snapshot", id, cursor(), rows, true));
  rows_waiting_ = true;
  found->second.live = true;
}

void StreamClient::offer_session(const domain::ProvisionSession& session) {
  if (!wants_sessions_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock{sessions_mutex_};
  if (sessions_offered_.size() >= hub_.limits_.sessions_pending_max) {
    sessions_lost_ = true;
    return;
  }
  sessions_offered_.insert_or_assign(session.id, session);
}

void StreamClient::send_sessions(Instant now, std::vector<std::string>& out) {
  if (!wants_sessions_.load(std::memory_order_acquire)) return;
  if (sessions_sent_at_ != Instant{} && now - sessions_sent_at_ < hub_.limits_.row_interval) return;
  for (const auto& [id, subscription] : subscriptions_) {
    if (subscription.kind == Kind::sessions && !subscription.live) return;  // Its snapshot comes first.
  }
  std::unordered_map<ProvisionSessionId, domain::ProvisionSession> offered;
  bool lost = false;
  {
    const std::lock_guard lock{sessions_mutex_};
    offered.swap(sessions_offered_);
    lost = std::exchange(sessions_lost_, false);
  }
  if (lost) out.push_back(reset_text("cursor_unknown"));  // Who wants to know more subscribes anew.
  if (offered.empty()) return;
  sessions_sent_at_ = now;
  std::vector<const domain::ProvisionSession*> ordered;
  for (const auto& [id, session] : offered) ordered.push_back(&session);
  std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription.kind != Kind::sessions) continue;
    std::vector<std::string> rows;
    JsonWriter removed;
    std::size_t removed_count = 0;
    removed.object().add("type", "removed").add("id", id).array("sessionIds");
    for (const auto* session : ordered) {
      const auto place = std::lower_bound(subscription.shown.begin(), subscription.shown.end(), session->id);
      const bool was_shown = place != subscription.shown.end() && *place == session->id;
      if (!shows(subscription, *session)) {
        if (!was_shown) continue;
        subscription.shown.erase(place);
        removed.item_number(session->id.value());
        ++removed_count;
        continue;
      }
      if (!was_shown) {
        subscription.shown.insert(place, session->id);
        if (subscription.shown.size() > hub_.limits_.sessions_pending_max) subscription.shown.erase(subscription.shown.begin());
      }
      JsonWriter json;
      json.object();
      write_provision_session(json, hub_.d_.views.directory, *session);
      json.end_object();
      rows.push_back(json.take());
    }
    removed.end_array().end_object();
    if (removed_count != 0) out.push_back(removed.take());
    const std::span<const std::string> all{rows};
    for (std::size_t at = 0; at < all.size(); at += hub_.limits_.rows_per_message) {
      out.push_back(
          rows_text("delta", id, cursor(), all.subspan(at, std::min(hub_.limits_.rows_per_message, all.size() - at)), std::nullopt));
    }
  }
}

void StreamClient::snapshot_rows(Kind kind, const std::vector<DeviceId>& devices, std::vector<RowOfDevice>& rows, bool& failed) {
  for (const DeviceId device : devices) {
    if (kind == Kind::devices) {
      const auto found = hub_.d_.store.find_device(device);
      if (!found) {
        failed = true;
        return;
      }
      if (*found) rows.push_back({device, device_row(device, hub_.d_.sessions.contact(device, hub_.d_.clock.now()), &(*found)->name)});
      continue;
    }
    std::vector<domain::PinValue> values;
    if (hub_.d_.values.read(device, values) == domain::ValueCache::Loaded::no) {
      const auto stored = hub_.d_.store.values_of(device);
      if (!stored) {
        failed = true;
        return;
      }
      hub_.d_.values.load(device, *stored);
      values.clear();
      (void)hub_.d_.values.read(device, values);
    }
    for (const auto& value : values) rows.push_back({device, value_row(device, value)});
  }
}

void StreamClient::queue_snapshot(const std::string& id) {
  std::vector<DeviceId> devices;
  Kind kind = Kind::devices;
  {
    const std::lock_guard lock{mutex_};
    const auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    found->second.live = false;
    kind = found->second.kind;
    for (const auto& [device, rows] : found->second.devices) devices.push_back(device);
  }
  std::sort(devices.begin(), devices.end());
  // What changes from here on is told again as a delta: the state below is read after it.
  std::vector<RowOfDevice> rows;
  bool failed = false;
  snapshot_rows(kind, devices, rows, failed);
  if (failed) {
    // Its id is free again: the client is told to subscribe anew.
    if (remove_subscription(id)) fail(id, "unavailable", "The server cannot reach its store now; subscribe again soon.");
    return;
  }
  const std::lock_guard lock{mutex_};
  // What may not be seen any more since the rows were read is not said any more.
  if (!follow_permissions(hub_.d_.clock.now())) return;  // The next poll ends the stream.
  const auto found = subscriptions_.find(id);
  if (found == subscriptions_.end()) return;
  std::vector<std::string> texts;
  for (auto& row : rows) {
    if (found->second.devices.contains(row.device)) texts.push_back(std::move(row.text));
  }
  const std::span<const std::string> all{texts};
  for (std::size_t at = 0; at == 0 || at < all.size(); at += hub_.limits_.rows_per_message) {
    const auto part = all.subspan(at, std::min(hub_.limits_.rows_per_message, all.size() - at));
    queue_locked(rows_text("snapshot", id, cursor(), part, at + part.size() >= all.size()));
    rows_waiting_ = true;
  }
  found->second.live = true;
}

void StreamClient::unsubscribe(const std::string& id) {
  if (!remove_subscription(id)) fail(id, "not_found", "There is no such subscription.");
}

bool StreamClient::remove_subscription(const std::string& id) {
  std::vector<DeviceId> devices;
  std::vector<OrganizationId> organizations;
  bool was_timeline = false;
  {
    const std::lock_guard lock{mutex_};
    const auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return false;
    was_timeline = found->second.kind == Kind::timeline;
    for (const auto& [device, rows] : found->second.devices) devices.push_back(device);
    organizations = found->second.organizations;
    if (found->second.kind == Kind::sessions) hub_.session_watchers_.fetch_sub(1, std::memory_order_acq_rel);
    subscriptions_.erase(found);
    wants_sessions_.store(
        std::any_of(subscriptions_.begin(), subscriptions_.end(), [](const auto& each) { return each.second.kind == Kind::sessions; }),
        std::memory_order_release);
    wants_lines_.store(
        std::any_of(subscriptions_.begin(), subscriptions_.end(), [](const auto& each) { return each.second.kind == Kind::timeline; }),
        std::memory_order_release);
    std::erase_if(dirty_, [&](const DirtyRow& row) { return row.subscription == id; });
  }
  if (was_timeline) hub_.end_timeline();
  hub_.unwatch(devices, organizations, hub_.d_.clock.now());
  return true;
}

void StreamClient::resume(const std::string& cursor_text) {
  std::vector<DeviceId> devices;
  std::vector<OrganizationId> organizations;
  std::vector<std::string> ids, of_sessions;
  {
    const std::lock_guard lock{mutex_};
    for (const auto& [id, subscription] : subscriptions_) {
      if (subscription.kind == Kind::timeline) continue;  // Lines that were missed are asked for.
      (subscription.kind == Kind::sessions ? of_sessions : ids).push_back(id);
      for (const auto& [device, rows] : subscription.devices) devices.push_back(device);
      organizations.insert(organizations.end(), subscription.organizations.begin(), subscription.organizations.end());
    }
  }
  // Their changes are in no journal: what they are now says it all.
  for (const auto& id : of_sessions) queue_session_snapshot(id);
  const auto dash = cursor_text.find('-');
  const auto position = dash == std::string::npos ? std::nullopt : parse_number(std::string_view{cursor_text}.substr(dash + 1));
  const bool ours = dash != std::string::npos && cursor_text.substr(0, dash) == hub_.epoch_;
  if (ours && position && hub_.can_resume(static_cast<std::uint64_t>(*position), devices, organizations)) {
    const std::lock_guard lock{mutex_};
    position_ = position_ == 0 ? static_cast<std::uint64_t>(*position) : std::min(position_, static_cast<std::uint64_t>(*position));
    return;
  }
  queue(reset_text("cursor_unknown"));
  for (const auto& id : ids) queue_snapshot(id);
}

// --- polling, on the loop ----------------------------------------------------------------------------------------------------------

std::string StreamClient::cursor() const {
  // Never past a change that was not told yet.
  std::uint64_t position = position_;
  for (const DirtyRow& dirty : dirty_) {
    const auto subscription = subscriptions_.find(dirty.subscription);
    if (subscription == subscriptions_.end()) continue;
    const auto device = subscription->second.devices.find(dirty.device);
    if (device == subscription->second.devices.end()) continue;
    for (const Row& row : device->second) {
      if (row.row == dirty.row && row.dirty_since != 0) position = std::min(position, row.dirty_since);
    }
  }
  return hub_.epoch_ + "-" + std::to_string(position);
}

std::size_t StreamClient::row_count() const {
  std::size_t count = 0;
  for (const auto& [id, subscription] : subscriptions_) count += subscription.devices.size();
  return count;
}

void StreamClient::mark(const std::string& id, Subscription& subscription, DeviceId device, std::int16_t row, std::uint64_t position) {
  const auto found = subscription.devices.find(device);
  if (found == subscription.devices.end()) return;
  auto& rows = found->second;
  auto place = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.row == row; });
  if (place == rows.end()) place = rows.insert(rows.end(), Row{row, 0, {}});
  if (place->dirty_since != 0) return;
  place->dirty_since = position;
  dirty_.push_back({id, device, row});
}

void StreamClient::drop_devices(const std::string& id, Subscription& subscription, const std::vector<DeviceId>& devices, Instant now) {
  if (devices.empty()) return;
  JsonWriter json;
  json.object().add("type", "removed").add("id", id).array("deviceIds");
  for (const DeviceId device : devices) {
    subscription.devices.erase(device);
    json.item_number(device.value());
  }
  json.end_array().end_object();
  queue_locked(json.take());
  hub_.unwatch(devices, {}, now);
}

void StreamClient::recheck(Instant now) {
  const domain::Directory& directory = hub_.d_.views.directory;
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription.kind == Kind::sessions || subscription.kind == Kind::timeline) {
      // Each row is checked when it is sent; those that wait were checked before.
      rows_outdated_ = rows_outdated_ || rows_waiting_;
      continue;
    }
    std::vector<DeviceId> hidden;
    for (const auto& [device, rows] : subscription.devices) {
      if (!directory.device_access(*caller_, device).see) hidden.push_back(device);
    }
    rows_outdated_ = rows_outdated_ || (rows_waiting_ && !hidden.empty());
    std::sort(hidden.begin(), hidden.end());
    drop_devices(id, subscription, hidden, now);
  }
}

/// False: the user may do nothing any more.
bool StreamClient::follow_permissions(Instant now) {
  const std::uint64_t generation = hub_.permission_generation_.load(std::memory_order_acquire);
  if (generation == permission_generation_) return true;
  const auto caller = hub_.d_.views.directory.caller(caller_->user_id);
  if (!caller) return false;
  permission_generation_ = generation;
  caller_ = caller;
  recheck(now);
  return true;
}

void StreamClient::take_entries(const std::vector<StreamHub::Entry>& entries, std::uint64_t first, Instant now) {
  const domain::Directory& directory = hub_.d_.views.directory;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    const std::uint64_t position = first + i;
    for (auto& [id, subscription] : subscriptions_) {
      if (subscription.kind == Kind::sessions || subscription.kind == Kind::timeline) continue;
      const bool has = subscription.devices.contains(entry.device);
      if (entry.row == StreamHub::gone_row) {
        // Moved away, or deleted: it may also have come back meanwhile.
        if (has && !directory.device_access(*caller_, entry.device).see) drop_devices(id, subscription, {entry.device}, now);
        continue;
      }
      if (!has && entry.row == StreamHub::status_row && !subscription.organizations.empty()) {
        // New in an organization that is watched as a whole.
        const auto access = directory.device_access(*caller_, entry.device);
        const bool wanted = access.see && std::find(subscription.organizations.begin(), subscription.organizations.end(),
                                                    access.place.organization_id) != subscription.organizations.end();
        std::uint64_t unused = 0;
        const DeviceId device = entry.device;
        if (!wanted || row_count() >= hub_.limits_.rows_max || !hub_.watch({&device, 1}, {}, now, unused)) continue;
        subscription.devices.try_emplace(device);
      }
      const bool of_kind = subscription.kind == Kind::devices ? entry.row == StreamHub::status_row : entry.row >= 0;
      if (of_kind) mark(id, subscription, entry.device, entry.row, position);
    }
  }
}

void StreamClient::send_dirty(Instant now, std::vector<std::string>& out) {
  std::map<std::string, std::vector<std::string>> rows;
  std::vector<DirtyRow> later;
  std::size_t sent = 0;
  for (DirtyRow& dirty : dirty_) {
    const auto subscription = subscriptions_.find(dirty.subscription);
    if (subscription == subscriptions_.end()) continue;
    const auto device = subscription->second.devices.find(dirty.device);
    if (device == subscription->second.devices.end()) continue;
    const auto row = std::find_if(device->second.begin(), device->second.end(), [&](const Row& each) { return each.row == dirty.row; });
    if (row == device->second.end() || row->dirty_since == 0) continue;
    if (!subscription->second.live || sent >= hub_.limits_.rows_per_poll ||
        (row->sent_at != Instant{} && now - row->sent_at < hub_.limits_.row_interval)) {
      later.push_back(std::move(dirty));
      continue;
    }
    if (dirty.row == StreamHub::status_row) {
      rows[dirty.subscription].push_back(device_row(dirty.device, hub_.d_.sessions.contact(dirty.device, now), nullptr));
    } else {
      std::optional<domain::PinValue> value;
      (void)hub_.d_.values.read_pin(dirty.device, static_cast<std::uint8_t>(dirty.row), value);
      if (value) rows[dirty.subscription].push_back(value_row(dirty.device, *value));
    }
    row->dirty_since = 0;
    row->sent_at = now;
    ++sent;
  }
  dirty_ = std::move(later);
  const std::string at = rows.empty() ? std::string{} : cursor();
  for (const auto& [id, all] : rows) {
    const std::span<const std::string> span{all};
    for (std::size_t from = 0; from < span.size(); from += hub_.limits_.rows_per_message) {
      out.push_back(
          rows_text("delta", id, at, span.subspan(from, std::min(hub_.limits_.rows_per_message, span.size() - from)), std::nullopt));
    }
  }
}

bool StreamClient::end(std::vector<std::string>& out, std::string message) {
  for (auto& each : outbox_) out.push_back(std::move(each));
  outbox_.clear();
  outbox_bytes_ = 0;
  if (!message.empty()) out.push_back(std::move(message));
  closing_ = true;
  return false;
}

bool StreamClient::poll(Instant now, std::vector<std::string>& out) {
  const std::lock_guard lock{mutex_};
  if (closing_) return end(out, {});
  if (!caller_) {
    if (now - opened_at_ >= hub_.limits_.auth_deadline)
      return end(out, error_text({}, "not_signed_in", "Nobody signed in within 10 seconds."));
  } else {
    const End ended = end_.load(std::memory_order_acquire);
    if (ended == End::token_gone || hub_.d_.clock.utc_now() >= expires_at_)
      return end(out, error_text({}, "access_token_invalid", "This access token has ended; sign in again."));
    if (ended == End::unsure)
      return end(out, error_text({}, "unavailable", "The server cannot tell whether this access token is still good; connect again."));
    if (!follow_permissions(now)) {
      outbox_.clear();
      return end(out, error_text({}, "access_token_invalid", "This account is disabled."));
    }
    if (rows_outdated_) {
      // Snapshots that nobody has taken yet hold what may not be seen any more.
      outbox_.clear();
      return end(out, reset_text("permissions"));
    }
  }
  const bool stalled = now - polled_at_ > hub_.limits_.stall_max;
  polled_at_ = now;
  const auto slow = [&] {
    hub_.d_.metrics.stream_slow_closed_total.add();
    outbox_.clear();
    return end(out, reset_text("slow"));
  };
  if (position_ != 0) {
    std::vector<StreamHub::Entry> entries;
    const std::uint64_t first = position_;
    if (hub_.read(position_, 4 * hub_.limits_.rows_per_poll, entries, now) == StreamHub::Read::overrun) return slow();
    take_entries(entries, first, now);
  }
  if (outbox_bytes_ > hub_.limits_.outbox_max_bytes || (stalled && (!outbox_.empty() || !dirty_.empty()))) return slow();
  for (auto& message : outbox_) out.push_back(std::move(message));
  outbox_.clear();
  outbox_bytes_ = 0;
  rows_waiting_ = false;
  send_dirty(now, out);
  send_sessions(now, out);
  send_lines(out);
  return true;
}

}  // namespace muster::api
