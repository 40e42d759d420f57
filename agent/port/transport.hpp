// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/bytes.hpp"

namespace muster::agent {

/// Where to connect to. The text belongs to the caller and is valid during the call only.
struct Endpoint {
  std::string_view host;  ///< Name or address literal; at most 63 characters.
  std::uint16_t port = 0;
  bool tls = true;  ///< With TLS the certificate is checked against `host`; there is no way to skip that.
};

/// Why a connection did not come about, or ended.
enum class CloseReason : std::uint8_t {
  // Told by the transport.
  host_unknown,     ///< The name did not resolve.
  refused,          ///< Nobody listens there.
  unreachable,      ///< No route, network down.
  connect_timeout,  ///< No answer in time (also told by the agent itself).
  tls_untrusted,    ///< The certificate is not signed by a trusted CA, has expired, or is for another name.
  tls_failed,       ///< The TLS handshake failed for another reason; maybe the port does not speak TLS.
  captive_portal,   ///< The network wants a sign-in page first. Only transports that can tell say so.
  peer_closed,      ///< The other side closed.
  network_lost,     ///< Reset, timed out, or writing failed.
  // Decided by the agent.
  login_timeout,      ///< No answer to the login.
  login_refused,      ///< The login was answered with a status other than 200, 4 and 9.
  invalid_token,      ///< The cloud positively does not know the token (status 9).
  not_authenticated,  ///< Status 5.
  silent,             ///< Nothing came for the heartbeat time and its grace.
  protocol_error,     ///< Message id 0, a frame larger than the room for it, or a redirect without a usable target.
  redirected,         ///< The cloud sent us elsewhere.
  redirect_loop,      ///< It did so too often in a row.
  send_failed,        ///< The transport had no room for a frame that the protocol needs.
  stopped,            ///< The program wanted so.
};

/// The name of a reason, as written above; for logs and events.
[[nodiscard]] std::string_view to_text(CloseReason reason) noexcept;

/// One byte stream at a time to the cloud, provided by the platform. What it has to tell goes to the Agent that drives
/// it: after connect() exactly one of on_connected and on_closed; then on_bytes any number of times; then on_closed at
/// most once. After close() nothing more comes of that connection. A transport never calls the agent from inside
/// connect(), send() or close(); it must stand send() and close() being called from inside an event that it delivers.
class Transport {
 public:
  /// Begins to connect. Called only when there is no connection.
  virtual void connect(const Endpoint& endpoint) = 0;
  /// Takes one whole frame, or nothing: false when there is no room now. Keeps frames in order, and passes a frame on
  /// in one write where it can, because some receivers count on that.
  [[nodiscard]] virtual bool send(wire::ByteView frame) = 0;
  /// Ends the connection, or the attempt; bytes not sent yet may be lost. Without a connection: nothing.
  virtual void close() = 0;

 protected:
  ~Transport() = default;  // Not owned through this type.
};

}  // namespace muster::agent
