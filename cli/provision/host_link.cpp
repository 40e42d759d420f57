// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/host_link.hpp"

#include "cli/provision/address_link.hpp"
#include "cli/provision/air_link.hpp"
#include "cli/provision/ble_link.hpp"
#include "cli/provision/nm_link.hpp"
#include "cli/provision/wpa_link.hpp"
#include "cli/terminal.hpp"

namespace muster::cli {

namespace {

using Made = Outcome<std::unique_ptr<HostLink>>;

}  // namespace

Made make_host_link(const ProvisionOptions& options, agent::Clock& clock, agent::RandomSource& random) {
  const int ways = (options.device_url.empty() ? 0 : 1) + (options.radio.empty() ? 0 : 1) + (options.ble ? 1 : 0);
  if (ways != 1)
    return usage(std::string{ways == 0 ? "Say how" : "Say in one way how"} + " the device is reached: --radio " +
                 std::string{host_link_kinds} + ", --ble, or --device-url URL when this computer is on its network already.");
  if (options.ble) return make_ble_link({});
  if (!options.device_url.empty()) {
    const auto address = parse_device_url(options.device_url);
    if (!address) return address.error();
    return Made{std::make_unique<AddressLink>(address->host, address->port)};
  }
  const auto colon = options.radio.find(':');
  const std::string kind = options.radio.substr(0, colon);
  const std::string argument = colon == std::string::npos ? std::string{} : options.radio.substr(colon + 1);
  const bool whole = colon == std::string::npos || !argument.empty();
  if (whole && kind == "wpa") return Made{std::make_unique<WpaLink>(argument, clock, random)};
  if (whole && kind == "nm") return make_nm_link(argument, clock);
  if (whole && kind == "ble") return make_ble_link(argument);
  if (whole && kind == "sim") return Made{std::make_unique<AirLink>(argument)};
  return usage("There is no radio \"" + printable(options.radio) + "\" here; use " + std::string{host_link_kinds} + ".");
}

}  // namespace muster::cli
