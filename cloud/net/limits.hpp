// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace muster::net {

/// Every limit of the network edge. Tests reach each of them.
struct NetLimits {
  std::size_t connections_max = 0;                  ///< In all. 0: the process's limit of descriptors less 256.
  std::size_t connections_per_address_max = 4'096;  ///< Open at the same time; an IPv6 /64 is one address.
  std::size_t tls_handshakes_max =
      1'024;  ///< At the same time; bounds the memory that strangers can make OpenSSL take. One address: an eighth.
  std::chrono::milliseconds opening_deadline{
      10'000};  ///< From accept to a TLS handshake done and the protocol known; also for a login and for the first HTTP header.
  std::size_t unauthenticated_input_max_bytes = 4'096;  ///< Kept for a device connection before its login, TLS state apart.
  std::size_t device_input_max_bytes = 8'192 + 5;       ///< Kept of an unfinished frame after it.
  std::size_t device_output_max_bytes = 65'536;         ///< Queued for a device that reads too slowly; past it the connection is closed.
  std::size_t device_answer_max_bytes =
      512u << 10;  ///< The same for what one call makes while nothing is queued: a sync of all pins is not slowness.
  std::chrono::milliseconds stalled_output_max{30'000};  ///< A queue that hardly moves for this long is given up.
  std::size_t stream_output_max_bytes = 1u << 20;        ///< Queued for a client of the live stream.
  std::size_t stream_output_pause_bytes = 65'536;        ///< With more than this queued the stream is not polled, so that updates merge.
  std::size_t stream_messages_waiting_max = 64;          ///< Messages of one client that wait for a worker.
  std::size_t websocket_message_max_bytes = 128u << 10;  ///< Of /api/v1/stream; device messages have the limits above.
  std::chrono::milliseconds stream_poll_interval{200};
  std::chrono::milliseconds websocket_ping_interval{30'000};       ///< Live stream only; a client silent for three of them is closed.
  std::size_t http_header_max_bytes = 16'384;                      ///< Request line and header fields: 431.
  std::size_t http_body_max_bytes = 2u << 20;                      ///< 413.
  std::size_t http_body_memory_max_bytes = 256u << 20;             ///< Bodies of all unanswered requests together: 503.
  std::size_t http_body_memory_per_address_max_bytes = 32u << 20;  ///< The same for one address: 503.
  std::chrono::milliseconds http_header_deadline{10'000};          ///< From a request's first byte to the end of its header.
  std::chrono::milliseconds http_body_deadline{60'000};            ///< From there to the end of its body.
  std::chrono::milliseconds http_idle_deadline{60'000};            ///< Between two requests of a connection.
  std::chrono::milliseconds http_handler_deadline{120'000};        ///< For a worker's answer.
  std::chrono::milliseconds linger{2'000};  ///< How long an answer that ends a connection waits for the peer to read it.
  std::size_t mailbox_max = 65'536;         ///< Session events that wait for one loop.
};

}  // namespace muster::net
