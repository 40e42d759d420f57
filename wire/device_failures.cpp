// SPDX-License-Identifier: Apache-2.0
#include "wire/device_failures.hpp"

namespace muster::wire {
namespace {

using F = ActivationFailure;

struct Message {
  ActivationFailure code;
  FailureMessage said;
};
constexpr Message messages[] = {
    {F::settings_invalid, {"connect_fail", ""}},
    {F::network_timeout, {"net_fail", "timeout"}},
    {F::cloud_timeout, {"cloud_fail", "timeout"}},
    {F::token_refused, {"cloud_fail", "auth_failed"}},
    {F::network_other, {"net_fail", "generic"}},
    {F::cloud_other, {"cloud_fail", "generic"}},
    {F::dns_failed, {"cloud_fail", "dns_failed"}},
    {F::certificate_invalid, {"cloud_fail", "invalid_certificate"}},
    {F::captive_portal, {"cloud_fail", "captive_portal"}},
    {F::network_not_found, {"net_fail", "not_found"}},
    {F::no_cable, {"net_fail", "no_cable"}},
    {F::wrong_password, {"net_fail", "invalid_credentials"}},
    {F::no_address, {"net_fail", "no_ip_assigned"}},
    {F::sim_missing, {"net_fail", "sim_missing"}},
    {F::sim_locked, {"net_fail", "sim_locked"}},
    {F::sim_wrong_pin, {"net_fail", "sim_wrong_pin"}},
};

}  // namespace

const FailureText* find_device_failure(ActivationFailure code) noexcept {
  for (const FailureText& row : device_failures) {
    if (row.code == code) {
      return &row;
    }
  }
  return nullptr;
}

FailureMessage failure_message(ActivationFailure code) noexcept {
  for (const Message& message : messages) {
    if (message.code == code) {
      return message.said;
    }
  }
  return {};
}

ActivationFailure failure_of(std::string_view type, std::string_view reason) noexcept {
  for (const Message& message : messages) {
    if (message.said.type == type && message.said.reason == reason) {
      return message.code;
    }
  }
  if (type == "net_fail") {
    return F::network_other;
  }
  if (type == "cloud_fail") {
    return F::cloud_other;
  }
  return type == "connect_fail" ? F::settings_invalid : F::none;
}

}  // namespace muster::wire
