// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "cloud/api/api.hpp"
#include "cloud/api/http.hpp"
#include "cloud/base/executor.hpp"
#include "cloud/net/http_reader.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"
#include "cloud/protocol/session.hpp"

/// What the loops need from those who understand the bytes. cloud/main adapts DeviceGateway and Api to these; tests put small
/// fakes here. One call a readiness event, so that a virtual call costs nothing that can be measured.
namespace muster::net {

/// The binary device protocol. Methods are those of protocol::DeviceGateway, which says what they mean. Called on loop threads,
/// for different sessions at the same time; never blocks.
class DeviceHandler {
 public:
  virtual ~DeviceHandler() = default;
  [[nodiscard]] virtual protocol::Step on_open(protocol::DeviceSession& session, const protocol::Peer& peer, Instant now) = 0;
  [[nodiscard]] virtual protocol::Step on_bytes(protocol::DeviceSession& session, const domain::SessionAddress& self,
                                                const protocol::Peer& peer, wire::ByteView input, protocol::Output& out, Instant now) = 0;
  [[nodiscard]] virtual protocol::Step on_event(protocol::DeviceSession& session, const domain::SessionAddress& self,
                                                const protocol::Peer& peer, protocol::SessionEvent&& event, protocol::Output& out,
                                                Instant now) = 0;
  [[nodiscard]] virtual protocol::Step on_deadline(protocol::DeviceSession& session, const domain::SessionAddress& self,
                                                   const protocol::Peer& peer, protocol::Output& out, Instant now) = 0;
  virtual void on_closed(protocol::DeviceSession& session, const domain::SessionAddress& self, Instant now) = 0;
};

/// HTTP. Methods are those of api::Api.
class HttpHandler : public HttpReader::BodyRule {
 public:
  virtual ~HttpHandler() = default;
  /// On a loop; never blocks. `response` comes in its default state, except that body and header list may have capacity.
  [[nodiscard]] virtual bool answer_from_memory(const api::Request& request, api::Response& response) = 0;
  [[nodiscard]] virtual Lane lane(const api::Request& request) const noexcept = 0;
  /// On a worker; may block.
  [[nodiscard]] virtual api::Response handle(const api::Request& request) = 0;
  [[nodiscard]] virtual api::Response unavailable(const api::Request& request) const = 0;
  /// On a loop. nullptr: answer `refusal`.
  [[nodiscard]] virtual std::unique_ptr<api::StreamSession> open_stream(const api::Request& request, api::Response& refusal) = 0;
};

}  // namespace muster::net
