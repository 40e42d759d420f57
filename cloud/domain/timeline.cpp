// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/timeline.hpp"

#include <array>

namespace muster::domain {

namespace {
constexpr std::array<std::string_view, 7> type_names{"INFORMATION", "WARNING", "CRITICAL", "CONTENT", "ONLINE", "OFFLINE", "SYSTEM"};
}

std::string_view timeline_type_name(TimelineType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return index < type_names.size() ? type_names[index] : std::string_view{};
}

std::optional<TimelineType> parse_timeline_type(std::string_view name) noexcept {
  for (std::size_t i = 0; i < type_names.size(); ++i) {
    if (type_names[i] == name) return static_cast<TimelineType>(i);
  }
  return std::nullopt;
}

}  // namespace muster::domain
