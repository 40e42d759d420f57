// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/activation_failure.hpp"
#include "wire/bytes.hpp"
#include "wire/json.hpp"

/// The messages by which an app and a device nearby set the device up (BLE, and whatever else carries texts): one JSON object a message.
/// Facts: docs/protocol/provisioning.md section 3.3. Both directions, for agent and provisioner. No heap, no exceptions, C++17.
namespace muster::wire {

inline constexpr std::size_t inject_message_size_max_bytes = 512;  ///< The limit of one GATT attribute.
inline constexpr std::string_view inject_service_uuid = "95e30001-5737-45a9-a092-a88e2e5dd659";
inline constexpr std::string_view inject_rx_uuid = "95e30002-5737-45a9-a092-a88e2e5dd659";   ///< App to device: write.
inline constexpr std::string_view inject_tx_uuid = "95e30003-5737-45a9-a092-a88e2e5dd659";   ///< Device to app: indicate, notify.
inline constexpr std::string_view inject_raw_uuid = "95e30004-5737-45a9-a092-a88e2e5dd659";  ///< App to device: firmware bytes.

enum class InjectType : std::uint8_t {
  unknown,
  // App to device; `info` and `scan` also name the device's answers.
  info,
  ifs,
  scan,
  set,
  connect,
  reset,
  reboot,
  ota_get_info,
  ota_start,
  ota_block_apply,
  ota_finish,
  ota_cancel,
  ota_rollback,
  // Device to app.
  ifs_start,
  interface,  ///< `if`
  ifs_end,
  scan_start,
  scan_end,
  set_ok,
  set_fail,
  connecting,
  connect_fail,
  reset_ok,
  status,
  net_status,
  net_fail,
  cloud_fail,
  error,
  ota_info,
  ota_start_ok,
  ota_start_fail,
  ota_block_ok,
  ota_block_fail,
  ota_ok,
  ota_fail,
  ota_cancel_ok,
  ota_rollback_ok,
  ota_rollback_fail,
};
/// The word in `t`; empty for unknown.
[[nodiscard]] std::string_view to_text(InjectType type) noexcept;
[[nodiscard]] InjectType parse_inject_type(std::string_view word) noexcept;

enum class InjectStatus : std::uint8_t {
  ok,
  wrong_format,  ///< Not one JSON object, too large, or too deep.
  no_type,       ///< `t` is missing or no text.
};

/// A message taken apart: its fields in the order they came, texts borrowed from the input and the room. Nested values are kept only as
/// "there was one", except lists of texts, whose members come one after another under the same key.
class InjectMessage {
 public:
  static constexpr std::size_t fields_max = 24;
  enum class Kind : std::uint8_t { text, number, boolean, null, other };
  struct Field {
    std::string_view key;
    std::string_view value;  ///< Text, or the number as written, or `true` and `false`.
    Kind kind = Kind::null;
    bool listed = false;  ///< A member of a list.
  };

  InjectType type = InjectType::unknown;
  std::string_view word;  ///< `t` as it came.
  Field fields[fields_max];
  std::size_t count = 0;  ///< Without `t`.

  [[nodiscard]] const Field* find(std::string_view key) const noexcept;
  /// Empty when it is missing or no text.
  [[nodiscard]] std::string_view text(std::string_view key) const noexcept;
  /// `missing` when it is missing or no integer. Booleans count as 0 and 1, as do texts of digits.
  [[nodiscard]] std::int64_t number(std::string_view key, std::int64_t missing = 0) const noexcept;
  /// Whether the list (or text) under `key` holds `member`.
  [[nodiscard]] bool has(std::string_view key, std::string_view member) const noexcept;
};

/// Accepts any bytes. `room` holds what had escapes; with as many bytes as the input has, it always suffices. Too many fields are
/// wrong_format.
[[nodiscard]] InjectStatus decode_inject(std::string_view input, ByteSpan room, InjectMessage& message) noexcept;

/// Begins a message: the object is open and has its `t`; add fields, then end_object().
[[nodiscard]] JsonWriter begin_inject(InjectType type, ByteSpan room) noexcept;

// ---- the messages with fields. Encoders return the size, 0 when the room was too small; decoders take what decode_inject gave, and
// borrow from it.

struct InjectInfo {
  std::string_view vendor, template_id, firmware_type, firmware_version, name, uid;
  bool live_status = false;  ///< `caps` has `live_status`.
};
[[nodiscard]] std::size_t encode_inject(const InjectInfo& info, ByteSpan room) noexcept;
[[nodiscard]] InjectInfo read_inject_info(const InjectMessage& message) noexcept;

/// `if`: one interface. Fields that an interface has not are left out.
struct InjectInterface {
  std::string_view name;  ///< wifi, eth, cell
  std::string_view mac;
  std::string_view status;              ///< eth: off, down, up, ready
  std::string_view ip;                  ///< eth, when connected
  std::string_view imei, imsi, iccid;   ///< cell
  bool scan = false, five_ghz = false;  ///< wifi (scan: also cell)
  bool static_ip = false;
  bool pin = false, apn = false;  ///< cell
};
void write_interface_fields(const InjectInterface& interface, JsonWriter& writer) noexcept;  ///< Without `t`; also for `ifs` over HTTP.
[[nodiscard]] std::size_t encode_inject(const InjectInterface& interface, ByteSpan room) noexcept;
[[nodiscard]] InjectInterface read_inject_interface(const InjectMessage& message) noexcept;

/// `scan`: one network; the same fields over HTTP.
struct InjectNetwork {
  std::string_view ssid, bssid, security;
  std::int16_t rssi_dbm = 0;
  std::uint16_t channel = 0;
};
void write_network_fields(const InjectNetwork& network, JsonWriter& writer) noexcept;
[[nodiscard]] std::size_t encode_inject(const InjectNetwork& network, ByteSpan room) noexcept;
[[nodiscard]] InjectNetwork read_inject_network(const InjectMessage& message) noexcept;

/// `set`: empty fields are left out, so that settings can go in several messages.
struct InjectSettings {
  std::string_view interface, ssid, pass, token, host, ip, mask, gateway, dns, dns2;
  std::uint16_t port = 0;
  bool save = false;
};
[[nodiscard]] std::size_t encode_inject(const InjectSettings& settings, ByteSpan room) noexcept;

/// A message without fields, such as `connect`, `set_ok`, `scan_end`.
[[nodiscard]] std::size_t encode_inject(InjectType type, ByteSpan room) noexcept;
/// A message with one text, such as `error` + `msg` and `status` + `s`.
[[nodiscard]] std::size_t encode_inject(InjectType type, std::string_view key, std::string_view value, ByteSpan room) noexcept;

/// `net_status` of Wi-Fi (`eth`: only state and ip).
struct InjectNetStatus {
  std::string_view interface, state, ssid, bssid, ip;
  std::int16_t rssi_dbm = 0;
};
[[nodiscard]] std::size_t encode_inject(const InjectNetStatus& status, ByteSpan room) noexcept;
[[nodiscard]] InjectNetStatus read_inject_net_status(const InjectMessage& message) noexcept;

/// `connect_fail`, `net_fail`, `cloud_fail`: how a device's failure is said.
struct InjectFailure {
  ActivationFailure code = ActivationFailure::none;
  std::string_view message;  ///< May be empty.
};
[[nodiscard]] std::size_t encode_inject(const InjectFailure& failure, ByteSpan room) noexcept;
/// none: the message is no failure.
[[nodiscard]] InjectFailure read_inject_failure(const InjectMessage& message) noexcept;

}  // namespace muster::wire
