// SPDX-License-Identifier: Apache-2.0
// INTERNAL frames: the info block, the time of day, metadata. docs/protocol/device-protocol.md sections 5 and 6.
#include <algorithm>
#include <string>

#include "cloud/base/log.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/protocol/binary/gateway_impl.hpp"
#include "wire/info.hpp"

namespace muster::protocol {
namespace {

/// Stock firmware allows 10 s to an hour; a shorter rhythm is met by the longer wait as well.
constexpr std::uint16_t heartbeat_min_s = 10, heartbeat_max_s = 3'600;
constexpr std::size_t info_text_size_max_chars = 128;
constexpr std::size_t metadata_name_size_max_chars = 64, metadata_value_size_max_chars = 255;

/// What a device says of itself ends up in the store and the console: text only, and no more of it than anybody needs.
std::string clean(std::string_view text) { return domain::trim(domain::printable_text(text.substr(0, info_text_size_max_chars))); }

/// `utc`, word and its answer, NUL between them.
std::string utc_words(std::string_view what, const TimeZone& zone, std::int64_t utc_ms, bool local) {
  // Down to whole seconds also before 1970.
  const std::int64_t unix_s = utc_ms / 1000 - (utc_ms % 1000 < 0 ? 1 : 0);
  const TimeZone::Offset offset = zone.at(unix_s);
  std::string out{"rtc"};
  if (local) return out += '\0' + std::to_string(unix_s + offset.total_s);
  out = "utc";
  out += '\0';
  out += what;
  out += '\0';
  if (what == "time") return out += std::to_string(utc_ms);
  if (what == "iso") return out += iso_8601(unix_s, offset.total_s);
  if (what == "tz") return out += std::to_string((offset.total_s - offset.saving_s) / 60) + '\0' + std::to_string(offset.saving_s / 60);
  if (what == "tz_name") return out += zone.name();
  if (what == "tz_rule") return out += zone.rule();
  if (what != "dst_next") return {};
  const auto first = zone.next_transition(unix_s);
  const auto second = first ? zone.next_transition(first->at_s) : std::nullopt;
  if (first) out += std::to_string(first->at_s) + '\0' + std::to_string(first->offset.total_s / 60);
  if (second) out += '\0' + std::to_string(second->at_s) + '\0' + std::to_string(second->offset.total_s / 60);
  return out;
}

bool is_utc_word(std::string_view what) {
  return what == "time" || what == "iso" || what == "tz" || what == "tz_name" || what == "tz_rule" || what == "dst_next";
}

/// Of one "meta set", in frames of the flood limit: 50 a second by default, so 5 of these.
constexpr float metadata_set_cost = 10.0F;

/// The built-in field that holds what devices call "Time Zone".
constexpr std::string_view device_time_zone_field = "Device Timezone";

/// Reserved names that a device may set although no field of the template has them: what stock firmware reports at each start.
bool may_be_set_unasked(std::string_view name) {
  return name == "Hotspot Name" || name == "Device UID" || name == "Location" || name == "Time Zone";
}
/// What people decide, not the device.
bool never_set_by_device(std::string_view name) { return name == "Auth Token" || name == "Device Name" || name == "Device Owner"; }

}  // namespace

void DeviceGateway::Impl::internal(Call& call, const wire::Frame& frame) {
  if (wire::is_info(frame.body)) return info(call, frame);
  wire::Fields fields{frame.body};
  const std::string_view word = fields.next();
  if (word == "rtc") {
    time_of_day(call, frame, true, {});
  } else if (word == "utc") {
    const std::string_view what = fields.next();
    if (is_utc_word(what)) time_of_day(call, frame, false, what);
  } else if (word == "meta") {
    metadata(call, frame, fields);
  }
  // Other words are none of ours, and clients ignore those that they do not know as well.
}

std::optional<domain::HardwareInfo> DeviceGateway::Impl::read_info(Call& call, const wire::Frame& frame) {
  DeviceSession& session = call.session;
  wire::DeviceInfo said;
  if (!wire::decode_info(frame.body, said)) return std::nullopt;
  session.has_info_ = true;
  session.heartbeat_s_ = said.heartbeat_s == 0 ? std::uint16_t{0} : std::clamp(said.heartbeat_s, heartbeat_min_s, heartbeat_max_s);
  session.buffer_in_bytes_ = said.buffer_in_bytes == 0 ? call.limits.buffer_in_default_bytes : said.buffer_in_bytes;
  return domain::HardwareInfo{.version = clean(said.firmware_version),
                              .firmware_type = clean(said.firmware_type),
                              .library_version = clean(said.library_version),
                              .board_type = clean(said.board),
                              .build = clean(said.build),
                              .template_id = clean(said.template_id),
                              .agent = clean(said.agent),
                              .heartbeat_s = session.heartbeat_s_,
                              .buffer_in_bytes = said.buffer_in_bytes};
}

void DeviceGateway::Impl::info(Call& call, const wire::Frame& frame) {
  DeviceSession& session = call.session;
  const auto hardware = read_info(call, frame);
  if (!hardware) return;
  respond(call, frame.id, wire::Status::success);

  domain::PresenceUpdate update;
  update.device_id = session.device_id_;
  update.reported_at = utc(call);
  update.hardware = *hardware;
  if (const auto* published = current_template(session);
      published != nullptr && !hardware->template_id.empty() &&
      std::find(published->tmpl_ids.begin(), published->tmpl_ids.end(), hardware->template_id) == published->tmpl_ids.end()) {
    log::info("template_mismatch", {{"device", session.device_id_.value()}, {"reported", update.hardware->template_id}});
  }
  d.presence.put(std::move(update));
}

std::string DeviceGateway::Impl::time_zone_of(DeviceId device) const {
  const auto place = d.views.directory.device(device);
  const auto organization = place ? d.views.directory.organization(place->organization_id) : std::nullopt;
  return organization && !organization->time_zone.empty() ? organization->time_zone : std::string{"UTC"};
}

void DeviceGateway::Impl::time_of_day(Call& call, const wire::Frame& frame, bool local, std::string_view what) {
  if (!local && what == "time") {
    // The same everywhere.
    const std::string words = utc_words(what, *zones.cached("UTC"), utc(call).ms, local);
    send(call, wire::Command::internal, frame.id, std::string_view{words}.substr(0, 3), std::string_view{words}.substr(4));
    return;
  }
  // The device's own zone is in the store, and one that nobody asked for yet is a file to read: not on the network loop.
  post(Lane::values, [this, self = call.self, device = call.session.device_id_, id = frame.id, what = std::string{what}, local] {
    const auto own = d.store.device_metadata(device, device_time_zone_field);
    if (!own) d.metrics.store_errors_total.add();
    const TimeZone* named = own && *own && !(*own)->empty() ? zones.find(**own) : nullptr;
    const TimeZone& zone = named != nullptr ? *named : zones.load(time_zone_of(device));
    d.router.post(self, InternalAnswer{id, utc_words(what, zone, d.clock.utc_now().ms, local)});
  });
}

void DeviceGateway::Impl::metadata(Call& call, const wire::Frame& frame, wire::Fields fields) {
  const std::string_view verb = fields.next();
  const std::string name{fields.next()};
  const DeviceId device = call.session.device_id_;
  const domain::PublishedTemplate* published = current_template(call.session);
  const auto find_field = [published](std::string_view wanted) -> const domain::MetaField* {
    if (published == nullptr) return nullptr;
    const auto found = std::find_if(published->meta_fields.begin(), published->meta_fields.end(),
                                    [&](const domain::MetaField& one) { return one.name == wanted; });
    return found == published->meta_fields.end() ? nullptr : &*found;
  };
  const domain::MetaField* field = find_field(name);
  if (field == nullptr && name == "Time Zone") field = find_field(device_time_zone_field);
  const bool sane = !name.empty() && name.size() <= metadata_name_size_max_chars && domain::is_valid_utf8(name);

  if (verb == "get") {
    // An unknown name has no documented answer, and the token is nothing to hand out: silence.
    if (!sane || name == "Auth Token") return;
    post(Lane::values, [this, self = call.self, device, id = frame.id, name, kept_as = field != nullptr ? field->name : name,
                        default_value = field != nullptr ? field->default_value : std::string{}] {
      const auto stored = d.store.device_metadata(device, kept_as);
      if (!stored) return d.metrics.store_errors_total.add();
      std::string value = stored->value_or("");
      if (value.empty()) value = default_value;
      if (value.empty() && name == "Device Name") {
        if (const auto row = d.store.find_device(device); row && *row) value = (*row)->name;
      } else if (value.empty() && name == "Device Owner") {
        const auto place = d.views.directory.device(device);
        if (const auto owner = place ? d.views.directory.user(place->owner_id) : std::nullopt) value = owner->name;
      } else if (value.empty() && name == "Time Zone") {
        value = time_zone_of(device);
      }
      if (!value.empty()) d.router.post(self, MetadataLoaded{id, name, std::move(value)});
    });
    return;
  }
  if (verb != "set" || !sane) {
    d.metrics.frames_malformed_total.add();
    return respond(call, frame.id, wire::Status::illegal_command);
  }
  std::string value{fields.next()};
  const bool allowed = !never_set_by_device(name) && (field != nullptr || may_be_set_unasked(name));
  if (!allowed || value.size() > metadata_value_size_max_chars || !domain::is_valid_utf8(value))
    return respond(call, frame.id, wire::Status::illegal_command_body);
  if (field == nullptr) return;  // Taken, as stock firmware expects, but there is nowhere to keep it.
  // Each costs a commit and an audit entry, on a lane that others wait for.
  if (call.session.flood_tokens_ < metadata_set_cost) return respond(call, frame.id, wire::Status::quota_limit);
  call.session.flood_tokens_ -= metadata_set_cost;
  const auto place = d.views.directory.device(device);
  domain::Actor actor{.user_id = {},
                      .organization_id = place ? place->organization_id : OrganizationId{},
                      .client = "Device",
                      .ip = call.peer.address.text(),
                      .at = utc(call)};
  post(Lane::device_writes, [this, device, name = field->name, value = std::move(value), actor = std::move(actor)] {
    if (name == device_time_zone_field && zones.find(value) == nullptr) return d.metrics.values_dropped_total.add();
    // Stock firmware says the same at each start: no write, and no audit entry, for what is known.
    if (const auto stored = d.store.device_metadata(device, name); stored && *stored && **stored == value) return;
    const auto set = d.store.set_device_metadata(device, name, value, actor);
    if (!set && set.error().category() == domain::store_category()) d.metrics.store_errors_total.add();
  });
}

}  // namespace muster::protocol
