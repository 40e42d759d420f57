// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "provisioner/device_answers.hpp"

/// What the provisioner needs of the machine it runs on. Calls return at once; answers go to the Provisioner's on_... functions, never
/// from inside a call. Of each kind one thing is under way at a time; a new call replaces it.
namespace muster::provisioner {

struct AccessPoint {
  std::string ssid;
  std::int16_t rssi_dbm = 0;
  std::uint16_t channel = 0;
  bool open = false;
};

enum class HostJoinFailure : std::uint8_t { not_found, no_address, timeout, other };

/// The Wi-Fi of the machine that the provisioner runs on.
class HostRadio {
 public:
  /// False: while it is on a device's access point, the cloud cannot be reached (its only network is this radio).
  [[nodiscard]] virtual bool keeps_internet() const = 0;
  /// False: the host's own Wi-Fi is not touched at all.
  [[nodiscard]] virtual bool borrows_wifi() const { return true; }
  virtual void scan() = 0;  ///< Answer: on_scanned.
  virtual void join_open(std::string_view ssid,
                         std::uint16_t channel) = 0;  ///< Answer: on_host_joined or on_host_join_failed; later on_host_lost at most once.
  virtual void leave() = 0;                           ///< The device's access point, if it is on one. Nothing more comes of the join.
  virtual void restore() = 0;                         ///< The host's own Wi-Fi as it was before the first call. Answer: on_restored.

 protected:
  ~HostRadio() = default;
};

/// What a device is given. Holds secrets.
struct DeviceSettings {
  std::string ssid, password, token, host;
  std::uint16_t port = 0;
};

/// The device that was joined, whatever it speaks: HttpDialect, BleDialect. One question at a time.
class DeviceDialect {
 public:
  virtual void ask_info() = 0;                                     ///< on_device_info or on_device_unreadable
  virtual void ask_networks() = 0;                                 ///< on_device_networks
  virtual void forget_networks() = 0;                              ///< on_device_forgot
  virtual void send_settings(const DeviceSettings& settings) = 0;  ///< on_settings_answer; the attempt begins when they were taken.
  virtual void cancel() = 0;                                       ///< Nothing more comes of the question.

 protected:
  ~DeviceDialect() = default;
};

/// What a device tells by itself while it works with its new settings.
enum class DeviceProgress : std::uint8_t {
  joining,
  joined,   ///< The network gave an address.
  dialing,  ///< The cloud.
  stored,   ///< The cloud took it, and it has stored its settings.
};

/// Who asked. Called by dialects, never from inside a question. Answers without a question are ignored.
class DeviceListener {
 public:
  virtual void on_device_info(const DeviceInfo& info, agent::Millis now) = 0;
  /// `readable`: false when there was an answer, but no list.
  virtual void on_device_networks(std::vector<SeenNetwork> networks, bool readable, agent::Millis now) = 0;
  virtual void on_device_forgot(agent::Millis now) = 0;
  virtual void on_settings_answer(bool taken, const std::string& message, agent::Millis now) = 0;
  virtual void on_device_unreadable(const std::string& why, agent::Millis now) = 0;  ///< There was an answer, and it makes no sense.
  virtual void on_device_no_answer(agent::Millis now) = 0;
  // Unasked, of devices whose info says `live`.
  virtual void on_device_progress(DeviceProgress progress, const std::string& detail, agent::Millis now) = 0;
  virtual void on_device_failed(std::uint16_t code, const std::string& message, agent::Millis now) = 0;

 protected:
  ~DeviceListener() = default;
};

/// One GET at a time to the device that was joined (or to the address of --device-url).
class DeviceHttp {
 public:
  virtual void get(
      const std::string& target) = 0;  ///< "/config?..."; answer: on_device_answer, on_device_unreadable or on_device_no_answer.
  virtual void cancel() = 0;           ///< Nothing more comes of the request.

 protected:
  ~DeviceHttp() = default;
};

/// The Bluetooth link to the device that was joined: whole messages.
class BleLink {
 public:
  /// One message, sent in the order of the calls. Answer: BleDialect::on_write_failed, or none.
  virtual void write(std::string_view message) = 0;
  /// What fits in one packet; longer messages go in pieces, which not every device can take.
  [[nodiscard]] virtual std::size_t message_size_max_bytes() const = 0;

 protected:
  ~BleLink() = default;
};

struct TokenRequest {
  std::string template_id, uid;  ///< Empty: not known.
  std::int64_t device_id = 0;    ///< Not 0: reconfigure this one.
};
struct ProvisionToken {
  std::string token;
  std::int64_t device_id = 0, session_id = 0;
  std::string host;
  std::uint16_t port = 0, port_plain = 0;  ///< 0: none.
  std::vector<std::string> warnings;       ///< Codes.
};
struct SessionView {
  std::string state;
  std::uint16_t failure = 0;
  std::string failure_message;
};
struct CloudTrouble {
  bool unreachable = false;  ///< Else it refused.
  bool not_found = false;
  std::string message;  ///< A sentence.
};

/// What the cloud knows of a device that is to be reconfigured. Texts are empty when it does not know them.
struct KnownDevice {
  std::string uid, hotspot_name;
  bool offline = false;
};

/// The cloud, as signed in. One question at a time besides steps, which are sent in order and answered by nothing.
class CloudApi {
 public:
  virtual void ask_template(const std::string& template_id) = 0;  ///< on_template or on_cloud_trouble
  virtual void ask_reconfigure(std::int64_t device_id) = 0;       ///< on_reconfigure or on_cloud_trouble
  virtual void ask_token(const TokenRequest& request) = 0;        ///< on_token or on_cloud_trouble
  virtual void ask_session(std::int64_t session_id) = 0;          ///< on_session or on_cloud_trouble
  virtual void post_step(std::int64_t session_id, std::string_view step, std::uint16_t code, std::string_view message) = 0;
  virtual void cancel_session(std::int64_t session_id) = 0;

 protected:
  ~CloudApi() = default;
};

}  // namespace muster::provisioner
