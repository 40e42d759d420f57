// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace muster::agent::linux_port {

/// The machine's name servers while the device is on a network that it joined itself.
///
/// Where there is a program `resolvconf` (openresolv, Debian's resolvconf, systemd-resolved's) it is told, and does what belongs there. Else
/// the file is replaced. What was there before, a text or a symbolic link, is kept as comments in the new file: so it outlives a kill, a power
/// cut and a read-only folder around the file, and there is never a second file to fall out of step with. A link is replaced, never written
/// through: at its other end is somebody else's file.
///
/// Calls block: files, and the program for up to 3 s. Call from one thread.
class NameServers {
 public:
  static constexpr std::size_t size_max_bytes = 64 * 1024;  ///< Of what was there before; more is no resolv.conf.

  /// `program`: a path, or a name to look for as the shell does; empty: none.
  explicit NameServers(std::string program = "resolvconf") : program_{std::move(program)} {}

  /// The name servers of the network that `interface` is on, IPv4; 0: none. `path`: usually /etc/resolv.conf. Empty when it worked, else a
  /// sentence for people.
  [[nodiscard]] std::string use(const std::string& interface, const std::string& path, std::uint32_t dns, std::uint32_t dns2);
  /// Puts back what was there before use(), of this run or of an earlier one that was killed. What somebody else has written since stays.
  void restore(const std::string& interface, const std::string& path);

 private:
  [[nodiscard]] bool tell_program(const char* action, const std::string& interface, const std::string& text) const;

  std::string program_;
};

}  // namespace muster::agent::linux_port
