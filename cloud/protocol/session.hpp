// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ip_address.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/session_registry.hpp"
#include "wire/bytes.hpp"

/// What every protocol's sessions have in common: bytes, events and time go in; frames and a Step come out. No sockets here:
/// cloud/net performs the steps on real connections, tests/sim on simulated ones.
namespace muster::protocol {

enum class Transport : std::uint8_t { tcp = 0, tls = 1, websocket = 2, websocket_tls = 3 };
[[nodiscard]] constexpr bool is_encrypted(Transport transport) noexcept {
  return transport == Transport::tls || transport == Transport::websocket_tls;
}

/// Why a connection ends; counted and logged, never sent.
enum class CloseReason : std::uint8_t {
  none = 0,  ///< It does not end.
  login_timeout,
  malformed,
  not_logged_in,
  invalid_token,
  held,
  redirected,
  plain_refused,
  replaced,
  token_gone,
  heartbeat_lost,
  flood,
  slow_reader,
  shutdown,
  template_refused,
  server_error,
  info_missing,          ///< Logged in with a provisioning token, and did not say what it is.
  provisioning_refused,  ///< It did, and cannot be set up.
};

struct Peer {
  IpAddress address;
  Transport transport = Transport::tcp;
};

/// What the performer of a session does next.
struct Step {
  std::size_t consumed_bytes = 0;         ///< Of the bytes given; the rest is given again with more.
  CloseReason close = CloseReason::none;  ///< Send the output first, then close.
  /// Do not read, and give no bytes, until on_event answered paused = false (on_deadline never does); then give the rest that was
  /// not consumed, if any, at once. While paused the deadline still counts.
  bool paused = false;
  Instant deadline = Instant::max();  ///< Call on_deadline at or after this moment. Calling early is harmless: it answers the true one.
};

// --- events that come from other threads -------------------------------------------------------------------------------------
struct TokenResolved {
  enum class Outcome : std::uint8_t {
    live,
    invalid,
    hold,
    look_again,
    silent,
  };  ///< look_again: no answer; the session's own timer asks for another look. silent: a tombstone
      ///< that devices are not told about.
  Outcome outcome = Outcome::hold;  ///< hold: nobody knows now; never answered with a status.
  DeviceId device_id;
  domain::TokenKind kind = domain::TokenKind::device;
};
struct PushValue {
  std::uint8_t pin = 0;
  std::string value;
};  ///< HARDWARE vw; several values NUL-separated.
struct PushInternal {
  std::string words;
};  ///< INTERNAL; fields NUL-separated.
struct ValuesLoaded {
  std::uint16_t request_id = 0;
  std::vector<std::uint8_t> pins;
  bool all = false;
};  ///< The cache can answer this sync now.
struct InternalAnswer {
  std::uint16_t request_id = 0;
  std::string words;
};  ///< INTERNAL with the id of a request; fields NUL-separated.
struct MetadataLoaded {
  std::uint16_t request_id = 0;
  std::string name, value;
};
struct CloseSession {
  CloseReason reason = CloseReason::shutdown;
  AuthTokenId token;  ///< Set: only a session that logged in with this one.
};
struct InfoDecided {
  enum class Outcome : std::uint8_t { accepted, refused, trouble };
  Outcome outcome = Outcome::trouble;
};  ///< About a device that logged in with a provisioning token.
using SessionEvent =
    std::variant<TokenResolved, PushValue, PushInternal, ValuesLoaded, MetadataLoaded, InternalAnswer, CloseSession, InfoDecided>;

/// Carries events to the loop that owns the session. Thread-safe.
class SessionRouter {
 public:
  virtual ~SessionRouter() = default;
  /// False: the address is no longer anybody's, or its queue is full.
  virtual bool post(const domain::SessionAddress& address, SessionEvent event) = 0;
  /// The address of ours that the device dialed; unknown where there is no network. Not thread-safe: only within a call about that
  /// very session. Costs a system call.
  [[nodiscard]] virtual std::optional<IpAddress> local_address(const domain::SessionAddress& /*session*/) const { return std::nullopt; }
};

/// Room for frames, lent by the performer for one call; whole frames only are appended. Bounded by the performer at send time.
class Output {
 public:
  explicit Output(std::vector<std::uint8_t>& bytes) noexcept : bytes_{bytes} {}
  void append(wire::ByteView frame) { bytes_.insert(bytes_.end(), frame.begin(), frame.end()); }
  [[nodiscard]] std::vector<std::uint8_t>& bytes() noexcept { return bytes_; }

 private:
  std::vector<std::uint8_t>& bytes_;
};

}  // namespace muster::protocol
