// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "cloud/api/errors.hpp"

/// What the JSON API and the pages under /account do alike is done by functions in this folder, which answer plain data.
namespace muster::api {

/// Why something was not done: an error of the API as its parts, so that a page can show it, too.
struct Refusal {
  unsigned status = 500;
  std::string code, message;
  std::string field;            ///< Which value is wrong, when it is one.
  long long retry_after_s = 0;  ///< With 429.
};

template <class T>
using Outcome = std::variant<T, Refusal>;
struct Done {};

[[nodiscard]] Response response_of(const Refusal& refusal);
[[nodiscard]] Refusal refusal_of(const Error& error);
[[nodiscard]] Refusal wrong_value(std::string field, std::string message);
[[nodiscard]] Refusal throttled(long long retry_after_s);

}  // namespace muster::api
