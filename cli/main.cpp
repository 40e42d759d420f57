// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <iostream>
#include <new>

#include "cli/command_line.hpp"
#include "cli/outcome.hpp"

int main(int argc, char** argv) {
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
