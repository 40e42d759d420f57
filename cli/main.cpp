// SPDX-License-Identifier: Apache-2.0
#include <sys/prctl.h>
#include <sys/resource.h>

#include <exception>
#include <iostream>
#include <new>

#include "cli/command_line.hpp"
#include "cli/outcome.hpp"

namespace {

/// Keys, tokens and passwords pass through this memory: it goes into no core dump, also none that a handler of the system's would take
/// whatever the limit, and no other process of the same user may look into it.
void keep_memory_private() noexcept {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace

int main(int argc, char** argv) {
  keep_memory_private();
  try {
    muster::cli::StandardInput input;
    return muster::cli::run({argv + 1, argv + argc}, input, std::cout, std::cerr);
  } catch (const std::bad_alloc&) {
    std::cerr << "muster: out of memory.\n";
  } catch (const std::exception& error) {  // Libraries that insist.
    std::cerr << "muster: " << error.what() << "\n";
  }
  return muster::cli::exit_failed;
}
