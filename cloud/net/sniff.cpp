// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/sniff.hpp"

#include <array>
#include <string_view>

namespace muster::net {

Sniffed sniff(wire::ByteView first_bytes) noexcept {
  static constexpr std::array<std::string_view, 9> methods{"GET ", "POST", "PUT ", "HEAD", "OPTI", "PATC", "DELE", "TRAC", "CONN"};
  if (first_bytes.empty()) return Sniffed::need_more;
  switch (first_bytes[0]) {
    case 0x16: return Sniffed::tls;
    case 0x1D:
    case 0x02: return Sniffed::device;
    case 0x10: return Sniffed::mqtt;
    default: break;
  }
  const std::string_view text = first_bytes.first(4).text();
  for (const std::string_view method : methods) {
    if (method.substr(0, text.size()) == text) return text.size() == 4 ? Sniffed::http : Sniffed::need_more;
  }
  return Sniffed::unknown;
}

}  // namespace muster::net
