// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cloud/base/random.hpp"
#include "cloud/domain/entities.hpp"

/// What names and values people may give. Each answers nullopt when fine, else one sentence that says what to do.
/// docs/protocol/cloud-model.md section 1.
namespace muster::domain {

using Complaint = std::optional<std::string>;

[[nodiscard]] Complaint check_device_name(std::string_view name);        ///< 1..60: any letter or digit, space ' _ - . ( ) #
[[nodiscard]] Complaint check_organization_name(std::string_view name);  ///< 1..100
[[nodiscard]] Complaint check_template_name(std::string_view name);      ///< 1..100
[[nodiscard]] Complaint check_user_name(std::string_view name);          ///< 0..60
[[nodiscard]] Complaint check_email(std::string_view email);
[[nodiscard]] Complaint check_password(std::string_view password);  ///< 8..256 bytes of UTF-8
[[nodiscard]] Complaint check_home(const Home& home);               ///< Host of at most 63 characters, ports 1..65535
[[nodiscard]] Complaint check_template(const Template& value);      ///< All of it: pins unique, min <= max, names unique, SSID length, ...
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;
/// Whether a terminal or a page shows it as it is: UTF-8 without control characters (C1 too), line ends and marks that turn text around.
[[nodiscard]] bool is_printable_text(std::string_view text) noexcept;
/// The text with a space for each character that is not printable, and for each byte that is no UTF-8. For what devices say of themselves.
[[nodiscard]] std::string printable_text(std::string_view text);
[[nodiscard]] std::size_t character_count(std::string_view text) noexcept;  ///< Of UTF-8.
[[nodiscard]] std::string trim(std::string_view text);
[[nodiscard]] std::string lower_ascii(std::string_view text);
/// Accepts `^TMPL[-_0-9A-Za-z]{4,16}$`.
[[nodiscard]] bool is_tmpl_id(std::string_view text) noexcept;
/// "TMPL" + 9 base62 characters.
[[nodiscard]] std::string generate_tmpl_id(Random& random);

}  // namespace muster::domain
