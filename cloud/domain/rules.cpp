// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/rules.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <unordered_set>

#include "cloud/domain/value_rules.hpp"

namespace muster::domain {

namespace {

constexpr std::size_t device_name_max = 60;
constexpr std::size_t long_name_max = 100;
constexpr std::size_t user_name_max = 60;
constexpr std::size_t datastream_name_max = 60;
constexpr std::size_t meta_field_name_max = 60;
constexpr std::size_t event_name_max = 60;
constexpr std::size_t event_code_max = 50;
constexpr std::size_t event_description_max = 300;
constexpr std::size_t description_max = 1000;
constexpr std::size_t manufacturer_max = 128;
constexpr std::size_t hotspot_prefix_max = 20;  // "<prefix> <name>-<5>" stays under 32 bytes; agents cut the name, never the prefix.
constexpr std::size_t short_word_max = 64;
constexpr std::array<std::string_view, 11> connection_types{"WI_FI",     "ETHERNET", "CELLULAR", "GSM",    "LORAWAN", "SATELLITE",
                                                            "BLUETOOTH", "BLE",      "USB",      "THREAD", "OTHER"};
constexpr std::size_t units_max = 32;
constexpr std::size_t datastreams_max = 256;
constexpr std::size_t meta_fields_max = 50;
constexpr std::size_t events_max = 100;
constexpr std::size_t enum_values_max = 256;
constexpr std::size_t tmpl_ids_max = 16;
constexpr std::uint8_t decimals_max = 15;

/// Decodes the code point at `at` and moves past it; nullopt: not UTF-8 (overlong, surrogate, cut off, above U+10FFFF).
std::optional<char32_t> next_code_point(std::string_view text, std::size_t& at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) {
    ++at;
    return first;
  }
  std::size_t more = 0;
  char32_t value = 0;
  char32_t lowest = 0;
  if (first >= 0xC2 && first < 0xE0) {
    more = 1;
    value = first & 0x1Fu;
    lowest = 0x80;
  } else if (first >= 0xE0 && first < 0xF0) {
    more = 2;
    value = first & 0x0Fu;
    lowest = 0x800;
  } else if (first >= 0xF0 && first < 0xF5) {
    more = 3;
    value = first & 0x07u;
    lowest = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() - at <= more) return std::nullopt;
  for (std::size_t i = 1; i <= more; ++i) {
    const unsigned char next = byte(at + i);
    if ((next & 0xC0u) != 0x80u) return std::nullopt;
    value = (value << 6) | (next & 0x3Fu);
  }
  if (value < lowest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return std::nullopt;
  at += more + 1;
  return value;
}

struct Range {
  char32_t first, last;
};

/// Blocks above ASCII that hold no letters, digits or marks of a script: controls, punctuation, symbols, private use, tags.
/// What is not in here counts as a letter, so that a script added to Unicode tomorrow needs no new table.
constexpr std::array<Range, 30> no_letters = {{
    {0x80, 0xA9},     {0xAB, 0xB4},     {0xB6, 0xB9},     {0xBB, 0xBF},     {0xD7, 0xD7},     {0xF7, 0xF7},
    {0x2C2, 0x2C5},   {0x2D2, 0x2DF},   {0x37E, 0x37E},   {0x55A, 0x55F},   {0x589, 0x58F},   {0x600, 0x60F},
    {0x61B, 0x61F},   {0x66A, 0x66D},   {0x964, 0x965},   {0xE3F, 0xE3F},   {0x1680, 0x1680}, {0x180E, 0x180E},
    {0x2000, 0x2070}, {0x2074, 0x207E}, {0x2080, 0x208E}, {0x20A0, 0x20CF}, {0x2100, 0x2BFF}, {0x2E00, 0x2E7F},
    {0x2FF0, 0x3004}, {0x3007, 0x3030}, {0xD800, 0xF8FF}, {0xFDD0, 0xFDEF}, {0xFE10, 0xFE6F}, {0xFFE0, 0xFFFF},
}};

bool is_letter_or_digit(char32_t c) noexcept {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  if (c == 0xFEFF || (c >= 0xFF00 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF20)) return false;
  if (c >= 0x1F000 && c <= 0x1FAFF) return false;  // Pictographs.
  if (c >= 0xE0000) return false;                  // Tags, variation selectors, private planes.
  const auto* after =
      std::upper_bound(no_letters.begin(), no_letters.end(), c, [](char32_t value, const Range& range) { return value < range.first; });
  return after == no_letters.begin() || c > (after - 1)->last;
}

bool is_printable(char32_t c) noexcept {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return false;
  // Line and paragraph separators, and marks that turn the direction of text: what is shown would not be what is stored.
  if (c == 0x2028 || c == 0x2029 || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) return false;
  if (c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB)) return false;
  return (c & 0xFFFE) != 0xFFFE;
}

/// Characters (code points), or nullopt when `allowed` refuses one or the text is not UTF-8.
template <class Allowed>
std::optional<std::size_t> count_allowed(std::string_view text, Allowed allowed) noexcept {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    const auto c = next_code_point(text, at);
    if (!c || !allowed(*c)) return std::nullopt;
  }
  return count;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view space = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

/// Names that may hold anything printable.
Complaint check_printable(std::string_view what, std::string_view text, std::size_t least, std::size_t most) {
  const auto count = count_allowed(trimmed(text), is_printable);
  const std::string subject{what};
  if (!count) return subject + " holds characters that cannot be shown; use printable text in UTF-8.";
  if (*count < least) return subject + " is empty; give it a text.";
  if (*count > most) {
    return subject + " has " + std::to_string(*count) + " characters; at most " + std::to_string(most) + " are allowed.";
  }
  return std::nullopt;
}

bool is_label_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/// Labels of letters, digits, hyphen and underscore, parted by single dots.
bool is_host_name(std::string_view host) noexcept {
  std::size_t label = 0;
  for (const char c : host) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (is_label_character(c) && label < 63) {
      ++label;
    } else {
      return false;
    }
  }
  return label > 0;
}

