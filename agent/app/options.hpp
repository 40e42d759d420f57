// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/core/config.hpp"

namespace muster::agent::app {

/// What was asked for on the command line. What is not given is read from the store.
struct Options {
  std::string store;
  std::optional<std::string> template_id;
  std::optional<std::string> template_name;
  std::optional<std::string> token;  ///< "-": to be read from stdin.
  std::optional<std::string> host;
  std::optional<std::uint16_t> port;
  std::optional<std::string> ca_file;
  std::optional<bool> tls;            ///< --tls or --ca: true, --plain: false.
  std::string setup_page;             ///< ADDR:PORT of this machine, with the simulated air; empty: over the air only.
  std::string console;                ///< A terminal device, or "-": this terminal. Empty: there is none.
  std::string radio;                  ///< Empty: this machine is on a network by itself.
  std::string ble;                    ///< The Bluetooth adapter; empty: no set-up over Bluetooth.
  std::optional<std::string> vendor;  ///< What the device's name begins with while it is open for set-up.
  bool portal = true;
  std::uint32_t report_interval_s = 5;
  bool json = false;
  bool help = false;
  bool version = false;
};

/// Parses the arguments, without the program's name. Returns an empty text, or a sentence that says what is wrong. The
/// text of a token given as an argument is overwritten in place, so that it does not stay visible in the list of
/// processes.
[[nodiscard]] std::string parse_options(int count, char** arguments, Options& options);

/// Puts what was given over what was stored. Returns an empty text, or a sentence that says what is missing or wrong;
/// `options.token` must be the token itself by now, not "-". With a radio neither token nor host has to be known: set-up brings them.
[[nodiscard]] std::string apply_options(const Options& options, DeviceConfig& config);

/// The token in one line of standard input: the line itself, without spaces around it, or what a line
/// `#define BLYNK_AUTH_TOKEN "..."` holds. nullopt: look at the next line.
[[nodiscard]] std::optional<std::string> token_in_line(std::string_view line);

[[nodiscard]] const char* help_text() noexcept;

}  // namespace muster::agent::app
