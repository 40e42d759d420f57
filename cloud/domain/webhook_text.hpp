// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/domain/rules.hpp"
#include "cloud/domain/webhook.hpp"

/// The texts of a webhook: placeholders, and what people may give. docs/protocol/cloud-model.md section 9.
namespace muster::domain {

/// How a value is written where a placeholder stood, so that it cannot become more than a value there.
enum class Escape : std::uint8_t {
  none,
  json,     ///< Inside a JSON string.
  percent,  ///< Of a URL or a form.
};
/// What a placeholder stands for; nullopt: nothing known, and the placeholder becomes an empty text.
using PlaceholderValue = std::function<std::optional<std::string>(std::string_view name)>;

/// Whether `{name}` is replaced; anything else in braces is left as it is, for JSON is full of them.
[[nodiscard]] bool is_placeholder(std::string_view name) noexcept;
[[nodiscard]] std::string render(std::string_view text, Escape escape, const PlaceholderValue& value);
[[nodiscard]] bool has_placeholder(std::string_view text, std::string_view name) noexcept;
inline constexpr std::string_view auth_token_placeholder = "device_authToken";
/// The body of a form. Placeholders in the values stay such.
[[nodiscard]] std::string form_body(const std::vector<std::pair<std::string, std::string>>& fields);
/// By the media type of a body.
[[nodiscard]] Escape escape_for(std::string_view content_type) noexcept;
[[nodiscard]] std::string percent_encoded(std::string_view text);  ///< All but [A-Za-z0-9_.~-].

/// http or https, a host without placeholders and without user or password before it, at most 1024 bytes.
[[nodiscard]] Complaint check_webhook_url(std::string_view url);
[[nodiscard]] Complaint check_webhook_name(std::string_view name);  ///< 1..80 characters.
/// Names that the sender writes itself are refused, and so is whatever would end the line.
[[nodiscard]] Complaint check_webhook_header(std::string_view name, std::string_view value);
[[nodiscard]] Complaint check_content_type(std::string_view type);
inline constexpr std::size_t webhook_headers_max = 20;

/// Texts joined by line ends, for sealing; none of them holds one.
[[nodiscard]] std::string join_lines(const std::vector<std::string>& lines);
[[nodiscard]] std::vector<std::string> split_lines(std::string_view text);

/// How long after its `attempts`th attempt failed a delivery is tried again: `first`, doubled each time, at most 2 hours.
[[nodiscard]] std::int64_t retry_delay_ms(std::uint32_t attempts, std::int64_t first_ms) noexcept;
/// Whether a delivery that failed so often, so long after it was made, is given up: after 24 h, but not before 15 attempts.
[[nodiscard]] bool is_given_up(std::uint32_t attempts, std::int64_t age_ms) noexcept;

}  // namespace muster::domain
