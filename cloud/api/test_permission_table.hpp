// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::api {

/// A row of tests/golden/permissions.csv: see there. Columns: own, own device ("-": no device is concerned), sub, sibling, parent.
struct PermissionRow {
  std::string route;
  std::string request;
  std::array<std::string, 5> cells;
};

/// What the file says from one heading ("## ") to the next.
struct PermissionBlock {
  std::string title;
  std::vector<PermissionRow> rows;
};

inline std::vector<PermissionBlock> read_permission_blocks() {
  std::vector<PermissionBlock> blocks;
  std::ifstream file{std::string{MUSTER_SOURCE_DIR} + "/tests/golden/permissions.csv"};
  EXPECT_TRUE(file.is_open());
  bool header = true;
  for (std::string line; std::getline(file, line);) {
    if (header) {
      if (line.starts_with('#')) continue;
      EXPECT_EQ(line, "route,request,own,own device,sub,sibling,parent");
      header = false;
    } else if (line.starts_with("## ")) {
      blocks.push_back({line.substr(3), {}});
    } else if (!line.empty() && !line.starts_with('#')) {
      std::vector<std::string> fields(1);
      for (const char c : line) c == ',' ? static_cast<void>(fields.emplace_back()) : fields.back().push_back(c);
      if (fields.size() != 7 || blocks.empty()) {
        ADD_FAILURE() << "not seven fields under a heading: " << line;
        continue;
      }
      blocks.back().rows.push_back({fields[0], fields[1], {fields[2], fields[3], fields[4], fields[5], fields[6]}});
    }
  }
  return blocks;
}

inline std::vector<PermissionRow> read_permission_table() {
  std::vector<PermissionRow> rows;
  for (auto& block : read_permission_blocks()) {
    for (auto& row : block.rows) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace muster::api
