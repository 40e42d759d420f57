// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/error.hpp"

#include <string>

namespace muster::domain {
namespace {

/// One clear sentence each: what is wrong and, where that is known, what helps. No switch has a default, so that the compiler
/// names an enumerator that was forgotten here.
const char* sentence(DomainError error) noexcept {
  switch (error) {
    case DomainError::not_found: return "There is no such entity, or it is not yours to see.";
    case DomainError::name_taken: return "This name is already taken; choose another one.";
    case DomainError::email_taken: return "There is already a user with this email address.";
    case DomainError::version_conflict: return "Somebody else changed this in the meantime; read it again and repeat the edit.";
    case DomainError::already_set_up: return "This server already has its first administrator.";
    case DomainError::setup_code_wrong: return "The setup code is wrong; the server prints the right one when it starts.";
    case DomainError::tree_too_deep:
      return "Organizations can be nested no deeper: the root counted, a tree has four levels unless configured.";
    case DomainError::last_admin: return "An organization keeps at least one active administrator; make another one first.";
    case DomainError::in_use: return "This is still in use; remove or move what depends on it first.";
    case DomainError::token_taken: return "This AuthToken identifies, or once identified, something else and is never used again.";
    case DomainError::limit_reached: return "A limit is reached; remove something or have the limit raised.";
    case DomainError::template_not_in_organization: return "This template is not available in the device's organization.";
    case DomainError::owner_not_in_organization: return "The owner of a device must be a user of the device's organization.";
    case DomainError::not_active: return "This user is not active.";
    case DomainError::wrong_state: return "This is not possible in the present state.";
    case DomainError::pin_taken: return "Two datastreams of one template cannot have the same virtual pin.";
    case DomainError::invalid_value: return "A value is malformed or outside its limits.";
    case DomainError::protected_entity: return "This is built in and cannot be changed or deleted.";
    case DomainError::beneath_itself: return "An organization cannot be moved under itself or under one beneath it.";
    case DomainError::same_place: return "It is there already.";
  }
  return "Unknown refusal.";
}

const char* sentence(StoreError error) noexcept {
  switch (error) {
    case StoreError::unavailable: return "The store cannot be opened or read now; it is tried again every second.";
    case StoreError::busy: return "The store is busy; try again in a moment.";
    case StoreError::read_only: return "The store can be read but not written.";
    case StoreError::disk_full: return "The disk that holds the store is full.";
    case StoreError::corrupt: return "The store is damaged; restore it from a backup.";
    case StoreError::newer_version: return "The store was made by a newer version of muster; run that version.";
    case StoreError::shutting_down: return "The server is shutting down.";
  }
  return "Unknown store error.";
}

// Boost's category has a protected destructor, which is safe but not virtual.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class DomainCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "muster.domain"; }
  std::string message(int value) const override { return sentence(static_cast<DomainError>(value)); }
};

class StoreCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "muster.store"; }
  std::string message(int value) const override { return sentence(static_cast<StoreError>(value)); }
};

}  // namespace

const boost::system::error_category& domain_category() noexcept {
  static const DomainCategory category;
  return category;
}

const boost::system::error_category& store_category() noexcept {
  static const StoreCategory category;
  return category;
}

}  // namespace muster::domain
