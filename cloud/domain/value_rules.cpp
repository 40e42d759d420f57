// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/value_rules.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>

namespace muster::domain {

// What the types take, beyond their plain forms. Clients print numbers in many ways (Arduino pads to a width, and sends a
// float as "12.0000000" whatever the datastream's type), so a number is read generously and stored in plain form:
// - INTEGER and DOUBLE: spaces around, a leading '+' and leading zeros are dropped; out of range is clamped to min and max.
// - INTEGER also takes a real that is a whole number ("12.0", "1e3"); "12.5" is a wrong type: to cut it would invent data.
// - DOUBLE takes decimal and exponent form; no hexadecimal, no infinity, no NaN. It is stored with all its digits:
//   `decimals` says how the value is shown, and a device that syncs gets back what it wrote.
// - ENUM: an index into its values (as INTEGER), else exactly one of their names. Stored as the index.
// - LOCATION: longitude and latitude, as two values or as one with a comma; -180..180 and -90..90, never clamped.
// - STRING takes everything, also nothing and several values. For all other types no value is a wrong type.

namespace {

std::string_view without_padding(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(' ') - first + 1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

/// A number of any size: infinity stands for what is too large for a double. nullopt: not a number.
std::optional<double> parse_real(std::string_view text) noexcept {
  // from_chars takes "inf" and "nan" too; a number has a digit and begins with one, a point or a minus sign.
  if (text.empty()) return std::nullopt;
  const char first = text[0] == '-' && text.size() > 1 ? text[1] : text[0];
  if ((first < '0' || first > '9') && first != '.') return std::nullopt;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value, std::chars_format::general);
  if (stopped != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too large, or too close to zero: the library does not say which.
    const auto exponent = text.find_first_of("eE");
    const auto whole = text.substr(0, std::min(text.find('.'), exponent));
    const bool tiny = exponent != std::string_view::npos ? exponent + 1 < text.size() && text[exponent + 1] == '-'
                                                         : whole.find_first_of("123456789") == std::string_view::npos;
    if (tiny) return 0.0;
    return text[0] == '-' ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  return value;
}

bool is_plain_integer(std::string_view text) noexcept {
  if (text.size() > 1 && text[0] == '-') text.remove_prefix(1);
  return text.size() == 1 || (!text.empty() && text[0] != '0');
}

/// The largest and smallest whole numbers that a datastream allows.
struct IntegerLimits {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

constexpr double two_to_63 = 9'223'372'036'854'775'808.0;

IntegerLimits integer_limits(const Datastream& stream) noexcept {
  IntegerLimits limits;
  if (stream.min && *stream.min > -two_to_63)
    limits.min = *stream.min >= two_to_63 ? limits.max : static_cast<std::int64_t>(std::ceil(*stream.min));
  if (stream.max && *stream.max < two_to_63)
    limits.max = *stream.max < -two_to_63 ? limits.min : static_cast<std::int64_t>(std::floor(*stream.max));
  return limits;
}

struct Integer {
  std::int64_t value = 0;
  bool plain = false;  ///< The text is already how it would be written.
};

/// Whole numbers; those outside 64 bits only when the datastream has a limit to clamp them to.
std::optional<Integer> parse_integer(std::string_view text, bool has_min, bool has_max) noexcept {
  const auto bare = without_padding(text);
  std::int64_t value = 0;
  const char* const end = bare.data() + bare.size();
  const auto [stopped, error] = std::from_chars(bare.data(), end, value);
  if (error == std::errc{} && stopped == end) return Integer{value, bare.size() == text.size() && is_plain_integer(bare) && bare != "-0"};
  const auto real = parse_real(bare);
  if (!real) return std::nullopt;
  if (std::isfinite(*real) && std::trunc(*real) != *real) return std::nullopt;
  if (*real >= two_to_63) return has_max ? std::optional{Integer{std::numeric_limits<std::int64_t>::max()}} : std::nullopt;
  if (*real < -two_to_63) return has_min ? std::optional{Integer{std::numeric_limits<std::int64_t>::min()}} : std::nullopt;
  return Integer{static_cast<std::int64_t>(*real)};
}

template <class Number>
void write_number(Number value, std::string& out) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  if (error == std::errc{}) out.append(text, end);
}

ValueVerdict judge_integer(const Datastream& stream, std::string_view value, std::string& out) {
  const auto parsed = parse_integer(value, stream.min.has_value(), stream.max.has_value());
  if (!parsed) return ValueVerdict::wrong_type;
  const auto limits = integer_limits(stream);
  const auto kept = std::max(limits.min, std::min(limits.max, parsed->value));
  if (kept != parsed->value || !parsed->plain) write_number(kept, out);
  return ValueVerdict::accepted;
}

ValueVerdict judge_real(const Datastream& stream, std::string_view value, std::string& out) {
  const auto bare = without_padding(value);
  const auto parsed = parse_real(bare);
  if (!parsed) return ValueVerdict::wrong_type;
  if (stream.min && *parsed < *stream.min) {
    write_number(*stream.min, out);
  } else if (stream.max && *parsed > *stream.max) {
    write_number(*stream.max, out);
  } else if (!std::isfinite(*parsed)) {
    return ValueVerdict::wrong_type;
  } else if (bare.size() != value.size()) {
    out.assign(bare);
  }
  return ValueVerdict::accepted;
}

ValueVerdict judge_enumeration(const Datastream& stream, std::string_view value, std::string& out) {
  const auto count = stream.enum_values.size();
  if (const auto index = parse_integer(value, false, false);
      index && index->value >= 0 && static_cast<std::uint64_t>(index->value) < count) {
    if (!index->plain) write_number(index->value, out);
    return ValueVerdict::accepted;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (stream.enum_values[i] == value) {
      write_number(i, out);
      return ValueVerdict::accepted;
    }
  }
  return ValueVerdict::wrong_type;
}

ValueVerdict judge_location(std::string_view value, std::string& out) {
  auto parting = value.find('\0');
  const bool comma = parting == std::string_view::npos;
  if (comma) parting = value.find(',');
  if (parting == std::string_view::npos) return ValueVerdict::wrong_type;
  const auto longitude = without_padding(value.substr(0, parting));
  const auto latitude = without_padding(value.substr(parting + 1));
  const auto x = parse_real(longitude);
  const auto y = parse_real(latitude);
  if (!x || !y || std::abs(*x) > 180 || std::abs(*y) > 90) return ValueVerdict::wrong_type;
  if (comma || longitude.size() + latitude.size() + 1 != value.size()) {
    out.append(longitude);
    out.push_back('\0');
    out.append(latitude);
  }
  return ValueVerdict::accepted;
}

}  // namespace

ValueVerdict judge_value(const PublishedTemplate& published, std::uint8_t pin, std::string_view value, std::string& out) {
  out.clear();
  if (published.accepts_every_pin()) return value.size() > value_size_max_bytes ? ValueVerdict::too_long : ValueVerdict::accepted;
  const auto* const stream = published.datastream(pin);
  if (stream == nullptr) return ValueVerdict::undefined_pin;
  if (value.size() > value_size_max_bytes) return ValueVerdict::too_long;
  switch (stream->type) {
    case DataType::integer: return judge_integer(*stream, value, out);
    case DataType::real: return judge_real(*stream, value, out);
    case DataType::string: return ValueVerdict::accepted;
    case DataType::enumeration: return judge_enumeration(*stream, value, out);
    case DataType::location: return judge_location(value, out);
  }
  return ValueVerdict::wrong_type;
}

}  // namespace muster::domain
