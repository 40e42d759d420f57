// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/device.hpp"
#include "wire/inject.hpp"

/// The device's side of the Inject messages, whatever carries them: a text in is one message, a text out is one message. No heap, no
/// exceptions, C++17. Facts: docs/protocol/provisioning.md section 3.
namespace muster::agent {

class InjectServer final {
 public:
  class Sink {
   public:
    /// One message. May drop it when there is no room (the stock devices wait 700 ms, then drop). Never calls the server from inside.
    virtual void send(std::string_view text) = 0;

   protected:
    ~Sink() = default;
  };

  static constexpr std::size_t scan_entries_max = 30;

  /// Adds itself to the device's observers.
  InjectServer(Device& device, Sink& sink) noexcept;
  ~InjectServer();
  InjectServer(const InjectServer&) = delete;
  InjectServer& operator=(const InjectServer&) = delete;

  /// An app came, or went. One at a time: a new one ends what the other had collected. The port also counts it in Device::on_visitors.
  void on_client(bool connected, Millis now);
  /// One message, as it was written. At most wire::inject_message_size_max_bytes count.
  void on_message(std::string_view text, Millis now);

 private:
  /// What the device tells. Apart, so that this is no polymorphic type.
  struct Watch final : Observer {
    explicit Watch(InjectServer& owner) noexcept : server{owner} {}
    void on_step(const Step& step, Millis now) override;
    void on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) override;
    InjectServer& server;
  };

  void tell(const Step& step, Millis now);
  void tell_networks(const ScannedNetwork* networks, std::size_t count);
  void send(std::size_t size);
  void send_interfaces();
  /// What the message is; settings are taken and answered here.
  wire::InjectType read(std::string_view text);
  void take_settings(const wire::InjectMessage& message);
  void connect(Millis now);
  void status(std::string_view word);

  Device& device_;
  Watch watch_;
  Sink& sink_;
  SetupSettings settings_;
  std::string_view last_status_;  ///< A status is not repeated.
  bool connected_ = false;
  bool scanning_ = false;
  std::uint8_t room_[320];
};

}  // namespace muster::agent
