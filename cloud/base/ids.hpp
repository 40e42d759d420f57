// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace muster {

/// A number that says what it numbers. Ids start at 1; 0 means "none".
template <class Tag, class Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() noexcept = default;
  constexpr explicit Id(Rep value) noexcept : value_{value} {}
  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }
  constexpr explicit operator bool() const noexcept { return value_ != 0; }
  friend constexpr auto operator<=>(const Id&, const Id&) noexcept = default;

 private:
  Rep value_ = 0;
};

using OrganizationId = Id<struct OrganizationTag, std::int32_t>;
using UserId = Id<struct UserTag, std::int64_t>;
using RoleId = Id<struct RoleTag, std::int32_t>;
using TemplateId = Id<struct TemplateTag, std::int32_t>;      ///< The number; the text that firmware carries is a TmplId.
using DatastreamId = Id<struct DatastreamTag, std::int32_t>;  ///< Unique inside its template.
using MetaFieldId = Id<struct MetaFieldTag, std::int32_t>;    ///< Unique inside its template.
using EventDefId = Id<struct EventDefTag, std::int32_t>;      ///< Unique inside its template.
using DeviceId = Id<struct DeviceTag, std::int32_t>;
using AuthTokenId = Id<struct AuthTokenTag, std::int64_t>;
using AuditId = Id<struct AuditTag, std::int64_t>;
using ProvisionSessionId = Id<struct ProvisionSessionTag, std::int64_t>;
using LinkId = Id<struct LinkTag, std::int64_t>;
using MailId = Id<struct MailTag, std::int64_t>;
using SignInId = Id<struct SignInTag, std::int64_t>;  ///< Of one session of a person; tells nothing of its access token.
using ApiKeyId = Id<struct ApiKeyTag, std::int32_t>;
using OAuthClientId = Id<struct OAuthClientTag, std::int32_t>;  ///< The number; the text that programs send is OAuthClient::client_id.
using TimelineId = Id<struct TimelineTag, std::int64_t>;
using WebhookId = Id<struct WebhookTag, std::int32_t>;
using DeliveryId = Id<struct DeliveryTag, std::int64_t>;

}  // namespace muster

template <class Tag, class Rep>
struct std::hash<muster::Id<Tag, Rep>> {
  std::size_t operator()(muster::Id<Tag, Rep> id) const noexcept {
    // Ids are consecutive: spread them, so that power-of-two tables stay even.
    return static_cast<std::size_t>(static_cast<std::uint64_t>(id.value()) * 0x9E3779B97F4A7C15ull);
  }
};
