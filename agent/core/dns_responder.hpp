// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/bytes.hpp"

namespace muster::agent {

inline constexpr std::size_t dns_answer_size_max_bytes = 300;

struct DnsOptions {
  bool every_name = true;               ///< The portal is on. Else only `blynk.setup`; all others get SERVFAIL.
  std::uint32_t address = 0xC0A80401U;  ///< 192.168.4.1
};

/// The SoftAP's name service: one datagram in, one out. Answers questions for an A record with the device's address, TTL 300 s; for other
/// types with no record. Accepts any bytes. Returns the size of the answer; 0: none is to be sent.
[[nodiscard]] std::size_t answer_dns(wire::ByteView query, const DnsOptions& options, wire::ByteSpan answer) noexcept;

}  // namespace muster::agent
