// SPDX-License-Identifier: Apache-2.0
// A hostile device's answers: the first byte says how the rest is cut into pieces for the HTTP reader; the body, and the input itself, go to
// the readers of device info, network list and configuration answer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "provisioner/device_answers.hpp"
#include "provisioner/http_answer.hpp"

namespace {

using namespace muster::provisioner;

void read_all(std::string_view body) {
  DeviceInfo info;
  if (parse_device_info(body, info) && (info.name.size() > device_text_max_bytes || info.uid.size() > device_text_max_bytes)) std::abort();
  std::vector<SeenNetwork> networks;
  if (parse_networks(body, networks) && networks.size() > networks_max) std::abort();
  for (const auto& network : networks) {
    if (network.ssid.empty() || network.ssid.size() > 32 || network.security.size() > device_text_max_bytes) std::abort();
  }
  std::string message;
  static_cast<void>(parse_config_answer(200, body, message));
  if (message.size() > device_text_max_bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] % 64 + 1U;
  const std::string_view text{reinterpret_cast<const char*>(data + 1), size - 1};
  HttpAnswerReader whole, cut;
  whole.feed(text);
  whole.finish();
  for (std::size_t at = 0; at < text.size(); at += piece) cut.feed(text.substr(at, piece));
  cut.finish();
  if (whole.body().size() > answer_body_max_bytes) std::abort();
  if (whole.state() != cut.state()) std::abort();  // How the bytes arrive changes nothing.
  if (whole.state() == HttpAnswerReader::State::complete) {
    if (whole.body() != cut.body() || whole.status() != cut.status()) std::abort();
    read_all(whole.body());
  }
  read_all(text);
  return 0;
}
