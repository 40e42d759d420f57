// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace muster::agent::linux_port {

std::uint32_t KernelRandom::next() {
  std::uint32_t value = 0;
  ssize_t got = -1;
  do {
    got = getrandom(&value, sizeof value, 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof value)) {
    std::abort();  // The call cannot fail for so few bytes on any kernel that has it.
  }
  return value;
}

}  // namespace muster::agent::linux_port
