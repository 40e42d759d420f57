// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/bytes.hpp"

namespace muster::agent {

/// Which record. Values are in file names and flash layouts: never renumber.
enum class Slot : std::uint8_t {
  proved = 0,   ///< What last reached the cloud, or was given by hand.
  pending = 1,  ///< What was received and has not reached the cloud yet.
};

enum class StoreStatus : std::uint8_t {
  ok,
  absent,     ///< load: nothing was ever saved there, or it was erased.
  too_big,    ///< load: the record is larger than the room; save: larger than the store takes.
  io_failed,  ///< The medium failed; the record that was there before is still there.
};

/// A few small records that survive power loss, provided by the platform. Calls may block.
class Store {
 public:
  /// Reads a record whole into `room`; `size_bytes` is set when ok.
  [[nodiscard]] virtual StoreStatus load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) = 0;
  /// Replaces a record. Atomic: after a power cut at any point the slot holds the old record or the new one, whole;
  /// when this has returned ok, the new one.
  [[nodiscard]] virtual StoreStatus save(Slot slot, wire::ByteView record) = 0;
  /// Erases a record; ok also when there was none.
  [[nodiscard]] virtual StoreStatus erase(Slot slot) = 0;

 protected:
  ~Store() = default;
};

}  // namespace muster::agent