Complaint check_datastream(const Datastream& stream, std::string_view where) {
  const std::string subject = "Datastream " + std::string{where};
  if (auto complaint = check_printable(subject + "'s name", stream.name, 1, datastream_name_max)) return complaint;
  if (auto complaint = check_printable(subject + "'s alias", stream.alias, 0, datastream_name_max)) return complaint;
  if (auto complaint = check_printable(subject + "'s units", stream.units, 0, units_max)) return complaint;
  if (stream.decimals > decimals_max) return subject + " shows more than " + std::to_string(decimals_max) + " decimals; lower the number.";
  if ((stream.min && !std::isfinite(*stream.min)) || (stream.max && !std::isfinite(*stream.max))) {
    return subject + " has a limit that is not a finite number.";
  }
  const bool is_number = stream.type == DataType::integer || stream.type == DataType::real;
  if (!is_number && (stream.min || stream.max)) return subject + " has min or max, which only INTEGER and DOUBLE can have.";
  if (stream.min && stream.max && *stream.min > *stream.max) return subject + " has a min above its max; exchange them.";
  if (stream.type == DataType::integer && stream.min && stream.max && std::ceil(*stream.min) > std::floor(*stream.max)) {
    return subject + " allows no whole number between its min and its max.";
  }
  if (stream.type != DataType::enumeration && !stream.enum_values.empty())
    return subject + " has a list of values, which only ENUM can have.";
  if (stream.type == DataType::enumeration) {
    if (stream.enum_values.empty()) return subject + " is an ENUM without values; list at least one.";
    if (stream.enum_values.size() > enum_values_max) return subject + " lists more than " + std::to_string(enum_values_max) + " values.";
    std::unordered_set<std::string_view> seen;
    for (const auto& value : stream.enum_values) {
      if (auto complaint = check_printable(subject + "'s list", value, 1, datastream_name_max)) return complaint;
      if (!seen.insert(value).second) return subject + " lists the value \"" + value + "\" twice.";
    }
  }
  if (!stream.default_value.empty()) {
    PublishedTemplate alone;
    alone.datastream_by_pin.fill(PublishedTemplate::no_datastream);
    alone.datastream_by_pin[stream.pin] = 0;
    alone.datastreams.push_back(stream);
    std::string stored;
    if (judge_value(alone, stream.pin, stream.default_value, stored) != ValueVerdict::accepted) {
      return subject + " has a default value that does not fit its type.";
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  return count_allowed(text, [](char32_t) { return true; }).has_value();
}

bool is_printable_text(std::string_view text) noexcept { return count_allowed(text, is_printable).has_value(); }

std::string printable_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const auto c = next_code_point(text, at);
    if (!c) at = begin + 1;
    if (c && is_printable(*c)) {
      out.append(text.substr(begin, at - begin));
    } else {
      out += ' ';
    }
  }
  return out;
}

