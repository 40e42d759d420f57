// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// JSON as handlers see it, so that Boost.JSON is compiled in one file only.
namespace muster::api {

/// A JSON value that owns everything in it. Numbers without fraction that fit 64 bits are integers, all others are numbers.
struct Json {
  enum class Kind : std::uint8_t { null, boolean, integer, number, text, array, object };
  struct Member;

  Kind kind = Kind::null;
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;  ///< Also set when kind is integer.
  std::string text;
  std::vector<Json> items;
  std::vector<Member> members;  ///< In the order given, each name once.

  [[nodiscard]] static Json of(std::string_view value);
  [[nodiscard]] static Json of(std::int64_t value);
  [[nodiscard]] static Json of(bool value);
  /// nullptr: no such member, or no object.
  [[nodiscard]] const Json* find(std::string_view name) const noexcept;
};

struct Json::Member {
  std::string first;
  Json second;
};

enum class JsonProblem : std::uint8_t { none, malformed, bad_utf8, too_deep, too_many, name_twice };
struct ParsedJson {
  JsonProblem problem = JsonProblem::none;
  Json value;
};
inline constexpr std::size_t json_depth_max = 16;
/// Of all depths together: a value of one byte of text takes a hundred and more of memory.
inline constexpr std::size_t json_values_max = 20'000;

/// Strict JSON of one value.
[[nodiscard]] ParsedJson parse_json(std::string_view text);
[[nodiscard]] std::string to_text(const Json& value);

/// Appends `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);
/// The shortest text that reads back as the same number; `keep_fraction` writes 1 as 1.0. Not finite: null.
void append_json_number(std::string& out, double value, bool keep_fraction = false);

/// Writes JSON text front to back. The caller keeps objects and arrays balanced.
class JsonWriter {
 public:
  JsonWriter& object() { return open('{'); }
  JsonWriter& object(std::string_view key) { return name(key).open('{', true); }
  JsonWriter& array() { return open('['); }
  JsonWriter& array(std::string_view key) { return name(key).open('[', true); }
  JsonWriter& end_object() {
    out_ += '}';
    return *this;
  }
  JsonWriter& end_array() {
    out_ += ']';
    return *this;
  }

  JsonWriter& add(std::string_view key, std::string_view value) {
    name(key);
    append_json_string(out_, value);
    return *this;
  }
  JsonWriter& add(std::string_view key, const char* value) { return add(key, std::string_view{value}); }
  JsonWriter& add(std::string_view key, const std::string& value) { return add(key, std::string_view{value}); }
  template <class T>
    requires std::is_arithmetic_v<T>
  JsonWriter& add(std::string_view key, T value) {
    name(key);
    return number(value);
  }
  JsonWriter& add_null(std::string_view key) {
    name(key);
    out_ += "null";
    return *this;
  }
  /// `json` is JSON text already.
  JsonWriter& add_raw(std::string_view key, std::string_view json) {
    name(key);
    out_ += json;
    return *this;
  }
  JsonWriter& item(std::string_view value) {
    comma();
    append_json_string(out_, value);
    return *this;
  }
  JsonWriter& item_number(std::int64_t value) {
    comma();
    return number(value);
  }

  [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void comma() {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
  }
  JsonWriter& open(char bracket, bool after_name = false) {
    if (!after_name) comma();
    out_ += bracket;
    return *this;
  }
  JsonWriter& name(std::string_view key) {
    comma();
    append_json_string(out_, key);
    out_ += ':';
    return *this;
  }
  template <class T>
  JsonWriter& number(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      out_ += value ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<T>) {
      append_json_number(out_, value);
    } else {
      out_ += std::to_string(value);
    }
    return *this;
  }
  std::string out_;
};

}  // namespace muster::api
