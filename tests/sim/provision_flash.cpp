// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/provision_flash.hpp"

#include <algorithm>
#include <utility>

namespace muster::sim {

using agent::Slot;
using agent::StoreStatus;

void Flash::power_on() noexcept {
  off_ = false;
  held_.reset();
}

std::optional<agent::DeviceConfig> Flash::decode(const Record& record) {
  agent::DeviceConfig config;
  if (!record || agent::decode_config(wire::ByteView{std::string_view{*record}}, config) != agent::ConfigStatus::ok) return std::nullopt;
  return config;
}

std::optional<agent::DeviceConfig> Flash::read(Slot slot) const { return decode(at(slot)); }

bool Flash::holds(std::string_view token) const {
  return std::any_of(records_.begin(), records_.end(), [&](const Record& record) {
    const auto config = decode(record);
    return config && config->token.view() == token;
  });
}

void Flash::put(Slot slot, const agent::DeviceConfig& config) {
  std::uint8_t room[agent::config_record_size_max_bytes];
  const std::size_t size = agent::encode_config(config, {room, sizeof room});
  at(slot) = std::string{room, room + size};
}

StoreStatus Flash::load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) {
  if (off_) return StoreStatus::io_failed;
  const Record& record = slot == Slot::pending && held_ ? held_ : at(slot);
  if (!record) return StoreStatus::absent;
  if (record->size() > room.size) return StoreStatus::too_big;
  std::copy(record->begin(), record->end(), room.data);
  size_bytes = record->size();
  return StoreStatus::ok;
}

void Flash::replace(Slot slot, Record record) {
  const auto before = decode(at(slot));
  at(slot) = std::move(record);
  if (before && on_lost && !holds(before->token.view())) on_lost(slot, std::string{before->token.view()});
}

StoreStatus Flash::write(Slot slot, Record record) {
  if (off_) return StoreStatus::io_failed;
  if (failing_ != 0) {
    --failing_;
    return StoreStatus::io_failed;
  }
  ++writes_;
  if (cut_at_ != 0 && --cut_at_ == 0) {
    off_ = true;
    // Before the rename nothing has happened, whatever was written beside; from there to the sync of the directory chance decides; after
    // it the device only does not learn that it is done.
    const auto moment = dice_.below(4);
    if (moment == 3 || (moment == 2 && dice_.chance(500))) replace(slot, std::move(record));
    if (on_cut) on_cut();
    return StoreStatus::io_failed;
  }
  replace(slot, std::move(record));
  return StoreStatus::ok;
}

StoreStatus Flash::save(Slot slot, wire::ByteView record) {
  if (slot == Slot::pending && bug_ == Bug::pending_after_dial) {
    held_ = std::string{record.text()};
    return StoreStatus::ok;
  }
  if (slot == Slot::pending && bug_ == Bug::commit_before_proof) static_cast<void>(write(Slot::proved, std::string{record.text()}));
  return write(slot, std::string{record.text()});
}

StoreStatus Flash::erase(Slot slot) {
  if (slot == Slot::pending) held_.reset();
  return at(slot) ? write(slot, std::nullopt) : off_ ? StoreStatus::io_failed : StoreStatus::ok;
}

void Flash::dial_done() {
  if (auto record = std::exchange(held_, std::nullopt)) static_cast<void>(write(Slot::pending, std::move(record)));
}

}  // namespace muster::sim
