// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloud/api/json.hpp"
#include "cloud/api/test_fuzz_world.hpp"

// Messages of one stream client, one a line; changes and time between them. Whatever comes, what goes out is JSON with a type.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::api;
  static FuzzWorld world;
  static const std::string bearer = "Bearer " + std::string(43, 'a');
  Request request;
  request.target = request.path = "/api/v1/stream";
  if (size > 0 && data[0] != 'n') request.headers.push_back({"Authorization", bearer});
  Response refusal;
  const auto session = world.api->open_stream(request, refusal);
  if (!session) std::abort();
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  std::uint8_t pin = 0;
  std::vector<std::string> out;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    session->on_message(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    world.values.put(muster::DeviceId{1}, pin, "1", world.clock.utc_now());
    world.api->live_feed().value_changed(muster::DeviceId{1}, pin++);
    world.api->live_feed().device_status_changed(muster::DeviceId{2});
    world.clock.advance(std::chrono::milliseconds{150});
    if (!session->poll(world.clock.now(), out)) break;
  }
  for (const auto& text : out) {
    const auto parsed = parse_json(text);
    if (parsed.problem != JsonProblem::none || parsed.value.find("type") == nullptr) std::abort();
  }
  return 0;
}
