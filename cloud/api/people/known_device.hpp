// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cloud/api/core.hpp"

namespace muster::api {

/// A mark that a browser or a program gets with a sign-in and shows with the next one: it says that somebody who knew the password of
/// this account was there before. It signs nobody in. What strangers guess does not hold it up: its wrong tries are counted apart.
/// Sent as the cookie `muster_device` or the header `Muster-Device`; made of nothing that the server keeps.
inline constexpr std::string_view known_device_cookie = "muster_device";
inline constexpr std::string_view known_device_header = "Muster-Device";

[[nodiscard]] std::string make_known_device(Core& core, std::string_view email);
/// The mark that came with the request.
[[nodiscard]] std::string_view sent_known_device(const Request& request) noexcept;
/// Whether it is one of ours, for whatever account, and young enough. Needs no store: may be asked on a loop.
[[nodiscard]] bool is_known_device(const Core& core, std::string_view mark);
/// What its tries are counted under, when it is of this account.
[[nodiscard]] std::optional<std::uint64_t> known_device_key(const Core& core, std::string_view mark, std::string_view email);
[[nodiscard]] std::string known_device_cookie_header(std::string_view mark, bool secure);

/// A cookie's value; empty: there is none.
[[nodiscard]] std::string_view cookie_of(const Request& request, std::string_view name) noexcept;

}  // namespace muster::api
