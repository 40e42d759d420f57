// SPDX-License-Identifier: Apache-2.0
#include "agent/app/options.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "agent/app/page_address.hpp"
#include "agent/app/radio_set.hpp"
#include "agent/ports/linux/ble_bus.hpp"

namespace muster::agent::app {

namespace {

template <typename Number>
bool parse_number(std::string_view text, Number lowest, Number highest, Number& number) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < lowest || value > highest) {
    return false;
  }
  number = value;
  return true;
}

/// Overwrites the text of an argument; its length stays.
void blank(char* text) {
  if (std::strcmp(text, "-") != 0) {
    std::memset(text, '*', std::strlen(text));
  }
}

std::string use(std::string_view name, const std::string& value, Options& options) {
  if (name == "--store") {
    options.store = value;
    return value.empty() ? "--store needs a directory." : "";
  }
  if (name == "--template") {
    options.template_id = value;
    return is_valid_template_id(value) ? "" : "--template needs a template id, such as TMPL2abcdefgh, not \"" + value + "\".";
  }
  if (name == "--template-name") {
    options.template_name = value;
    return value.size() <= DeviceConfig{}.template_name.capacity_bytes ? "" : "--template-name takes at most 64 bytes.";
  }
  if (name == "--token") {
    options.token = value;
    return value == "-" || is_valid_token(value)
               ? ""
               : "--token needs 32 characters of letters, digits, - and _, or - to read it from standard input.";
  }
  if (name == "--host") {
    options.host = value;
    return is_valid_host(value) ? ""
                                : "--host needs a host name or an address of at most 63 characters, not \"" + value +
                                      "\". Give the port with --port, and no https:// in front.";
  }
  if (name == "--port") {
    std::uint16_t port = 0;
    if (!parse_number<std::uint16_t>(value, 1, 65535, port)) {
      return "--port needs a number from 1 to 65535, not \"" + value + "\".";
    }
    options.port = port;
    return {};
  }
  if (name == "--ca") {
    options.ca_file = value;
    return value.empty() ? "--ca needs the file of a CA certificate (PEM)." : "";
  }
  if (name == "--radio") {
    options.radio = value;
    return value.empty() ? "--radio needs a kind of radio: " + std::string{radio_kinds} + "." : "";
  }
  if (name == "--setup-page") {
    options.setup_page = value;
    return parse_page_address(value) ? "" : "--setup-page needs an address and a port of this machine, such as 127.0.0.1:8181.";
  }
  if (name == "--console") {
    options.console = value;
    return value.empty() ? "--console needs a terminal device, such as /dev/ttyUSB0, or - for this terminal." : "";
  }
  if (name == "--vendor") {
    options.vendor = value;
    const bool good = !value.empty() && value.size() <= 20 && std::all_of(value.begin(), value.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
    });
    return good ? "" : "--vendor takes 1 to 20 letters, digits and spaces: apps look for names that begin with it.";
  }
  if (name == "--portal") {
    options.portal = value == "on";
    return value == "on" || value == "off" ? "" : "--portal is on or off, not \"" + value + "\".";
  }
  if (!parse_number<std::uint32_t>(value, 1, 86'400, options.report_interval_s)) {
    return "--report-interval-s needs a number of seconds from 1 to 86400, not \"" + value + "\".";
  }
  return {};
}

