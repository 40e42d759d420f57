// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/fwd.hpp>
#include <string>

#include "cli/commands.hpp"

namespace muster::cli {

/// A user by id or email. Errors: exit_refused when there is none.
[[nodiscard]] Outcome<boost::json::value> find_user(Context& context, ApiClient& client, const std::string& id_or_email);

}  // namespace muster::cli
