// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.hpp"

#include <algorithm>

namespace muster::cli {

namespace {

/// For single quotes of a shell.
std::string quoted(std::string_view text) {
  std::string shell = "'";
  for (const char c : text) {
    if (c == '\'')
      shell += "'\\''";
    else if (c == '\n')
      shell += ' ';
    else
      shell += c;
  }
  return shell + "'";
}

struct Level {
  std::string path;  ///< Commands from the top, parted by spaces; empty at the top.
  const CommandTree* tree;
};

void flatten(const CommandTree& tree, const std::string& path, std::vector<Level>& levels) {
  levels.push_back({path, &tree});
  for (const auto& command : tree.commands) flatten(command, path.empty() ? command.name : path + " " + command.name, levels);
}

/// Words that may come at one level.
std::string words_of(const CommandTree& tree) {
  std::string words;
  for (const auto& command : tree.commands) words += (words.empty() ? "" : " ") + command.name;
  for (const auto& option : tree.options) words += (words.empty() ? "" : " ") + option.name;
  return words;
}

std::string bash_script(const CommandTree& tree, const std::vector<Level>& levels) {
  std::string text = "# bash completion for " + tree.name + "; use: source <(" + tree.name + " completion bash)\n_" + tree.name +
                     "() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" word words i\n"
                     "  for ((i = 1; i < COMP_CWORD; i++)); do\n    word=\"${COMP_WORDS[i]}\"\n    case \"${path:+$path }$word\" in\n";
  for (const auto& level : levels) {
    if (!level.path.empty()) text += "      " + quoted(level.path) + ") path=" + quoted(level.path) + " ;;\n";
  }
  text += "    esac\n  done\n  case \"$path\" in\n";
  for (const auto& level : levels) text += "    " + quoted(level.path) + ") words=" + quoted(words_of(*level.tree)) + " ;;\n";
  text +=
      "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _" + tree.name + " " + tree.name + "\n";
  return text;
}

std::string zsh_script(const CommandTree& tree, const std::vector<Level>& levels) {
  // Colons part a word from its description.
  const auto described = [](std::string_view name, std::string_view description) {
    std::string item;
    for (const char c : name) item += c == ':' ? std::string{"\\:"} : std::string(1, c);
    return quoted(item + ":" + std::string{description});
  };
  std::string text =
      "#compdef " + tree.name + "\n_" + tree.name +
      "() {\n  local current_path=\"\" word i\n  local -a items\n  for ((i = 2; i < CURRENT; i++)); do\n    word=\"${words[i]}\"\n"
      "    case \"${current_path:+$current_path }$word\" in\n";
  for (const auto& level : levels) {
    if (!level.path.empty()) text += "      " + quoted(level.path) + ") current_path=" + quoted(level.path) + " ;;\n";
  }
  text += "    esac\n  done\n  case \"$current_path\" in\n";
  for (const auto& level : levels) {
    text += "    " + quoted(level.path) + ") items=(";
    for (const auto& command : level.tree->commands) text += " " + described(command.name, command.description);
    for (const auto& option : level.tree->options) text += " " + described(option.name, option.description);
    text += " ) ;;\n";
  }
  text += "  esac\n  _describe 'command' items || _files\n}\ncompdef _" + tree.name + " " + tree.name + "\n";
  return text;
}

std::string fish_script(const CommandTree& tree, const std::vector<Level>& levels) {
  std::string text = "# fish completion for " + tree.name + "\nfunction __" + tree.name +
                     "_at\n  set -l path\n  for word in (commandline -opc)[2..-1]\n    switch (string join ' ' $path $word)\n";
  std::string known;
  for (const auto& level : levels) {
    if (!level.path.empty()) known += " " + quoted(level.path);
  }
  text += "      case" + known + "\n        set path $path $word\n    end\n  end\n  test (string join ' ' $path) = \"$argv\"\nend\n";
  for (const auto& level : levels) {
    const std::string condition = "-n " + quoted("__" + tree.name + "_at " + level.path);
    for (const auto& command : level.tree->commands)
      text += "complete -c " + tree.name + " -f " + condition + " -a " + command.name + " -d " + quoted(command.description) + "\n";
    for (const auto& option : level.tree->options) {
      text += "complete -c " + tree.name + " " + condition + " -l " + option.name.substr(2) + (option.takes_value ? " -r" : "") + " -d " +
              quoted(option.description) + "\n";
    }
  }
  return text;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = i;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string> completion_script(const CommandTree& tree, std::string_view shell) {
  std::vector<Level> levels;
  flatten(tree, {}, levels);
  if (shell == "bash") return bash_script(tree, levels);
  if (shell == "zsh") return zsh_script(tree, levels);
  if (shell == "fish") return fish_script(tree, levels);
  return std::nullopt;
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > 64) return {};
  std::string best;
  std::size_t best_distance = 3;
  for (const auto& name : known) {
    const auto d = distance(word, name);
    if (d < best_distance && d < name.size()) {
      best = name;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace muster::cli
