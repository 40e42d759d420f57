// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "cloud/api/api.hpp"
#include "cloud/api/core.hpp"

namespace muster::api {

/// The pages under /account that links in mails lead to, and signing in: plain HTML and forms, usable without script. They call the same
/// functions as the JSON API (cloud/api/people). The paths are fixed: a console may replace the look.
///
/// A form is taken when it carries the CSRF token that belongs to the browser's cookie `muster_form`, and neither Origin nor
/// Sec-Fetch-Site names another place. The pages' referrer policy is `same-origin`: without any referrer a browser would say
/// `Origin: null` of their own forms, too, as it does of a sandboxed page of somebody else.
class AccountPages {
 public:
  static constexpr std::string_view prefix = "/account/";
  explicit AccountPages(Core& core) : core_{core} {}

  [[nodiscard]] static bool owns(std::string_view path) noexcept { return path == "/account" || path.starts_with(prefix); }
  /// What can be said without the store: a path that is none, a wrong method, a form that is too large or foreign.
  [[nodiscard]] std::optional<Response> answer_from_memory(const Request& request) const;
  /// Blocks.
  [[nodiscard]] Response handle(const Request& request);
  [[nodiscard]] Response unavailable() const;
  [[nodiscard]] static Lane lane(const Request& request) noexcept;
  [[nodiscard]] static std::vector<Api::RouteInfo> routes();

 private:
  Core& core_;
};

}  // namespace muster::api
