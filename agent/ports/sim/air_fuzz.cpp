// SPDX-License-Identifier: Apache-2.0
// What a hostile program may send over the socket of the air: messages decode strictly and survive the way back, and no sequence of
// commands of two radios brings the air out of its bounds. The input is a run of messages, each behind a size byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "agent/ports/sim/air.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::agent::sim;
  Air air{quick_air_times};
  air.set_home_networks({default_home_network()}, 0);
  RadioId radios[2] = {air.add_radio(), air.add_radio()};
  muster::agent::Millis now = 0;
  while (size > 0) {
    const std::size_t length = std::min<std::size_t>(*data >> 1, size - 1);
    RadioId& radio = radios[*data & 1];
    ++data;
    --size;
    AirCommand command;
    if (decode_command(data, length, command)) {
      const auto again = encode_command(command);
      AirCommand twice;
      if (!decode_command(again.data(), again.size(), twice) || encode_command(twice) != again) std::abort();
      if (!air.apply(radio, command, now)) {
        air.remove_radio(radio, now);
        radio = air.add_radio();
        if (radio == 0) std::abort();
      }
    }
    AirEvent event;
    if (decode_event(data, length, event)) {
      const auto again = encode_event(event);
      if (again != std::vector<std::uint8_t>(data, data + length)) std::abort();
    }
    now += length;
    while (air.next_event(now, event)) {
      if (event.radio == 0 || encode_event(event).size() > air_message_max) std::abort();
    }
    data += length;
    size -= length;
  }
  return 0;
}
