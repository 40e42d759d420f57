// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"
#include "agent/ports/linux/radio_listener.hpp"
#include "agent/ports/linux/wpa_text.hpp"

namespace muster::agent::linux_port {

/// What a radio's listener is still to hear: a radio never calls it from inside its own calls, so news wait for the loop's turn. One thread.
class RadioNews {
 public:
  enum class Kind : std::uint8_t { opened, open_failed, visitors, scanned, joined, join_failed, lost };

  /// Each takes the place of news of its kind that was not told yet.
  void push(Kind kind) { push(News{kind, 0, {}, JoinFailure::other}); }
  void push_visitors(std::size_t count) { push(News{Kind::visitors, count, {}, JoinFailure::other}); }
  void push_joined(const JoinedNetwork& network) { push(News{Kind::joined, 0, network, JoinFailure::other}); }
  void push_join_failed(JoinFailure failure) { push(News{Kind::join_failed, 0, {}, failure}); }
  void forget(std::initializer_list<Kind> kinds);
  void clear() { news_.clear(); }
  [[nodiscard]] bool empty() const noexcept { return news_.empty(); }

  /// Tells all, also what comes up meanwhile. `seen`: the networks of a scan; it may change while the listener hears of it.
  void tell(RadioListener& listener, Clock& clock, const std::vector<WpaNetwork>& seen);

 private:
  struct News {
    Kind kind;
    std::size_t count;
    JoinedNetwork network;
    JoinFailure failure;
  };
  void push(const News& news);

  std::deque<News> news_;
};

}  // namespace muster::agent::linux_port
