// SPDX-License-Identifier: Apache-2.0
#include "agent/core/local_server.hpp"

#include <cstring>

#include "agent/core/networks.hpp"
#include "agent/core/setup_page.hpp"
#include "wire/json.hpp"

namespace muster::agent {

namespace {

constexpr std::string_view type_json = "application/json";
constexpr std::string_view type_html = "text/html; charset=utf-8";
constexpr std::string_view type_text = "text/plain";
constexpr std::size_t value_size_max_bytes = 128;  // Longer than anything that is valid.

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 302: return "Found";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 431: return "Request Header Fields Too Large";
    default: return "Internal Server Error";
  }
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_word(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) {
      return false;
    }
  }
  return true;
}

bool starts_with_word(std::string_view text, std::string_view word) noexcept { return same_word(wire::first(text, word.size()), word); }

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

/// Whether a Host header can mean this device: an address, or a name that is its own.
bool is_own_host(std::string_view host) noexcept {
  if (host.empty() || host.front() == '[') {
    return true;
  }
  host = wire::first(host, host.find(':'));
  std::uint32_t address = 0;
  return parse_ipv4(host, address) || same_word(host, "blynk.setup") || same_word(host, "localhost");
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Undoes the encoding of forms. What does not fit is cut; `out` is larger than all that is valid, so that it stays invalid. `broken` is set
/// when a percent sign begins no byte: what was meant is not known, and a password that was guessed would fail much later.
std::string_view decoded(std::string_view text, char (&out)[value_size_max_bytes], bool& broken) noexcept {
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size() && size < sizeof out; ++i) {
    char c = text[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      const bool whole = text.size() - i > 2 && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
      if (!whole) {
        broken = true;
        break;
      }
      c = static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
      i += 2;
    }
    out[size++] = c;
  }
  return {out, size};
}

class Text {
 public:
  void put(std::string_view text) noexcept {
    const std::size_t count = text.size() < sizeof bytes_ - size_ ? text.size() : sizeof bytes_ - size_;
    std::memcpy(bytes_ + size_, text.data(), count);
    size_ += count;
  }
  void put(std::size_t number) noexcept {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    put({digits + at, sizeof digits - at});
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_, size_}; }

 private:
  char bytes_[256];
  std::size_t size_ = 0;
};

}  // namespace

LocalServer::LocalServer(Device& device, Sink& sink, const Options& options) noexcept
    : device_{device}, watch_{*this}, sink_{sink}, options_{options} {
  device_.add_observer(watch_);
}

LocalServer::~LocalServer() { device_.remove_observer(watch_); }

LocalServer::Connection* LocalServer::find(ConnectionId connection) noexcept {
  for (Connection& each : connections_) {
    if (each.phase != Phase::free && each.id == connection) {
      return &each;
    }
  }
  return nullptr;
}

bool LocalServer::on_open(ConnectionId connection, Millis now) {
  Connection* place = nullptr;
  for (Connection& each : connections_) {
    if (each.phase == Phase::free) {
      place = &each;
      break;
    }
    if (each.may_be_left_for_another() && (place == nullptr || each.may_go_before(*place))) {
      place = &each;
    }
  }
  if (place == nullptr) {
    return false;
  }
  if (place->phase != Phase::free) {
    drop(*place);
  }
  place->begin(connection, now + options_.request_timeout_ms);
  return true;
}

void LocalServer::on_closed(ConnectionId connection, Millis now) {
  static_cast<void>(now);
  if (Connection* found = find(connection)) {
    found->end();
  }
}

void LocalServer::drop(Connection& connection) {
  connection.end();
  sink_.close(connection.id);
}

Millis LocalServer::next_deadline() const noexcept {
  Millis next = never;
  for (const Connection& each : connections_) {
    if (each.phase != Phase::free && each.due < next) {
      next = each.due;
    }
  }
  return next;
}

void LocalServer::on_timer(Millis now) {
  for (Connection& each : connections_) {
    if (each.phase == Phase::free || now < each.due) {
      continue;
    }
    if (each.phase == Phase::scanning) {
      answer_networks(each, nullptr, 0, now);
    } else {
      drop(each);
    }
  }
}

// ---- the request

