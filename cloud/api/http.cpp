// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/http.hpp"

namespace muster::api {

std::string_view Request::header(std::string_view name) const noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (const auto& field : headers) {
    if (field.name.size() != name.size()) continue;
    std::size_t i = 0;
    while (i < name.size() && lower(field.name[i]) == lower(name[i])) ++i;
    if (i == name.size()) return field.value;
  }
  return {};
}

}  // namespace muster::api
