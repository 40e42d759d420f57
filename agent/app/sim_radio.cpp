// SPDX-License-Identifier: Apache-2.0
#include "agent/app/sim_radio.hpp"

#include <arpa/inet.h>

#include <functional>
#include <utility>

namespace muster::agent::app {

SimRadio::SimRadio(std::string path, const std::string& id)
    : air_{{.path = path.empty() ? sim::default_air_path() : std::move(path), .may_host = true, .times = sim::quick_air_times}},
      radio_{air_, *this} {
  const std::size_t hash = std::hash<std::string>{}(id);
  mac_[0] = 0x02;  // Locally administered.
  for (std::size_t i = 1; i < mac_.size(); ++i) mac_[i] = static_cast<std::uint8_t>(hash >> (8 * i));
}

void SimRadio::attach(Device& device, LocalServer& server) {
  device_ = &device;
  server_ = &server;
  air_.attach(radio_);
}

void SimRadio::fill(std::vector<pollfd>& waiting) const {
  const std::size_t before = waiting.size();
  waiting.resize(before + air_.descriptor_count());
  air_.fill(waiting.data() + before);
}

std::optional<CloseReason> SimRadio::blocks(const Endpoint& endpoint) const {
  switch (radio_.uplink()) {
    case sim::Uplink::good: return std::nullopt;
    case sim::Uplink::none:
    case sim::Uplink::dead: return CloseReason::unreachable;
    case sim::Uplink::captive_portal: return CloseReason::captive_portal;
    case sim::Uplink::dns_dead: {
      in_addr address{};
      const std::string host{endpoint.host};
      return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ? std::nullopt : std::optional{CloseReason::host_unknown};
    }
  }
  return std::nullopt;
}

std::string SimRadio::take_trouble() {
  if (air_.trouble() == told_trouble_) return {};
  told_trouble_ = air_.trouble();
  return told_trouble_;
}

bool SimRadio::send(ConnectionId connection, wire::ByteView bytes) {
  radio_.send(connection, bytes);
  return true;
}

void SimRadio::close(ConnectionId connection) { radio_.close(connection); }

void SimRadio::on_stream_opened(std::uint32_t stream, Millis now) {
  if (!server_->on_open(stream, now)) radio_.close(stream);
}

}  // namespace muster::agent::app
