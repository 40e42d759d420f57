// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/account/forms.hpp"

#include <algorithm>

#include "cloud/api/query.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

std::string decoded(std::string_view text) {
  std::string spaced{text};
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return percent_decoded(spaced);
}

}  // namespace

std::optional<Form> Form::parse(std::string_view body) {
  Form form;
  while (!body.empty()) {
    if (form.fields_.size() == fields_max) return std::nullopt;
    const auto end = body.find('&');
    const std::string_view pair = body.substr(0, end);
    body = end == std::string_view::npos ? std::string_view{} : body.substr(end + 1);
    const auto equals = pair.find('=');
    std::string name = decoded(pair.substr(0, equals));
    std::string value = equals == std::string_view::npos ? std::string{} : decoded(pair.substr(equals + 1));
    for (const std::string* text : {&name, &value}) {
      if (!domain::is_valid_utf8(*text) || text->find('\0') != std::string::npos) return std::nullopt;
    }
    form.fields_.emplace_back(std::move(name), std::move(value));
  }
  return form;
}

std::string_view Form::value(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields_) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace muster::api
