// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/known_device.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

constexpr std::int64_t life_s = 400LL * 24 * 3'600;  // As long as browsers keep cookies.
constexpr std::string_view account_domain = "known-device-account", mark_domain = "known-device";

// account 16, issued 16, nonce 32, MAC 64: hexadecimal, lower case.
constexpr std::size_t issued_at = 16, nonce_at = 32, mac_at = 64, mark_size = 128;

template <std::size_t N>
std::string hex(const std::array<std::uint8_t, N>& bytes, std::size_t count = N) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out += digits[bytes[i] >> 4];
    out += digits[bytes[i] & 15u];
  }
  return out;
}

std::string hex(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
  return hex(bytes);
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view cookie_of(const Request& request, std::string_view name) noexcept {
  std::string_view cookies = request.header("Cookie");
  while (!cookies.empty()) {
    const auto end = cookies.find(';');
    std::string_view cookie = cookies.substr(0, end);
    cookies = end == std::string_view::npos ? std::string_view{} : cookies.substr(end + 1);
    while (cookie.starts_with(' ')) cookie.remove_prefix(1);
    if (cookie.size() > name.size() && cookie.starts_with(name) && cookie[name.size()] == '=') return cookie.substr(name.size() + 1);
  }
  return {};
}

std::string make_known_device(Core& core, std::string_view email) {
  std::array<std::uint8_t, 16> nonce{};
  core.random.fill(nonce);
  std::string mark = hex(core.keys.digest(account_domain, domain::lower_ascii(email)).newest().mac, 8);
  mark += hex(static_cast<std::uint64_t>(core.clock.utc_now().ms / 1000)) + hex(nonce);
  return mark + hex(core.keys.digest(mark_domain, mark).newest().mac);
}

std::string_view sent_known_device(const Request& request) noexcept {
  const std::string_view header = request.header(known_device_header);
  return header.empty() ? cookie_of(request, known_device_cookie) : header;
}

bool is_known_device(const Core& core, std::string_view mark) {
  if (mark.size() != mark_size) return false;
  bool ours = false;
  const TokenDigests digests = core.keys.digest(mark_domain, mark.substr(0, mac_at));
  for (const TokenDigest& digest : digests.all()) {
    if (CRYPTO_memcmp(hex(digest.mac).data(), mark.data() + mac_at, mark_size - mac_at) == 0) ours = true;
  }
  const auto issued = number_of(mark.substr(issued_at, nonce_at - issued_at));
  return ours && issued && core.clock.utc_now().ms / 1000 - static_cast<std::int64_t>(*issued) < life_s;
}

std::optional<std::uint64_t> known_device_key(const Core& core, std::string_view mark, std::string_view email) {
  if (!is_known_device(core, mark)) return std::nullopt;
  const auto accounts = core.keys.digest(account_domain, domain::lower_ascii(email));
  const bool his = std::any_of(accounts.all().begin(), accounts.all().end(),
                               [&](const TokenDigest& digest) { return hex(digest.mac, 8) == mark.substr(0, issued_at); });
  return his ? number_of(mark.substr(nonce_at, 16)) : std::nullopt;
}

std::string known_device_cookie_header(std::string_view mark, bool secure) {
  std::string cookie{known_device_cookie};
  cookie.append("=").append(mark).append("; Path=/; HttpOnly; SameSite=Strict; Max-Age=").append(std::to_string(life_s));
  if (secure) cookie += "; Secure";
  return cookie;
}

}  // namespace muster::api
