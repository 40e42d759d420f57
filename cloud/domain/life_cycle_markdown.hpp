// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace muster::domain {

/// What a life-cycle table says, for people: a Mermaid state diagram (events that move, joined by arrow) and a table of
/// everything. `next(s, e)` gives the index of the next state, or `states` when the event is refused.
template <class Next>
[[nodiscard]] std::string life_cycle_markdown(std::size_t states, std::size_t events, auto state_name, auto event_name,
                                              std::initializer_list<std::size_t> first, std::size_t last, Next next) {
  std::string text = "```mermaid\nstateDiagram-v2\n";
  for (const auto state : first) text.append("    [*] --> ").append(state_name(state)).append("\n");
  for (std::size_t from = 0; from < states; ++from) {
    for (std::size_t to = 0; to < states; ++to) {
      if (to == from) continue;
      std::string label;
      for (std::size_t event = 0; event < events; ++event) {
        if (next(from, event) == to) label.append(label.empty() ? "" : ", ").append(event_name(event));
      }
      if (!label.empty())
        text.append("    ").append(state_name(from)).append(" --> ").append(state_name(to)).append(" : ").append(label).append("\n");
    }
  }
  text.append("    ").append(state_name(last)).append(" --> [*]\n```\n\n| event |");
  for (std::size_t state = 0; state < states; ++state) text.append(" ").append(state_name(state)).append(" |");
  text.append("\n|---|");
  for (std::size_t state = 0; state < states; ++state) text.append("---|");
  text.append("\n");
  for (std::size_t event = 0; event < events; ++event) {
    text.append("| ").append(event_name(event)).append(" |");
    for (std::size_t state = 0; state < states; ++state) {
      const auto to = next(state, event);
      text.append(" ")
          .append(to == states  ? std::string_view{"refused"}
                  : to == state ? std::string_view{"stays"}
                                : std::string_view{state_name(to)})
          .append(" |");
    }
    text.append("\n");
  }
  return text;
}

}  // namespace muster::domain
