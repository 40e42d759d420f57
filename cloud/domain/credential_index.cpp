// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/credential_index.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "cloud/domain/token_life_cycle.hpp"

namespace muster::domain {

namespace {

/// 128 bits of the MAC are kept: nobody without the key can aim at one, and chance needs 2^64 tokens.
struct Slot {
  std::array<std::uint8_t, 16> mac;
  std::int64_t token_id;
  std::int32_t device_id;
  std::uint16_t key_id;
  std::uint8_t kind;
  std::uint8_t used;  ///< 0: in the free list, `device_id` is the next one.
};
static_assert(sizeof(Slot) == 32);

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

/// Open addressing over slot numbers; power of two, at most 60 % full, no tombstones.
class Numbers {
 public:
  template <class Same>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Same same) const noexcept {
    if (cells_.empty()) return none;
    for (std::size_t cell = hash & mask();; cell = (cell + 1) & mask()) {
      const auto number = cells_[cell];
      if (number == none || same(number)) return number;
    }
  }
  /// `hash_of` gives the hash of a number already in here.
  template <class HashOf>
  void insert(std::uint64_t hash, std::uint32_t number, HashOf hash_of) {
    if ((size_ + 1) * 5 > cells_.size() * 3) resize(cells_.empty() ? 16 : cells_.size() * 2, hash_of);
    place(hash, number);
    ++size_;
  }
  template <class HashOf>
  void erase(std::uint64_t hash, std::uint32_t number, HashOf hash_of) noexcept {
    if (cells_.empty()) return;
    std::size_t hole = hash & mask();
    while (cells_[hole] != number) {
      if (cells_[hole] == none) return;
      hole = (hole + 1) & mask();
    }
    for (std::size_t cell = (hole + 1) & mask(); cells_[cell] != none; cell = (cell + 1) & mask()) {
      const std::size_t wanted = hash_of(cells_[cell]) & mask();
      if (((cell - wanted) & mask()) < ((cell - hole) & mask())) continue;  // It would lie before its home.
      cells_[hole] = cells_[cell];
      hole = cell;
    }
    cells_[hole] = none;
    --size_;
  }
  template <class HashOf>
  void reserve(std::size_t count, HashOf hash_of) {
    std::size_t cells = cells_.empty() ? 16 : cells_.size();
    while (count * 5 > cells * 3) cells *= 2;
    if (cells != cells_.size()) resize(cells, hash_of);
  }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return cells_.capacity() * sizeof(std::uint32_t); }

 private:
  [[nodiscard]] std::size_t mask() const noexcept { return cells_.size() - 1; }
  void place(std::uint64_t hash, std::uint32_t number) noexcept {
    std::size_t cell = hash & mask();
    while (cells_[cell] != none) cell = (cell + 1) & mask();
    cells_[cell] = number;
  }
  template <class HashOf>
  void resize(std::size_t cells, HashOf hash_of) {
    auto old = std::exchange(cells_, std::vector<std::uint32_t>(cells, none));
    for (const auto number : old) {
      if (number != none) place(hash_of(number), number);
    }
  }

  std::vector<std::uint32_t> cells_;
  std::size_t size_ = 0;
};

std::uint64_t hash_mac(const std::uint8_t* mac) noexcept {
  std::uint64_t hash = 0;  // The MAC is as even as any hash of it.
  std::memcpy(&hash, mac, sizeof hash);
  return hash;
}

std::uint64_t hash_id(std::int64_t id) noexcept {
  const auto spread = static_cast<std::uint64_t>(id) * 0x9E3779B97F4A7C15ull;
  return spread ^ (spread >> 32);
}

/// Slots in chunks, so that growing copies nothing, and two indexes of their numbers: by MAC for logins, by token id because a
/// key rotation changes the MAC under which the next change of the same token arrives.
struct Content {
  static constexpr std::size_t chunk_slots = 1024;
  using Chunk = std::array<Slot, chunk_slots>;

  std::vector<std::unique_ptr<Chunk>> chunks;
  Numbers by_mac, by_id;
  std::uint32_t first_free = none;
  std::uint32_t end = 0;  ///< Slots ever used.
  std::size_t size = 0;

  [[nodiscard]] Slot& slot(std::uint32_t number) noexcept { return (*chunks[number / chunk_slots])[number % chunk_slots]; }
  [[nodiscard]] const Slot& slot(std::uint32_t number) const noexcept { return (*chunks[number / chunk_slots])[number % chunk_slots]; }
  [[nodiscard]] auto mac_hasher() const noexcept {
    return [this](std::uint32_t number) { return hash_mac(slot(number).mac.data()); };
  }
  [[nodiscard]] auto id_hasher() const noexcept {
    return [this](std::uint32_t number) { return hash_id(slot(number).token_id); };
  }

