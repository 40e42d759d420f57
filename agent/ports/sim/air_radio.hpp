// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/port/radio.hpp"
#include "agent/ports/sim/air.hpp"
#include "wire/bytes.hpp"

namespace muster::agent::sim {

/// A place on an air: in this process (AirRoom) or behind a socket (AirSocket).
class AirPlace {
 public:
  virtual void submit(const AirCommand& command) = 0;

 protected:
  ~AirPlace() = default;
};

/// Who hears what the air says. Called by the place, never from inside submit().
class AirListener {
 public:
  virtual void on_air(const AirEvent& event, Millis now) = 0;

 protected:
  ~AirListener() = default;
};

/// What a device's radio says to whoever drives the device (see agent/port/radio.hpp), and the streams of its local interface.
/// Texts, lists and bytes are valid during the call only.
class RadioEvents {
 public:
  virtual void on_opened(Millis now) = 0;
  virtual void on_open_failed(Millis now) = 0;
  virtual void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) = 0;
  virtual void on_joined(const JoinedNetwork& network, Millis now) = 0;
  virtual void on_join_failed(JoinFailure failure, Millis now) = 0;
  virtual void on_network_lost(Millis now) = 0;
  /// So many phones are on the device's own access point now.
  virtual void on_visitors(std::size_t count, Millis now) = 0;
  // Streams to 192.168.4.1:80; a stream is never used twice.
  virtual void on_stream_opened(std::uint32_t stream, Millis now) = 0;
  virtual void on_stream_bytes(std::uint32_t stream, wire::ByteView bytes, Millis now) = 0;
  virtual void on_stream_closed(std::uint32_t stream, Millis now) = 0;

 protected:
  ~RadioEvents() = default;
};

/// The radio of a simulated device.
class AirRadio final : public Radio, public AirListener {
 public:
  /// `place` has to call this radio's on_air.
  AirRadio(AirPlace& place, RadioEvents& events) : place_{place}, events_{events} {}

  void open(std::string_view name) override;
  void shut() override;
  void scan() override;
  void join(const JoinTarget& target) override;
  void leave() override;

  /// Sends on a stream that was opened; any size, delivered in order. For one that is closed: nothing.
  void send(std::uint32_t stream, wire::ByteView bytes);
  /// Behind what was sent. No on_stream_closed comes.
  void close(std::uint32_t stream);

  /// What the network that is joined is worth: a transport of this device should fail as this says.
  [[nodiscard]] Uplink uplink() const noexcept { return uplink_; }

  void on_air(const AirEvent& event, Millis now) override;

 private:
  AirPlace& place_;
  RadioEvents& events_;
  Uplink uplink_ = Uplink::none;
  bool opening_ = false, open_ = false, scanning_ = false, joining_ = false, joined_ = false, wired_ = false;
};

}  // namespace muster::agent::sim
