// SPDX-License-Identifier: Apache-2.0
#include "agent/core/device_name.hpp"

#include <cstring>

#include "agent/core/crc32.hpp"

namespace muster::agent {

namespace {

constexpr std::size_t first_rule_template_room_bytes = 25;  // Less the vendor's size.
constexpr std::size_t second_rule_size_max_bytes = 29;
constexpr char first_alphabet[] = "0W8N4Y1HP5DF9K6JM3C2UA7R";
constexpr char second_alphabet[] = "0W8N4Y1HP5DF9K6JM3C2XA7R";
constexpr std::uint32_t alphabet_size = sizeof second_alphabet - 1;

bool continues_character(char c) noexcept { return (static_cast<std::uint8_t>(c) & 0xc0) == 0x80; }

/// At most `size` bytes of the beginning, without a part of a character at the end.
std::string_view cut(std::string_view text, std::size_t size) noexcept {
  if (text.size() <= size) {
    return text;
  }
  while (size != 0 && continues_character(text[size])) {
    --size;
  }
  return wire::first(text, size);
}

class Builder {
 public:
  void put(std::string_view text) noexcept {
    const std::size_t count = text.size() < sizeof bytes_ - size_ ? text.size() : sizeof bytes_ - size_;
    if (count != 0) {
      std::memcpy(bytes_ + size_, text.data(), count);
    }
    size_ += count;
  }
  [[nodiscard]] DeviceName name() const noexcept {
    DeviceName name;
    static_cast<void>(name.assign({bytes_, size_}));
    return name;
  }

 private:
  char bytes_[DeviceName::capacity_bytes];
  std::size_t size_ = 0;
};

}  // namespace

UniqueSuffix make_unique_suffix(wire::ByteView chip_id, NameRule rule) noexcept {
  const char* const alphabet = rule == NameRule::first ? first_alphabet : second_alphabet;
  std::uint32_t unique = 0;
  for (int pass = 0; pass < 4; ++pass) {
    unique = crc32(chip_id.data, chip_id.size, unique);
  }
  char digits[UniqueSuffix::capacity_bytes];
  char previous = '\0';
  for (char& digit : digits) {
    digit = alphabet[unique % alphabet_size];
    if (digit == previous) {
      digit = alphabet[(unique + 1) % alphabet_size];
    }
    previous = digit;
    unique /= alphabet_size;
  }
  UniqueSuffix suffix;
  static_cast<void>(suffix.assign({digits, sizeof digits}));
  return suffix;
}

DeviceName make_device_name(std::string_view vendor, std::string_view template_name, std::string_view suffix, NameRule rule) noexcept {
  Builder builder;
  if (rule == NameRule::first) {
    vendor = cut(vendor, first_rule_template_room_bytes);
    builder.put(vendor);
    builder.put(" ");
    builder.put(cut(template_name, first_rule_template_room_bytes - vendor.size()));
    builder.put("-");
    builder.put(cut(suffix, UniqueSuffix::capacity_bytes));
    return builder.name();
  }
  vendor = cut(vendor, second_rule_size_max_bytes);
  std::size_t left = second_rule_size_max_bytes - vendor.size();
  std::string_view unique;
  if (!suffix.empty() && left >= 2) {
    unique = cut(suffix, left - 1);
    if (!unique.empty()) {
      left -= unique.size() + 1;
    }
  }
  builder.put(vendor);
  if (template_name != vendor && left >= 2) {  // A space, and at least one character.
    const std::string_view name = cut(template_name, left - 1);
    if (!name.empty()) {
      builder.put(" ");
      builder.put(name);
    }
  }
  if (!unique.empty()) {
    builder.put("-");
    builder.put(unique);
  }
  return builder.name();
}

DeviceName make_host_name(std::string_view device_name) noexcept {
  Builder builder;
  for (const char c : device_name) {
    builder.put(c == ' ' ? std::string_view{"-"} : std::string_view{&c, 1});
  }
  return builder.name();
}

FixedText<36> make_device_uid(const std::uint8_t (&random)[16]) noexcept {
  constexpr char digits[] = "0123456789abcdef";
  char text[36];
  std::size_t at = 0;
  for (std::size_t i = 0; i < sizeof random; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      text[at++] = '-';
    }
    std::uint8_t byte = random[i];
    if (i == 6) {
      byte = static_cast<std::uint8_t>((byte & 0x0f) | 0x40);  // Version 4.
    } else if (i == 8) {
      byte = static_cast<std::uint8_t>((byte & 0x3f) | 0x80);  // Variant of RFC 4122.
    }
    text[at++] = digits[byte >> 4];
    text[at++] = digits[byte & 0x0f];
  }
  FixedText<36> uid;
  static_cast<void>(uid.assign({text, sizeof text}));
  return uid;
}

}  // namespace muster::agent
