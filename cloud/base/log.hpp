// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace muster::log {

enum class Level { debug, info, warning, error };

/// One fact of a log line. Secrets have no conversion to either type, so they cannot get here by accident.
struct Field {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, bool> value;
  Field(std::string_view k, std::string_view v) : key{k}, value{v} {}
  Field(std::string_view k, const char* v) : key{k}, value{std::string_view{v}} {}
  Field(std::string_view k, const std::string& v) : key{k}, value{std::string_view{v}} {}
  Field(std::string_view k, std::int64_t v) : key{k}, value{v} {}
  Field(std::string_view k, int v) : key{k}, value{std::int64_t{v}} {}
  Field(std::string_view k, std::uint64_t v) : key{k}, value{static_cast<std::int64_t>(v)} {}
  Field(std::string_view k, bool v) : key{k}, value{v} {}
};

/// Writes one line to stderr: JSON when stderr is no terminal, else text. Thread-safe. `event` is a stable snake_case
/// word.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});
void set_level(Level level) noexcept;

/// The line that `write` writes, without its newline: one JSON object, or text for people. Neither can be broken up by
/// what a field holds: control characters are escaped, bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string format_json(std::int64_t utc_ms, Level level, std::string_view event, std::initializer_list<Field> fields);
[[nodiscard]] std::string format_text(std::int64_t utc_ms, Level level, std::string_view event, std::initializer_list<Field> fields);

inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::debug, event, fields); }
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::info, event, fields); }
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::warning, event, fields); }
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::error, event, fields); }

}  // namespace muster::log
