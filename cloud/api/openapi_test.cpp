// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <tuple>

#include "cloud/api/api.hpp"
#include "cloud/api/test_openapi.hpp"
#include "cloud/api/test_server.hpp"

namespace muster::api {
namespace {

TEST(OpenApi, ServedAndDocumentedRoutesAndTheirPermissionsAreTheSameSet) {
  std::set<std::tuple<std::string, std::string, std::string>> served, documented;
  for (const auto& route : Api::routes()) EXPECT_TRUE(served.emplace(route.method, route.path, route.permission).second) << route.path;
  for (const auto& operation : read_openapi()) documented.emplace(operation.method, operation.path, operation.permission);
  EXPECT_GT(served.size(), 50u);
  for (const auto& each : served)
    EXPECT_TRUE(documented.contains(each)) << std::get<0>(each) << " " << std::get<1>(each) << " needs \"" << std::get<2>(each)
                                           << "\": served, not documented so";
  for (const auto& each : documented)
    EXPECT_TRUE(served.contains(each)) << std::get<0>(each) << " " << std::get<1>(each) << " needs \"" << std::get<2>(each)
                                       << "\": documented, not served so";
}

TEST(OpenApi, EveryDocumentedRouteIsReallyAnsweredAndNothingElseIs) {
  TestServer server;
  server.set_up();
  for (const auto& operation : read_openapi()) {
    const Method method = operation.method == "GET"    ? Method::get
                          : operation.method == "POST" ? Method::post
                          : operation.method == "PUT"  ? Method::put
                                                       : Method::delete_;
    std::vector<std::string> paths{operation.path};
    if (const auto parameter = operation.path.find("{id}"); parameter != std::string::npos) paths[0].replace(parameter, 4, "123");
    constexpr std::string_view prefix = "/api/v1/organization/device";
    // Both spellings; `organization/devices` is another path.
    if (operation.path == prefix || operation.path.starts_with(std::string{prefix} + "/"))
      paths.push_back("/api/v1/device" + operation.path.substr(prefix.size()));
    for (const auto& path : paths) {
      const Response response = server.call(method, path);
      EXPECT_NE(response.status, 405u) << operation.method << " " << path;
      EXPECT_NE(response.status, 404u) << operation.method << " " << path;
      const Response patch = server.call(Method::patch, path);
      EXPECT_EQ(patch.status, 405u) << path;
      EXPECT_NE(header_of(patch, "Allow").find(operation.method), std::string::npos) << path;
    }
  }
  for (const std::string path : {"/api/v1",
                                 "/api/v1/",
                                 "/api/v1/nothing",
                                 "/api/v1/session/",
                                 "/api/v1/../api/v1/session",
                                 "/api/v1//session",
                                 "/API/v1/session",
                                 "/api/v1/%73ession",
                                 "/api/v2/session",
                                 "/api/v1/devicex",
                                 "/api/v1/device/",
                                 "/healthz/",
                                 "/Healthz",
                                 "//",
                                 "*",
                                 "",
                                 "/api/v1/organization/device/token/x",
                                 "/api/v1/provision/session/x",
                                 "/api/v1/provision/session/",
                                 "/api/v1/provision/session//step",
                                 "/api/v1/provision/session/1/2/step",
                                 "/api/v1/provision/session/1234567890123456789",
                                 "/api/v1/provision/session/{id}"}) {
    EXPECT_EQ(server.get(path).status, 404u) << path;
  }
}

/// Words of a line from `from` on: lower-case letters, digits and '_'.
std::string word_at(std::string_view line, std::size_t from) {
  const auto end = std::find_if(line.begin() + static_cast<std::ptrdiff_t>(from), line.end(),
                                [](char c) { return !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'); });
  return {line.begin() + static_cast<std::ptrdiff_t>(from), end};
}

TEST(OpenApi, EveryErrorCodeThatTheSourcesNameIsDocumented) {
  std::ifstream contract{std::string{MUSTER_SOURCE_DIR} + "/cloud/api/openapi.yaml"};
  std::string line;
  std::set<std::string> documented;
  bool inside = false;
  while (std::getline(contract, line)) {
    if (!line.starts_with(' ')) inside = line == "x-error-codes:";
    const auto list = line.find('[');
    if (!inside || list == std::string::npos) continue;
    for (std::size_t at = list + 1; at < line.size();) {
      const std::string word = word_at(line, at);
      if (!word.empty()) documented.insert(word);
      at += word.size() + 1;
    }
  }
  std::set<std::string> used;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{std::string{MUSTER_SOURCE_DIR} + "/cloud/api"}) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".cpp") || name.ends_with("_test.cpp") || name.ends_with("_fuzz.cpp")) continue;
    std::ifstream source{entry.path()};
    while (std::getline(source, line)) {
      // The calls that take a code, with "NNN" where a status comes before it.
      for (const std::string_view call : {"error_response(NNN, \"", "return {NNN, \"", "wrong_field(\"", "too_many(\"", "fail(id, \"",
                                          "fail({}, \"", "error_text({}, \"", "error_text(id, \"", "close_with(\""}) {
        const auto is_here = [&](std::size_t at) {
          return std::equal(call.begin(), call.end(), line.begin() + static_cast<std::ptrdiff_t>(at),
                            [](char wanted, char is) { return wanted == 'N' ? is >= '0' && is <= '9' : wanted == is; });
        };
        for (std::size_t at = 0; at + call.size() < line.size(); ++at) {
          if (is_here(at)) used.insert(word_at(line, at + call.size()));
        }
      }
    }
  }
  // What is refused before there is a request to hand on.
  std::ifstream loop{std::string{MUSTER_SOURCE_DIR} + "/cloud/net/loop.cpp"};
  bool refusing = false;
  unsigned refusals = 0;
  while (std::getline(loop, line)) {
    if (line.starts_with("void ")) refusing = line.find("Loop::refuse(") != std::string::npos;
    constexpr std::string_view answer = ": return \"";
    if (const auto at = line.find(answer); refusing && at != std::string::npos) {
      used.insert(word_at(line, at + answer.size()));
      ++refusals;
    }
  }
  EXPECT_EQ(refusals, 6u);
  EXPECT_GT(used.size(), 25u);
  for (const auto& code : used) EXPECT_TRUE(documented.contains(code)) << code;
  for (const auto& code : documented) EXPECT_TRUE(used.contains(code)) << code << " is documented and never said";
}

}  // namespace
}  // namespace muster::api
