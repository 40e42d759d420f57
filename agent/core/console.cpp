// SPDX-License-Identifier: Apache-2.0
#include "agent/core/console.hpp"

#include "agent/core/networks.hpp"

namespace muster::agent {

namespace {

/// Takes the next word off the line: up to a space, or between quotes.
std::string_view take_word(std::string_view& line) noexcept {
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) {
    line.remove_prefix(1);
  }
  const bool quoted = !line.empty() && line.front() == '"';
  if (quoted) {
    line.remove_prefix(1);
  }
  const std::size_t end = quoted ? line.find('"') : line.find_first_of(" \t");
  const std::string_view word = wire::first(line, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + (quoted ? 1 : 0));
  return word;
}

struct Number {
  char digits[12];
  std::size_t at = sizeof digits;
  explicit Number(std::int32_t value) noexcept {
    std::uint32_t rest = value < 0 ? 0U - static_cast<std::uint32_t>(value) : static_cast<std::uint32_t>(value);
    do {
      digits[--at] = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    if (value < 0) {
      digits[--at] = '-';
    }
  }
  [[nodiscard]] std::string_view view() const noexcept { return {digits + at, sizeof digits - at}; }
};

/// The bytes of the character at the front that may be shown as it is; 0: none. Not shown are what is no UTF-8 and what would steer a
/// terminal: C0 and C1 controls (a lone 0x9b is one too, where the terminal knows no UTF-8), and marks that break the line or turn its direction.
std::size_t shown_size(std::string_view text) noexcept {
  const auto byte = [text](std::size_t at) { return at < text.size() ? static_cast<std::uint8_t>(text[at]) : std::uint8_t{0}; };
  const std::uint8_t lead = byte(0), second = byte(1);
  if (lead < 0x80) {
    return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  }
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  bool good = lead >= 0xc2 && lead <= 0xf4;
  for (std::size_t at = 1; at < size; ++at) {
    good = good && (byte(at) & 0xc0) == 0x80;
  }
  const bool c1 = lead == 0xc2 && second < 0xa0;
  const bool steering =
      lead == 0xe2 && ((second == 0x80 && byte(2) >= 0xa8 && byte(2) <= 0xae) || (second == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9));
  return good && !c1 && !steering ? size : 0;
}

/// Names from the air may hold what would steer the terminal.
struct Printable {
  FixedText<ssid_size_max_bytes> text;
  explicit Printable(std::string_view raw) noexcept {
    char clean[ssid_size_max_bytes];
    std::size_t size = 0;
    raw = wire::first(raw, sizeof clean);
    while (!raw.empty()) {
      std::size_t shown = shown_size(raw);
      if (shown == 0) {
        clean[size++] = '?';
        shown = 1;
      } else {
        for (std::size_t at = 0; at < shown; ++at) {
          clean[size++] = raw[at];
        }
      }
      raw.remove_prefix(shown);
    }
    static_cast<void>(text.assign({clean, size}));
  }
  [[nodiscard]] std::string_view view() const noexcept { return text.view(); }
};

}  // namespace

Console::Console(Device& device, Sink& sink) noexcept : device_{device}, watch_{*this}, sink_{sink} { device_.add_observer(watch_); }

Console::~Console() { device_.remove_observer(watch_); }

void Console::on_bytes(wire::ByteView bytes, Millis now) {
  for (const std::uint8_t byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c == '\r' || c == '\n') {
      const std::size_t size = size_;
      const bool too_long = too_long_;
      size_ = 0;
      too_long_ = false;
      if (too_long) {
        say("error: line too long\r\n");
      } else if (size != 0) {
        run({line_, size}, now);
      }
    } else if (c == '\b' || c == 0x7f) {
      size_ -= size_ != 0 ? 1 : 0;
    } else if (size_ == sizeof line_) {
      too_long_ = true;
    } else {
      line_[size_++] = c;
    }
  }
}

void Console::say(std::string_view name, std::string_view value) {
  say(name);
  say(": ");
  say(value);
  say("\r\n");
}