void LocalServer::on_bytes(ConnectionId connection, wire::ByteView bytes, Millis now) {
  Connection* const found = find(connection);
  if (found == nullptr) {
    return;
  }
  for (const std::uint8_t byte : bytes) {
    // A second request behind the first is not answered: every answer closes.
    if (found->phase == Phase::free || found->phase == Phase::scanning || found->phase == Phase::draining || found->id != connection) {
      return;
    }
    take_byte(*found, static_cast<char>(byte), now);
  }
}

void LocalServer::refuse(Connection& connection, int status, Millis now) {
  connection.unread = true;
  answer(connection, status, type_text, reason_of(status), now);
}

void LocalServer::take_byte(Connection& connection, char c, Millis now) {
  switch (connection.phase) {
    case Phase::request_line:
    case Phase::query:
      if (c == '\n') {
        connection.end_request_line();
      } else if (connection.size == request_size_max_bytes) {
        refuse(connection, 414, now);
      } else {
        ++connection.size;
        connection.take_request_line_byte(c);
      }
      return;
    case Phase::headers:
      if (++connection.headers_size > headers_size_max_bytes) {
        refuse(connection, 431, now);
      } else if (c != '\n') {
        connection.keep(c);
      } else {
        if (connection.text_size != 0 && connection.kept().back() == '\r') {
          --connection.text_size;
        }
        const bool end = connection.text_size == 0;
        if (!end) {
          connection.take_header();
        }
        connection.end_piece();
        if (end) {
          begin_body(connection, now);
        }
      }
      return;
    case Phase::body:
      if (c == '&') {
        connection.take_argument();
      } else {
        connection.keep(c);
      }
      if (--connection.body_left == 0) {
        connection.take_argument();
        handle(connection, now);
      }
      return;
    case Phase::free:
    case Phase::scanning:
    case Phase::draining: return;
  }
}

void LocalServer::Connection::begin(ConnectionId connection, Millis end) noexcept {
  id = connection;
  phase = Phase::request_line;
  route = Route::elsewhere;
  malformed = head_only = upload = form = foreign = absolute = chunked = unread = false;
  version_at = 0;
  size = headers_size = 0;
  body_left = 0;
  due = end;
  settings.clear();
  end_piece();
}

void LocalServer::Connection::end() noexcept {
  phase = Phase::free;
  due = never;
}

/// Whoever has not asked yet: a visitor who never finishes must not keep the next one out.
bool LocalServer::Connection::may_be_left_for_another() const noexcept { return phase != Phase::free && phase != Phase::scanning; }

/// Those that have said nothing go first, because browsers open connections in advance; then the oldest.
bool LocalServer::Connection::may_go_before(const Connection& other) const noexcept {
  const bool silent = phase == Phase::request_line && size == 0;
  const bool other_is_silent = other.phase == Phase::request_line && other.size == 0;
  return silent == other_is_silent ? due < other.due : silent;
}

void LocalServer::Connection::keep(char c) noexcept {
  if (text_size == sizeof text) {
    cut = true;
  } else {
    text[text_size++] = c;
  }
}

void LocalServer::Connection::end_piece() noexcept {
  text_size = 0;
  cut = false;
}

void LocalServer::Connection::take_request_line_byte(char c) noexcept {
  constexpr std::string_view version = " http/";
  if (c == ' ') {
    version_at = 1;
  } else if (version_at != 0 && version_at < version.size()) {
    version_at = lower(c) == version[version_at] ? static_cast<std::uint8_t>(version_at + 1) : std::uint8_t{0};
  }
  if (phase == Phase::query && c == '&') {
    take_argument();
  } else if (phase == Phase::request_line && c == '?' && kept().find(' ') != std::string_view::npos) {
    take_target();
    version_at = 0;
    phase = Phase::query;
  } else {
    keep(c);
  }
}

void LocalServer::Connection::end_request_line() noexcept {
  if (size == 0 || (size == 1 && text_size == 1 && text[0] == '\r')) {  // Some clients send an empty line first.
    size = 0;
    end_piece();
    return;
  }
  malformed = malformed || version_at != 6;
  if (!cut && !malformed) {  // Of a piece that is too long the end is not there; it is nothing that is known.
    text_size = static_cast<std::uint8_t>(kept().rfind(' ') == std::string_view::npos ? text_size : kept().rfind(' '));
  }
  if (phase == Phase::query) {
    take_argument();
  } else {
    take_target();
  }
  phase = Phase::headers;
}

