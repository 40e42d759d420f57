// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>

#include "cloud/mail/template.hpp"

namespace muster::mail {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = (group << 8) | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= left ? alphabet[(group >> (18 - 6 * k)) & 63u] : '=';
  }
  return out;
}

std::string in_lines(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(76, text.size()))) out.append(text.substr(0, 76)).append("\r\n");
  return out;
}

/// RFC 2047: words of at most 75 characters, cut between characters. Plain ASCII would do without, but then `=?` in a name would be
/// read as such a word.
std::string header_words(std::string_view text) {
  constexpr std::size_t bytes_max = 42;  // 56 of base64 and 12 around them.
  std::string out;
  while (!text.empty()) {
    std::size_t size = std::min(bytes_max, text.size());
    while (size < text.size() && size > 1 && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80) --size;
    if (!out.empty()) out += "\r\n ";
    out += "=?UTF-8?B?" + base64(text.substr(0, size)) + "?=";
    text.remove_prefix(size);
  }
  return out;
}

/// Addresses are checked where they come in; this is the last word about what reaches a header.
std::string address_only(std::string_view address) {
  std::string out;
  for (const char c : address) {
    if (c > ' ' && c < 0x7F && c != '<' && c != '>' && c != ',') out += c;
  }
  return out;
}

std::string date_of(UtcTime at) {
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = at.ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000", days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                     months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

void pack_one(std::string& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((size >> shift) & 0xFFu);
  out += text;
}

bool unpack_one(std::string_view& bytes, std::string& out) {
  if (bytes.size() < 4) return false;
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size = (size << 8) | static_cast<unsigned char>(bytes[i]);
  bytes.remove_prefix(4);
  if (size > bytes.size()) return false;
  out = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace

std::string pack(const Message& message) {
  std::string out;
  pack_one(out, message.subject);
  pack_one(out, message.text);
  pack_one(out, message.html);
  return out;
}

std::optional<Message> unpack(std::string_view bytes) {
  Message message;
  if (!unpack_one(bytes, message.subject) || !unpack_one(bytes, message.text) || !unpack_one(bytes, message.html) || !bytes.empty())
    return std::nullopt;
  return message;
}

std::string compose(const Message& message, const Sender& from, std::string_view to, UtcTime date, std::string_view id) {
  const std::string sender = address_only(from.address);
  const std::string name = one_line(from.name);
  const auto at = sender.find('@');
  const std::string host = at == std::string::npos ? "localhost" : sender.substr(at + 1);
  const std::string boundary = "=_" + address_only(id) + "_part";  // Base64 has no underscore.
  std::string out;
  out += "From: " + (name.empty() ? sender : header_words(name) + "\r\n <" + sender + ">") + "\r\n";
  out += "To: " + address_only(to) + "\r\n";
  out += "Subject: " + header_words(one_line(message.subject)) + "\r\n";
  out += "Date: " + date_of(date) + "\r\n";
  out += "Message-ID: <" + address_only(id) + "@" + host + ">\r\n";
  out += "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n";
  out += "Content-Type: multipart/alternative;\r\n boundary=\"" + boundary + "\"\r\n\r\n";
  for (const auto& [type, body] : {std::pair{"text/plain", &message.text}, std::pair{"text/html", &message.html}}) {
    out += "--" + boundary + "\r\nContent-Type: " + type + "; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    out += in_lines(base64(*body));
  }
  out += "--" + boundary + "--\r\n";
  return out;
}

}  // namespace muster::mail
