// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/error.hpp"

#include <string>

namespace muster {
namespace {

// Boost's category has a protected destructor, which is safe but not virtual.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class BaseCategory final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "muster.base"; }

  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<BaseError>(value)) {
      case BaseError::key_unreadable: return "a key file cannot be read, or others than its owner may read it (directory 0700, files 0600)";
      case BaseError::key_damaged: return "a key file is damaged or missing";
      case BaseError::key_unknown: return "sealed under a key that this key ring does not hold";
      case BaseError::key_in_use: return "the key is in use";
      case BaseError::key_ring_full: return "the key ring is full";
      case BaseError::seal_damaged: return "sealed data is damaged or was sealed for another purpose";
      case BaseError::passphrase_wrong: return "wrong passphrase";
      case BaseError::file_damaged: return "the file is damaged";
      case BaseError::queue_full: return "a queue is full";
      case BaseError::recipient_malformed: return "not an age public key (age1...)";
      case BaseError::file_exists: return "the file exists already";
      case BaseError::identity_malformed: return "not an age secret key (AGE-SECRET-KEY-1...)";
      case BaseError::identity_mismatch: return "the file is encrypted to another key, or to a passphrase instead of a key";
      case BaseError::over_limit: return "larger or dearer than the limit allows";
      case BaseError::keys_foreign: return "the keys are not those that this database was made with";
    }
    return "unknown error";
  }
};

}  // namespace

const boost::system::error_category& base_category() noexcept {
  static const BaseCategory category;
  return category;
}

}  // namespace muster
