// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace muster::api {

/// One operation of openapi.yaml.
struct DocumentedOperation {
  std::string method, path, permission;
};

/// Reads the operations of cloud/api/openapi.yaml by its indentation: paths at two spaces, methods at four, x-permission at six. That the
/// file is YAML and a valid contract is what openapi_check.py says.
inline std::vector<DocumentedOperation> read_openapi() {
  std::ifstream file{std::string{MUSTER_SOURCE_DIR} + "/cloud/api/openapi.yaml"};
  EXPECT_TRUE(file.good());
  std::vector<DocumentedOperation> all;
  std::string line, path;
  bool in_paths = false;
  while (std::getline(file, line)) {
    const auto text = line.find_first_not_of(' ');
    if (text == std::string::npos || line[text] == '#') continue;
    if (text == 0) in_paths = line == "paths:";
    if (!in_paths) continue;
    if (text == 2 && line.ends_with(':')) path = line.substr(2, line.size() - 3);
    for (const std::string_view method : {"get", "post", "put", "delete", "patch", "head", "options"}) {
      if (text == 4 && line.substr(4) == std::string{method} + ":") {
        std::string upper{method};
        for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
        all.push_back({upper, path, ""});
      }
    }
    constexpr std::string_view key = "x-permission: ";
    if (text == 6 && !all.empty() && line.substr(6).starts_with(key)) all.back().permission = line.substr(6 + key.size());
  }
  return all;
}

}  // namespace muster::api
