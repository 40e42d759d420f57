// SPDX-License-Identifier: Apache-2.0
#include "agent/core/dns_responder.hpp"

#include <cstring>
#include <string_view>

// RFC 1035: header of 12 bytes, then the question: labels, type, class.
namespace muster::agent {

namespace {

constexpr std::size_t header_size = 12;
constexpr std::uint16_t type_a = 1, type_any = 255, class_in = 1, class_any = 255;
constexpr std::uint8_t flag_answer = 0x80, flag_authoritative = 0x04, flag_recursion_wanted = 0x01, opcode_mask = 0x78;
constexpr std::uint8_t flag_recursion_available = 0x80;
constexpr std::uint8_t code_server_failure = 2, code_not_implemented = 4;
constexpr std::uint32_t ttl_s = 300;

std::uint16_t read_u16(const std::uint8_t* bytes) noexcept { return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]); }

/// Whether the labels at `bytes` are these (lower case, with their size bytes), in any case.
bool same_name(const std::uint8_t* bytes, std::size_t size, std::string_view labels) noexcept {
  if (size != labels.size()) {
    return false;
  }
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t c = bytes[i] >= 'A' && bytes[i] <= 'Z' ? static_cast<std::uint8_t>(bytes[i] + 32) : bytes[i];
    if (c != static_cast<std::uint8_t>(labels[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::size_t answer_dns(wire::ByteView query, const DnsOptions& options, wire::ByteSpan answer) noexcept {
  if (query.size < header_size || (query[2] & flag_answer) != 0 || answer.size < header_size) {
    return 0;  // Nobody answers answers: two such servers would never stop.
  }
  std::memcpy(answer.data, query.data, header_size);
  std::memset(answer.data + 6, 0, 6);  // No records so far.
  answer.data[2] = static_cast<std::uint8_t>(flag_answer | flag_authoritative | (query[2] & (opcode_mask | flag_recursion_wanted)));
  answer.data[3] = flag_recursion_available;
  const auto refuse = [&](std::uint8_t code) {
    answer.data[2] = static_cast<std::uint8_t>(answer.data[2] & ~flag_authoritative);
    answer.data[3] = static_cast<std::uint8_t>(flag_recursion_available | code);
    std::memset(answer.data + 4, 0, 2);
    return header_size;
  };
  if ((query[2] & opcode_mask) != 0) {
    return refuse(code_not_implemented);
  }
  if (read_u16(query.data + 4) != 1) {
    return refuse(code_server_failure);
  }
  std::size_t at = header_size;
  for (;;) {
    if (at >= query.size) {
      return 0;
    }
    const std::uint8_t label = query[at];
    if (label == 0) {
      ++at;
      break;
    }
    if (label > 63 || at - header_size + label + 2 > 255) {
      return 0;  // A pointer has no place in a question.
    }
    at += std::size_t{1} + label;
  }
  if (query.size - at < 4) {
    return 0;
  }
  const std::size_t question_size = at + 4 - header_size;
  const std::uint16_t type = read_u16(query.data + at), record_class = read_u16(query.data + at + 2);
  constexpr std::string_view own_name{"\5blynk\5setup\0", 13};
  if (!options.every_name && !same_name(query.data + header_size, at - header_size, own_name)) {
    return refuse(code_server_failure);
  }
  constexpr std::size_t record_size = 16;
  if (answer.size < header_size + question_size + record_size) {
    return 0;
  }
  std::memcpy(answer.data + header_size, query.data + header_size, question_size);
  std::size_t size = header_size + question_size;
  if ((type == type_a || type == type_any) && (record_class == class_in || record_class == class_any)) {
    const std::uint8_t record[record_size] = {0xc0,
                                              header_size,
                                              0,
                                              type_a,
                                              0,
                                              class_in,
                                              0,
                                              0,
                                              ttl_s >> 8,
                                              ttl_s & 0xff,
                                              0,
                                              4,
                                              static_cast<std::uint8_t>(options.address >> 24),
                                              static_cast<std::uint8_t>(options.address >> 16),
                                              static_cast<std::uint8_t>(options.address >> 8),
                                              static_cast<std::uint8_t>(options.address)};
    std::memcpy(answer.data + size, record, sizeof record);
    answer.data[7] = 1;
    size += sizeof record;
  }
  return size;
}

}  // namespace muster::agent
