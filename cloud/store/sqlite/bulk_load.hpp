// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include "cloud/base/key_ring.hpp"
#include "cloud/domain/entities.hpp"

/// Fills a store with very many devices, for benches and tests of scale: a million in about ten seconds. Not an operation of the
/// domain: no audit entries, no change rows, so no server may have the file open.
namespace muster::store {

struct BulkDevices {
  OrganizationId organization_id;
  TemplateId template_id;
  std::size_t count = 0;
  std::string name_prefix = "device ";
  /// Fills in the digest and the sealed copy of the token of device `index`, from 0.
  std::function<void(std::size_t index, TokenDigest& digest, std::string& sealed)> token;
};

/// The id of the first one; they are consecutive. All or nothing. Errors: those of domain::StoreError; DomainError::invalid_value
/// for a digest that is there already or an organization or template that is not.
[[nodiscard]] Result<DeviceId> bulk_load(const std::filesystem::path& database, const BulkDevices& devices);

}  // namespace muster::store
