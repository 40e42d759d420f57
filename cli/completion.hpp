// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::cli {

/// The commands and their options, as completion scripts need them.
struct CommandTree {
  struct Option {
    std::string name;  ///< "--json"
    std::string description;
    bool takes_value = false;
  };
  std::string name;
  std::string description;
  std::vector<Option> options;
  std::vector<CommandTree> commands;
};

/// A completion script for "bash", "zsh" or "fish"; nullopt: another shell.
[[nodiscard]] std::optional<std::string> completion_script(const CommandTree& tree, std::string_view shell);
/// The name of `known` that somebody who typed `word` probably meant; empty: none is near.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace muster::cli
