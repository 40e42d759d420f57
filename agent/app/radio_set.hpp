// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/app/page_address.hpp"
#include "agent/app/visitors.hpp"
#include "agent/core/device.hpp"
#include "agent/core/local_server.hpp"
#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"
#include "agent/port/random.hpp"
#include "agent/port/transport.hpp"

namespace muster::agent::app {

/// A radio with what hangs on it: where its local web server gets its bytes from, and its name service. The program's loop waits for its
/// descriptors and deadline, then calls serve(). One thread.
class RadioSet : public LocalServer::Sink {
 public:
  virtual ~RadioSet() = default;

  /// Makes ready what can be made ready. Empty, or a sentence that says what is wrong and what to do.
  [[nodiscard]] virtual std::string start() = 0;
  virtual void stop() = 0;
  [[nodiscard]] virtual Radio& radio() = 0;
  /// Of the station; its bytes make the device's name unique.
  [[nodiscard]] virtual std::array<std::uint8_t, 6> mac() const = 0;
  /// Before the first serve(): who hears what the radio has to tell.
  virtual void attach(Device& device, LocalServer& server) = 0;
  /// Where the radio tells how many stations are on its access point; apps that come another way are counted there too.
  [[nodiscard]] Visitors& visitors() noexcept { return visitors_; }

  /// Appends what to wait for.
  virtual void fill(std::vector<pollfd>& waiting) const = 0;
  [[nodiscard]] virtual Millis next_deadline(Millis now) const = 0;
  /// `ready`: what fill() appended, after poll(2).
  virtual void serve(const pollfd* ready, std::size_t count, Millis now) = 0;

  /// nullopt: dial. Else why this network does not let the device through (for air that has its own idea of that).
  [[nodiscard]] virtual std::optional<CloseReason> blocks(const Endpoint& endpoint) const {
    static_cast<void>(endpoint);
    return std::nullopt;
  }
  /// What a person should know about the radio now; empty: nothing new.
  [[nodiscard]] virtual std::string take_trouble() { return {}; }

 private:
  Visitors visitors_;
};

/// `portal`: the name service on the device's own network answers every name.
/// `kind`: what --radio was given: nm[:INTERFACE], sim[:PATH] or wpa[:INTERFACE]. nullptr: no such kind in this program. `id` makes a
/// simulated radio's addresses; `page` is for the simulated air only.
[[nodiscard]] std::unique_ptr<RadioSet> make_radio_set(const std::string& kind, const std::string& id,
                                                       const std::optional<PageAddress>& page, bool portal, Clock& clock,
                                                       RandomSource& random);
/// What --radio can be, for help and complaints.
inline constexpr std::string_view radio_kinds = "nm[:INTERFACE], wpa[:INTERFACE] or sim[:PATH]";

}  // namespace muster::agent::app
