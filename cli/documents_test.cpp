// SPDX-License-Identifier: Apache-2.0
// What the documents tell people to type is what the programs take: every `muster ...` and `./dev ...` in README.md and docs/, in code
// blocks (whole commands) and inline (also mentions that leave arguments out).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command_line.hpp"
#include "cli/fake_input.hpp"
#include "cli/outcome.hpp"

namespace muster::cli {
namespace {

namespace fs = std::filesystem;

/// Named in the documents as coming with a later version. Who brings one takes it out of here.
const std::set<std::string> commands_to_come{"token", "claim"};

struct Quoted {
  std::string where, line;
  bool in_block = false;
};

std::string content(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// As a shell would split it; "#" begins a comment.
std::vector<std::vector<std::string>> commands_of(const std::string& line) {
  std::vector<std::vector<std::string>> commands(1);
  std::string word;
  bool quoted = false, any = false;
  const auto end_word = [&] {
    if (!any) return;
    if (word == "|" || word == "&&" || word == ";") {
      commands.emplace_back();
    } else {
      commands.back().push_back(word);
    }
    word.clear();
    any = false;
  };
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (c == ' ' && !quoted) {
      end_word();
    } else if (c == '#' && !quoted && !any) {
      break;
    } else {
      word += c;
      any = true;
    }
  }
  end_word();
  return commands;
}

std::vector<Quoted> quoted_commands() {
  std::vector<fs::path> files{fs::path{MUSTER_SOURCE_DIR} / "README.md"};
  for (const auto& entry : fs::recursive_directory_iterator{fs::path{MUSTER_SOURCE_DIR} / "docs"}) {
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  static const std::regex inline_code{"`([^`]+)`"};
  std::vector<Quoted> found;
  for (const fs::path& file : files) {
    std::istringstream in{content(file)};
    std::string line;
    bool fenced = false;
    for (int number = 1; std::getline(in, line); ++number) {
      const std::string where = fs::relative(file, MUSTER_SOURCE_DIR).string() + ":" + std::to_string(number);
      if (line.starts_with("```")) {
        fenced = !fenced;
      } else if (fenced || line.starts_with("    ")) {
        found.push_back({where, line, true});
      } else {
        for (std::sregex_iterator match{line.begin(), line.end(), inline_code}, end; match != end; ++match)
          found.push_back({where, (*match)[1].str(), false});
      }
    }
  }
  return found;
}

/// Placeholders as something of their kind.
std::vector<std::string> filled_in(std::vector<std::string> words) {
  for (std::string& word : words) {
    std::erase_if(word, [](char c) { return c == '[' || c == ']'; });
    if (word == "ID") word = "1";
  }
  return words;
}

std::string help_of(std::vector<std::string> words) {
  std::erase_if(words, [](const std::string& word) { return word.starts_with('-'); });
  words.emplace_back("--help");
  FakeInput input;
  std::ostringstream out, err;
  return run(words, input, out, err) == exit_ok ? out.str() : "";
}

TEST(Documents, QuoteCommandsThatTheProgramTakes) {
  std::size_t in_blocks = 0, in_text = 0, to_come = 0;
  for (const Quoted& quoted : quoted_commands()) {
    for (const auto& command : commands_of(quoted.line)) {
      if (command.size() < 2 || command[0] != "muster") continue;
      const std::vector<std::string> arguments = filled_in({command.begin() + 1, command.end()});
      const std::string what = quoted.where + ": " + quoted.line;
      std::ostringstream err;
      const bool fine = parses(arguments, err);
      if (commands_to_come.contains(arguments[0])) {
        ++to_come;
        EXPECT_FALSE(fine) << what << " is there by now: take it out of commands_to_come.";
        EXPECT_NE(err.str().find("comes with a later version"), std::string::npos) << what << "\n" << err.str();
        EXPECT_NE(content(fs::path{MUSTER_SOURCE_DIR} / quoted.where.substr(0, quoted.where.find(':'))).find("later version"),
                  std::string::npos)
            << what << " does not say that it comes with a later version.";
        continue;
      }
      ++(quoted.in_block ? in_blocks : in_text);
      if (quoted.in_block) {
        EXPECT_TRUE(fine) << what << "\n" << err.str();
        continue;
      }
      // A mention may leave out what is required; what it names must be there.
      EXPECT_TRUE(fine || err.str().find("required") != std::string::npos) << what << "\n" << err.str();
      const std::string help = help_of(arguments);
      EXPECT_FALSE(help.empty()) << what;
      for (const std::string& word : arguments) {
        if (word.starts_with("--")) EXPECT_NE(help.find(word.substr(0, word.find('='))), std::string::npos) << what << ": " << word;
      }
    }
  }
  EXPECT_GE(in_blocks, 10U);
  EXPECT_GE(in_text, 5U);
  EXPECT_GE(to_come, 1U);
}

TEST(Documents, QuoteVerbsThatDevHas) {
  const std::string dev = content(fs::path{MUSTER_SOURCE_DIR} / "dev");
  std::size_t seen = 0;
  for (const Quoted& quoted : quoted_commands()) {
    for (const auto& command : commands_of(quoted.line)) {
      if (command.size() < 2 || command[0] != "./dev") continue;
      ++seen;
      // The labels of its last case: "  setup | build | run ... ) ".
      const std::regex label{"\\n  ([a-z-]+ \\| )*" + command[1] + "( \\| [a-z-]+)*\\) "};
      EXPECT_TRUE(std::regex_search(dev, label)) << quoted.where << ": " << quoted.line;
    }
  }
  EXPECT_GE(seen, 5U);
}

}  // namespace
}  // namespace muster::cli
