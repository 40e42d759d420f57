// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "cloud/api/api.hpp"
#include "cloud/net/handlers.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"

/// The gateway and the API as the network edge and each other see them.
namespace muster::main {

class GatewayHandler final : public net::DeviceHandler {
 public:
  explicit GatewayHandler(protocol::DeviceGateway& gateway) noexcept : gateway_{gateway} {}
  protocol::Step on_open(protocol::DeviceSession& session, const protocol::Peer& peer, Instant now) override {
    return gateway_.on_open(session, peer, now);
  }
  protocol::Step on_bytes(protocol::DeviceSession& session, const domain::SessionAddress& self, const protocol::Peer& peer,
                          wire::ByteView input, protocol::Output& out, Instant now) override {
    return gateway_.on_bytes(session, self, peer, input, out, now);
  }
  protocol::Step on_event(protocol::DeviceSession& session, const domain::SessionAddress& self, const protocol::Peer& peer,
                          protocol::SessionEvent&& event, protocol::Output& out, Instant now) override {
    return gateway_.on_event(session, self, peer, std::move(event), out, now);
  }
  protocol::Step on_deadline(protocol::DeviceSession& session, const domain::SessionAddress& self, const protocol::Peer& peer,
                             protocol::Output& out, Instant now) override {
    return gateway_.on_deadline(session, self, peer, out, now);
  }
  void on_closed(protocol::DeviceSession& session, const domain::SessionAddress& self, Instant now) override {
    gateway_.on_closed(session, self, now);
  }

 private:
  protocol::DeviceGateway& gateway_;
};

class ApiHandler final : public net::HttpHandler {
 public:
  explicit ApiHandler(api::Api& api) noexcept : api_{api} {}
  bool answer_from_memory(const api::Request& request, api::Response& response) override {
    return api_.answer_from_memory(request, response);
  }
  std::size_t body_max_bytes(const api::Request& header) const noexcept override { return api_.body_max_bytes(header); }
  Lane lane(const api::Request& request) const noexcept override { return api_.lane(request); }
  api::Response handle(const api::Request& request) override { return api_.handle(request); }
  api::Response unavailable(const api::Request& request) const override { return api_.unavailable(request); }
  std::unique_ptr<api::StreamSession> open_stream(const api::Request& request, api::Response& refusal) override {
    return api_.open_stream(request, refusal);
  }

 private:
  api::Api& api_;
};

class GatewayLink final : public api::DeviceLink {
 public:
  /// Before the first request is served.
  void connect(protocol::DeviceGateway& gateway) noexcept { gateway_ = &gateway; }
  bool push_value(DeviceId device, std::uint8_t pin, std::string_view value) override { return gateway_->push_value(device, pin, value); }
  bool push_internal(DeviceId device, std::string_view words) override { return gateway_->push_internal(device, words); }
  bool is_elsewhere(const domain::Home& home, const std::optional<IpAddress>& local) const override {
    return gateway_->is_elsewhere(home, local);
  }
  bool may_say_invalid(const IpAddress& address, Instant now) override { return gateway_->may_say_invalid(address, now); }
  void remember_address(const IpAddress& address) override { gateway_->remember_address(address); }

 private:
  protocol::DeviceGateway* gateway_ = nullptr;
};

}  // namespace muster::main
