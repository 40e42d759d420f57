// SPDX-License-Identifier: Apache-2.0
#include "agent/app/sim_radio.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace muster::agent::app {
namespace {

/// Streams of the air count from 1, far below.
constexpr ConnectionId first_page_id = 0x8000'0000U;

}  // namespace

SimRadio::SimRadio(std::string path, const std::string& id, const std::optional<PageAddress>& page)
    : air_{{.path = path.empty() ? sim::default_air_path() : std::move(path), .may_host = true, .times = sim::quick_air_times}},
      radio_{air_, *this} {
  const std::size_t hash = std::hash<std::string>{}(id);
  mac_[0] = 0x02;  // Locally administered.
  for (std::size_t i = 1; i < mac_.size(); ++i) mac_[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  if (page) {
    linux_port::LocalListener::Options options;
    options.address = page->address;
    options.http_port = page->port;
    options.dns_port = 0;
    options.first_id = first_page_id;
    page_.emplace(options);
  }
}

/// Taken and given back: an address that cannot be had is told at once, not when set-up opens.
std::string SimRadio::start() {
  if (!page_) return {};
  std::string problem = page_->open({});
  page_->shut();
  return problem;
}

void SimRadio::stop() {
  if (page_) page_->shut();
  radio_.shut();
}

void SimRadio::attach(Device& device, LocalServer& server) {
  device_ = &device;
  server_ = &server;
  if (page_) page_->attach(server);
  air_.attach(radio_);
}

void SimRadio::fill(std::vector<pollfd>& waiting) const {
  const std::size_t before = waiting.size();
  waiting.resize(before + air_.descriptor_count());
  air_.fill(waiting.data() + before);
  if (page_) page_->fill(waiting);
}

void SimRadio::serve(const pollfd* ready, std::size_t count, Millis now) {
  const std::size_t of_air = std::min(air_.descriptor_count(), count);
  if (page_ && ready != nullptr) page_->serve(ready + of_air, count - of_air, now);
  air_.serve(ready, of_air, now);
  if (page_ && page_->is_open() && !device_->open_for_setup()) page_->shut();
}

void SimRadio::on_opened(Millis now) {
  if (page_) page_problem_ = page_->open({});
  device_->on_opened(now);
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
  const std::string& trouble = page_problem_.empty() ? air_.trouble() : page_problem_;
  if (trouble == told_trouble_) return {};
  told_trouble_ = trouble;
  return told_trouble_;
}

bool SimRadio::send(ConnectionId connection, wire::ByteView bytes) {
  if (connection >= first_page_id) return page_->send(connection, bytes);
  radio_.send(connection, bytes);
  return true;
}

void SimRadio::close(ConnectionId connection) {
  if (connection >= first_page_id)
    page_->close(connection);
  else
    radio_.close(connection);
}

void SimRadio::on_stream_opened(std::uint32_t stream, Millis now) {
  if (!server_->on_open(stream, now)) radio_.close(stream);
}

}  // namespace muster::agent::app