/// Method and path: what stands before the query, or before the version.
void LocalServer::Connection::take_target() noexcept {
  const std::string_view line = kept();
  const std::size_t space = line.find(' ');
  malformed = malformed || space == std::string_view::npos || space == 0;
  if (!malformed) {
    const std::string_view method = wire::first(line, space);
    head_only = method == "HEAD";
    upload = method == "POST" || method == "PUT";
    std::string_view target = line;
    target.remove_prefix(space + 1);
    constexpr std::string_view scheme = "http://";
    if (starts_with_word(target, scheme)) {
      target.remove_prefix(scheme.size());
      const std::size_t slash = target.find('/');
      absolute = true;
      foreign = !is_own_host(wire::first(target, slash));
      if (slash == std::string_view::npos) {
        target = "/";
      } else {
        target.remove_prefix(slash);
      }
    }
    route = route_of(target);
  }
  end_piece();
}

/// `name=value`, encoded.
void LocalServer::Connection::take_argument() noexcept {
  const std::string_view name = wire::first(kept(), kept().find('='));
  if (route == Route::config && name.size() != text_size) {
    std::string_view value = kept();
    value.remove_prefix(name.size() + 1);
    char key[value_size_max_bytes], text_value[value_size_max_bytes];
    bool broken = false;
    settings.set(decoded(name, key, broken), decoded(value, text_value, broken));  // Unknown ones are ignored.
    malformed = malformed || (broken && !cut);                                     // What was cut is too long anyway.
  }
  end_piece();
}

void LocalServer::Connection::take_header() noexcept {
  const std::string_view name = wire::first(kept(), kept().find(':'));
  if (name.size() == text_size) {
    return;
  }
  std::string_view value = kept();
  value.remove_prefix(name.size() + 1);
  value = trimmed(value);
  if (same_word(name, "host")) {
    foreign = absolute ? foreign : cut || !is_own_host(value);
  } else if (same_word(name, "content-type")) {
    form = starts_with_word(value, "application/x-www-form-urlencoded");
  } else if (same_word(name, "transfer-encoding")) {
    chunked = true;
  } else if (same_word(name, "content-length")) {
    constexpr std::uint32_t too_large = 0xffffffffU;
    std::uint32_t length = 0;
    for (const char c : value) {
      if (c < '0' || c > '9' || length > 100'000'000) {
        length = too_large;
        break;
      }
      length = length * 10 + static_cast<std::uint32_t>(c - '0');
    }
    body_left = cut ? too_large : length;
  }
}

LocalServer::Route LocalServer::route_of(std::string_view path) noexcept {
  constexpr struct {
    std::string_view path;
    Route route;
  } routes[] = {
      {"/", Route::page},
      {"/index.html", Route::page},
      {"/board_info.json", Route::info},
      {"/status.json", Route::status},
      {"/wifi_scan.json", Route::networks},
      {"/config", Route::config},
      {"/reset", Route::reset},
      {"/reboot", Route::reboot},
      {"/update", Route::update},
      {"/favicon.ico", Route::nothing},
  };
  for (const auto& each : routes) {
    if (each.path == path) {
      return each.route;
    }
  }
  return Route::elsewhere;
}

void LocalServer::begin_body(Connection& connection, Millis now) {
  if (connection.chunked) {
    refuse(connection, 411, now);
    return;
  }
  if (connection.body_left == 0) {
    handle(connection, now);
    return;
  }
  if (!connection.form) {  // Nothing here is for us: an upload, or JSON, which the genuine devices do not take either.
    connection.unread = true;
    handle(connection, now);
    return;
  }
  if (connection.body_left > request_size_max_bytes - connection.size) {
    refuse(connection, 413, now);
    return;
  }
  connection.phase = Phase::body;
}

