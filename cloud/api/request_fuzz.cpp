// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloud/api/json.hpp"
#include "cloud/api/test_fuzz_world.hpp"

// A whole request: "METHOD target\nbody". Whatever comes: an answer, JSON or a page in its errors, no 500, and the AuthToken never in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::api;
  static FuzzWorld world;
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  const auto line_end = input.find('\n');
  std::string_view line = input.substr(0, line_end);
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  const std::string_view method = line.substr(0, space);
  // T stands for the live token, so that seeds need not hold it.
  std::string target{line.substr(space + 1)};
  if (const auto at = target.find("token=T"); at != std::string::npos) target.replace(at + 6, 1, FuzzWorld::token);

  Request request;
  request.method = method == "GET"      ? Method::get
                   : method == "POST"   ? Method::post
                   : method == "PUT"    ? Method::put
                   : method == "DELETE" ? Method::delete_
                                        : Method::other;
  request.target = target;
  request.path = std::string_view{target}.substr(0, target.find('?'));
  if (target.find('?') != std::string::npos) request.query = std::string_view{target}.substr(target.find('?') + 1);
  if (line_end != std::string_view::npos) request.body = input.substr(line_end + 1);
  // Those two cost an Argon2id each.
  if (request.path == "/api/v1/session" && request.method == Method::post) return 0;
  if (request.path == "/api/v1/user/password" || request.path == "/api/v1/users/create-in-org") return 0;
  request.peer = muster::IpAddress::from_v4(0x7F000001);
  static const std::string bearer = "Bearer " + std::string(43, 'a');
  request.headers.push_back({"Authorization", bearer});
  request.headers.push_back({"Host", "fuzz"});

  world.clock.advance(std::chrono::seconds{1});
  Response response;
  if (!world.api->answer_from_memory(request, response)) response = world.api->handle(request);
  if (response.status < 200 || response.status > 599 || response.status == 500) std::abort();
  if (request.path == "/account" || request.path.starts_with("/account/")) {
    // Pages for people, without script whatever is in the address.
    if (response.status != 303 && response.content_type != "text/html; charset=utf-8") std::abort();
    if (response.body.find("<script") != std::string::npos) std::abort();
    return 0;
  }
  if (response.status >= 400) {
    const auto parsed = parse_json(response.body);
    if (parsed.problem != JsonProblem::none) std::abort();
    const Json* error = parsed.value.find("error");
    if (request.path == "/readyz") return 0;
    if (error == nullptr || error->find("message") == nullptr) std::abort();
  }
  return 0;
}
