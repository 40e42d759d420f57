// SPDX-License-Identifier: Apache-2.0
// What a logged-in device may say. docs/protocol/device-protocol.md sections 3, 7-10. No command of a known client ends its
// session; what we do not know is answered with "illegal command".
#include <algorithm>
#include <array>
#include <charconv>

#include "cloud/domain/value_rules.hpp"
#include "cloud/protocol/binary/gateway_impl.hpp"

namespace muster::protocol {
namespace {

using wire::Command;
using wire::Status;

/// docs/protocol/device-protocol.md section 10.
constexpr std::array<std::string_view, 18> properties{"label",   "color",    "isDisabled",  "isHidden",     "onLabel",  "offLabel",
                                                      "onColor", "offColor", "onBackColor", "offBackColor", "isOnPlay", "labels",
                                                      "url",     "urls",     "step",        "opacity",      "scale",    "rotation"};
constexpr std::string_view property_muted = "isMuted";

}  // namespace

CloseReason DeviceGateway::Impl::handle(Call& call, const wire::Frame& frame) {
  switch (frame.command) {
    case Command::hardware: hardware(call, frame); break;
    case Command::ping: respond(call, frame.id, Status::success); break;
    case Command::response: break;  // To a frame of ours: some clients say 200, some 2. It counted as activity; nothing waits for it.
    case Command::hardware_sync: sync(call, frame); break;
    case Command::internal: internal(call, frame); break;
    case Command::group: group(call, frame); break;
    case Command::property: property(call, frame); break;
    case Command::event_log:
    case Command::event_clear: event(call, frame); break;
    case Command::bridge: bridge(call, frame); break;
    case Command::tweet:
    case Command::email:
    case Command::notify:
    case Command::sms:
      // Services of the old platform; nothing here sends such messages.
      respond(call, frame.id, Status::notification_not_authorized);
      break;
    case Command::login:
    case Command::hw_login: respond(call, frame.id, Status::already_registered); break;
    default: respond(call, frame.id, Status::illegal_command); break;
  }
  return CloseReason::none;
}

const domain::PublishedTemplate* DeviceGateway::Impl::current_template(DeviceSession& session) const {
  const std::uint64_t generation = d.views.directory.template_generation();
  if (session.template_ == nullptr || session.template_generation_ != generation) {
    const auto place = d.views.directory.device(session.device_id_);
    session.template_ = place ? d.views.directory.find_template(place->template_id) : nullptr;
    session.template_generation_ = generation;
  }
  return session.template_.get();
}

void DeviceGateway::Impl::hardware(Call& call, const wire::Frame& frame) {
  wire::Fields fields{frame.body};
  const std::string_view word = fields.next();
  if (word == "vw") return virtual_write(call, frame, fields);
  // Answers to a `dr` or `ar`, and what the device tells of its own pins: this cloud has no use for either.
  if (word == "dw" || word == "aw" || word == "dr" || word == "ar" || word == "pm") return;
  d.metrics.frames_malformed_total.add();
  respond(call, frame.id, Status::illegal_command);
}

void DeviceGateway::Impl::virtual_write(Call& call, const wire::Frame& frame, wire::Fields fields) {
  std::uint8_t pin = 0;
  if (!wire::parse_pin(fields.next(), pin)) {
    d.metrics.frames_malformed_total.add();
    return respond(call, frame.id, Status::illegal_command);
  }
  const std::string_view value = fields.rest().text();
  // Devices do send it: a text that did not fit their buffer. Section 15, Q5.
  if (value.empty()) return;
  DeviceSession& session = call.session;
  const domain::PublishedTemplate* published = current_template(session);
  if (published == nullptr) return d.metrics.values_dropped_total.add();
  std::string judged;
  switch (domain::judge_value(*published, pin, value, judged)) {
    case domain::ValueVerdict::accepted:
      d.values.put(session.device_id_, pin, judged.empty() ? value : std::string_view{judged},
                   session.group_ms_ != 0 ? UtcTime{session.group_ms_} : utc(call));
      ++call.values;
      if (d.live.watched()) d.live.value_changed(session.device_id_, pin);
      break;
    case domain::ValueVerdict::undefined_pin: d.metrics.values_undefined_pin_total.add(); break;
    case domain::ValueVerdict::wrong_type: d.metrics.values_dropped_total.add(); break;
    case domain::ValueVerdict::too_long:
      d.metrics.values_dropped_total.add();
      respond(call, frame.id, Status::illegal_command_body);
      break;
  }
}

void DeviceGateway::Impl::group(Call& call, const wire::Frame& frame) {
  wire::Fields fields{frame.body};
  const std::string_view word = fields.next();
  DeviceSession& session = call.session;
  if (word == "e") {
    session.group_ms_ = 0;
  } else if (word == "b") {
    session.group_ms_ = utc(call).ms;
  } else if (word == "t") {
    const std::string_view text = fields.next();
    std::int64_t ms = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    // A device whose clock runs ahead must not make values that nothing later can replace.
    const bool usable = error == std::errc{} && end == text.data() + text.size() && ms > 0;
    session.group_ms_ = usable ? std::min(ms, utc(call).ms) : utc(call).ms;
  }
}

void DeviceGateway::Impl::property(Call& call, const wire::Frame& frame) {
  wire::Fields fields{frame.body};
  std::size_t pins = 0;
  while (fields.has_next()) {
    const std::string_view field = fields.next();
    std::uint8_t pin = 0;
    if (wire::parse_pin(field, pin)) {
      ++pins;
      continue;
    }
    const bool known = field == property_muted || std::find(properties.begin(), properties.end(), field) != properties.end();
    const bool whole = pins > 0 && fields.has_next();
    // Widgets live in the console's own layout; a device's wish about them is heard and not kept.
    return respond(call, frame.id, !whole ? Status::illegal_command : known ? Status::success : Status::illegal_command_body);
  }
  d.metrics.frames_malformed_total.add();
  respond(call, frame.id, Status::illegal_command);
}

void DeviceGateway::Impl::event(Call& call, const wire::Frame& frame) {
  wire::Fields fields{frame.body};
  const std::string_view code = fields.next();
  if (code.empty() || code.size() > domain::event_code_max_bytes) {
    d.metrics.frames_malformed_total.add();
    return respond(call, frame.id, Status::illegal_command_body);
  }
  const domain::PublishedTemplate* published = current_template(call.session);
  if (published == nullptr) return d.metrics.events_dropped_total.add();
  domain::TimelineNote note;
  if (frame.command == Command::event_clear) {
    note.what =
        fields.has_next() && fields.next() == "all" ? domain::TimelineNote::What::resolve_all : domain::TimelineNote::What::resolve_latest;
    note.device_id = call.session.device_id_;
    note.at = utc(call);
    note.code = code;
    return d.timeline.put(std::move(note));
  }
  const std::string_view description = fields.has_next() ? fields.next() : std::string_view{};
  // What is not accepted is let go without a word: no client expects an answer, and some take one for trouble.
  if (d.timeline.judge(*published, call.session.device_id_, code, description, utc(call), note) != domain::TimelineQueue::Verdict::accepted)
    return d.metrics.events_dropped_total.add();
  d.timeline.put(std::move(note));
}

void DeviceGateway::Impl::bridge(Call& call, const wire::Frame& frame) {
  wire::Fields fields{frame.body};
  std::uint8_t pin = 0;
  const bool whole = wire::parse_pin(fields.next(), pin) && fields.has_next();
  // No device may write to another one by knowing its token.
  respond(call, frame.id, whole ? Status::not_allowed : Status::illegal_command);
}

}  // namespace muster::protocol
