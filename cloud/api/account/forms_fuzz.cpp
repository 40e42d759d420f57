// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/account/forms.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloud/api/people/known_device.hpp"
#include "cloud/api/test_fuzz_world.hpp"
#include "cloud/domain/rules.hpp"

namespace {

using namespace muster::api;

constexpr std::string_view own_cookie = "muster_form=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

Response ask(FuzzWorld& world, Method method, std::string_view path, std::string_view cookies, std::string_view body) {
  Request request;
  request.method = method;
  request.target = request.path = path;
  request.body = body;
  request.peer = muster::IpAddress::from_v4(0x7F000001);
  request.headers.push_back({"Host", "fuzz"});
  request.headers.push_back({"Cookie", cookies});
  request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
  world.clock.advance(std::chrono::seconds{1});
  Response response;
  if (!world.api->answer_from_memory(request, response)) response = world.api->handle(request);
  return response;
}

void check(const Response& response) {
  if (response.status < 200 || response.status > 599 || response.status == 500) std::abort();
  if (response.body.find("zq<") != std::string::npos || response.body.find("<script") != std::string::npos) std::abort();
}

}  // namespace

/// The cookies in the first line, then what comes as the body of a form: read alone, as it is, and behind the token of a page.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzWorld world;
  const std::string_view input{reinterpret_cast<const char*>(data), size};  // NOLINT: bytes are bytes.
  const auto line_end = input.find('\n');
  const std::string_view cookies = input.substr(0, line_end);
  const std::string_view body = line_end == std::string_view::npos ? std::string_view{} : input.substr(line_end + 1);

  Request request;
  request.headers.push_back({"Cookie", cookies});
  for (const std::string_view name : {std::string_view{"muster_form"}, known_device_cookie, std::string_view{"a"}}) {
    const std::string_view value = cookie_of(request, name);
    if (value.empty()) continue;
    if (value.data() < cookies.data() || value.data() + value.size() > cookies.data() + cookies.size()) std::abort();
    if (value.find(';') != std::string_view::npos) std::abort();
  }
  if (const auto form = Form::parse(body)) {
    for (const std::string_view name : {"", "a", "email", "csrf"}) {
      const std::string_view value = form->value(name);
      if (value.size() > body.size() || value.find('\0') != std::string_view::npos || !muster::domain::is_valid_utf8(value)) std::abort();
    }
  }

  // Somebody else's form, and one of ours. What was typed is never markup.
  check(ask(world, Method::post, "/account/sign-in", cookies, body));
  static const std::string token = [] {
    const std::string page = ask(world, Method::get, "/account/sign-in", own_cookie, {}).body;
    const std::string before = "name=\"csrf\" value=\"";
    const auto at = page.find(before);
    if (at == std::string::npos) std::abort();
    return page.substr(at + before.size(), 43);
  }();
  const std::string ours = "csrf=" + token + "&email=zq%3C" + std::string{body};
  for (const std::string_view path : {"/account", "/account/sign-in", "/account/sign-up", "/account/reset", "/account/invitation"})
    check(ask(world, Method::post, path, own_cookie, ours));
  return 0;
}
