// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "wire/bytes.hpp"

namespace muster::net {

/// What a client's first bytes say that it speaks. docs/protocol/device-protocol.md section 1.
enum class Sniffed : std::uint8_t {
  need_more,  ///< Could still be HTTP; at most 3 bytes were given.
  tls,        ///< A TLS handshake record.
  device,     ///< A login frame, command 29 or 2.
  http,       ///< One of the nine methods.
  mqtt,       ///< CONNECT; known, but not served yet.
  unknown,
};

/// Never needs more than 4 bytes, and decides as soon as the bytes given leave one answer: a peer that sends one at a time
/// is understood, one that sends nonsense is not waited for.
[[nodiscard]] Sniffed sniff(wire::ByteView first_bytes) noexcept;

}  // namespace muster::net
