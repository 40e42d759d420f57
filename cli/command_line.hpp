// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "cli/terminal.hpp"

namespace muster::cli {

/// Reads the command line, does what it says, and gives the exit code. `arguments` without the program's name.
int run(const std::vector<std::string>& arguments, Input& input, std::ostream& out, std::ostream& err);

/// Whether this is a command line that run() would follow; it does nothing. The reason why not goes to `err`.
[[nodiscard]] bool parses(const std::vector<std::string>& arguments, std::ostream& err);

}  // namespace muster::cli
