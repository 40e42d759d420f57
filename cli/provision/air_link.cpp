// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/air_link.hpp"

#include <utility>

namespace muster::cli {

using agent::sim::AirSocket;

AirLink::AirLink(const std::string& path)
    : path_{path},
      air_{AirSocket::Options{path.empty() ? agent::sim::default_air_path() : path, false, agent::sim::quick_air_times}},
      radio_{air_} {
  air_.attach(radio_);
}

std::string AirLink::trouble() const {
  return air_.trouble() + " Start an agent first: muster-agent --radio sim" + (path_.empty() ? "" : ":" + path_) + " ...";
}

std::unique_ptr<provisioner::Provisioner> AirLink::make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                    provisioner::Options options) {
  options.times.scan_again_ms = 500;  // Such an air is quick.
  options.times.device_poll_ms = 200;
  auto made = std::make_unique<provisioner::Provisioner>(&radio_, radio_, cloud, front, std::move(options));
  radio_.attach(*made);
  return made;
}

void AirLink::fill(std::vector<pollfd>& waiting) const {
  const std::size_t before = waiting.size();
  waiting.resize(before + air_.descriptor_count());
  if (waiting.size() > before) air_.fill(waiting.data() + before);
}

void AirLink::serve(const pollfd* ready, std::size_t count, agent::Millis now) {
  air_.serve(ready, count, now);
  radio_.serve(now);
}

}  // namespace muster::cli
