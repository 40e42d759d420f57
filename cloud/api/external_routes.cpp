// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/external_routes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "cloud/api/errors.hpp"
#include "cloud/api/json.hpp"
#include "cloud/api/query.hpp"
#include "cloud/base/auth_token.hpp"
#include "cloud/base/log.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/domain/token_life_cycle.hpp"
#include "cloud/domain/value_rules.hpp"
#include "wire/activation_failure.hpp"

namespace muster::api {
namespace {

using domain::DataType;
using domain::PublishedTemplate;

constexpr std::string_view invalid_token = "Invalid token.";
constexpr std::string_view wrong_pin = "Wrong pin format.";
constexpr std::string_view wrong_stream_id = "Wrong dataStreamId format.";
constexpr std::string_view wrong_type_by_pin = "Value doesn't match the Datastream data type.";
constexpr std::string_view wrong_type_by_id = "Value doesn't match the Datastream data type";
constexpr std::string_view no_stream_for_pin = "No datastream setup for that pin.";
constexpr std::string_view no_value = "Requested pin doesn't exist in the app.";
constexpr std::string_view not_provisioned = "This token is not provisioned yet.";
constexpr std::size_t info_text_size_max_bytes = 128;
constexpr std::int64_t reprovision_proof_ms = 60'000;  // As long as a session of the binary protocol has to last.
constexpr std::size_t pins_max = 256;                  // A request names at most every pin once.

/// The AuthToken of the query. `given` false: there is no such parameter.
struct QueryToken {
  std::optional<AuthToken> token;
  bool given = false;
};
QueryToken query_token(std::string_view query) noexcept {
  QueryReader reader{query};
  QueryReader::Pair pair;
  while (reader.next(pair)) {
    if (pair.name != "token") continue;
    if (pair.value.find_first_of("%+") == std::string_view::npos) return {AuthToken::parse(pair.value), true};
    if (pair.value.size() > 3 * AuthToken::length_chars + 32) return {std::nullopt, true};
    return {AuthToken::parse(percent_decoded(pair.value)), true};
  }
  return {};
}

void plain(Response& response, unsigned status, std::string_view type, std::string_view body) {
  response.status = status;
  response.content_type.assign(type);
  response.body.assign(body);
}

std::optional<std::int64_t> parse_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) noexcept {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `100.00000`, or all digits that the value needs.
std::string bare_double(std::string_view text) {
  const auto value = parse_real(text);
  if (!value) return std::string{text};
  std::array<char, 400> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.5f", *value);
  const std::string_view fixed{buffer.data(), static_cast<std::size_t>(length)};
  if (const auto back = parse_real(fixed); back && *back == *value && fixed.size() <= 32) return std::string{fixed};
  std::string shortest;
  append_json_number(shortest, *value);
  return shortest;
}

/// One value as JSON of its datastream's type. A device may have written text that is none, before the type was changed: a string then.
void append_json_value(std::string& out, DataType type, std::string_view text) {
  switch (type) {
    case DataType::integer:
    case DataType::enumeration:
      if (const auto value = parse_number(text)) {
        out += std::to_string(*value);
        return;
      }
      break;
    case DataType::real:
    case DataType::location:
      if (const auto value = parse_real(text)) {
        append_json_number(out, *value, true);
        return;
      }
      break;
    case DataType::string: break;
  }
  append_json_string(out, text);
}

void append_json_values(std::string& out, DataType type, std::string_view value) {
  if (value.find('\0') == std::string_view::npos && type != DataType::location) {
    append_json_value(out, type, value);
    return;
  }
  out += '[';
  for (;;) {
    const auto end = value.find('\0');
    append_json_value(out, type, value.substr(0, end));
    if (end == std::string_view::npos) break;
    out += ',';
    value.remove_prefix(end + 1);
  }
  out += ']';
}

std::string no_such_stream(const PublishedTemplate& published) {
  return "Requested dataStream doesn't exist in the product " + published.name;
}

const domain::Datastream* stream_by_id(const PublishedTemplate& published, std::int64_t id) noexcept {
  const auto found =
      std::find_if(published.datastreams.begin(), published.datastreams.end(), [&](const auto& stream) { return stream.id.value() == id; });
  return found == published.datastreams.end() ? nullptr : &*found;
}

/// The address of `[2001:db8::1]:443` or `192.0.2.1:80`.
std::optional<IpAddress> address_of(std::string_view endpoint) {
  endpoint = endpoint.substr(0, endpoint.rfind(':'));
  if (endpoint.starts_with('[') && endpoint.ends_with(']')) endpoint = endpoint.substr(1, endpoint.size() - 2);
  return IpAddress::parse(endpoint);
}

}  // namespace

std::optional<ExternalApi::Call> ExternalApi::call_of(std::string_view path) noexcept {
  if (path == "/external/api/isHardwareConnected") return Call::is_hardware_connected;
  if (path == "/external/api/get") return Call::get;
  if (path == "/external/api/update") return Call::update;
  if (path == "/external/api/provision") return Call::provision;
  if (path == "/external/api/logEvent") return Call::log_event;
  return std::nullopt;
}

std::vector<Api::RouteInfo> ExternalApi::routes() {
  return {{"GET", "/external/api/get", "device token"},
          {"GET", "/external/api/update", "device token"},
          {"GET", "/external/api/isHardwareConnected", "device token"},
          {"GET", "/external/api/provision", "device token"},
          {"GET", "/external/api/logEvent", "device token"}};
}

Response ExternalApi::unavailable() {
  Response response = external_error(503, "The server is not ready; try again soon.");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

bool ExternalApi::home_elsewhere(const Request& request, DeviceId device, Response& redirect) const {
  const auto home = core_.views.directory.home_of(device);
  if (!home) return false;
  // Never to this server itself: the client would go in circles.
  if (!core_.devices.is_elsewhere(*home, address_of(request.local_address))) return false;
  redirect = {};
  redirect.status = 308;
  std::string location = "https://" + home->host;
  if (home->port_tls != 443) location += ":" + std::to_string(home->port_tls);
  location += request.path;
  if (!request.query.empty()) location.append("?").append(request.query);
  redirect.headers.emplace_back("Location", std::move(location));
  return true;
}

Response ExternalApi::refuse_invalid(const Request& request) const {
  // Firmware takes it as seriously as the binary protocol's: both are kept back by the same breaker.
  if (!core_.devices.may_say_invalid(request.peer, core_.clock.now())) return unavailable();
  return external_error(400, invalid_token);
}

ExternalApi::Resolved ExternalApi::resolve(const Request& request) const {
  const QueryToken sent = query_token(request.query);
  if (!sent.given) return {{}, external_error(400, "No token provided."), false, {}};
  if (!sent.token) return {{}, refuse_invalid(request), false, {}};
  if (!core_.views.ready()) return {{}, unavailable(), false, {}};
  const auto entry = core_.views.credentials.find(core_.keys.digest(auth_token_domain, sent.token->reveal()));
  if (entry && (entry->kind == domain::TokenKind::provision || core_.views.directory.device(entry->device_id))) {
    Response redirect;
    if (home_elsewhere(request, entry->device_id, redirect)) return {{}, std::move(redirect), false, {}};
    return {entry->device_id, std::nullopt, false, entry};
  }
  if (!entry && core_.views.hold_unknown_tokens()) {
    core_.metrics.unknown_token_holds_total.add();
    return {{}, unavailable(), false, {}};
  }
  return {{}, std::nullopt, true, {}};
}

ExternalApi::Resolved ExternalApi::resolve_with_store(const Request& request) {
  Resolved resolved = resolve(request);
  if (!resolved.ask_store) return resolved;
  const QueryToken sent = query_token(request.query);
  const TokenDigests digests = core_.keys.digest(auth_token_domain, sent.token->reveal());
  const auto found = core_.store.find_token(digests.all());
  if (!found) {
    core_.metrics.store_errors_total.add();
    return {{}, unavailable(), false, {}};
  }
  if (*found && (*found)->record.is_quiet) return {{}, unavailable(), false, {}};  // Nobody decided on it.
  if (!*found || !domain::may_log_in((*found)->record.kind)) {
    (void)core_.unknown_auth_tokens.count(request.peer.limit_key(), core_.clock.now());
    return {{}, refuse_invalid(request), false, {}};
  }
  // The store knows it, the views do not yet.
  if (core_.views.catch_up()) {
    resolved = resolve(request);
    if (!resolved.ask_store) return resolved;
  }
  return {{}, unavailable(), false, {}};
}

bool ExternalApi::answer_from_memory(const Request& request, Response& response) {
  const auto call = call_of(request.path);
  if (!call) {
    response = external_error(404, "Not found.");
    return true;
  }
  if (request.method != Method::get) {
    response = external_error(405, "Method not allowed.");
    response.headers.emplace_back("Allow", "GET");
    return true;
  }
  Resolved resolved = resolve(request);
  if (resolved.refusal) {
    if (resolved.refusal->status == 503) core_.metrics.http_unavailable_total.add();
    response = std::move(*resolved.refusal);
    return true;
  }
  if (resolved.ask_store) {
    const auto wait = core_.unknown_auth_tokens.peek(request.peer.limit_key(), core_.clock.now());
    if (!wait) return false;
    core_.metrics.http_throttled_total.add();
    response = external_error(429, "Too many requests with unknown tokens.");
    response.headers.emplace_back("Retry-After", std::to_string(wait->count()));
    return true;
  }
  if (*call == Call::provision) return false;
  if (resolved.is_provisional()) {
    response = external_error(400, not_provisioned);
    return true;
  }
  if (*call != Call::is_hardware_connected && proof_due(*resolved.entry)) return false;
  switch (*call) {
    case Call::provision: return false;
    case Call::is_hardware_connected:
      plain(response, 200, "application/json", core_.sessions.online(resolved.device) ? "true" : "false");
      return true;
    case Call::get: {
      auto answer = get(request, resolved.device);
      if (!answer) return false;
      response = std::move(*answer);
      return true;
    }
    case Call::update:
      if (core_.views.provisioning.awaits_first_value(resolved.device)) return false;  // That is noted in the store.
      response = update(request, resolved.device);
      return true;
    case Call::log_event: response = log_event(request, resolved.device); return true;
  }
  return false;
}

Lane ExternalApi::lane(const Request& request) const noexcept {
  const QueryToken sent = query_token(request.query);
  if (!sent.token) return Lane::api;
  return core_.views.credentials.find(core_.keys.digest(auth_token_domain, sent.token->reveal())) ? Lane::values : Lane::api;
}

Response ExternalApi::handle(const Request& request) {
  Response response;
  Resolved resolved = resolve_with_store(request);
  if (resolved.refusal) {
    if (resolved.refusal->status == 503) core_.metrics.http_unavailable_total.add();
    return std::move(*resolved.refusal);
  }
  const auto call = call_of(request.path);
  if (call == Call::provision) return provision(request, *resolved.entry);
  if (resolved.is_provisional()) return external_error(400, not_provisioned);
  if (call == Call::is_hardware_connected) {
    plain(response, 200, "application/json", core_.sessions.online(resolved.device) ? "true" : "false");
    return response;
  }
  (void)end_proof(request, *resolved.entry);
  if (call == Call::log_event) return log_event(request, resolved.device);
  if (call == Call::update) {
    response = update(request, resolved.device);
    const auto waiting = response.status == 200 ? core_.views.provisioning.awaits_first_value(resolved.device) : std::nullopt;
    if (waiting && (!core_.store.note_first_value(*waiting, core_.clock.utc_now()) || !core_.views.catch_up()))
      core_.metrics.store_errors_total.add();
    return response;
  }
  if (auto answer = get(request, resolved.device)) return std::move(*answer);
  const auto stored = core_.store.values_of(resolved.device);
  if (!stored) {
    core_.metrics.store_errors_total.add();
    core_.metrics.http_unavailable_total.add();
    return unavailable();
  }
  core_.values.load(resolved.device, *stored);
  if (auto answer = get(request, resolved.device)) return std::move(*answer);
  core_.metrics.http_unavailable_total.add();
  return unavailable();  // Evicted between the two: memory is short.
}

std::optional<domain::ProvisionSession> ExternalApi::proof_due(const domain::CredentialIndex::Entry& entry) const {
  if (!core_.views.provisioning.may_be_proving(entry.device_id)) return std::nullopt;
  auto session = core_.views.provisioning.proving_of(entry.device_id);
  // With a connection the device proves its token by that; this may be a script of its owner.
  if (!session || core_.sessions.online(entry.device_id)) return std::nullopt;
  const std::int64_t now_ms = core_.clock.utc_now().ms;
  const bool is_due =
      entry.token_id == session->token_id ? now_ms - session->accepted_at.ms >= reprovision_proof_ms : session->expires_at.ms <= now_ms;
  return is_due ? std::move(session) : std::nullopt;
}

bool ExternalApi::end_proof(const Request& request, const domain::CredentialIndex::Entry& entry) {
  const auto session = proof_due(entry);
  if (!session) return true;
  domain::Actor actor;
  actor.client = "Device";
  actor.ip = request.peer.text();
  actor.at = core_.clock.utc_now();
  const auto ended = core_.store.finish_reprovision(session->id, entry.token_id, actor);
  const bool is_trouble = !ended && is_store_trouble(ended.error());  // Else it refused: another request was first.
  if (ended)
    (entry.token_id == session->token_id ? core_.metrics.reprovision_proved_total : core_.metrics.reprovision_fell_back_total).add();
  if (!is_trouble && core_.views.catch_up()) return true;
  core_.metrics.store_errors_total.add();
  return false;
}

Response ExternalApi::provision(const Request& request, const domain::CredentialIndex::Entry& entry) {
  if (const auto wait = core_.provision_requests.count(static_cast<std::uint64_t>(entry.device_id.value()), core_.clock.now())) {
    core_.metrics.http_throttled_total.add();
    Response response = external_error(429, "Too many calls of provision with this token.");
    response.headers.emplace_back("Retry-After", std::to_string(wait->count()));
    return response;
  }
  domain::ReportedInfo info;
  domain::HardwareInfo hardware;
  QueryReader reader{request.query};
  QueryReader::Pair pair;
  while (reader.next(pair)) {
    std::string value = domain::trim(domain::printable_text(percent_decoded(pair.value).substr(0, info_text_size_max_bytes)));
    const std::string name = percent_decoded(pair.name);
    if (name == "templateId") info.tmpl_id = std::move(value);
    if (name == "build") hardware.build = std::move(value);
    if (name == "ver") hardware.version = std::move(value);
    if (name == "fwType") hardware.firmware_type = std::move(value);
    if (name == "blVer") hardware.library_version = std::move(value);
    if (name == "boType") hardware.board_type = std::move(value);
  }
  hardware.template_id = info.tmpl_id;
  info.at = core_.clock.utc_now();
  info.is_public_plain_text = !request.secure && !core_.options.allow_plain_from_public && !request.peer.is_private();

  const bool is_provisional = entry.kind == domain::TokenKind::provision || entry.kind == domain::TokenKind::reprovision;
  const auto session = core_.views.provisioning.by_token(entry.token_id);
  domain::Actor actor;
  actor.client = "Device";
  actor.ip = request.peer.text();
  actor.at = info.at;
  const auto trouble = [this] {
    core_.metrics.store_errors_total.add();
    core_.metrics.http_unavailable_total.add();
    return unavailable();
  };
  if (is_provisional) {
    if (!session) return unavailable();  // The views are a moment apart.
    (void)core_.store.note_provision_login(session->id, info.at, actor.ip);
    const auto verdict = core_.store.accept_info(session->id, info, actor);
    if (!verdict && is_store_trouble(verdict.error())) return trouble();
    if (!core_.views.catch_up()) return trouble();
    // It has ended: its token is what the registry says by now.
    if (!verdict) {
      Resolved now = resolve_with_store(request);
      return now.refusal ? std::move(*now.refusal) : unavailable();
    }
    if (verdict->failure != domain::ProvisionFailure::none) {
      core_.metrics.provision_refused_total.add();
      const auto* text = wire::find_failure(static_cast<std::uint16_t>(verdict->failure));
      return external_error(400, text != nullptr ? text->sentence : invalid_token);
    }
    core_.metrics.provision_logins_total.add();
    core_.metrics.provision_accepted_total.add();
  } else {
    const auto place = core_.views.directory.device(entry.device_id);
    const auto published = place ? core_.views.directory.find_template(place->template_id) : nullptr;
    if (!published) return unavailable();
    if (!info.tmpl_id.empty() &&
        std::find(published->tmpl_ids.begin(), published->tmpl_ids.end(), info.tmpl_id) == published->tmpl_ids.end())
      return external_error(400, "The device follows another template.");
    if (!end_proof(request, entry)) {
      core_.metrics.http_unavailable_total.add();
      return unavailable();
    }
  }
  domain::PresenceUpdate update;
  update.device_id = entry.device_id;
  update.reported_at = info.at;
  update.hardware = std::move(hardware);
  core_.presence.put(std::move(update));
  if (core_.stream.watched()) core_.stream.device_status_changed(entry.device_id);
  core_.devices.remember_address(request.peer);
  return {};
}

std::optional<Response> ExternalApi::get(const Request& request, DeviceId device) const {
  const auto place = core_.views.directory.device(device);
  const auto published = place ? core_.views.directory.find_template(place->template_id) : nullptr;
  if (!published) return unavailable();

  std::vector<std::uint8_t> pins;
  QueryReader reader{request.query};
  QueryReader::Pair pair;
  while (reader.next(pair)) {
    const std::string name = percent_decoded(pair.name);
    if (name == "token") continue;
    std::optional<std::uint8_t> pin;
    if (name == "dataStreamId") {
      const auto id = parse_number(percent_decoded(pair.value));
      if (!id) return external_error(400, wrong_stream_id);
      const auto* stream = stream_by_id(*published, *id);
      if (stream == nullptr) return external_error(400, no_such_stream(*published));
      pin = stream->pin;
    } else {
      pin = parse_pin(name == "pin" ? percent_decoded(pair.value) : name);
      if (!pin) return external_error(400, wrong_pin);
    }
    if (std::find(pins.begin(), pins.end(), *pin) == pins.end()) pins.push_back(*pin);
  }
  if (pins.empty()) return external_error(400, wrong_pin);
  for (const std::uint8_t pin : pins) {
    if (!published->accepts_every_pin() && published->datastream(pin) == nullptr) return external_error(400, no_such_stream(*published));
  }

  const auto type_of = [&](std::uint8_t pin) {
    const auto* stream = published->datastream(pin);
    return stream == nullptr ? DataType::string : stream->type;
  };
  // nullopt: memory does not know. The inner one: there is none.
  const auto value_of = [&](std::uint8_t pin) -> std::optional<std::optional<std::string>> {
    std::optional<domain::PinValue> known;
    const auto loaded = core_.values.read_pin(device, pin, known);
    if (known) return std::optional{std::move(known->value)};
    if (loaded == domain::ValueCache::Loaded::no) return std::nullopt;
    const auto* stream = published->datastream(pin);
    if (stream != nullptr && !stream->default_value.empty()) return std::optional{stream->default_value};
    return std::optional<std::string>{};
  };

  Response response;
  if (pins.size() == 1) {
    const auto value = value_of(pins.front());
    if (!value) return std::nullopt;
    if (!*value) return external_error(400, no_value);
    const DataType type = type_of(pins.front());
    if ((*value)->find('\0') != std::string::npos || type == DataType::location) {
      std::string body;
      append_json_values(body, type, **value);
      plain(response, 200, "application/json", body);
    } else {
      plain(response, 200, "text/plain", type == DataType::real ? bare_double(**value) : **value);
    }
    return response;
  }
  std::string body = "{";
  for (const std::uint8_t pin : pins) {
    const auto value = value_of(pin);
    if (!value) return std::nullopt;
    if (!*value) continue;
    if (body.size() > 1) body += ',';
    body.append("\"v").append(std::to_string(pin)).append("\":");
    append_json_values(body, type_of(pin), **value);
  }
  body += '}';
  plain(response, 200, "application/json", body);
  return response;
}

Response ExternalApi::update(const Request& request, DeviceId device) {
  const auto place = core_.views.directory.device(device);
  const auto published = place ? core_.views.directory.find_template(place->template_id) : nullptr;
  if (!published) return unavailable();

  struct Write {
    std::uint8_t pin = 0;
    bool by_id = false;
    bool has_value = false;
    std::string value;
  };
  std::vector<Write> writes;
  std::optional<Write> named;  // By `pin` or `dataStreamId`; its value is in `value`.
  std::vector<std::string> values;
  const auto add_value = [](Write& write, std::string_view value) {
    if (write.has_value) write.value += '\0';
    write.value += value;
    write.has_value = true;
  };
  bool nul_inside = false;
  QueryReader reader{request.query};
  QueryReader::Pair pair;
  while (reader.next(pair)) {
    const std::string name = percent_decoded(pair.name);
    std::string value = percent_decoded(pair.value);
    if (name == "token") continue;
    if (name == "value") {
      nul_inside = nul_inside || value.find('\0') != std::string::npos;
      if (pair.has_value) values.push_back(std::move(value));
    } else if (name == "dataStreamId") {
      const auto id = parse_number(value);
      if (!id) return external_error(400, wrong_stream_id);
      const auto* stream = stream_by_id(*published, *id);
      if (stream == nullptr) return external_error(400, no_stream_for_pin);
      if (named) return external_error(400, wrong_stream_id);
      named = Write{stream->pin, true, false, {}};
    } else if (name == "pin") {
      const auto pin = parse_pin(value);
      if (!pin || named) return external_error(400, wrong_pin);
      named = Write{*pin, false, false, {}};
    } else {
      const auto pin = parse_pin(name);
      if (!pin) return external_error(400, wrong_pin);
      nul_inside = nul_inside || value.find('\0') != std::string::npos;
      auto found = std::find_if(writes.begin(), writes.end(), [&](const Write& write) { return write.pin == *pin; });
      if (found == writes.end()) {
        if (writes.size() == pins_max) return external_error(400, wrong_pin);
        found = writes.insert(writes.end(), Write{*pin, false, false, {}});
      }
      if (pair.has_value) add_value(*found, value);
    }
  }
  if (named) {
    for (const auto& value : values) add_value(*named, value);
    writes.push_back(std::move(*named));
  }
  if (writes.empty()) return external_error(400, wrong_pin);

  // All or none: judged before the first is written.
  for (Write& write : writes) {
    const std::string_view mismatch = write.by_id ? wrong_type_by_id : wrong_type_by_pin;
    if (!published->accepts_every_pin() && published->datastream(write.pin) == nullptr) return external_error(400, no_stream_for_pin);
    if (!write.has_value || nul_inside || !domain::is_valid_utf8(write.value)) return external_error(400, mismatch);
    std::string stored;
    switch (domain::judge_value(*published, write.pin, write.value, stored)) {
      case domain::ValueVerdict::accepted: break;
      case domain::ValueVerdict::undefined_pin: return external_error(400, no_stream_for_pin);
      case domain::ValueVerdict::wrong_type: return external_error(400, mismatch);
      case domain::ValueVerdict::too_long: return external_error(400, "Value is longer than 1024 bytes.");
    }
    if (!stored.empty()) write.value = std::move(stored);
  }
  if (const auto wait = core_.updates.count(static_cast<std::uint64_t>(device.value()), core_.clock.now())) {
    core_.metrics.http_throttled_total.add();
    Response response = external_error(429, "Too many updates today.");
    response.headers.emplace_back("Retry-After", std::to_string(wait->count()));
    return response;
  }
  const UtcTime now = core_.clock.utc_now();
  for (const Write& write : writes) {
    core_.values.put(device, write.pin, write.value, now);
    core_.metrics.values_written_total.add();
    (void)core_.devices.push_value(device, write.pin, write.value);
    if (core_.stream.watched()) core_.stream.value_changed(device, write.pin);
  }
  domain::PresenceUpdate reported;
  reported.device_id = device;
  reported.reported_at = now;
  core_.presence.put(std::move(reported));
  core_.devices.remember_address(request.peer);
  return {};  // 200, empty: clients take any body for an error text.
}

Response ExternalApi::log_event(const Request& request, DeviceId device) {
  const auto place = core_.views.directory.device(device);
  const auto published = place ? core_.views.directory.find_template(place->template_id) : nullptr;
  if (!published) return unavailable();
  std::string code, description;
  QueryReader reader{request.query};
  QueryReader::Pair pair;
  while (reader.next(pair)) {
    const std::string name = percent_decoded(pair.name);
    if (name == "code") code = percent_decoded(pair.value);
    if (name == "description") description = percent_decoded(pair.value);
  }
  if (code.empty()) return external_error(400, "Event code is not provided.");
  const auto too_many_events = [&](std::string_view message, std::string_view seconds) {
    core_.metrics.http_throttled_total.add();
    Response response = external_error(429, message);
    response.headers.emplace_back("Retry-After", seconds);
    return response;
  };
  domain::TimelineNote note;
  using Verdict = domain::TimelineQueue::Verdict;
  const UtcTime now = core_.clock.utc_now();
  switch (core_.timeline.judge(*published, device, code, description, now, note)) {
    case Verdict::accepted: break;
    case Verdict::unknown_code: return external_error(400, "Can't find Event with this code in Product template");
    case Verdict::too_long: return external_error(400, "The description is longer than 300 characters.");
    case Verdict::too_soon: return too_many_events("The same event was logged less than a second ago.", "1");
    case Verdict::too_many_today: return too_many_events("Too many events today.", "3600");
  }
  core_.timeline.put(std::move(note));
  domain::PresenceUpdate reported;
  reported.device_id = device;
  reported.reported_at = now;
  core_.presence.put(std::move(reported));
  core_.devices.remember_address(request.peer);
  return {};  // 200, empty.
}

}  // namespace muster::api
