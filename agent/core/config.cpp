// SPDX-License-Identifier: Apache-2.0
#include "agent/core/config.hpp"

#include <cstring>

#include "agent/core/crc32.hpp"
#include "agent/core/renew.hpp"

namespace muster::agent {

namespace {

constexpr std::uint8_t magic[4] = {'M', 'C', 'F', 'G'};
constexpr std::uint8_t format_version = 1;
constexpr std::size_t head_size_bytes = sizeof magic + 1 + 2;
constexpr std::size_t checksum_size_bytes = 4;

/// Keys of entries. Stored: never renumber, never reuse.
enum class Key : std::uint8_t {
  token = 1,
  host = 2,
  port = 3,
  security = 4,
  template_id = 5,
  template_name = 6,
  interface = 7,
  ssid = 8,
  passphrase = 9,
  fixed_address = 10,  ///< Address, mask, gateway and two name servers, four bytes each.
  generation = 11,
};

bool is_word(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

bool all_words(std::string_view text) noexcept {
  for (const char c : text) {
    if (!is_word(c)) {
      return false;
    }
  }
  return true;
}

std::uint32_t read_u32(const std::uint8_t* bytes) noexcept {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

void put_u32(std::uint8_t* bytes, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) {
    bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  }
}

class Writer {
 public:
  explicit Writer(wire::ByteSpan out) noexcept : out_{out} {}
  void bytes(const void* data, std::size_t count) noexcept {
    if (count > out_.size - size_) {
      failed_ = true;
      return;
    }
    if (count != 0) {
      std::memcpy(out_.data + size_, data, count);
      size_ += count;
    }
  }
  void u8(std::uint8_t value) noexcept { bytes(&value, 1); }
  void entry(Key key, const void* data, std::size_t count) noexcept {
    u8(static_cast<std::uint8_t>(key));
    u8(static_cast<std::uint8_t>(count));  // Every field is shorter than 256 bytes.
    bytes(data, count);
  }
  void text(Key key, std::string_view value) noexcept {
    if (!value.empty()) {
      entry(key, value.data(), value.size());
    }
  }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  wire::ByteSpan out_;
  std::size_t size_ = 0;
  bool failed_ = false;
};

template <std::size_t Capacity>
bool take(std::string_view text, FixedText<Capacity>* field) noexcept {
  return text.size() <= Capacity && (field == nullptr || field->assign(text));
}

/// Whether the entry can be; kept in `config` when there is one.
bool read_entry(std::uint8_t key, wire::ByteView value, DeviceConfig* config) noexcept {
  const std::string_view text = value.text();
  NetworkConfig* const network = config != nullptr ? &config->network : nullptr;
  switch (static_cast<Key>(key)) {
    case Key::token: return is_valid_token(text) && take(text, config != nullptr ? &config->token : nullptr);
    case Key::host: return is_valid_host(text) && take(text, config != nullptr ? &config->host : nullptr);
    case Key::port:
      if (value.size == 2 && config != nullptr) {
        config->port = static_cast<std::uint16_t>(value[0] << 8 | value[1]);
      }
      return value.size == 2;
    case Key::security:
      if (value.size != 1 || value[0] > static_cast<std::uint8_t>(Security::tls_pinned)) {
        return false;
      }
      if (config != nullptr) {
        config->security = static_cast<Security>(value[0]);
      }
      return true;
    case Key::template_id: return is_valid_template_id(text) && take(text, config != nullptr ? &config->template_id : nullptr);
    case Key::template_name:
      return text.find('\0') == std::string_view::npos && take(text, config != nullptr ? &config->template_name : nullptr);
    case Key::interface:
      if (value.size != 1 || value[0] > static_cast<std::uint8_t>(Interface::ethernet)) {
        return false;
      }
      if (network != nullptr) {
        network->interface = static_cast<Interface>(value[0]);
      }
      return true;
    case Key::ssid: return !text.empty() && take(text, network != nullptr ? &network->ssid : nullptr);
    case Key::passphrase:
      return !text.empty() && is_valid_passphrase(text) && take(text, network != nullptr ? &network->passphrase : nullptr);
    case Key::fixed_address:
      if (value.size == 20 && network != nullptr) {
        StaticAddress& fixed = network->fixed;
        fixed.address = read_u32(value.data);
        fixed.mask = read_u32(value.data + 4);
        fixed.gateway = read_u32(value.data + 8);
        fixed.dns = read_u32(value.data + 12);
        fixed.dns2 = read_u32(value.data + 16);
      }
      return value.size == 20;
    case Key::generation:
      if (value.size == 4 && config != nullptr) {
        config->generation = read_u32(value.data);
      }
      return value.size == 4;
  }
  return true;  // A key of a newer agent.
}

bool read_entries(wire::ByteView rest, DeviceConfig* config) noexcept {
  while (!rest.empty()) {
    if (rest.size < 2 || rest.size - 2 < rest[1] || !read_entry(rest[0], rest.drop(2).first(rest[1]), config)) {
      return false;
    }
    rest = rest.drop(std::size_t{2} + rest[1]);
  }
  return true;
}

}  // namespace

bool is_valid_token(std::string_view text) noexcept { return text.size() == 32 && all_words(text); }

bool is_valid_host(std::string_view text) noexcept {
  if (text.empty() || text.size() > 63 || text.front() == '-') {
    return false;
  }
  for (const char c : text) {
    if (!is_word(c) && c != '.' && c != ':') {
      return false;
    }
  }
  return true;
}

bool is_valid_template_id(std::string_view text) noexcept { return !text.empty() && text.size() <= 32 && all_words(text); }

bool is_valid_passphrase(std::string_view text) noexcept {
  if (text.size() == 64) {
    for (const char c : text) {
      if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
        return false;
      }
    }
    return true;
  }
  return text.empty() || (text.size() >= 8 && text.size() <= 63 && text.find('\0') == std::string_view::npos);
}

std::size_t encode_config(const DeviceConfig& config, wire::ByteSpan out) noexcept {
  // What could not be read back must not get onto the disk.
  if ((!config.token.empty() && !is_valid_token(config.token.view())) || (!config.host.empty() && !is_valid_host(config.host.view())) ||
      (!config.template_id.empty() && !is_valid_template_id(config.template_id.view())) ||
      config.template_name.view().find('\0') != std::string_view::npos || !is_valid_passphrase(config.network.passphrase.view())) {
    return 0;
  }
  Writer writer{out};
  writer.bytes(magic, sizeof magic);
  writer.u8(format_version);
  writer.u8(0);
  writer.u8(0);
  writer.text(Key::token, config.token.view());
  writer.text(Key::host, config.host.view());
  const std::uint8_t port[2] = {static_cast<std::uint8_t>(config.port >> 8), static_cast<std::uint8_t>(config.port & 0xff)};
  writer.entry(Key::port, port, sizeof port);
  const auto security = static_cast<std::uint8_t>(config.security);
  writer.entry(Key::security, &security, 1);
  writer.text(Key::template_id, config.template_id.view());
  writer.text(Key::template_name, config.template_name.view());
  const NetworkConfig& network = config.network;
  if (network.interface != Interface::none) {
    const auto interface = static_cast<std::uint8_t>(network.interface);
    writer.entry(Key::interface, &interface, 1);
  }
  writer.text(Key::ssid, network.ssid.view());
  writer.text(Key::passphrase, network.passphrase.view());
  if (network.fixed.address != 0) {
    std::uint8_t fixed[20];
    put_u32(fixed, network.fixed.address);
    put_u32(fixed + 4, network.fixed.mask);
    put_u32(fixed + 8, network.fixed.gateway);
    put_u32(fixed + 12, network.fixed.dns);
    put_u32(fixed + 16, network.fixed.dns2);
    writer.entry(Key::fixed_address, fixed, sizeof fixed);
  }
  if (config.generation != 0) {
    std::uint8_t generation[4];
    put_u32(generation, config.generation);
    writer.entry(Key::generation, generation, sizeof generation);
  }
  if (writer.failed()) {
    return 0;
  }
  const std::size_t payload_size = writer.size() - head_size_bytes;
  out.data[5] = static_cast<std::uint8_t>(payload_size >> 8);
  out.data[6] = static_cast<std::uint8_t>(payload_size & 0xff);
  const std::uint32_t crc = crc32(out.data, writer.size());
  for (const int shift : {24, 16, 8, 0}) {
    writer.u8(static_cast<std::uint8_t>((crc >> shift) & 0xff));
  }
  return writer.failed() ? 0 : writer.size();
}

ConfigStatus decode_config(wire::ByteView record, DeviceConfig& config) noexcept {
  if (record.size < head_size_bytes) {
    return ConfigStatus::truncated;
  }
  if (std::memcmp(record.data, magic, sizeof magic) != 0) {
    return ConfigStatus::corrupt;
  }
  const std::uint8_t version = record[4];
  const std::size_t payload_size = static_cast<std::size_t>(record[5] << 8 | record[6]);
  const std::size_t total = head_size_bytes + payload_size + checksum_size_bytes;
  if (record.size < total) {
    return ConfigStatus::truncated;
  }
  if (record.size > total || read_u32(record.data + total - checksum_size_bytes) != crc32(record.data, total - checksum_size_bytes)) {
    return ConfigStatus::corrupt;
  }
  if (version != format_version) {
    return version > format_version ? ConfigStatus::newer_version : ConfigStatus::corrupt;
  }
  const wire::ByteView payload{record.data + head_size_bytes, payload_size};
  if (!read_entries(payload, nullptr)) {  // All of it, before anything is touched.
    return ConfigStatus::corrupt;
  }
  renew(config);
  static_cast<void>(read_entries(payload, &config));
  return ConfigStatus::ok;
}

}  // namespace muster::agent
