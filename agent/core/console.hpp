// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/device.hpp"
#include "wire/bytes.hpp"

/// The serial console: lines in, lines out. For people at a terminal and for factories.
///
///   devinfo                       what the device is
///   wifi                          where it is; `wifi scan`: what is around
///   wifi "SSID" "PASSWORD"        the network for the next connect
///   connect TOKEN [HOST[:PORT]]   tries this token, on that network or the one it has
///   config start|stop|erase       opens, closes set-up; forgets everything
///   reboot, help
///
/// No heap, no exceptions, C++17.
namespace muster::agent {

class Console final {
 public:
  class Sink {
   public:
    /// May drop what does not fit. Never calls the console from inside.
    virtual void print(std::string_view text) = 0;

   protected:
    ~Sink() = default;
  };

  static constexpr std::size_t line_size_max_bytes = 200;

  /// Adds itself to the device's observers.
  Console(Device& device, Sink& sink) noexcept;
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// Lines end with CR, LF or both. A longer line than allowed is refused whole.
  void on_bytes(wire::ByteView bytes, Millis now);

 private:
  /// What the device tells. Apart, so that this is no polymorphic type.
  struct Watch final : Observer {
    explicit Watch(Console& owner) noexcept : server{owner} {}
    void on_step(const Step& step, Millis now) override;
    void on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) override;
    Console& server;
  };

  void run(std::string_view line, Millis now);
  void print_info();
  void print_wifi();
  void connect(std::string_view token, std::string_view host, Millis now);
  void say(std::string_view text) { sink_.print(text); }
  void say(std::string_view name, std::string_view value);

  Device& device_;
  Watch watch_;
  Sink& sink_;
  SetupSettings settings_;  ///< The network that was given.
  char line_[line_size_max_bytes];
  std::size_t size_ = 0;
  bool too_long_ = false;
  bool scanning_ = false;
};

}  // namespace muster::agent
