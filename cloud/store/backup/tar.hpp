// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "cloud/base/result.hpp"

/// The little of the tar format (POSIX ustar) that a backup needs: regular files, streamed both ways, readable by any tar.
namespace muster::store::tar {

inline constexpr std::size_t block_bytes = 512;
inline constexpr std::size_t name_max_chars = 100;

/// The header block of a regular file. `name` has 1..name_max_chars characters.
[[nodiscard]] std::string header(std::string_view name, std::uint64_t size_bytes, std::int64_t modified_s);
/// Zeros that fill up the last block of a file of this size.
[[nodiscard]] std::string padding(std::uint64_t size_bytes);
/// The two zero blocks at the end of an archive.
[[nodiscard]] std::string end();

/// Takes an archive in pieces of any size. Anything but regular files ends it with BaseError::file_damaged.
class Reader {
 public:
  class Files {
   public:
    virtual ~Files() = default;
    /// A file begins. Names are not checked here.
    virtual Result<void> begin(std::string_view name, std::uint64_t size_bytes) = 0;
    virtual Result<void> bytes(std::span<const std::uint8_t> bytes) = 0;
    virtual Result<void> end() = 0;
  };
  explicit Reader(Files& files) noexcept : files_{files} {}

  /// Errors: BaseError::file_damaged, those of Files.
  [[nodiscard]] Result<void> write(std::span<const std::uint8_t> bytes);
  /// Whether the end of the archive was seen; without it the archive was cut off.
  [[nodiscard]] bool complete() const noexcept { return zero_blocks_ >= 2; }

 private:
  [[nodiscard]] Result<void> take_header();

  Files& files_;
  std::string block_;       ///< Of a header, as far as it has come.
  std::uint64_t left_ = 0;  ///< Bytes of the present file that have not come yet.
  std::uint64_t padding_left_ = 0;
  int zero_blocks_ = 0;
};

}  // namespace muster::store::tar