void LocalServer::handle(Connection& connection, Millis now) {
  if (connection.malformed) {
    refuse(connection, 400, now);
    return;
  }
  if (options_.portal && connection.foreign) {
    redirect(connection, now);  // A phone by itself: nobody is there because of that.
    return;
  }
  device_.on_app_active(now);
  switch (connection.route) {
    case Route::page: answer(connection, 200, type_html, setup_page, now); return;
    case Route::info: answer_info(connection, now); return;
    case Route::status: answer_status(connection, now); return;
    case Route::networks:
      if (device_.request_scan(now)) {
        connection.phase = Phase::scanning;
        connection.due = now + options_.scan_timeout_ms;
      } else {
        answer(connection, 200, type_json, "[]", now);
      }
      return;
    case Route::config: answer_config(connection, now); return;
    case Route::reset:
      if (device_.forget_networks(now)) {
        answer_json(connection, 200, "ok", "Configuration reset", now);
      } else {
        answer_json(connection, 500, "error", "Not now", now);
      }
      return;
    case Route::reboot:
      drop(connection);  // No answer; the genuine ones give none.
      device_.request_restart(now);
      return;
    case Route::update:
      if (connection.upload) {
        answer(connection, 500, type_text, "FAIL: this device takes no firmware here. It was left as it is.", now);
      } else {
        answer(connection, 200, type_html, "<!doctype html><title>Update</title><p>This device takes no firmware here.</p>", now);
      }
      return;
    case Route::nothing: break;
    case Route::elsewhere:
      if (options_.portal) {
        answer(connection, 200, type_html, setup_page, now);
        return;
      }
      break;
  }
  answer(connection, 404, type_text, "Not found", now);
}

// ---- answers

bool LocalServer::send(Connection& connection, std::string_view text) {
  if (connection.phase == Phase::free) {
    return false;
  }
  if (!text.empty() && !sink_.send(connection.id, wire::ByteView{text})) {
    connection.end();
    return false;
  }
  return true;
}

