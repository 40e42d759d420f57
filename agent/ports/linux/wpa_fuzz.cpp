// SPDX-License-Identifier: Apache-2.0
// What comes over the air reaches these: SSIDs in wpa_supplicant's texts, and DHCP from anybody in the network.
#include <cstdint>
#include <cstdlib>

#include "agent/ports/linux/dhcp.hpp"
#include "agent/ports/linux/wpa_system.hpp"
#include "agent/ports/linux/wpa_text.hpp"

using namespace muster::agent::linux_port;

namespace {
void expect(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t kind = data[0] % 4;
  const muster::wire::ByteView rest{data + 1, size - 1};
  constexpr std::uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
  if (kind == 0) {
    const WpaBssPage page = parse_bss_page(rest.text(), 5);
    expect(page.last || page.next_id > 5);
    for (const WpaNetwork& network : page.networks) {
      expect(network.ssid.size() <= muster::agent::ssid_size_max_bytes && network.frequency_mhz != 0);
    }
  } else if (kind == 1) {
    if (const auto event = parse_wpa_event(rest.text())) {
      expect(event->reason.empty() || (event->reason.data() >= rest.text().data() && event->reason.size() <= rest.size));
    }
    if (const auto text = unescape(rest.text())) expect(text->size() <= rest.size);
  } else if (kind == 2) {
    DhcpClient client;
    client.start(mac, 0x01020304, "lamp", 0);
    static_cast<void>(client.take_message());
    client.on_message(rest, 1);
    client.on_message(dhcp_in_packet(rest), 1);
    client.on_message(rest, 2);
    if (client.state() == DhcpClient::State::bound)
      expect(client.lease().address != 0 && client.lease().lease_s >= DhcpClient::lease_min_s);
  } else {
    DhcpServer server;
    for (int i = 0; i < 3; ++i) {
      const auto answer = server.on_message(rest, static_cast<muster::agent::Millis>(i));
      expect(answer.empty() || (answer.size() >= 300 && answer.size() <= 576));
    }
  }
  return 0;
}