void Console::run(std::string_view line, Millis now) {
  const std::string_view command = take_word(line);
  const std::string_view first = take_word(line);
  const std::string_view second = take_word(line);
  device_.on_app_active(now);
  if (command == "devinfo") {
    print_info();
  } else if (command == "wifi") {
    if (first.empty()) {
      print_wifi();
    } else if (first == "scan" && second.empty()) {
      scanning_ = device_.request_scan(now);
      if (!scanning_) {
        say("error: no scan now\r\n");
      }
    } else {
      settings_.clear();
      settings_.set("ssid", first);
      settings_.set("pass", second);
      say(settings_.has_ssid() && is_valid_passphrase(second) ? "ok\r\n" : "error: no such network can be\r\n");
    }
  } else if (command == "connect") {
    connect(first, second, now);
  } else if (command == "config" && first == "start") {
    say("ok\r\n");
    device_.request_setup(now);
  } else if (command == "config" && first == "stop") {
    say("ok\r\n");
    device_.end_setup(now);
  } else if (command == "config" && first == "erase") {
    say("ok\r\n");
    device_.reset_config(now);
  } else if (command == "reboot") {
    say("ok\r\n");
    device_.request_restart(now);
  } else if (command == "help") {
    say("devinfo\r\nwifi\r\nwifi scan\r\nwifi \"SSID\" \"PASSWORD\"\r\nconnect TOKEN [HOST[:PORT]]\r\nconfig "
        "start|stop|erase\r\nreboot\r\n");
  } else {
    say("error: unknown command; try help\r\n");
  }
}

void Console::print_info() {
  const DeviceProfile& profile = device_.profile();
  say("name", device_.name());
  say("uid", profile.uid);
  say("template", profile.template_id);
  say("version", profile.firmware_version);
  say("mac", format_mac(profile.station_mac).view());
  say("state", to_text(device_.state()));
  say("host", device_.settings().host.view());
  say("last_error", Number{static_cast<std::int32_t>(device_.last_error())}.view());
}

void Console::print_wifi() {
  say("ssid", Printable{device_.settings().network.ssid.view()}.view());
  say("joined", device_.joined() ? "yes" : "no");
  if (device_.joined()) {
    say("ip", format_ipv4(device_.network().address).view());
    say("bssid", format_mac(device_.network().bssid).view());
    say("rssi", Number{device_.network().rssi_dbm}.view());
  }
}

void Console::connect(std::string_view token, std::string_view host, Millis now) {
  std::uint16_t port = 0;
  const std::size_t colon = host.find(':');
  if (colon != std::string_view::npos && colon == host.rfind(':')) {
    std::string_view digits = host;
    digits.remove_prefix(colon + 1);
    std::uint32_t number = 0;
    for (const char c : digits) {
      number = c >= '0' && c <= '9' && number < 65536 ? number * 10 + static_cast<std::uint32_t>(c - '0') : 65536;
    }
    if (number == 0 || number > 65535) {
      say("error: no port\r\n");
      return;
    }
    port = static_cast<std::uint16_t>(number);
    host = wire::first(host, colon);
  }
  ConfigureResult result = ConfigureResult::invalid;
  if (settings_.has_ssid()) {
    SetupSettings wanted = settings_;
    wanted.set("blynk", token);
    wanted.set("host", host);
    wanted.set("port", port == 0 ? std::string_view{} : Number{port}.view());
    result = device_.configure(wanted, now, true);
  } else {
    result = device_.configure_token(token, host, port, now);
  }
  switch (result) {
    case ConfigureResult::started:
    case ConfigureResult::saved:
      settings_.clear();
      say("ok\r\n");
      return;
    case ConfigureResult::invalid: say("error: configuration invalid\r\n"); return;
    case ConfigureResult::busy: say("error: busy with other settings\r\n"); return;
    case ConfigureResult::store_failed: say("error: failed to store configuration\r\n"); return;
  }
}

void Console::Watch::on_step(const Step& step, Millis now) {
  static_cast<void>(now);
  server.say("step", to_text(step.kind));
  if (step.code != wire::ActivationFailure::none) {
    server.say("code", Number{static_cast<std::int32_t>(step.code)}.view());
  }
}

void Console::Watch::on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) {
  static_cast<void>(now);
  if (!server.scanning_) {
    return;
  }
  server.scanning_ = false;
  StrongestFirst walk{networks, count};
  while (const ScannedNetwork* network = walk.next()) {
    server.say(Number{network->rssi_dbm}.view());
    server.say(" ");
    server.say(security_word(network->security));
    server.say(" ");
    server.say(Printable{network->ssid}.view());
    server.say("\r\n");
  }
  server.say("ok\r\n");
}

}  // namespace muster::agent
