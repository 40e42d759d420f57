// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "agent/core/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::agent;
  DeviceConfig config;
  if (decode_config({data, size}, config) != ConfigStatus::ok) {
    return 0;
  }
  // What was read can be written, and reads the same again.
  std::uint8_t room[config_record_size_max_bytes];
  const std::size_t written = encode_config(config, {room, sizeof room});
  DeviceConfig again;
  if (written == 0 || decode_config({room, written}, again) != ConfigStatus::ok || again.token.view() != config.token.view() ||
      again.host.view() != config.host.view() || again.port != config.port || again.security != config.security ||
      again.template_id.view() != config.template_id.view() || again.template_name.view() != config.template_name.view() ||
      again.network.interface != config.network.interface || again.network.ssid.view() != config.network.ssid.view() ||
      again.network.passphrase.view() != config.network.passphrase.view() || again.network.fixed.address != config.network.fixed.address ||
      again.generation != config.generation) {
    std::abort();
  }
  return 0;
}
