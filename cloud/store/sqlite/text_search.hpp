// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace muster::store {

/// Lower case of ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic letters; other bytes are kept as they are, also when
/// they are no UTF-8.
[[nodiscard]] std::string fold_case(std::string_view text);

/// Whether `text` holds `folded`, which fold_case made, whatever the case of `text`.
[[nodiscard]] bool contains_folded(std::string_view text, std::string_view folded);

}  // namespace muster::store
