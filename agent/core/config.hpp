// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/fixed_text.hpp"
#include "agent/port/radio.hpp"
#include "wire/bytes.hpp"

/// What a device keeps: who it is, where its cloud is, and its network. Encoded as one small record with a version and a checksum.
namespace muster::agent {

/// How to talk to the cloud. Values are stored: never renumber.
enum class Security : std::uint8_t {
  plain = 0,       ///< No TLS.
  tls = 1,         ///< TLS, trusting the platform's CAs.
  tls_pinned = 2,  ///< TLS, trusting only the CA that was given.
};

/// Values are stored: never renumber.
enum class Interface : std::uint8_t {
  none = 0,  ///< The platform's own network, which this device does not set up.
  wifi = 1,
  ethernet = 2,
};

/// How the device gets onto a network.
struct NetworkConfig {
  Interface interface = Interface::none;
  FixedText<ssid_size_max_bytes> ssid;              ///< Any 1 to 32 bytes for Wi-Fi.
  FixedText<passphrase_size_max_bytes> passphrase;  ///< See is_valid_passphrase.
  StaticAddress fixed;                              ///< address 0: DHCP.
};

struct DeviceConfig {
  FixedText<32> token;     ///< The auth token; see is_valid_token. Empty: none yet.
  FixedText<63> host;      ///< Name or address literal; see is_valid_host. Empty: none yet.
  std::uint16_t port = 0;  ///< 0: the usual ones, 443 then 9443 with TLS, 80 then 8080 without.
  Security security = Security::tls;
  FixedText<32> template_id;    ///< Sent as `tmpl`.
  FixedText<64> template_name;  ///< For people: what a device calls itself while it is open for setup.
  NetworkConfig network;
  std::uint32_t generation = 0;  ///< Counts what was written, so that of two records the newer one is known. 0: older than any.
};

/// 32 characters of [-_A-Za-z0-9].
[[nodiscard]] bool is_valid_token(std::string_view text) noexcept;
/// A host name or address literal of 1 to 63 characters of [-_.:A-Za-z0-9] that does not begin with a dash.
[[nodiscard]] bool is_valid_host(std::string_view text) noexcept;
/// 1 to 32 characters of [-_A-Za-z0-9].
[[nodiscard]] bool is_valid_template_id(std::string_view text) noexcept;
/// Empty, 8 to 63 bytes without NUL, or 64 hexadecimal digits.
[[nodiscard]] bool is_valid_passphrase(std::string_view text) noexcept;

enum class ConfigStatus : std::uint8_t {
  ok,
  truncated,      ///< Shorter than it says.
  corrupt,        ///< Not a record, wrong checksum, or impossible content.
  newer_version,  ///< Written by a newer agent: do not overwrite it unasked.
};

/// The largest record that encode_config writes, in bytes.
inline constexpr std::size_t config_record_size_max_bytes = 384;

/// Layout: "MCFG", version u8, payload size u16, payload, CRC-32 u32 of all before it; big-endian. Payload: entries of
/// key u8, size u8, value. Returns the bytes written, or 0 when `out` is too small or a field holds what decode_config
/// would refuse.
[[nodiscard]] std::size_t encode_config(const DeviceConfig& config, wire::ByteSpan out) noexcept;

/// Accepts any bytes; `config` changes only when ok. Entries with unknown keys are skipped, so that an older agent
/// reads a newer record of the same version, and records from before networks were kept read as such without one; content that
/// is no valid token, host, template id or network is corrupt.
[[nodiscard]] ConfigStatus decode_config(wire::ByteView record, DeviceConfig& config) noexcept;

}  // namespace muster::agent
