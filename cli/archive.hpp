// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "cli/outcome.hpp"

/// The inside of a backup: a tar file (POSIX ustar, regular files only), so that people can open one with `age -d` and `tar`.
namespace muster::cli {

/// Takes the next bytes. Its failure ends the work.
using ByteSink = std::function<Outcome<void>(std::span<const std::uint8_t>)>;

/// Writes entries one behind the other.
class ArchiveWriter {
 public:
  explicit ArchiveWriter(ByteSink sink) : sink_{std::move(sink)} {}
  /// `name` at most 99 characters, relative, with slashes.
  [[nodiscard]] Outcome<void> add(std::string_view name, std::string_view bytes);
  [[nodiscard]] Outcome<void> add_file(std::string_view name, const std::filesystem::path& path);
  [[nodiscard]] Outcome<void> finish();

 private:
  [[nodiscard]] Outcome<void> header(std::string_view name, std::uint64_t size);
  [[nodiscard]] Outcome<void> padding(std::uint64_t size);
  ByteSink sink_;
};

/// Unpacks what is pushed into it, in pieces of any size. Refuses everything that is not a regular file with a plain relative name: an
/// archive must not be able to write outside of `directory`.
class ArchiveReader {
 public:
  explicit ArchiveReader(std::filesystem::path directory) : directory_{std::move(directory)} {}
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  [[nodiscard]] Outcome<void> push(std::span<const std::uint8_t> bytes);
  /// Errors: the archive ended early.
  [[nodiscard]] Outcome<void> finish();

 private:
  [[nodiscard]] Outcome<void> begin_entry();
  [[nodiscard]] Outcome<void> end_entry();
  std::filesystem::path directory_;
  std::string block_;             ///< Header bytes so far.
  std::uint64_t left_ = 0;        ///< Of the present entry.
  std::uint64_t padding_left_ = 0;
  int file_ = -1;
  bool ended_ = false;            ///< The closing blocks have begun.
};

}  // namespace muster::cli
