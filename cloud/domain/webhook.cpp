// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/webhook.hpp"

#include <array>

namespace muster::domain {

namespace {

template <class Enum, std::size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value, std::size_t first = 0) noexcept {
  const auto index = static_cast<std::size_t>(value) - first;
  return index < N ? names[index] : std::string_view{};
}
template <class Enum, std::size_t N>
std::optional<Enum> value_of(const std::array<std::string_view, N>& names, std::string_view name, std::size_t first = 0) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i + first);
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, trigger_count> triggers{"NEW_USER",
                                                               "UPDATED_USER",
                                                               "DELETED_USER",
                                                               "DEVICE_ADDED",
                                                               "DEVICE_DELETED",
                                                               "FIRST_DEVICE_CONNECTION",
                                                               "FIRST_DEVICE_CONNECTION_IN_ORG",
                                                               "ORGANIZATION_ADDED",
                                                               "DEVICE_DATASTREAM_UPDATE",
                                                               "PRODUCT_DATASTREAM_UPDATE",
                                                               "GLOBAL_PRODUCT_DATASTREAM_UPDATE",
                                                               "DEVICE_LOG_EVENT",
                                                               "PRODUCT_LOG_EVENT",
                                                               "GLOBAL_PRODUCT_LOG_EVENT",
                                                               "DEVICE_CLAIMED",
                                                               "DEVICE_UNCLAIMED",
                                                               "DEVICE_TRANSFERRED",
                                                               "DEVICE_REPROVISIONED",
                                                               "STATIC_TOKEN_SEEN",
                                                               "STATIC_TOKEN_DELETED",
                                                               "TOKEN_ROTATED",
                                                               "TOKEN_CONFLICT",
                                                               "PROVISION_FAILED",
                                                               "TEST"};
constexpr std::array<std::string_view, 5> methods{"GET", "POST", "PUT", "PATCH", "DELETE"};
constexpr std::array<std::string_view, 3> auths{"NONE", "BASIC", "OAUTH2"};
constexpr std::array<std::string_view, 3> states{"WAITING", "DELIVERED", "GIVEN_UP"};

}  // namespace

std::string_view trigger_name(Trigger trigger) noexcept { return name_of(triggers, trigger, 1); }
std::optional<Trigger> parse_trigger(std::string_view name) noexcept { return value_of<Trigger>(triggers, name, 1); }

Trigger event_of(Trigger trigger) noexcept {
  switch (trigger) {
    case Trigger::product_datastream_update:
    case Trigger::global_product_datastream_update: return Trigger::device_datastream_update;
    case Trigger::product_log_event:
    case Trigger::global_product_log_event: return Trigger::device_log_event;
    default: return trigger;
  }
}

TriggerScope scope_of(Trigger trigger) noexcept {
  switch (trigger) {
    case Trigger::device_datastream_update:
    case Trigger::device_log_event: return TriggerScope::device;
    case Trigger::product_datastream_update:
    case Trigger::global_product_datastream_update:
    case Trigger::product_log_event:
    case Trigger::global_product_log_event: return TriggerScope::product;
    default: return TriggerScope::organization;
  }
}

std::string_view webhook_method_name(WebhookMethod method) noexcept { return name_of(methods, method); }
std::optional<WebhookMethod> parse_webhook_method(std::string_view name) noexcept { return value_of<WebhookMethod>(methods, name); }
std::string_view webhook_auth_name(WebhookAuth auth) noexcept { return name_of(auths, auth); }
std::optional<WebhookAuth> parse_webhook_auth(std::string_view name) noexcept { return value_of<WebhookAuth>(auths, name); }
std::string_view delivery_state_name(DeliveryState state) noexcept { return name_of(states, state); }
std::optional<DeliveryState> parse_delivery_state(std::string_view name) noexcept { return value_of<DeliveryState>(states, name); }

}  // namespace muster::domain
