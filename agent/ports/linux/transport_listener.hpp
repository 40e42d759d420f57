// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/port/clock.hpp"
#include "agent/port/transport.hpp"
#include "wire/bytes.hpp"

namespace muster::agent::linux_port {

/// Who hears what a transport has to tell: an Agent used alone, or the Device that owns one.
class TransportListener {
 public:
  virtual void on_connected(Millis now) = 0;
  virtual void on_bytes(wire::ByteView bytes, Millis now) = 0;
  virtual void on_closed(CloseReason reason, Millis now) = 0;

 protected:
  ~TransportListener() = default;
};

template <typename Driven>
class TransportTells final : public TransportListener {
 public:
  explicit TransportTells(Driven& driven) : driven_{driven} {}
  void on_connected(Millis now) override { driven_.on_connected(now); }
  void on_bytes(wire::ByteView bytes, Millis now) override { driven_.on_bytes(bytes, now); }
  void on_closed(CloseReason reason, Millis now) override { driven_.on_closed(reason, now); }

 private:
  Driven& driven_;
};

}  // namespace muster::agent::linux_port