std::size_t character_count(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string trim(std::string_view text) { return std::string{trimmed(text)}; }

std::string lower_ascii(std::string_view text) {
  std::string lower{text};
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

Complaint check_device_name(std::string_view name) {
  constexpr std::string_view marks = " '_-.()#";
  const auto count = count_allowed(trimmed(name), [&](char32_t c) {
    return is_letter_or_digit(c) || (c < 0x80 && marks.find(static_cast<char>(c)) != std::string_view::npos);
  });
  if (!count) return "The device name may hold letters, digits, spaces and ' _ - . ( ) # only; take the other characters out.";
  if (*count == 0) return "The device name is empty; give the device a name.";
  if (*count > device_name_max) {
    return "The device name has " + std::to_string(*count) + " characters; at most " + std::to_string(device_name_max) + " are allowed.";
  }
  return std::nullopt;
}

Complaint check_organization_name(std::string_view name) { return check_printable("The organization's name", name, 1, long_name_max); }
Complaint check_template_name(std::string_view name) { return check_printable("The template's name", name, 1, long_name_max); }
Complaint check_user_name(std::string_view name) { return check_printable("The user's name", name, 0, user_name_max); }

Complaint check_email(std::string_view email) {
  constexpr auto wrong = "This is not an email address; it should look like name@example.com.";
  if (email.size() > 254) return "The email address is longer than 254 characters.";
  const auto at = email.find('@');
  if (at == std::string_view::npos || at == 0 || at > 64) return wrong;
  for (const char c : email.substr(0, at)) {
    constexpr std::string_view refused = "\"(),:;<>[\\]";
    if (static_cast<unsigned char>(c) >= 0x80)
      return "What stands before the @ must be ASCII: many mail servers deliver to no other address.";
    if (c <= ' ' || c >= 0x7F || refused.find(c) != std::string_view::npos) return wrong;
  }
  const auto local = email.substr(0, at);
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) return wrong;
  const auto domain = email.substr(at + 1);
  if (!is_host_name(domain) || domain.front() == '-' || domain.back() == '-') return wrong;
  return std::nullopt;
}

Complaint check_password(std::string_view password) {
  if (password.size() < 8) return "The password is shorter than 8 characters; choose a longer one.";
  if (password.size() > 256) return "The password is longer than 256 bytes; choose a shorter one.";
  if (!is_valid_utf8(password)) return "The password is not valid UTF-8; check the terminal's encoding.";
  if (password.find('\0') != std::string_view::npos) return "The password holds a NUL character; choose another one.";
  return std::nullopt;
}

Complaint check_home(const Home& home) {
  if (home.host.empty()) return std::nullopt;
  if (home.host.size() > 63) return "The home host is longer than 63 characters, which firmware cuts off; use a shorter name.";
  if (!is_host_name(home.host)) return "The home host is neither a host name nor an IPv4 address.";
  if (home.port_plain == 0 || home.port_tls == 0) return "The home's ports must lie between 1 and 65535.";
  return std::nullopt;
}

bool is_tmpl_id(std::string_view text) noexcept {
  if (text.substr(0, 4) != "TMPL" || text.size() < 8 || text.size() > 20) return false;
  return std::all_of(text.begin() + 4, text.end(), is_label_character);
}

std::string generate_tmpl_id(Random& random) {
  constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string id = "TMPL";
  for (int i = 0; i < 9; ++i) id += alphabet[static_cast<std::size_t>(random.below(alphabet.size()))];
  return id;
}

Complaint check_template(const Template& value) {
  if (auto complaint = check_template_name(value.name)) return complaint;
  if (value.tmpl_ids.size() > tmpl_ids_max) return "The template has more than " + std::to_string(tmpl_ids_max) + " TMPL ids.";
  for (const auto& id : value.tmpl_ids) {
    if (!is_tmpl_id(id)) return "A TMPL id must be TMPL and 4 to 16 letters, digits, hyphens or underscores.";
  }
  if (auto complaint = check_printable("The board type", value.board_type, 0, short_word_max)) return complaint;
  if (std::find(connection_types.begin(), connection_types.end(), value.connection_type) == connection_types.end()) {
    std::string words;
    for (const auto word : connection_types) words.append(words.empty() ? "" : ", ").append(word);
    return "There is no such connection type; write one of " + words + ".";
  }
  if (auto complaint = check_printable("The firmware type", value.firmware_type, 0, short_word_max)) return complaint;
  if (auto complaint = check_printable("The manufacturer", value.manufacturer, 0, manufacturer_max)) return complaint;
  if (count_allowed(value.description, [](char32_t c) {
        return is_printable(c) || c == '\n' || c == '\r' || c == '\t';
      }).value_or(description_max + 1) > description_max) {
    return "The description is longer than " + std::to_string(description_max) + " characters, or holds some that cannot be shown.";
  }
  if (value.hotspot_prefix.size() > hotspot_prefix_max ||
      !std::all_of(value.hotspot_prefix.begin(), value.hotspot_prefix.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u < 0x80 && (is_letter_or_digit(u) || c == ' ');
      })) {
    return "The hotspot prefix may hold at most " + std::to_string(hotspot_prefix_max) +
           " letters, digits and spaces, so that the device's Wi-Fi name stays under 32 bytes.";
  }

  if (value.datastreams.size() > datastreams_max) return "The template has more than " + std::to_string(datastreams_max) + " datastreams.";
  std::bitset<256> pins;
  std::unordered_set<std::string_view> names;
  std::unordered_set<std::string_view> aliases;
  for (const auto& stream : value.datastreams) {
    const std::string where = "V" + std::to_string(stream.pin);
    if (pins.test(stream.pin)) return "Pin " + where + " has two datastreams; give one of them another pin.";
    pins.set(stream.pin);
    if (auto complaint = check_datastream(stream, where)) return complaint;
    if (!names.insert(trimmed(stream.name)).second) return "Two datastreams are called \"" + stream.name + "\"; rename one of them.";
    if (!stream.alias.empty() && !aliases.insert(stream.alias).second) {
      return "Two datastreams have the alias \"" + stream.alias + "\"; change one of them.";
    }
  }

  if (value.meta_fields.size() > meta_fields_max)
    return "The template has more than " + std::to_string(meta_fields_max) + " metadata fields.";
  names.clear();
  for (const auto& field : value.meta_fields) {
    if (auto complaint = check_printable("A metadata field's name", field.name, 1, meta_field_name_max)) return complaint;
    if (trimmed(field.name).size() != field.name.size())
      return "The metadata field \"" + field.name + "\" begins or ends with a space; names are exact.";
    if (!names.insert(field.name).second) return "Two metadata fields are called \"" + field.name + "\"; rename one of them.";
    if (auto complaint = check_printable("A metadata field's default", field.default_value, 0, 255)) return complaint;
    if (auto complaint = check_printable("A metadata field's description", field.description, 0, event_description_max)) return complaint;
  }

  if (value.events.size() > events_max) return "The template has more than " + std::to_string(events_max) + " events.";
  names.clear();
  for (const auto& event : value.events) {
    if (auto complaint = check_printable("An event's name", event.name, 1, event_name_max)) return complaint;
    if (event.code.empty() || event.code.size() > event_code_max ||
        !std::all_of(event.code.begin(), event.code.end(), is_label_character)) {
      return "An event's code must be 1 to " + std::to_string(event_code_max) + " letters, digits, hyphens or underscores.";
    }
    if (!names.insert(event.code).second) return "Two events have the code \"" + event.code + "\"; change one of them.";
    if (auto complaint = check_printable("An event's description", event.description, 0, event_description_max)) return complaint;
  }
  return std::nullopt;
}

}  // namespace muster::domain
