// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

#include "cloud/base/temporary_folder.hpp"

namespace muster::cli {
namespace {

CommandTree tree() {
  return {"muster",
          "",
          {{"--help", "Help", false}},
          {{"device",
            "Devices",
            {{"--help", "Help", false}},
            {{"list", "List devices", {{"--json", "It's JSON", false}, {"--limit", "Rows", true}}, {}}, {"show", "Show", {}, {}}}},
           {"login", "Sign in", {{"--email", "Email", true}}, {}}}};
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 256> room;
  while (std::fgets(room.data(), room.size(), pipe) != nullptr) text += room.data();
  ::pclose(pipe);
  return text;
}

TEST(Completion, BashOffersWhatMayComeNext) {
  TemporaryFolder folder;
  const auto path = (folder.path() / "script").string();
  std::ofstream{path} << completion_script(tree(), "bash").value();
  const auto offered = [&](const std::string& words, int current) {
    return output_of("bash -c 'source " + path + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(current) +
                     "; _muster; echo ${COMPREPLY[*]}'");
  };
  EXPECT_EQ(offered("muster \"\"", 1), "device login --help\n");
  EXPECT_EQ(offered("muster de", 1), "device\n");
  EXPECT_EQ(offered("muster device \"\"", 2), "list show --help\n");
  EXPECT_EQ(offered("muster device list --j", 3), "--json\n");
  EXPECT_EQ(offered("muster device list --json --l", 4), "--limit\n");
}

TEST(Completion, OtherShellsKnowEveryCommand) {
  const auto zsh = completion_script(tree(), "zsh").value();
  EXPECT_NE(zsh.find("'device list') items=( '--json:It'\\''s JSON' '--limit:Rows' )"), std::string::npos) << zsh;
  const auto fish = completion_script(tree(), "fish").value();
  EXPECT_NE(fish.find("complete -c muster -f -n '__muster_at device' -a list -d 'List devices'"), std::string::npos) << fish;
  EXPECT_NE(fish.find("complete -c muster -n '__muster_at device list' -l limit -r -d 'Rows'"), std::string::npos) << fish;
  EXPECT_EQ(completion_script(tree(), "tcsh"), std::nullopt);
}

TEST(Completion, TypingMistakesAreGuessed) {
  const std::vector<std::string> known{"device", "template", "user", "org"};
  EXPECT_EQ(nearest("devcie", known), "device");
  EXPECT_EQ(nearest("devices", known), "device");
  EXPECT_EQ(nearest("templat", known), "template");
  EXPECT_EQ(nearest("xyz", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(10'000, 'x'), known), "");
}

}  // namespace
}  // namespace muster::cli
