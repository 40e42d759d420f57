// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cloud/api/query.hpp"

// Queries and pins: whatever comes, pairs lie inside the query, in order, and decoding never grows.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view query{reinterpret_cast<const char*>(data), size};
  muster::api::QueryReader reader{query};
  muster::api::QueryReader::Pair pair;
  const char* from = query.data();
  while (reader.next(pair)) {
    if (pair.name.data() < from || pair.name.data() + pair.name.size() > query.data() + query.size()) std::abort();
    if (pair.has_value && pair.value.data() != pair.name.data() + pair.name.size() + 1) std::abort();
    from = pair.name.data() + pair.name.size();
    if (muster::api::percent_decoded(pair.value).size() > pair.value.size()) std::abort();
    if (const auto pin = muster::api::parse_pin(pair.name); pin && (pair.name.size() < 2 || pair.name.size() > 4)) std::abort();
  }
  return 0;
}
