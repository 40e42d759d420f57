// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// How this machine is: what a first user sees of a device.
namespace muster::agent::app {

/// Whole seconds from the text of /proc/uptime.
[[nodiscard]] std::optional<std::int64_t> parse_uptime_s(std::string_view text);
/// The load average of the last minute from the text of /proc/loadavg, as it stands there ("0.42").
[[nodiscard]] std::optional<std::string> parse_load(std::string_view text);
/// MemAvailable from the text of /proc/meminfo, in MB of 1,000,000 bytes.
[[nodiscard]] std::optional<std::int64_t> parse_available_mb(std::string_view text);

/// Empty: not known on this machine.
struct Vitals {
  std::optional<std::int64_t> uptime_s;
  std::optional<std::string> load;
  std::optional<std::int64_t> available_mb;
};
[[nodiscard]] Vitals read_vitals();

}  // namespace muster::agent::app
