// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/ports/sim/air.hpp"
#include "agent/ports/sim/air_radio.hpp"

namespace muster::agent::sim {

/// The socket of `--radio sim` without a path: $XDG_RUNTIME_DIR/muster-air, else /tmp/muster-air-UID.
[[nodiscard]] std::string default_air_path();

/// A place on an air that separate programs share through one Unix socket. The first agent that comes hosts the air inside its own loop;
/// the others connect. When the host goes, one of them takes over, and all come back to the state that they had: an access point stays
/// open and a joined network stays joined; streams end. Only programs of the same user (and root) are let in.
/// No threads: put its descriptors into poll(2), wait no longer than next_deadline(), then call serve().
class AirSocket final : public AirPlace {
 public:
  struct Options {
    std::string path;      ///< Of the socket; `path`.lock and `path`.networks lie beside it.
    bool may_host = true;  ///< False (a provisioner): somebody else has to be there.
    AirTimes times = quick_air_times;
  };
  explicit AirSocket(Options options);
  ~AirSocket();
  AirSocket(const AirSocket&) = delete;
  AirSocket& operator=(const AirSocket&) = delete;

  void attach(AirListener& listener) { listener_ = &listener; }
  void submit(const AirCommand& command) override;

  /// How many descriptors there are to wait for, and which.
  [[nodiscard]] std::size_t descriptor_count() const noexcept;
  void fill(pollfd* room) const;
  [[nodiscard]] Millis next_deadline(Millis now) const;
  /// After poll(2), with what fill() filled, or (nullptr) when only time passed. Delivers events. Never blocks.
  void serve(const pollfd* ready, std::size_t count, Millis now);

  enum class State : std::uint8_t { searching, connected, hosting };
  [[nodiscard]] State state() const noexcept { return state_; }
  /// Why there is no air, as a sentence; empty while there is none to say.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }

 private:
  struct Client;
  struct Host;

  void search(Millis now);
  [[nodiscard]] bool dial(Millis now);
  [[nodiscard]] bool begin_hosting(Millis now);
  void resume(Millis now);
  void lose_host(Millis now);
  void serve_connection(short events, Millis now);
  void serve_host(const pollfd* ready, std::size_t count, Millis now);
  void deliver(const AirEvent& event, Millis now);
  void note(const AirCommand& command);

  Options options_;
  AirListener* listener_ = nullptr;
  State state_ = State::searching;
  std::string trouble_;
  Millis search_at_ = 0;
  int fd_ = -1;  ///< The connection to the host.
  std::deque<std::vector<std::uint8_t>> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  std::unique_ptr<Host> host_;
  std::deque<AirEvent> own_;  ///< Of this radio, to be delivered by the next serve().

  // What the radio is, so that a new host can be told.
  bool open_ = false, opened_told_ = false, scanning_ = false, joining_ = false, joined_ = false;
  AirCommand open_command_, join_command_;
  std::vector<std::uint32_t> streams_;
};

}  // namespace muster::agent::sim