bool takes_value(std::string_view name) {
  for (const std::string_view known : {"--store", "--template", "--template-name", "--token", "--host", "--port", "--ca", "--radio",
                                       "--setup-page", "--console", "--vendor", "--portal", "--report-interval-s"}) {
    if (name == known) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string parse_options(int count, char** arguments, Options& options) {
  std::string problem;
  const auto complain = [&](std::string text) {
    if (problem.empty()) {
      problem = std::move(text);  // The first one; the loop goes on so that a token behind it is blanked too.
    }
  };
  bool plain = false;
  bool tls = false;
  for (int i = 0; i < count; ++i) {
    char* const argument = arguments[i];
    const std::string_view text{argument};
    const std::size_t equals = text.rfind("--", 0) == 0 ? text.find('=') : std::string_view::npos;
    const std::string name{text.substr(0, equals)};
    if (takes_value(name)) {
      char* value = nullptr;
      if (equals != std::string_view::npos) {
        value = argument + equals + 1;
      } else if (i + 1 < count) {
        value = arguments[++i];
      } else {
        complain(name + " needs a value.");
        break;
      }
      const std::string copy{value};
      if (name == "--token") {
        blank(value);
      }
      complain(use(name, copy, options));
    } else if (name == "--ble") {
      const bool given = equals == std::string_view::npos && i + 1 < count && std::strncmp(arguments[i + 1], "-", 1) != 0;
      options.ble = equals != std::string_view::npos ? argument + equals + 1 : given ? arguments[++i] : "hci0";
      if (!linux_port::is_ble_adapter(options.ble)) complain("--ble takes the name of a Bluetooth adapter, such as hci0.");
    } else if (text == "--tls") {
      tls = true;
    } else if (text == "--plain") {
      plain = true;
    } else if (text == "--json") {
      options.json = true;
    } else if (text == "--help" || text == "-h") {
      options.help = true;
    } else if (text == "--version") {
      options.version = true;
    } else {
      complain("Unknown argument \"" + name + "\". See muster-agent --help.");
    }
  }
  if (options.help || options.version) {
    return problem;
  }
  if (plain && (tls || options.ca_file)) {
    complain("--plain goes with neither --tls nor --ca.");
  }
  if (plain || tls || options.ca_file) {
    options.tls = !plain;
  }
  if (!options.radio.empty() && options.token) {
    complain("--token goes without --radio: over the air, the set-up brings the token.");
  }
  if (!options.setup_page.empty() && options.radio.rfind("sim", 0) != 0) {
    complain("--setup-page goes with --radio sim: a real radio has the page on its own network.");
  }
  if (options.radio.empty() && !options.ble.empty()) {
    complain("--ble goes with --radio: Bluetooth brings the settings, the radio joins the network.");
  }
  if (options.console == "-" && (options.json || options.token == "-")) {
    complain("--console - goes with neither --json nor --token -: they use the same input and output.");
  }
  if (options.radio.empty() && options.vendor) {
    complain("--vendor goes with --radio.");
  }
  if (options.store.empty()) {
    complain("--store is missing: the directory in which this device keeps its settings.");
  }
  return problem;
}

std::string apply_options(const Options& options, DeviceConfig& config) {
  // parse_options has checked the lengths and characters already.
  if (options.template_id && !config.template_id.assign(*options.template_id)) {
    return "The template id is too long.";
  }
  if (options.template_name && !config.template_name.assign(*options.template_name)) {
    return "The template name is too long.";
  }
  if (options.token) {
    if (!is_valid_token(*options.token)) {
      return "The token must have 32 characters of letters, digits, - and _.";
    }
    static_cast<void>(config.token.assign(*options.token));
  }
  if (options.host && *options.host != config.host.view()) {
    if (!config.host.assign(*options.host)) {
      return "The host is too long.";
    }
    config.port = 0;  // A port that was given for another host says nothing about this one.
  }
  if (options.port) {
    config.port = *options.port;
  }
  if (options.ca_file) {
    config.security = Security::tls_pinned;
  } else if (options.tls) {
    if (!*options.tls) {
      config.security = Security::plain;
    } else if (config.security == Security::plain) {
      config.security = Security::tls;  // A CA that was pinned before stays pinned.
    }
  }
  if (config.template_id.empty()) {
    return "This store knows no template yet: give --template ID.";
  }
  if (!options.radio.empty()) {
    return {};
  }
  if (config.token.empty()) {
    return "This store holds no auth token yet: give --token TOKEN, or --token - and the token on standard input.";
  }
  if (config.host.empty()) {
    return "This store knows no cloud yet: give --host HOST.";
  }
  return {};
}

std::optional<std::string> token_in_line(std::string_view line) {
  constexpr std::string_view spaces{" \t\r"}, define{"#define"}, name{"BLYNK_AUTH_TOKEN"};
  const auto skip = [&](std::string_view text) { return text.substr(std::min(text.find_first_not_of(spaces), text.size())); };
  line = skip(line);
  line = line.substr(0, line.find_last_not_of(spaces) + 1);
  if (line.substr(0, define.size()) != define) {
    return line.empty() ? std::nullopt : std::optional{std::string{line}};
  }
  line = skip(line.substr(define.size()));
  if (line.substr(0, name.size()) != name) return std::nullopt;
  line = skip(line.substr(name.size()));
  if (line.size() < 2 || line.front() != '"' || line.back() != '"') return std::nullopt;
  return std::string{line.substr(1, line.size() - 2)};
}

const char* help_text() noexcept {
  return R"(muster-agent: makes this machine a device of a Muster cloud.

  muster-agent --store DIR --template ID --token TOKEN --host HOST [options]
  muster-agent --store DIR --template ID --radio KIND [options]
  muster-agent --store DIR [options]            with what DIR remembers

  --store DIR             where the device keeps its settings (made when missing)
  --template ID           template id, such as TMPL2abcdefgh
  --template-name NAME    what the device calls itself for people
  --token TOKEN           its auth token; - reads it from standard input
  --host HOST             name or address of the cloud
  --port PORT             default: 443, then 9443 (with --plain: 80, then 8080)
  --ca FILE               trust only this CA certificate (PEM; copied into DIR)
  --tls                   TLS with the system's CAs (the default for a new store)
  --plain                 no TLS: token and values are readable on the way
  --radio KIND            set-up over the air (Wi-Fi provisioning): nm[:INTERFACE] is a
                          Wi-Fi card that NetworkManager has, wpa[:INTERFACE] one by
                          wpa_supplicant (both as root), sim[:PATH] an air that
                          programs on this machine share
  --setup-page ADDR:PORT  with --radio sim: the set-up page for a browser here, such
                          as 127.0.0.1:8181
  --ble [ADAPTER]         beside --radio: set-up over Bluetooth LE too, by bluetoothd;
                          default hci0
  --console TTY           commands on a serial line (115200 8N1), such as /dev/ttyUSB0;
                          - is this terminal; the command help lists them
  --vendor PREFIX         what the device's name begins with, default Blynk
  --portal on|off         phones open the set-up page by themselves, default on
  --report-interval-s N   how often values are sent, 1 to 86400 s, default 5
  --json                  one JSON event a line on standard output
  --version, --help

What is given is remembered in DIR, and need not be given again.
Pins: V0 uptime in s, V1 load average, V2 available memory in MB.
V10 can be written from the cloud; its value comes back on V11.
SIGTERM and Ctrl-C end it, SIGHUP makes it connect at once while it waits.
With a radio, SIGUSR1 opens it for set-up and SIGUSR2 is the button held for
10 s: networks and token are forgotten.
Exit: 0 ended as asked, 1 cannot run, 2 wrong arguments.
)";
}

}  // namespace muster::agent::app
