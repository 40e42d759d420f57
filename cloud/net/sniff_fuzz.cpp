// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/sniff.hpp"

#include <cstdlib>

/// More bytes never change a decision, and four bytes are always enough for one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using muster::net::Sniffed;
  Sniffed decided = Sniffed::need_more;
  for (std::size_t given = 0; given <= size && given <= 16; ++given) {
    const Sniffed now = muster::net::sniff({data, given});
    if (decided != Sniffed::need_more && now != decided) std::abort();
    if (given >= 4 && now == Sniffed::need_more) std::abort();
    decided = now;
  }
  return 0;
}
