// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "cloud/api/test_permission_table.hpp"

/// docs/route-permissions.md: tests/golden/permissions.csv for people to read.
namespace muster::api {
namespace {

/// "AFFU" as "Admin": who is allowed. The others hear 403, or 404 where `N` stands.
std::string cell_text(std::string_view cell) {
  if (cell == "-") return "";
  if (cell == "PPPP") return "everybody";
  constexpr std::string_view roles[] = {"Admin", "Staff", "User"};
  std::string may, sees_nothing;
  for (std::size_t i = 0; i < std::size(roles); ++i) {
    if (cell[i] == 'A') may.append(may.empty() ? "" : ", ").append(roles[i]);
    if (cell[i] == 'N') sees_nothing.append(sees_nothing.empty() ? "" : ", ").append(roles[i]);
  }
  if (may == "Admin, Staff, User") return "all";
  if (sees_nothing == "Admin, Staff, User") return "404";
  if (!sees_nothing.empty()) sees_nothing = "; " + sees_nothing + ": 404";
  return (may.empty() ? "403" : may) + sees_nothing;
}

std::string document() {
  std::string text =
      "# Who may call which route\n\n"
      "Made from `tests/golden/permissions.csv`, which is written by hand and which a test holds the server against, by\n"
      "`./dev golden --update`; a test compares. What the built-in roles hold is in [permissions.md](permissions.md).\n\n"
      "Admin, Staff and User of an organization in the middle of the tree ask about something in their own organization (where a device "
      "is\n"
      "concerned: nobody's or somebody else's, and in the next column one that they own themselves), in one beneath it, beside it and "
      "above\n"
      "it. A cell names who is allowed; \"all\" are the three of them. Whoever is not named is told so (403), or with 404 hears the same "
      "as\n"
      "for an id that nobody has. Whoever is not signed in hears 401, except where the table says \"everybody\". An own device is always "
      "in\n"
      "one's own organization. Of an allowed request the state may still say no (409), and what a program may do besides is in\n"
      "[the guide](guides/api-access.md).\n";
  for (const auto& block : read_permission_blocks()) {
    text += "\n## " + block.title + "\n\n";
    text += "| route | own organization | own device | beneath | beside | above |\n|---|---|---|---|---|---|\n";
    for (const auto& row : block.rows) {
      text += "| `" + row.route + "` |";
      for (const auto& cell : row.cells) text += " " + cell_text(cell) + " |";
      text += "\n";
    }
  }
  return text;
}

TEST(PermissionDocument, TheGoldenTableForPeopleIsCurrent) {
  const std::string path = std::string{MUSTER_SOURCE_DIR} + "/docs/route-permissions.md";
  const std::string wanted = document();
  const char* const update = std::getenv("MUSTER_GOLDEN_UPDATE");
  if (update != nullptr && std::string_view{update} == "1") std::ofstream{path} << wanted;
  std::ifstream file{path};
  std::stringstream present;
  present << file.rdbuf();
  EXPECT_EQ(present.str(), wanted) << "docs/route-permissions.md is not what the table says; write it anew with ./dev golden --update.";
}

}  // namespace
}  // namespace muster::api
