// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace muster::mail {

/// An email address as it is kept and compared: without spaces around it, in lower case, its domain in ASCII (IDNA 2008, non-transitional)
/// when it was given in other letters. So `Ada@BÜCHER.example` and `ada@xn--bcher-kva.example` are one, and a domain whose letters only
/// look like another's is seen to be another. What has no such form stays as it is, for domain::check_email to refuse.
[[nodiscard]] std::string normal_address(std::string_view given);

}  // namespace muster::mail
