// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::api {

/// The fields of a form as browsers send it without script (application/x-www-form-urlencoded).
class Form {
 public:
  static constexpr std::size_t fields_max = 32;
  /// nullopt: too many fields, or one that is no UTF-8 or holds a NUL.
  [[nodiscard]] static std::optional<Form> parse(std::string_view body);
  /// The first of that name; empty: there is none.
  [[nodiscard]] std::string_view value(std::string_view name) const noexcept;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace muster::api
