// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"
#include "cloud/domain/timeline.hpp"

namespace muster::domain {

/// What happened to devices. Operations of other parts write their own lines (activated, transferred, ...) in their transaction.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class TimelineStore {
 public:
  virtual ~TimelineStore() = default;

  /// Written behind, in the order given; notes about unknown devices are skipped. Not audited.
  virtual Result<void> write_timeline(std::span<const TimelineNote> /*batch*/) { return StoreError::unavailable; }
  /// A line by an operation of its own: `entry` without id; its organization is the device's. Not audited, the line says who.
  /// Errors: not_found.
  virtual Result<TimelineEntry> add_timeline(const TimelineEntry& /*entry*/) { return StoreError::unavailable; }
  /// Errors: not_found (also: of another device), wrong_state (resolved already, or none that can be).
  virtual Result<TimelineEntry> resolve_timeline(DeviceId /*device*/, TimelineId /*id*/, std::string_view /*comment*/,
                                                 const Actor& /*actor*/) {
    return StoreError::unavailable;
  }
  virtual Result<PageOf<TimelineEntry>> timeline(const TimelineFilter& /*filter*/, const Page& /*page*/) {  ///< Newest first.
    return StoreError::unavailable;
  }
  /// Lines of all devices in the order they were written, for who follows them.
  virtual Result<std::vector<TimelineEntry>> timeline_after(TimelineId /*after*/, std::size_t /*limit*/) { return StoreError::unavailable; }
  struct Logged {
    DeviceId device;
    unsigned count = 0;
  };
  /// How many events each device has logged since that time, and still has on its timeline; at most `limit` devices.
  virtual Result<std::vector<Logged>> logged_since(UtcTime /*from*/, std::size_t /*limit*/) { return StoreError::unavailable; }
  virtual Result<TimelineId> newest_timeline() { return StoreError::unavailable; }
  /// Deletes lines from before that time, the oldest first and at most `limit` in one transaction; how many.
  virtual Result<std::size_t> trim_timeline(UtcTime /*before*/, std::size_t /*limit*/) { return StoreError::unavailable; }
};

}  // namespace muster::domain
