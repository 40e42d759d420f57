// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::api {

/// Appends `text` with '+' as space and %XX decoded. A '%' without two hex digits stays as it is.
void append_percent_decoded(std::string& out, std::string_view text);
[[nodiscard]] std::string percent_decoded(std::string_view text);

/// Walks `name=value` pairs of a query front to back without copying. Empty pairs are skipped.
class QueryReader {
 public:
  struct Pair {
    std::string_view name, value;  ///< Not decoded.
    bool has_value = false;        ///< False: there was no '='.
  };
  explicit QueryReader(std::string_view query) noexcept : rest_{query} {}
  /// False: no more.
  [[nodiscard]] bool next(Pair& out) noexcept;

 private:
  std::string_view rest_;
};

/// `v` or `V` and 0..255 in one to three digits.
[[nodiscard]] std::optional<std::uint8_t> parse_pin(std::string_view text) noexcept;

}  // namespace muster::api
