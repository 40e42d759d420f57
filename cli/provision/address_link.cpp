// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/address_link.hpp"

#include <algorithm>

namespace muster::cli {

Outcome<DeviceAddress> parse_device_url(std::string url) {
  if (!url.starts_with("http://")) return usage("The device's URL begins with http://");
  url.erase(0, 7);
  url.erase(std::min(url.find('/'), url.size()));
  DeviceAddress address{{}, "80"};
  if (const auto colon = url.rfind(':'); colon != std::string::npos && url.find(']', colon) == std::string::npos) {
    address.port = url.substr(colon + 1);
    url.erase(colon);
  }
  if (url.size() > 2 && url.front() == '[') url = url.substr(1, url.size() - 2);
  address.host = url;
  if (address.host.empty() || address.host.find_first_of(" \r\n\t@") != std::string::npos || address.port.empty() ||
      address.port.find_first_not_of("0123456789") != std::string::npos)
    return usage("The device's URL is no http://HOST[:PORT]");
  return address;
}

std::unique_ptr<provisioner::Provisioner> AddressLink::make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                        provisioner::Options options) {
  options.direct = true;
  auto made = std::make_unique<provisioner::Provisioner>(nullptr, device_, cloud, front, std::move(options));
  device_.attach(*made);
  return made;
}

}  // namespace muster::cli
