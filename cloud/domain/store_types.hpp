// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"

/// What all parts of Store speak of.
namespace muster::domain {

/// Who does it, for the audit log.
struct Actor {
  UserId user_id;
  OrganizationId organization_id;  ///< In which the entry is shown.
  std::string client = "System";
  std::string ip;
  UtcTime at;
  ApiKeyId api_key_id{};            ///< Set: a program did it with this key of the user's ...
  OAuthClientId oauth_client_id{};  ///< ... or with an access token of this client.
};

struct Page {
  std::int64_t offset = 0;
  std::int64_t limit = 50;  ///< 1..1000
  std::string query;        ///< Substring of the name (email for users), case-insensitive; empty = all.
  std::string sort_by;      ///< "id" (default), "name", "createdAt".
  bool descending = false;
};

template <class T>
struct PageOf {
  std::vector<T> rows;
  std::int64_t total = 0;
};

}  // namespace muster::domain
