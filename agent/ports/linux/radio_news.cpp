// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/radio_news.hpp"

#include <algorithm>
#include <cstring>

namespace muster::agent::linux_port {
namespace {

void tell_scanned(RadioListener& listener, std::vector<WpaNetwork> networks, Millis now) {
  std::vector<ScannedNetwork> told;
  for (const WpaNetwork& network : networks) {
    ScannedNetwork one;
    one.ssid = network.ssid;
    std::memcpy(one.bssid, network.bssid, sizeof one.bssid);
    one.rssi_dbm = static_cast<std::int16_t>(network.rssi_dbm);
    one.channel = static_cast<std::uint16_t>(channel_of(network.frequency_mhz));
    one.security = network.security;
    told.push_back(one);
  }
  listener.on_scanned(told.data(), told.size(), now);
}

}  // namespace

void RadioNews::push(const News& news) {
  forget({news.kind});
  news_.push_back(news);
}

void RadioNews::forget(std::initializer_list<Kind> kinds) {
  const auto end = std::remove_if(news_.begin(), news_.end(),
                                  [&](const News& n) { return std::find(kinds.begin(), kinds.end(), n.kind) != kinds.end(); });
  news_.erase(end, news_.end());
}

void RadioNews::tell(RadioListener& listener, Clock& clock, const std::vector<WpaNetwork>& seen) {
  while (!news_.empty()) {
    const News news = news_.front();
    news_.pop_front();
    const Millis now = clock.now();
    switch (news.kind) {
      case Kind::opened: listener.on_opened(now); break;
      case Kind::open_failed: listener.on_open_failed(now); break;
      case Kind::visitors: listener.on_visitors(news.count, now); break;
      case Kind::scanned: tell_scanned(listener, seen, now); break;
      case Kind::joined: listener.on_joined(news.network, now); break;
      case Kind::join_failed: listener.on_join_failed(news.failure, now); break;
      case Kind::lost: listener.on_network_lost(now); break;
    }
  }
}

}  // namespace muster::agent::linux_port
