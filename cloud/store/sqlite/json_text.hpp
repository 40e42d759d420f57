// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::store {

/// `text` as a JSON string with its quotes: control characters escaped, bytes that are no UTF-8 as U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Writes the details of audit entries: a JSON object, key by key. Keys are escaped as values are.
class JsonText {
 public:
  JsonText& text(std::string_view key, std::string_view value);
  JsonText& number(std::string_view key, std::int64_t value);
  JsonText& flag(std::string_view key, bool value);
  JsonText& object(std::string_view key, const JsonText& value);
  /// What names a person stands apart, at the same place in an object of its own, so that it can be erased. An email always does.
  JsonText& personal(std::string_view key, std::string_view value);
  JsonText& append(const JsonText& more);  ///< All keys of `more`.
  [[nodiscard]] std::string finish() const { return '{' + body_ + '}'; }
  /// Empty: nothing names a person.
  [[nodiscard]] std::string finish_personal() const { return personal_.empty() ? std::string{} : '{' + personal_ + '}'; }

 private:
  static void key(std::string& out, std::string_view key);
  std::string body_, personal_;
};

}  // namespace muster::store
