// SPDX-License-Identifier: Apache-2.0
#include "agent/core/settings.hpp"

#include "agent/core/renew.hpp"

namespace muster::agent {

namespace {

enum class Key : std::uint8_t { interface, ssid, ssid_manual, pass, token, host, port, ip, mask, gateway, dns, dns2, save };
struct Name {
  std::string_view text;
  Key key;
};
constexpr Name names[] = {
    {"if", Key::interface}, {"ssid", Key::ssid},     {"ssidManual", Key::ssid_manual},
    {"pass", Key::pass},    {"blynk", Key::token},   {"host", Key::host},
    {"port", Key::port},    {"port_ssl", Key::port}, {"ip", Key::ip},
    {"mask", Key::mask},    {"gw", Key::gateway},    {"dns", Key::dns},
    {"dns2", Key::dns2},    {"save", Key::save},
};

/// Decimal digits only; false for anything else and for more than `max`.
bool parse_number(std::string_view text, std::uint32_t max, std::uint32_t& value) noexcept {
  std::uint32_t result = 0;
  if (text.empty() || text.size() > 9) {
    return false;
  }
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
    result = result * 10 + static_cast<std::uint32_t>(c - '0');
  }
  value = result;
  return result <= max;
}

/// `true` in any case, or a number that is not zero.
bool is_yes(std::string_view text) noexcept {
  constexpr std::string_view word = "true";
  bool same = text.size() == word.size();
  for (std::size_t i = 0; same && i < word.size(); ++i) {
    same = (text[i] | 0x20) == word[i];
  }
  std::uint32_t number = 0;
  return same || (parse_number(text, 999'999'999, number) && number != 0);
}

/// Ones, then zeros.
bool is_mask(std::uint32_t mask) noexcept { return mask != 0 && ((~mask + 1) & ~mask) == 0; }

}  // namespace

void SetupSettings::judge(Fault fault, bool good) noexcept {
  faults_ = static_cast<std::uint16_t>(good ? faults_ & ~fault : faults_ | fault);
}

void SetupSettings::set_address(std::uint32_t& address, std::string_view value, Fault fault) noexcept {
  address = 0;
  judge(fault, value.empty() || parse_ipv4(value, address));
}

bool SetupSettings::set(std::string_view key, std::string_view value) noexcept {
  const Name* found = nullptr;
  for (const Name& name : names) {
    if (name.text == key) {
      found = &name;
    }
  }
  if (found == nullptr) {
    return false;
  }
  switch (found->key) {
    case Key::interface:
      network_.interface = value == "wifi" ? Interface::wifi : value == "eth" ? Interface::ethernet : Interface::none;
      judge(fault_interface, network_.interface != Interface::none || value.empty());
      break;
    case Key::ssid:
      if (!manual_) {
        judge(fault_ssid, network_.ssid.assign(value));
      }
      break;
    case Key::ssid_manual:
      if (!value.empty()) {
        manual_ = true;
        judge(fault_ssid, network_.ssid.assign(value));
      }
      break;
    case Key::pass: judge(fault_pass, is_valid_passphrase(value) && network_.passphrase.assign(value)); break;
    case Key::token: judge(fault_token, is_valid_token(value) && token_.assign(value)); break;
    case Key::host:
      host_.clear();
      judge(fault_host, value.empty() || (is_valid_host(value) && host_.assign(value)));
      break;
    case Key::port: {
      std::uint32_t port = 0;
      judge(fault_port, value.empty() || parse_number(value, 65535, port));
      port_ = static_cast<std::uint16_t>(port);
      break;
    }
    case Key::ip: set_address(network_.fixed.address, value, fault_ip); break;
    case Key::mask: set_address(network_.fixed.mask, value, fault_mask); break;
    case Key::gateway: set_address(network_.fixed.gateway, value, fault_gateway); break;
    case Key::dns: set_address(network_.fixed.dns, value, fault_dns); break;
    case Key::dns2: set_address(network_.fixed.dns2, value, fault_dns2); break;
    case Key::save: save_ = is_yes(value); break;
  }
  return true;
}

void SetupSettings::clear() noexcept { renew(*this); }

bool SetupSettings::valid(bool has_ethernet) const noexcept {
  if (faults_ != 0 || token_.empty()) {
    return false;
  }
  const StaticAddress& fixed = network_.fixed;
  if (fixed.address != 0 && fixed.mask != 0 && !is_mask(fixed.mask)) {
    return false;
  }
  if (network_.interface == Interface::ethernet) {
    return has_ethernet;
  }
  return !network_.ssid.empty();
}

bool parse_ipv4(std::string_view text, std::uint32_t& address) noexcept {
  std::uint32_t result = 0;
  for (int part = 0; part < 4; ++part) {
    const std::size_t dot = part < 3 ? text.find('.') : text.size();
    std::uint32_t number = 0;
    if (dot == std::string_view::npos || dot > 3 || !parse_number(wire::first(text, dot), 255, number)) {
      return false;
    }
    result = result << 8 | number;
    text.remove_prefix(part < 3 ? dot + 1 : dot);
  }
  address = result;
  return true;
}

FixedText<15> format_ipv4(std::uint32_t address) noexcept {
  char text[15];
  std::size_t size = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const std::uint32_t part = address >> shift & 0xff;
    if (part >= 100) {
      text[size++] = static_cast<char>('0' + part / 100);
    }
    if (part >= 10) {
      text[size++] = static_cast<char>('0' + part / 10 % 10);
    }
    text[size++] = static_cast<char>('0' + part % 10);
    if (shift != 0) {
      text[size++] = '.';
    }
  }
  FixedText<15> out;
  static_cast<void>(out.assign({text, size}));
  return out;
}

FixedText<17> format_mac(const std::uint8_t (&mac)[6]) noexcept {
  constexpr char digits[] = "0123456789ABCDEF";
  char text[17];
  std::size_t size = 0;
  for (const std::uint8_t byte : mac) {
    if (size != 0) {
      text[size++] = ':';
    }
    text[size++] = digits[byte >> 4];
    text[size++] = digits[byte & 0x0f];
  }
  FixedText<17> out;
  static_cast<void>(out.assign({text, size}));
  return out;
}

}  // namespace muster::agent
