// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace muster::wire {

struct Utf8Character {
  std::size_t size_bytes = 0;  ///< 0: what is there is no UTF-8.
  /// A person may be shown it as it is: no control (C0, C1), no line or paragraph separator, no mark that turns the direction of text. Texts of
  /// strangers with such would move a terminal's cursor or show something else than what they hold.
  bool shown = false;
};

/// At the front of `text`, which is not empty. Overlong forms, surrogates and what lies past U+10FFFF are no UTF-8.
[[nodiscard]] Utf8Character first_character(std::string_view text) noexcept;

}  // namespace muster::wire
