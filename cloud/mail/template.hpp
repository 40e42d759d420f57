// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

/// Texts with holes.
namespace muster::mail {

/// `{name}` is replaced by the value of that name.
using Values = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// As it stands, for the text of a mail. A hole without a value stays empty.
[[nodiscard]] std::string fill_text(std::string_view pattern, Values values);
/// Values are escaped: none of them can become markup, in an element or in a quoted attribute.
[[nodiscard]] std::string fill_html(std::string_view pattern, Values values);

/// `& < > " '` as entities.
[[nodiscard]] std::string escape_html(std::string_view text);
/// What somebody called himself, or his organization, on one line: control characters (also line and paragraph separators) become
/// spaces, marks that turn the direction of what follows are left out, bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string one_line(std::string_view name);

}  // namespace muster::mail
