// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/address.hpp"

#include <idn2.h>

#include <algorithm>

#include "cloud/domain/rules.hpp"

namespace muster::mail {
namespace {

constexpr std::size_t address_max_bytes = 1'024;  // Longer ones are none; nobody spends time on them.

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string normal_address(std::string_view given) {
  std::string address = domain::lower_ascii(domain::trim(given));
  const auto at = address.rfind('@');
  if (at == std::string::npos || address.size() > address_max_bytes || is_ascii(std::string_view{address}.substr(at))) return address;
  const std::string host = address.substr(at + 1);
  if (host.find('\0') != std::string::npos) return address;
  char* ascii = nullptr;
  if (idn2_to_ascii_8z(host.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK) return address;
  address.replace(at + 1, std::string::npos, ascii);
  idn2_free(ascii);
  return domain::lower_ascii(address);
}

}  // namespace muster::mail
