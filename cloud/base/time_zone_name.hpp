// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace muster {

/// Where the system keeps its time zones.
inline constexpr std::string_view time_zone_directory = "/usr/share/zoneinfo";

/// nullopt: "UTC", or a zone of the tz database in `directory`, as "Europe/Berlin". Else a sentence that says what to write. On a machine
/// without that database every name of the right shape passes: nothing else could be judged there. Blocks: looks at a file.
[[nodiscard]] std::optional<std::string> check_time_zone(std::string_view name,
                                                         const std::filesystem::path& directory = time_zone_directory);

}  // namespace muster
