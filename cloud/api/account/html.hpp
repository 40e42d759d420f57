// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "cloud/api/http.hpp"
#include "cloud/mail/texts.hpp"

/// The look of the pages under /account: one frame, one style sheet inside it, no script.
namespace muster::api {

/// A page with the headers that all of them have. `body` is markup: whatever came from outside is escaped in it already.
[[nodiscard]] Response account_page(unsigned status, const mail::Brand& brand, std::string_view title, std::string_view body);

/// A field with its label. `type`: "email", "password", "text"; `autocomplete` as browsers know it; `value` is escaped here.
[[nodiscard]] std::string form_field(std::string_view type, std::string_view name, std::string_view label, std::string_view autocomplete,
                                     std::string_view value = {}, bool required = true);
[[nodiscard]] std::string hidden_field(std::string_view name, std::string_view value);
[[nodiscard]] std::string submit_button(std::string_view label);
/// A sentence that stands out; `message` is escaped here. Empty: nothing.
[[nodiscard]] std::string alert(std::string_view message);

}  // namespace muster::api
