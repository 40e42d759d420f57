// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"

/// What happened to a device, line by line: what the cloud saw (system events) and what device, script or person logged by an event of
/// the device's template.
namespace muster::domain {

/// Values are stored: never renumber. The first four are EventType's.
enum class TimelineType : std::uint8_t { information = 0, warning = 1, critical = 2, content = 3, online = 4, offline = 5, system = 6 };
[[nodiscard]] std::string_view timeline_type_name(TimelineType type) noexcept;  ///< As in the API: "INFORMATION", ...
[[nodiscard]] std::optional<TimelineType> parse_timeline_type(std::string_view name) noexcept;
/// One that was logged; only such ones are resolved, and count against the daily limit.
[[nodiscard]] constexpr bool is_logged(TimelineType type) noexcept { return type <= TimelineType::content; }

/// Codes of what the cloud itself writes.
namespace timeline_code {
inline constexpr std::string_view online = "online", offline = "offline", first_connection = "first_connection", activated = "activated",
                                  claimed = "claimed", transferred = "transferred", token_conflict = "token_conflict",
                                  device_reprovisioned = "device_reprovisioned";
}  // namespace timeline_code

inline constexpr std::size_t event_code_max_bytes = 50;
inline constexpr std::size_t event_description_max_chars = 300;  ///< A longer one is let go whole.
inline constexpr std::size_t event_comment_max_chars = 300;      ///< Of who resolves it.

struct TimelineEntry {
  TimelineId id;
  DeviceId device_id;
  OrganizationId organization_id;  ///< The device's at that time.
  UtcTime at;
  TimelineType type = TimelineType::system;
  std::string code, name;   ///< `name`: the event's in its template at that time; empty for system events.
  std::string description;  ///< At most 300 characters.
  UserId user_id;           ///< Who did it; none: the device, a script with its token, or the cloud.
  UtcTime resolved_at;      ///< 0: it is not.
  UserId resolved_by;
  std::string resolve_comment;
};

/// What is to be written behind about one device.
struct TimelineNote {
  enum class What : std::uint8_t {
    add,             ///< A line. Online after online, and offline after offline, is left out.
    resolve_latest,  ///< Of the lines with `code` that nobody has resolved.
    resolve_all,
  };
  What what = What::add;
  DeviceId device_id;
  UtcTime at;
  TimelineType type = TimelineType::system;
  std::string code, name, description;
  std::string ip;  ///< Of a token_conflict: where the newest login came from.
};

struct TimelineFilter {
  DeviceId device;
  std::optional<TimelineType> type;
  std::string code;  ///< Empty: every one.
  UtcTime from, to;  ///< `to` 0: no end.
};

}  // namespace muster::domain
