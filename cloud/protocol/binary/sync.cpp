// SPDX-License-Identifier: Apache-2.0
// Values on their way to the device: answers to its sync, and pushes. docs/protocol/device-protocol.md section 7.
#include <array>
#include <bitset>
#include <charconv>

#include "cloud/protocol/binary/gateway_impl.hpp"

namespace muster::protocol {
namespace {

/// "5 NUL 21.5": what follows the word `vw`. The NUL is there also when the value is empty; without it stock firmware reads a length of -1.
std::string pin_and_value(std::uint8_t pin, std::string_view value) {
  std::array<char, 4> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), pin).ptr;
  std::string out{text.data(), static_cast<std::size_t>(end - text.data())};
  out += '\0';
  out += value;
  return out;
}

}  // namespace

void DeviceGateway::Impl::push(Call& call, const PushValue& value) {
  if (send(call, wire::Command::hardware, take_id(call.session), "vw", pin_and_value(value.pin, value.value))) d.metrics.pushes_total.add();
}

void DeviceGateway::Impl::sync(Call& call, const wire::Frame& frame) {
  std::vector<std::uint8_t> pins;
  const bool all = frame.body.empty();
  if (!all) {
    wire::Fields fields{frame.body};
    const std::string_view word = fields.next();
    if (word == "dr" || word == "ar") return;  // Of old tools; there are no hardware pins here.
    std::bitset<256> asked;
    while (fields.has_next()) {
      std::uint8_t pin = 0;
      if (!wire::parse_pin(fields.next(), pin) || asked[pin]) continue;
      asked.set(pin);
      pins.push_back(pin);
    }
    if (word != "vr" || pins.empty()) {
      d.metrics.frames_malformed_total.add();
      return respond(call, frame.id, wire::Status::illegal_command);
    }
  }
  answer_sync(call, frame.id, pins, all, true);
}

void DeviceGateway::Impl::answer_sync(Call& call, std::uint16_t request_id, const std::vector<std::uint8_t>& pins, bool all,
                                      bool may_load) {
  DeviceSession& session = call.session;
  const domain::PublishedTemplate* published = current_template(session);
  if (published == nullptr) return;
  std::vector<domain::PinValue> known;
  const bool complete = d.values.read(session.device_id_, known) == domain::ValueCache::Loaded::yes;
  if (!complete && may_load) {
    if (post(Lane::values, [this, self = call.self, device = session.device_id_, request_id, pins, all] {
          load_values(self, device, request_id, pins, all);
        }))
      return;
  }
  std::array<const domain::PinValue*, 256> by_pin{};
  for (const domain::PinValue& value : known) by_pin[value.pin] = &value;

  const auto answer = [&](std::uint8_t pin) {
    const domain::Datastream* datastream = published->datastream(pin);
    if (datastream == nullptr && !published->accepts_every_pin()) return;
    if (by_pin[pin] != nullptr) {
      send(call, wire::Command::hardware, request_id, "vw", pin_and_value(pin, by_pin[pin]->value));
    } else if (complete && datastream != nullptr && !datastream->default_value.empty()) {
      // Only when the store was asked: a default must not hide a value that is merely not in memory.
      send(call, wire::Command::hardware, request_id, "vw", pin_and_value(pin, datastream->default_value));
    }
  };
  if (!all) {
    for (const std::uint8_t pin : pins) answer(pin);
  } else if (published->accepts_every_pin()) {
    for (std::size_t pin = 0; pin < by_pin.size(); ++pin) answer(static_cast<std::uint8_t>(pin));
  } else {
    for (const domain::Datastream& datastream : published->datastreams) {
      if (datastream.sync_on_connect) answer(datastream.pin);
    }
  }
}

void DeviceGateway::Impl::load_values(const domain::SessionAddress& self, DeviceId device, std::uint16_t request_id,
                                      std::vector<std::uint8_t> pins, bool all) {
  if (const auto stored = d.store.values_of(device)) {
    d.values.load(device, *stored);
  } else {
    d.metrics.store_errors_total.add();  // The device gets what memory holds.
  }
  d.router.post(self, ValuesLoaded{request_id, std::move(pins), all});
}

}  // namespace muster::protocol
