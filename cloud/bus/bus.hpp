// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

/// What one node tells the others. The bus carries hints, never truth: "the change feed has grown, look now". A hint that is
/// lost, doubled or late costs time and nothing else, because every consumer of the feed remembers its sequence number, looks
/// by itself once a second anyway, and reads the feed, not the hint.
namespace muster::bus {

/// The newest change that the sender knows of (domain::Store::newest_change).
using ChangesCallback = std::function<void(std::int64_t seq)>;

/// Keeps a subscription alive. When it has been destroyed, the callback is not running and never runs again; so it must not
/// be destroyed by its own callback, nor under a lock that the callback takes.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class Bus {
 public:
  virtual ~Bus() = default;

  /// Tells every subscriber, on this node and on the others. Cheap, never waits for a subscriber's callback, cannot fail: when
  /// the way to the other nodes is broken, the hint is lost. Hints that wait for the same subscriber are merged to the newest.
  /// Thread-safe.
  virtual void notify_changes(std::int64_t seq) = 0;

  /// `callback` is called for hints that were given after this call, on a thread of the bus, one call at a time, with growing
  /// numbers. After a gap in the connection to other nodes it is called with 0: "you may have missed some, look now". It may
  /// block for as long as reading the feed takes. The subscription must be gone before the bus. Thread-safe.
  [[nodiscard]] virtual std::unique_ptr<Subscription> subscribe(ChangesCallback callback) = 0;
};

}  // namespace muster::bus
