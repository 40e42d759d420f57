// SPDX-License-Identifier: Apache-2.0
#include "cli/archive.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

namespace muster::cli {

namespace {

constexpr std::size_t block_bytes = 512;
constexpr std::size_t name_at = 0, name_bytes = 100, mode_at = 100, size_at = 124, size_bytes = 12, time_at = 136, checksum_at = 148, checksum_bytes = 8, type_at = 156, magic_at = 257;

using Block = std::array<std::uint8_t, block_bytes>;

std::span<const std::uint8_t> bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

void put_octal(Block& block, std::size_t at, std::size_t size, std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llo", static_cast<int>(size - 1), static_cast<unsigned long long>(value));
  std::memcpy(block.data() + at, text, size - 1);
}

std::uint64_t checksum_of(const Block& block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) sum += i >= checksum_at && i < checksum_at + checksum_bytes ? std::uint8_t{' '} : block[i];
  return sum;
}

std::uint64_t get_octal(const Block& block, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = at; i < at + size && block[i] >= '0' && block[i] <= '7'; ++i) value = value * 8 + (block[i] - std::uint64_t{'0'});
  return value;
}

/// Sizes over 8 GiB are written in base 256, as everybody's tar does.
void put_size(Block& block, std::uint64_t size) {
  if (size < (std::uint64_t{1} << 33)) {
    put_octal(block, size_at, size_bytes, size);
    return;
  }
  for (std::size_t i = 0; i < size_bytes; ++i) {
    const auto shift = 8 * (size_bytes - 1 - i);
    block[size_at + i] = shift >= 64 ? std::uint8_t{0} : static_cast<std::uint8_t>(size >> shift);
  }
  block[size_at] = 0x80;
}

std::uint64_t get_size(const Block& block) {
  if ((block[size_at] & 0x80u) == 0) return get_octal(block, size_at, size_bytes);
  std::uint64_t size = 0;
  for (std::size_t i = size_bytes - 8; i < size_bytes; ++i) size = (size << 8) | block[size_at + i];
  return size;
}

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() >= name_bytes || name.front() == '/') return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20) return false;
  }
  for (std::size_t from = 0; from <= name.size();) {
    const auto end = std::min(name.find('/', from), name.size());
    const auto part = name.substr(from, end - from);
    if (part.empty() || part == "." || part == "..") return false;
    from = end + 1;
  }
  return true;
}

Failure damaged() { return failed("The backup is damaged, or it is no backup of muster."); }
Failure system_failure(const std::filesystem::path& path) { return failed(path.string() + ": " + std::strerror(errno) + "."); }

}  // namespace

Outcome<void> ArchiveWriter::header(std::string_view name, std::uint64_t size) {
  if (!is_plain_name(name)) return failed("The name " + std::string{name} + " cannot be put into a backup.");
  Block block{};
  std::memcpy(block.data() + name_at, name.data(), name.size());
  put_octal(block, mode_at, 8, 0600);
  put_octal(block, mode_at + 8, 8, 0);
  put_octal(block, mode_at + 16, 8, 0);
  put_size(block, size);
  put_octal(block, time_at, 12, 0);
  block[type_at] = '0';
  std::memcpy(block.data() + magic_at, "ustar\00000", 8);
  put_octal(block, checksum_at, 7, checksum_of(block));
  block[checksum_at + 7] = ' ';
  return sink_(block);
}

Outcome<void> ArchiveWriter::padding(std::uint64_t size) {
  constexpr Block zeros{};
  const auto rest = static_cast<std::size_t>(size % block_bytes);
  return rest == 0 ? Outcome<void>{} : sink_(std::span{zeros}.first(block_bytes - rest));
}

Outcome<void> ArchiveWriter::add(std::string_view name, std::string_view bytes) {
  if (auto done = header(name, bytes.size()); !done) return done;
  if (auto done = sink_(bytes_of(bytes)); !done) return done;
  return padding(bytes.size());
}

Outcome<void> ArchiveWriter::add_file(std::string_view name, const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!file || error) return failed(path.string() + " cannot be read.");
  if (auto done = header(name, size); !done) return done;
  std::vector<char> room(256 * 1024);
  std::uint64_t left = size;
  while (left > 0) {
    file.read(room.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(left, room.size())));
    const auto got = file.gcount();
    if (got <= 0) return failed(path.string() + " got shorter while it was read.");
    if (auto done = sink_(bytes_of({room.data(), static_cast<std::size_t>(got)})); !done) return done;
    left -= static_cast<std::uint64_t>(got);
  }
  return padding(size);
}

Outcome<void> ArchiveWriter::finish() {
  constexpr std::array<std::uint8_t, 2 * block_bytes> end{};
  return sink_(end);
}

ArchiveReader::~ArchiveReader() {
  if (file_ >= 0) ::close(file_);
}

Outcome<void> ArchiveReader::begin_entry() {
  Block block{};
  std::memcpy(block.data(), block_.data(), block.size());
  block_.clear();
  if (std::all_of(block.begin(), block.end(), [](std::uint8_t byte) { return byte == 0; })) {
    ended_ = true;
    return {};
  }
  if (get_octal(block, checksum_at, checksum_bytes) != checksum_of(block)) return damaged();
  const auto* const text = reinterpret_cast<const char*>(block.data() + name_at);
  const std::string name{text, ::strnlen(text, name_bytes)};
  if (!is_plain_name(name) || (block[type_at] != '0' && block[type_at] != 0) || block[magic_at + 88] != 0) return damaged();
  left_ = get_size(block);
  padding_left_ = (block_bytes - left_ % block_bytes) % block_bytes;
  const auto path = directory_ / name;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file_ < 0) return system_failure(path);
  return left_ == 0 ? end_entry() : Outcome<void>{};
}

Outcome<void> ArchiveReader::end_entry() {
  const bool synced = ::fsync(file_) == 0;
  ::close(file_);
  file_ = -1;
  return synced ? Outcome<void>{} : Outcome<void>{system_failure(directory_)};
}

Outcome<void> ArchiveReader::push(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (ended_) return {};  // Whatever fills up the last record.
    if (left_ > 0) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      for (std::size_t written = 0; written < take;) {
        const auto got = ::write(file_, bytes.data() + written, take - written);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return system_failure(directory_);
        written += static_cast<std::size_t>(got);
      }
      left_ -= take;
      bytes = bytes.subspan(take);
      if (left_ == 0) {
        if (auto done = end_entry(); !done) return done;
      }
    } else if (padding_left_ > 0) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(padding_left_, bytes.size()));
      padding_left_ -= take;
      bytes = bytes.subspan(take);
    } else {
      const auto take = std::min(block_bytes - block_.size(), bytes.size());
      block_.append(reinterpret_cast<const char*>(bytes.data()), take);
      bytes = bytes.subspan(take);
      if (block_.size() == block_bytes) {
        if (auto done = begin_entry(); !done) return done;
      }
    }
  }
  return {};
}

Outcome<void> ArchiveReader::finish() { return ended_ ? Outcome<void>{} : Outcome<void>{damaged()}; }

}  // namespace muster::cli