void LocalServer::send_head(Connection& connection, int status, std::string_view type, std::size_t body_size, std::string_view location) {
  Text head;
  head.put("HTTP/1.1 ");
  head.put(static_cast<std::size_t>(status));
  head.put(" ");
  head.put(reason_of(status));
  if (!location.empty()) {
    head.put("\r\nLocation: http://");
    head.put(location);
    head.put("/");
  }
  head.put("\r\nContent-Type: ");
  head.put(type);
  head.put("\r\nContent-Length: ");
  head.put(body_size);
  head.put("\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  static_cast<void>(send(connection, head.view()));
}

void LocalServer::finish(Connection& connection, Millis now) {
  if (connection.phase == Phase::free) {
    return;
  }
  if (connection.unread) {
    connection.phase = Phase::draining;
    connection.due = now + options_.drain_ms;
  } else {
    drop(connection);
  }
}

void LocalServer::answer(Connection& connection, int status, std::string_view type, std::string_view body, Millis now) {
  send_head(connection, status, type, body.size(), {});
  if (!connection.head_only) {
    static_cast<void>(send(connection, body));
  }
  finish(connection, now);
}

void LocalServer::redirect(Connection& connection, Millis now) {
  constexpr std::string_view body = "Device setup";
  send_head(connection, 302, type_text, body.size(), options_.address);
  if (!connection.head_only) {
    static_cast<void>(send(connection, body));
  }
  finish(connection, now);
}

void LocalServer::answer_json(Connection& connection, int status, std::string_view word, std::string_view message, Millis now) {
  std::uint8_t room[128];
  wire::JsonWriter writer{{room, sizeof room}};
  writer.begin_object().text("status", word).text("msg", message).end_object();
  answer(connection, status, type_json, writer.view(), now);
}

void LocalServer::answer_info(Connection& connection, Millis now) {
  device_.on_app_seen(now);
  const DeviceProfile& profile = device_.profile();
  const FixedText<17> mac = format_mac(profile.station_mac), bssid = format_mac(profile.ap_mac);
  std::uint8_t room[810];  // Keys and addresses need 430; of the names at most one is longer than 36 bytes.
  wire::JsonWriter writer{{room, sizeof room}};
  writer.begin_object().text("board", profile.template_name).text("vendor", profile.vendor).text("tmpl_id", profile.template_id);
  writer.text("fw_type", profile.firmware_type.empty() ? profile.template_id : profile.firmware_type);
  writer.text("fw_ver", profile.firmware_version).text("name", device_.name()).text("ssid", device_.name()).text("uid", profile.uid);
  writer.text("bssid", bssid.view()).text("mac", mac.view()).number("last_error", static_cast<std::int64_t>(device_.last_error()));
  writer.boolean("wifi_scan", true).boolean("static_ip", true);
  if (taken_ && device_.outcome() == Outcome::trying) {
    writer.number("busy", 1);  // Other settings would be refused.
  }
  if (profile.five_ghz) {
    writer.boolean("5ghz", true);
  }
  writer.key("ifs").begin_array();
  wire::InjectInterface wifi;
  wifi.name = "wifi";
  wifi.mac = mac.view();
  wifi.scan = wifi.static_ip = true;
  wifi.five_ghz = profile.five_ghz;
  writer.begin_object();
  wire::write_interface_fields(wifi, writer);
  writer.end_object();
  if (profile.ethernet) {
    wire::InjectInterface ethernet;
    ethernet.name = "eth";
    ethernet.mac = mac.view();
    ethernet.status = "down";
    ethernet.static_ip = true;
    writer.begin_object();
    wire::write_interface_fields(ethernet, writer);
    writer.end_object();
  }
  writer.end_array().end_object();
  if (writer.overflowed()) {
    answer_json(connection, 500, "error", "names too long", now);
    return;
  }
  answer(connection, 200, type_json, writer.view(), now);
  device_.on_result_read(now);
}

void LocalServer::answer_status(Connection& connection, Millis now) {
  constexpr std::string_view outcomes[] = {"none", "trying", "succeeded", "failed"};
  const wire::FailureText* failure = wire::find_device_failure(device_.last_error());
  std::uint8_t room[480];  // Keys need 101, the longest sentences 163, a name of which every byte is escaped 192.
  wire::JsonWriter writer{{room, sizeof room}};
  writer.begin_object().text("name", device_.name()).text("state", to_text(device_.state()));
  writer.text("outcome", outcomes[static_cast<std::size_t>(device_.outcome())]);
  writer.number("last_error", static_cast<std::int64_t>(device_.last_error()));
  writer.text("message", failure != nullptr ? failure->sentence : std::string_view{});
  writer.text("fix", failure != nullptr ? failure->fix : std::string_view{}).end_object();
  answer(connection, 200, type_json, writer.view(), now);
  device_.on_result_read(now);
}

void LocalServer::answer_config(Connection& connection, Millis now) {
  switch (device_.configure(connection.settings, now)) {
    case ConfigureResult::started: answer_json(connection, 200, "ok", "Trying to connect...", now); return;
    case ConfigureResult::saved: answer_json(connection, 200, "ok", "Configuration saved", now); return;
    case ConfigureResult::invalid: answer_json(connection, 500, "error", "Configuration invalid", now); return;
    case ConfigureResult::busy: answer_json(connection, 500, "error", "Busy with other settings", now); return;
    case ConfigureResult::store_failed: answer_json(connection, 500, "error", "failed to store configuration", now); return;
  }
}

void LocalServer::answer_networks(Connection& connection, const ScannedNetwork* networks, std::size_t count, Millis now) {
  // Twice: to know the size, and to send.
  std::size_t size = 2;
  for (const bool sending : {false, true}) {
    if (sending) {
      send_head(connection, 200, type_json, size, {});
      if (connection.head_only || !send(connection, "[")) {
        break;
      }
    }
    StrongestFirst walk{networks, count};
    for (std::size_t entry = 0; entry < scan_entries_max; ++entry) {
      const ScannedNetwork* network = walk.next();
      if (network == nullptr) {
        break;
      }
      FixedText<17> bssid;
      std::uint8_t room[320];
      wire::JsonWriter writer{{room, sizeof room}};
      writer.begin_object();
      wire::write_network_fields(describe(*network, bssid), writer);
      writer.end_object();
      if (!sending) {
        size += writer.size() + (entry == 0 ? 0 : 1);
      } else {
        static_cast<void>(entry != 0 && send(connection, ","));
        static_cast<void>(send(connection, writer.view()));
      }
    }
    if (sending) {
      static_cast<void>(send(connection, "]"));
    }
  }
  finish(connection, now);
}

void LocalServer::Watch::on_step(const Step& step, Millis now) {
  static_cast<void>(now);
  switch (step.kind) {
    case StepKind::settings_taken: server.taken_ = true; return;
    case StepKind::stored:
    case StepKind::online:
    case StepKind::gave_up:
    case StepKind::fell_back:
    case StepKind::reset:
    case StepKind::setup_closed: server.taken_ = false; return;
    default: return;
  }
}

void LocalServer::Watch::on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) {
  for (Connection& each : server.connections_) {
    if (each.phase == Phase::scanning) {
      server.answer_networks(each, networks, count, now);
    }
  }
}

}  // namespace muster::agent
