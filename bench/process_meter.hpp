// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace muster::bench {

/// What another process costs, as the kernel counts it. Reads /proc; every call opens a handful of files.
class ProcessMeter {
 public:
  explicit ProcessMeter(pid_t pid) noexcept : pid_{pid} {}

  /// CPU time of all living threads, user and kernel, in nanoseconds (first field of /proc/PID/task/*/schedstat). The time
  /// of a thread that has ended is lost, and that of one that runs right now is up to a tick (4 ms) behind. 0: no such process.
  /// `threads`: only those whose name begins so.
  [[nodiscard]] std::uint64_t cpu_ns(std::string_view threads = {}) const;

  /// Private anonymous memory in use, in bytes ("Anonymous" of /proc/PID/smaps_rollup): heap, stacks and written data, without
  /// the page cache of mapped files. 0: no such process.
  [[nodiscard]] std::uint64_t anonymous_bytes() const;

 private:
  pid_t pid_;
};

/// Kernel memory that grows with sockets, of the whole machine: slab plus TCP buffers, in bytes.
[[nodiscard]] std::uint64_t kernel_socket_bytes();

/// Wall clock that never steps back, in nanoseconds.
[[nodiscard]] std::uint64_t now_ns() noexcept;

/// CPU time of this process so far, in nanoseconds.
[[nodiscard]] std::uint64_t own_cpu_ns() noexcept;

}  // namespace muster::bench
