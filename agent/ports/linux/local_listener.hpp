// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstdint>
#include <string>
#include <vector>

#include "agent/core/local_server.hpp"
#include "agent/port/clock.hpp"

namespace muster::agent::linux_port {

/// The sockets of a device's local interface on its access point: HTTP on port 80 for a LocalServer, name service on UDP port 53. Only what
/// comes in on the access point's own interface is heard. One thread.
class LocalListener final : public LocalServer::Sink {
 public:
  static constexpr std::size_t connections_max = 16;
  static constexpr std::size_t output_max_bytes = 64 * 1024;  ///< That a visitor has not taken yet; above, it is dropped.

  struct Options {
    std::uint32_t address = 0xC0A80401U;          ///< 192.168.4.1
    std::uint16_t http_port = 80, dns_port = 53;  ///< dns_port 0: no name service.
    ConnectionId first_id = 1;                    ///< Of its connections, where others share the LocalServer.
    bool every_name = true;                       ///< The portal is on: every name is ours.
  };
  explicit LocalListener(const Options& options) : options_{options}, last_id_{options.first_id - 1} {}
  ~LocalListener();
  LocalListener(const LocalListener&) = delete;
  LocalListener& operator=(const LocalListener&) = delete;

  void attach(LocalServer& server) { server_ = &server; }
  /// Begins anew on this interface (empty: on any). Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string open(const std::string& interface);
  void shut();
  [[nodiscard]] bool is_open() const noexcept { return http_ >= 0; }

  void fill(std::vector<pollfd>& waiting) const;
  void serve(const pollfd* ready, std::size_t count, Millis now);

  [[nodiscard]] bool send(ConnectionId connection, wire::ByteView bytes) override;
  void close(ConnectionId connection) override;

 private:
  struct Visitor {
    ConnectionId id = 0;
    int fd = -1;
    std::vector<std::uint8_t> output;
    bool closing = false;  ///< Once the output is sent.
    bool dropped = false;
  };

  [[nodiscard]] std::string open_socket(int type, std::uint16_t port, const std::string& interface, int& fd) const;
  void accept_all(Millis now);
  void answer_names();
  void read(Visitor& visitor, Millis now);
  void flush(Visitor& visitor);

  Options options_;
  LocalServer* server_ = nullptr;
  int http_ = -1, dns_ = -1;
  std::vector<Visitor> visitors_;
  ConnectionId last_id_;
};

}  // namespace muster::agent::linux_port