  [[nodiscard]] std::uint32_t find_mac(std::uint16_t key_id, const std::uint8_t* mac) const noexcept {
    return by_mac.find(hash_mac(mac), [&](std::uint32_t number) {
      const Slot& candidate = slot(number);
      return candidate.key_id == key_id && std::memcmp(candidate.mac.data(), mac, candidate.mac.size()) == 0;
    });
  }
  [[nodiscard]] std::uint32_t find_id(std::int64_t token_id) const noexcept {
    return by_id.find(hash_id(token_id), [&](std::uint32_t number) { return slot(number).token_id == token_id; });
  }

  void erase(std::uint32_t number) noexcept {
    Slot& gone = slot(number);
    by_mac.erase(hash_mac(gone.mac.data()), number, mac_hasher());
    by_id.erase(hash_id(gone.token_id), number, id_hasher());
    gone = Slot{};
    gone.device_id = static_cast<std::int32_t>(first_free);
    first_free = number;
    --size;
  }

  void insert(const TokenRecord& record) {
    std::uint32_t number = first_free;
    if (number != none) {
      first_free = static_cast<std::uint32_t>(slot(number).device_id);
    } else {
      if (end % chunk_slots == 0 && end / chunk_slots == chunks.size()) chunks.push_back(std::make_unique<Chunk>());
      number = end++;
    }
    Slot& fresh = slot(number);
    std::memcpy(fresh.mac.data(), record.digest.mac.data(), fresh.mac.size());
    fresh.token_id = record.id.value();
    fresh.device_id = record.device_id.value();
    fresh.key_id = record.digest.key_id;
    fresh.kind = static_cast<std::uint8_t>(record.kind);
    fresh.used = 1;
    by_mac.insert(hash_mac(fresh.mac.data()), number, mac_hasher());
    by_id.insert(hash_id(fresh.token_id), number, id_hasher());
    ++size;
  }
};

}  // namespace

struct CredentialIndex::Impl {
  mutable std::shared_mutex mutex;
  Content content;
};

CredentialIndex::CredentialIndex() : impl_{std::make_unique<Impl>()} {}
CredentialIndex::~CredentialIndex() = default;

std::optional<CredentialIndex::Entry> CredentialIndex::find(const TokenDigests& digests) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  for (const auto& digest : digests.all()) {
    const auto number = impl_->content.find_mac(digest.key_id, digest.mac.data());
    if (number == none) continue;
    const Slot& found = impl_->content.slot(number);
    return Entry{DeviceId{found.device_id}, static_cast<TokenKind>(found.kind), AuthTokenId{found.token_id}};
  }
  return std::nullopt;
}

std::optional<CredentialIndex::Entry> CredentialIndex::find(AuthTokenId id) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const auto number = impl_->content.find_id(id.value());
  if (number == none) return std::nullopt;
  const Slot& found = impl_->content.slot(number);
  return Entry{DeviceId{found.device_id}, static_cast<TokenKind>(found.kind), AuthTokenId{found.token_id}};
}

void CredentialIndex::apply(const TokenRecord& record) {
  const std::unique_lock lock{impl_->mutex};
  Content& content = impl_->content;
  const bool live = may_log_in(record.kind);
  const auto known = content.find_id(record.id.value());
  if (known != none) {
    Slot& slot = content.slot(known);
    if (live && slot.key_id == record.digest.key_id && std::memcmp(slot.mac.data(), record.digest.mac.data(), slot.mac.size()) == 0) {
      slot.device_id = record.device_id.value();
      slot.kind = static_cast<std::uint8_t>(record.kind);
      return;
    }
    content.erase(known);  // Revoked, or under a new key: the old digest must not stay.
  }
  if (const auto same_mac = content.find_mac(record.digest.key_id, record.digest.mac.data()); same_mac != none) content.erase(same_mac);
  if (live) content.insert(record);
}

void CredentialIndex::swap(CredentialIndex& other) noexcept {
  if (this == &other) return;
  const std::scoped_lock lock{impl_->mutex, other.impl_->mutex};
  std::swap(impl_->content, other.impl_->content);
}

void CredentialIndex::reserve(std::size_t count) {
  const std::unique_lock lock{impl_->mutex};
  Content& content = impl_->content;
  content.by_mac.reserve(count, content.mac_hasher());
  content.by_id.reserve(count, content.id_hasher());
  content.chunks.reserve((count + Content::chunk_slots - 1) / Content::chunk_slots);
}

void CredentialIndex::for_each(const std::function<void(AuthTokenId, DeviceId)>& each) const {
  const std::shared_lock lock{impl_->mutex};
  for (std::uint32_t number = 0; number < impl_->content.end; ++number) {
    const Slot& slot = impl_->content.slot(number);
    if (slot.used != 0) each(AuthTokenId{slot.token_id}, DeviceId{slot.device_id});
  }
}

std::size_t CredentialIndex::size() const noexcept {
  const std::shared_lock lock{impl_->mutex};
  return impl_->content.size;
}

std::size_t CredentialIndex::memory_bytes() const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const Content& content = impl_->content;
  return sizeof(Impl) + content.chunks.capacity() * sizeof(content.chunks[0]) + content.chunks.size() * sizeof(Content::Chunk) +
         content.by_mac.memory_bytes() + content.by_id.memory_bytes();
}

}  // namespace muster::domain
