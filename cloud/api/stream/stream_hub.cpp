// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/stream/stream_hub.hpp"

#include <algorithm>

#include "cloud/api/stream/stream_client.hpp"

namespace muster::api {

StreamHub::StreamHub(Dependencies dependencies, StreamLimits limits)
    : d_{dependencies}, limits_{limits}, epoch_{std::to_string(dependencies.clock.utc_now().ms)} {}

StreamHub::~StreamHub() = default;

void StreamHub::update_watched() { watched_.store(!devices_.empty() || !organizations_.empty(), std::memory_order_relaxed); }

void StreamHub::append(std::unique_lock<std::mutex>&, DeviceId device, std::int16_t row, Watch* watch) {
  if (watch != nullptr && row != gone_row) {
    auto newest = std::find_if(watch->newest.begin(), watch->newest.end(), [&](const auto& each) { return each.first == row; });
    if (newest == watch->newest.end()) {
      watch->newest.emplace_back(row, 0);
      newest = std::prev(watch->newest.end());
    } else if (newest->second > read_up_to_) {
      return;  // Nobody has read the last entry of this row yet: who does will read the state after it.
    }
    newest->second = next_ + 1;
  }
  if (journal_.empty()) journal_.resize(limits_.journal_entries);  // Only servers with a console open pay for it.
  journal_[next_ % journal_.size()] = {device, row};
  ++next_;
}

void StreamHub::device_status_changed(DeviceId device) {
  if (!watched()) return;
  // Asked before the lock: who watches an organization hears of devices that are new in it.
  const auto place = d_.views.directory.device(device);
  std::unique_lock lock{mutex_};
  const auto found = devices_.find(device);
  if (found != devices_.end()) {
    append(lock, device, status_row, &found->second);
  } else if (place && organizations_.contains(place->organization_id)) {
    append(lock, device, status_row, nullptr);
  }
}

void StreamHub::value_changed(DeviceId device, std::uint8_t pin) {
  if (!watched()) return;
  std::unique_lock lock{mutex_};
  const auto found = devices_.find(device);
  if (found != devices_.end()) append(lock, device, pin, &found->second);
}

void StreamHub::device_gone(DeviceId device) noexcept {
  if (!watched()) return;
  std::unique_lock lock{mutex_};
  const auto found = devices_.find(device);
  if (found != devices_.end()) append(lock, device, gone_row, &found->second);
}

void StreamHub::provision_session_changed(const domain::ProvisionSession& session) {
  if (session_watchers_.load(std::memory_order_acquire) == 0) return;
  const std::lock_guard lock{mutex_};
  for (const auto& [client, who] : clients_) {
    if (who.user) client->offer_session(session);
  }
}

void StreamHub::access_tokens_changed(UserId user) {
  // A client that signs in meanwhile is either among those below or sees the new count.
  access_token_generation_.fetch_add(1, std::memory_order_seq_cst);
  std::vector<std::pair<StreamClient*, TokenDigests>> asked;
  {
    const std::lock_guard lock{mutex_};
    for (const auto& [client, who] : clients_) {
      if (who.user && (!user || who.user == user)) asked.emplace_back(client, who.access_digests);
    }
  }
  for (const auto& [client, digests] : asked) {
    const auto found = d_.store.find_access_token(digests.all());
    if (found && *found) continue;
    const std::lock_guard lock{mutex_};
    // Another client may have its place by now.
    const auto present = clients_.find(client);
    if (present == clients_.end() || present->second.access_digests.newest() != digests.newest()) continue;
    client->end_.store(found ? StreamClient::End::token_gone : StreamClient::End::unsure, std::memory_order_release);
  }
}

bool StreamHub::signed_in(StreamClient* client, UserId user, const TokenDigests& access_digests) {
  const std::lock_guard lock{mutex_};
  const auto found = clients_.find(client);
  if (found == clients_.end()) return false;
  const bool again = static_cast<bool>(found->second.user);
  if (!again && signed_in_count_ >= limits_.clients_max) return false;
  if (!again) ++signed_in_count_;
  found->second.user = user;
  found->second.access_digests = access_digests;
  return true;
}

std::unique_ptr<StreamSession> StreamHub::open(std::string_view access_token, const IpAddress& address) {
  // Strangers must not take the places of those who have signed in, nor one of them those of all others.
  const std::uint64_t key = address.limit_key();
  const auto is_full = [&] {
    const auto of_address = [&](const auto& each) { return !each.second.user && each.second.address_key == key; };
    return clients_.size() - signed_in_count_ >= limits_.clients_max ||
           static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), of_address)) >= limits_.unsigned_per_address_max;
  };
  auto client = std::make_unique<StreamClient>(*this, access_token);
  const std::lock_guard lock{mutex_};
  if (is_full()) return nullptr;
  clients_.try_emplace(client.get(), SignedIn{{}, {}, key});
  d_.metrics.stream_clients.add();
  return client;
}

