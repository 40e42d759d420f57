// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/backup/tar.hpp"

#include <algorithm>
#include <cassert>

#include "cloud/base/error.hpp"

namespace muster::store::tar {
namespace {

// Offsets and lengths of the fields in a header block. POSIX.1-1988, ustar.
struct Field {
  std::size_t offset, length;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8}, size_field{124, 12}, time_field{136, 12},
    sum_field{148, 8}, type_field{156, 1}, magic_field{257, 8};

void put(std::string& block, Field field, std::string_view text) {
  block.replace(field.offset, std::min(field.length, text.size()), text.substr(0, field.length));
}

void put_number(std::string& block, Field field, std::uint64_t value) {
  const std::size_t digits = field.length - 1;
  if (digits * 3 < 64 && value >> (digits * 3) != 0) {
    // Too large for octal: the binary form of GNU tar, from the end, first bit set.
    for (std::size_t i = 0; i < field.length; ++i, value >>= 8)
      block[field.offset + field.length - 1 - i] = static_cast<char>(value & 0xFF);
    block[field.offset] = static_cast<char>(block[field.offset] | '\x80');
    return;
  }
  for (std::size_t i = digits; i-- > 0; value >>= 3) block[field.offset + i] = static_cast<char>('0' + (value & 7));
}

bool get_number(std::string_view block, Field field, std::uint64_t& value) {
  const std::string_view text = block.substr(field.offset, field.length);
  value = 0;
  if ((static_cast<unsigned char>(text[0]) & 0x80) != 0) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(i == 0 ? text[i] & 0x7F : text[i]);
      if (value >> 55 != 0) return false;
      value = value << 8 | byte;
    }
    return true;
  }
  bool any = false;
  for (const char c : text) {
    if (c == '\0' || c == ' ') {
      if (any) break;
      continue;
    }
    if (c < '0' || c > '7') return false;
    value = value << 3 | static_cast<std::uint64_t>(c - '0');
    any = true;
  }
  return any;
}

std::uint64_t checksum(std::string_view block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= sum_field.offset && i < sum_field.offset + sum_field.length;
    sum += own ? std::uint64_t{' '} : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

std::uint64_t padding_of(std::uint64_t size) { return (block_bytes - size % block_bytes) % block_bytes; }

}  // namespace

std::string header(std::string_view name, std::uint64_t size_bytes, std::int64_t modified_s) {
  assert(!name.empty() && name.size() <= name_max_chars);
  std::string block(block_bytes, '\0');
  put(block, name_field, name);
  put_number(block, mode_field, 0600);
  put_number(block, uid_field, 0);
  put_number(block, gid_field, 0);
  put_number(block, size_field, size_bytes);
  put_number(block, time_field, static_cast<std::uint64_t>(std::max<std::int64_t>(modified_s, 0)));
  put(block, type_field, "0");
  put(block, magic_field, std::string_view{"ustar\00000", 8});
  put_number(block, {sum_field.offset, 7}, checksum(block));
  block[sum_field.offset + 7] = ' ';
  return block;
}

std::string padding(std::uint64_t size_bytes) { return std::string(padding_of(size_bytes), '\0'); }
std::string end() { return std::string(2 * block_bytes, '\0'); }

Result<void> Reader::take_header() {
  if (std::all_of(block_.begin(), block_.end(), [](char c) { return c == '\0'; })) {
    ++zero_blocks_;
    block_.clear();
    return {};
  }
  std::uint64_t sum = 0, size = 0;
  if (zero_blocks_ != 0 || !get_number(block_, sum_field, sum) || sum != checksum(block_) || !get_number(block_, size_field, size) ||
      size >> 60 != 0)
    return BaseError::file_damaged;
  const char type = block_[type_field.offset];
  if (type != '0' && type != '\0') return BaseError::file_damaged;
  const std::string_view name = std::string_view{block_}.substr(name_field.offset, name_field.length);
  left_ = size;
  padding_left_ = padding_of(size);
  MUSTER_TRY_VOID(files_.begin(name.substr(0, name.find('\0')), size));
  block_.clear();
  return left_ == 0 ? files_.end() : Result<void>{};
}

Result<void> Reader::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (complete()) {
      // Programs pad archives with more zeros; anything else does not belong there.
      if (std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b != 0; })) return BaseError::file_damaged;
      return {};
    }
    if (left_ > 0) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      MUSTER_TRY_VOID(files_.bytes(bytes.first(count)));
      bytes = bytes.subspan(count);
      left_ -= count;
      if (left_ == 0) MUSTER_TRY_VOID(files_.end());
      continue;
    }
    if (padding_left_ > 0) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(padding_left_, bytes.size()));
      bytes = bytes.subspan(count);
      padding_left_ -= count;
      continue;
    }
    const auto count = std::min(block_bytes - block_.size(), bytes.size());
    block_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (block_.size() == block_bytes) MUSTER_TRY_VOID(take_header());
  }
  return {};
}

}  // namespace muster::store::tar
