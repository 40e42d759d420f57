// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "cloud/net/address_limiter.hpp"

namespace muster::net {

/// Memory that HTTP request bodies take, over all loops: those still on their way, and those that wait for a worker or are with
/// one. Bounded in all and for each address. Thread-safe.
class BodyBudget {
 public:
  struct Limits {
    std::size_t max_bytes;
    std::size_t per_address_max_bytes;  ///< Below 4 GiB.
  };
  explicit BodyBudget(Limits limits) : max_bytes_{limits.max_bytes}, addresses_{limits.per_address_max_bytes} {}

  /// What one body takes; gives it back when it goes. Used by one thread at a time; may outlive the connection.
  class Share {
   public:
    Share() = default;
    Share(std::shared_ptr<BodyBudget> budget, std::uint64_t address_key) : budget_{std::move(budget)}, address_key_{address_key} {}
    Share(Share&& other) noexcept { *this = std::move(other); }
    Share& operator=(Share&& other) noexcept {
      if (this == &other) return *this;
      release();
      budget_ = std::move(other.budget_);
      address_key_ = other.address_key_;
      bytes_ = std::exchange(other.bytes_, 0);
      return *this;
    }
    ~Share() { release(); }

    [[nodiscard]] explicit operator bool() const noexcept { return budget_ != nullptr; }
    /// False: more than there may be; what was held stays held.
    [[nodiscard]] bool resize(std::size_t bytes) {
      if (bytes <= bytes_) {
        give_back(bytes_ - bytes);
      } else {
        const std::size_t more = bytes - bytes_;
        if (!budget_->acquire(address_key_, more)) return false;
      }
      bytes_ = bytes;
      return true;
    }
    void release() noexcept {
      give_back(bytes_);
      bytes_ = 0;
    }

   private:
    void give_back(std::size_t bytes) noexcept {
      if (bytes != 0) budget_->release(address_key_, bytes);
    }

    std::shared_ptr<BodyBudget> budget_;
    std::uint64_t address_key_ = 0;
    std::size_t bytes_ = 0;
  };

 private:
  [[nodiscard]] bool acquire(std::uint64_t address_key, std::size_t bytes) {
    if (held_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= max_bytes_ && addresses_.acquire(address_key, bytes))
      return true;
    held_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  void release(std::uint64_t address_key, std::size_t bytes) noexcept {
    addresses_.release(address_key, bytes);
    held_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  const std::size_t max_bytes_;
  std::atomic<std::size_t> held_bytes_{0};
  AddressLimiter addresses_;
};

}  // namespace muster::net
