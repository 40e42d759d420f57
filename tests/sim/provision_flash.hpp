// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/core/config.hpp"
#include "agent/port/store.hpp"
#include "tests/sim/bug.hpp"
#include "tests/sim/random.hpp"

namespace muster::sim {

/// A device's records on a medium that loses its power, in the way of the Linux port's files: a record is written beside, synced, renamed,
/// and the directory synced. A cut leaves the old record or the new one, and maybe a torn file beside, which nobody reads. It outlives
/// the device, which may make its planted mistake here.
class Flash final : public agent::Store {
 public:
  Flash(Dice& dice, Bug bug) : dice_{dice}, bug_{bug} {}

  /// The power goes in the middle of the write (or erasure) with this number from now on, from 1. 0: it stays on.
  void cut_at(std::uint32_t write) noexcept { cut_at_ = write; }
  /// The device is on again.
  void power_on() noexcept;
  [[nodiscard]] bool off() const noexcept { return off_; }
  /// From now on so many writes fail without a power cut: a worn medium.
  void fail_next(std::uint32_t writes) noexcept { failing_ = writes; }
  [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }
  /// The device is through to its cloud: here the planted mistake writes the pending record at last.
  void dial_done();

  /// What is there, for the judge. None: no record, or no whole one.
  [[nodiscard]] std::optional<agent::DeviceConfig> read(agent::Slot slot) const;
  [[nodiscard]] bool holds(std::string_view token) const;
  /// Makes it hold a record as if it had always done.
  void put(agent::Slot slot, const agent::DeviceConfig& config);

  /// Called when the power goes during a write, from inside of it.
  std::function<void()> on_cut;
  /// Called when a record was replaced or erased, with the token that was in it.
  std::function<void(agent::Slot, const std::string&)> on_lost;

  // --- agent::Store ---------------------------------------------------------------------------------------------------------------------
  agent::StoreStatus load(agent::Slot slot, wire::ByteSpan room, std::size_t& size_bytes) override;
  agent::StoreStatus save(agent::Slot slot, wire::ByteView record) override;
  agent::StoreStatus erase(agent::Slot slot) override;

 private:
  using Record = std::optional<std::string>;
  agent::StoreStatus write(agent::Slot slot, Record record);
  void replace(agent::Slot slot, Record record);
  [[nodiscard]] static std::optional<agent::DeviceConfig> decode(const Record& record);
  [[nodiscard]] Record& at(agent::Slot slot) { return records_[static_cast<std::size_t>(slot)]; }
  [[nodiscard]] const Record& at(agent::Slot slot) const { return records_[static_cast<std::size_t>(slot)]; }

  Dice& dice_;
  Bug bug_;
  std::array<Record, 2> records_;
  Record held_;  ///< By the planted mistake, in memory only.
  std::uint32_t cut_at_ = 0, failing_ = 0;
  std::uint64_t writes_ = 0;
  bool off_ = false;
};

}  // namespace muster::sim
