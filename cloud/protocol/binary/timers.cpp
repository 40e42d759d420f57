// SPDX-License-Identifier: Apache-2.0
// Times and rates of a session: the heartbeat, and how fast a device may talk.
#include <algorithm>
#include <chrono>

#include "cloud/protocol/binary/gateway_impl.hpp"

namespace muster::protocol {

Duration DeviceGateway::Impl::heartbeat_timeout(const DeviceSession& session, const GatewayLimits& limits) noexcept {
  // Until the info frame nothing is known of the device's rhythm. docs/protocol/device-protocol.md section 11.
  if (!session.has_info_) return limits.heartbeat_default;
  const auto heartbeat_ms =
      session.heartbeat_s_ == 0 ? static_cast<double>(limits.heartbeat_default.count()) : session.heartbeat_s_ * 1000.0;
  return std::chrono::milliseconds{static_cast<std::int64_t>(heartbeat_ms * limits.heartbeat_factor)};
}

void DeviceGateway::Impl::refill(DeviceSession& session, const GatewayLimits& limits, Instant now) noexcept {
  const auto burst = static_cast<float>(limits.flood_burst);
  const float passed_s = std::max(0.0F, std::chrono::duration<float>(now - session.last_received_).count());
  session.flood_tokens_ = std::min(burst, session.flood_tokens_ + passed_s * static_cast<float>(limits.flood_rate_per_s));
  // A full bucket means that the device came back under its rate: a burst now and then is no flood.
  if (session.flood_tokens_ >= burst) session.mark_ = {};
}

bool DeviceGateway::Impl::within_rate(Call& call, const wire::Frame& frame, CloseReason& close) {
  DeviceSession& session = call.session;
  if (session.flood_tokens_ >= 1.0F) {
    session.flood_tokens_ -= 1.0F;
    return true;
  }
  d.metrics.flood_limited_total.add();
  if (session.mark_ == Instant{}) session.mark_ = call.now;
  if (call.now - session.mark_ >= call.limits.flood_close_after) {
    d.metrics.flood_closed_total.add();
    close = CloseReason::flood;
    return false;
  }
  const bool told_lately = session.flood_told_ != Instant{} && call.now - session.flood_told_ < std::chrono::minutes{1};
  if (!told_lately && frame.command != wire::Command::response) {
    session.flood_told_ = call.now;
    respond(call, frame.id, wire::Status::quota_limit);
  }
  return false;
}

}  // namespace muster::protocol
