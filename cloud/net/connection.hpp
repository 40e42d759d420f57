// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cloud/api/api.hpp"
#include "cloud/net/body_budget.hpp"
#include "cloud/net/http_reader.hpp"
#include "cloud/net/timer_wheel.hpp"
#include "cloud/net/tls_context.hpp"
#include "cloud/net/websocket.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"

namespace muster::net {

/// What could not be sent at once. Exists only while something waits.
struct OutputQueue {
  std::vector<std::uint8_t> bytes;
  std::size_t sent_bytes = 0;
  std::size_t moved_bytes = 0;  ///< Since the last look.
  Instant look_at;              ///< When a queue that hardly moved is given up.
};

/// What an HTTP connection needs besides.
struct HttpState {
  HttpReader reader;
  std::string local_address;
  // Of the request that is being answered:
  std::string path, host;
  bool head = false, version_1_1 = true, keep_alive = true;
  bool waiting = false;          ///< For a worker.
  bool request_begun = false;    ///< Bytes of an unfinished request have arrived.
  BodyBudget::Share body_share;  ///< Of an unfinished body.
  Instant login_since{};         ///< Should it become a device: its accept, or the first byte of a later request.
};

/// A client of the live stream, shared by its connection and the worker that runs its messages.
struct StreamClient {
  std::unique_ptr<api::StreamSession> session;
  std::mutex mutex;
  std::deque<std::string> inbox;  ///< In order of arrival; one worker at a time.
  bool running = false;
};

/// What a WebSocket connection needs besides.
struct WebSocketState {
  WebSocketReader reader;
  std::vector<std::uint8_t> pending;  ///< Rest of a device's message that its session did not take yet.
  std::shared_ptr<StreamClient> stream;
  Instant heard_at, ping_at;
};

/// One connection of a loop. Small, because there are many of them and most wait: an idle device owns no buffer.
struct Connection {
  enum class Kind : std::uint8_t {
    opening,  ///< TLS handshake, or first bytes not yet understood.
    device,
    http,
    websocket_device,  ///< Binary device frames, one a message.
    websocket_stream,  ///< /api/v1/stream.
    lingering,         ///< Has had its last answer; sends what is queued, then waits for the peer to close.
  };

  protocol::DeviceSession device;
  Instant deadline = Instant::max();  ///< Of the kind's own: opening, session, request, linger.
  std::unique_ptr<OutputQueue> queue;
  std::unique_ptr<HttpState> http;
  std::unique_ptr<WebSocketState> websocket;
  std::unique_ptr<std::uint8_t[]> kept;  ///< Input that waits for more: plaintext.
  TlsStream tls;
  TimerNode timer;
  std::uint32_t kept_size_bytes = 0;
  int fd = -1;
  std::uint32_t interest = 0;  ///< What epoll was told.
  std::uint16_t listener = 0;
  Kind kind = Kind::opening;
  bool handshaking : 1 = false;
  bool paused : 1 = false;           ///< The session wants no bytes until an event.
  bool output_blocked : 1 = false;   ///< HTTP: the next request waits until answers are sent.
  bool peer_finished : 1 = false;    ///< Lingering, half-closed: still reads our answer.
  bool close_when_sent : 1 = false;  ///< Lingering without waiting for the peer.
  protocol::Peer peer;

  [[nodiscard]] bool is_device() const noexcept { return kind == Kind::device || kind == Kind::websocket_device; }
  [[nodiscard]] bool is_websocket() const noexcept { return kind == Kind::websocket_device || kind == Kind::websocket_stream; }
};
static_assert(sizeof(Connection) <= 248, "an idle connection must stay small");

}  // namespace muster::net
