// SPDX-License-Identifier: Apache-2.0
// What a token endpoint answers, which becomes a header; and the JSON that bodies are made of.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cloud/webhook/facts.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::webhook;
  const std::string_view text{reinterpret_cast<const char*>(data), size};  // NOLINT: any bytes.
  if (const auto granted = parse_granted_token(text)) {
    require(!granted->token.empty() && granted->token.size() <= text.size());
    require(std::all_of(granted->token.begin(), granted->token.end(), [](char c) { return c > 0x20 && c < 0x7f; }));
  }
  static_cast<void>(parse_facts(text));
  // Whatever the facts are, they change nothing beside them. (A number past every double is written as one that no parser takes; the
  // store's facts are whole numbers.)
  const auto whole = parse_facts(whole_event("msg_1", "DEVICE_ADDED", {0}, text));
  require(whole.empty() || whole == Facts{{"id", "msg_1"}, {"type", "DEVICE_ADDED"}, {"timestamp", "1970-01-01T00:00:00.000Z"}});
  return 0;
}
