// SPDX-License-Identifier: Apache-2.0
#include "agent/app/radio_set.hpp"

#include "agent/app/nm_radio_set.hpp"
#include "agent/app/sim_radio.hpp"
#include "agent/app/wpa_radio_set.hpp"

namespace muster::agent::app {

std::unique_ptr<RadioSet> make_radio_set(const std::string& kind, const std::string& id, const std::optional<PageAddress>& page,
                                         bool portal, Clock& clock, RandomSource& random) {
  const std::size_t colon = kind.find(':');
  const std::string name = kind.substr(0, colon);
  const std::string argument = colon == std::string::npos ? std::string{} : kind.substr(colon + 1);
  if (colon != std::string::npos && argument.empty()) return nullptr;
  if (name == "sim") return std::make_unique<SimRadio>(argument, id, page);
  if (name == "wpa") return std::make_unique<WpaRadioSet>(argument, portal, clock, random);
  if (name == "nm") return make_nm_radio_set(argument, portal, clock);
  return nullptr;
}

}  // namespace muster::agent::app