void StreamHub::closed(StreamClient* client) noexcept {
  const std::lock_guard lock{mutex_};
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  if (found->second.user) --signed_in_count_;
  clients_.erase(found);
  d_.metrics.stream_clients.subtract();
}

void StreamHub::sweep(Instant now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + std::chrono::seconds{1};
  const auto forgotten = [&](const auto& each) { return each.second.count == 0 && each.second.forget_at <= now; };
  std::erase_if(devices_, forgotten);
  std::erase_if(organizations_, forgotten);
  update_watched();
}

bool StreamHub::watch(std::span<const DeviceId> devices, std::span<const OrganizationId> organizations, Instant now,
                      std::uint64_t& position) {
  std::unique_lock lock{mutex_};
  if (devices_.size() + devices.size() > limits_.rows_total_max) {
    next_sweep_ = {};
    sweep(now);
    if (devices_.size() + devices.size() > limits_.rows_total_max) return false;
  }
  // What starts to be watched changed unseen until now: an empty entry puts its beginning behind every cursor given so far.
  const bool begins =
      std::any_of(devices.begin(), devices.end(), [&](DeviceId id) { return !devices_.contains(id); }) ||
      std::any_of(organizations.begin(), organizations.end(), [&](OrganizationId id) { return !organizations_.contains(id); });
  if (begins) append(lock, DeviceId{}, gone_row, nullptr);
  const auto add = [&](auto& table, auto id) {
    auto& watch = table.try_emplace(id).first->second;
    if (watch.count == 0 && watch.since == 0) watch.since = next_;
    ++watch.count;
  };
  for (const DeviceId id : devices) add(devices_, id);
  for (const OrganizationId id : organizations) add(organizations_, id);
  position = next_;
  // An entry that is already there was read by others, maybe, but not by who watches from here on.
  read_up_to_ = std::max(read_up_to_, next_);
  update_watched();
  return true;
}

void StreamHub::unwatch(std::span<const DeviceId> devices, std::span<const OrganizationId> organizations, Instant now) {
  const std::lock_guard lock{mutex_};
  const auto remove = [&](auto& table, auto id) {
    const auto found = table.find(id);
    if (found == table.end() || found->second.count == 0) return;
    if (--found->second.count == 0) found->second.forget_at = now + limits_.linger;
  };
  for (const DeviceId id : devices) remove(devices_, id);
  for (const OrganizationId id : organizations) remove(organizations_, id);
}

StreamHub::Read StreamHub::read(std::uint64_t& position, std::size_t limit, std::vector<Entry>& out, Instant now) {
  const std::lock_guard lock{mutex_};
  sweep(now);
  if (next_ - position > limits_.journal_entries) return Read::overrun;
  while (position < next_ && out.size() < limit) out.push_back(journal_[position++ % journal_.size()]);
  read_up_to_ = std::max(read_up_to_, position);
  return Read::ok;
}

bool StreamHub::can_resume(std::uint64_t position, std::span<const DeviceId> devices, std::span<const OrganizationId> organizations) {
  const std::lock_guard lock{mutex_};
  if (position == 0 || position > next_ || next_ - position > limits_.journal_entries) return false;
  const auto covered = [&](const auto& table, auto id) {
    const auto found = table.find(id);
    return found != table.end() && found->second.since <= position;
  };
  return std::all_of(devices.begin(), devices.end(), [&](DeviceId id) { return covered(devices_, id); }) &&
         std::all_of(organizations.begin(), organizations.end(), [&](OrganizationId id) { return covered(organizations_, id); });
}

}  // namespace muster::api
