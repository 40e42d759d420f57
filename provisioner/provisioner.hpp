// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "provisioner/device_answers.hpp"
#include "provisioner/ports.hpp"
#include "provisioner/steps.hpp"
#include "wire/activation_failure.hpp"

/// Makes one device active: finds it, hands it network and token, follows it and the cloud until it is online, and puts the host's own
/// Wi-Fi back. A state machine: events and time in, calls on the ports out. It never blocks, so it runs in a poll loop and in virtual time.
/// Facts: docs/protocol/provisioning.md sections 2, 3.4 and 9.
namespace muster::provisioner {

using agent::Millis;
using wire::ActivationFailure;

class HttpDialect;

/// Who shows it to a person. Called from inside the provisioner's on_... functions; may answer its questions at once.
class Front {
 public:
  virtual void on_report(const Report& report, Millis now) = 0;
  virtual void on_warning(std::string_view code, const std::string& message, Millis now) = 0;
  /// Several devices wait: answer with choose_device.
  virtual void on_choose_device(const std::vector<AccessPoint>& devices, Millis now) = 0;
  /// Answer with choose_network. The list may be empty: the name can be typed.
  virtual void on_choose_network(const std::vector<SeenNetwork>& networks, Millis now) = 0;
  /// Answer with give_password. Comes again when the device found the last one wrong and another may be tried.
  virtual void on_ask_password(const std::string& ssid, Millis now) = 0;

 protected:
  ~Front() = default;
};

struct Times {
  Millis find_ms = 30'000, scan_again_ms = 2'000, join_ms = 25'000, answer_ms = 10'000, list_ms = 25'000;
  Millis named_first_ms = 10'000;  ///< Reconfigure: so long only a device of the known name is taken, because its network opens only now.
  Millis info_ms = 15'000, send_ms = 15'000;  ///< For all tries of one question together.
  Millis retry_ms = 500;                      ///< After an answer that did not come.
  Millis refresh_ms = 3'000;                  ///< G2 scans so long in the background.
  Millis device_poll_ms = 500, cloud_poll_ms = 250;
  Millis cloud_ms = 65'000;         ///< For one answer of the cloud.
  Millis silence_ms = 110'000;      ///< Settings were taken, and nothing was heard.
  Millis look_again_ms = 4'000;     ///< For the access point of a device that went away, because it comes back with its last error.
  Millis stale_error_ms = 52'000;   ///< The error of an earlier try counts as a new one when it stands so long.
  Millis second_login_ms = 12'000;  ///< For a device whose first login broke before it said what it is.
  Millis settle_ms = 250;           ///< The cloud's yes is on its way to the device.
  Millis farewell_ms = 1'500;
  Millis restore_ms = 25'000;  ///< Longer than a radio tries by itself, so that it can put back the rest.
  Millis stored_ms = 5'000;    ///< For a device that tells by itself that it has stored its settings.
};

struct Options {
  bool direct = false;           ///< The device is reached by address: no radio.
  std::string prefix = "Blynk";  ///< Of the names of devices.
  std::string device_name;       ///< Only this one; empty: whichever is found.
  std::string template_id;       ///< Only devices of this one; empty: any that the account has.
  std::string ssid;              ///< Empty: ask.
  bool password_given = false;   ///< It comes without anybody being asked: whether the network of this name is open need not be found out.
  unsigned passwords_max = 1;    ///< So many may be tried: when the device says that one is wrong, the front is asked again.
  std::int64_t reconfigure = 0;  ///< A device of the cloud that gets a new network and token.
  Times times;
};

class Provisioner final : public DeviceListener {
 public:
  /// `radio` is nullptr when options.direct. What is borrowed must outlive the provisioner.
  Provisioner(HostRadio* radio, DeviceDialect& device, CloudApi& cloud, Front& front, Options options);
  /// Over HTTP; on_device_answer is for this.
  Provisioner(HostRadio* radio, DeviceHttp& device, CloudApi& cloud, Front& front, Options options);
  ~Provisioner();
  Provisioner(const Provisioner&) = delete;
  Provisioner& operator=(const Provisioner&) = delete;

  void start(Millis now);
  /// Ctrl-C: cancels what is under way and puts the host's Wi-Fi back; finished() follows.
  void stop(Millis now);
  void on_timer(Millis now);
  [[nodiscard]] Millis next_deadline() const noexcept;

  // Answers of the person.
  void choose_device(const std::string& ssid, Millis now);
  void choose_network(const std::string& ssid, Millis now);
  void give_password(const std::string& password, Millis now);

  // From the radio.
  void on_scanned(const std::vector<AccessPoint>& found, Millis now);
  void on_host_joined(Millis now);
  void on_host_join_failed(HostJoinFailure failure, Millis now);
  void on_host_lost(Millis now);
  void on_restored(Millis now);
  void on_radio_unusable(const std::string& why, Millis now);

  // From the device.
  void on_device_answer(int status, const std::string& body, Millis now);  ///< Of DeviceHttp.
  void on_device_info(const DeviceInfo& info, Millis now) override;
  void on_device_networks(std::vector<SeenNetwork> networks, bool readable, Millis now) override;
  void on_device_forgot(Millis now) override;
  void on_settings_answer(bool taken, const std::string& message, Millis now) override;
  void on_device_unreadable(const std::string& why, Millis now) override;
  void on_device_no_answer(Millis now) override;
  void on_device_progress(DeviceProgress progress, const std::string& detail, Millis now) override;
  void on_device_failed(std::uint16_t code, const std::string& message, Millis now) override;

  // From the cloud.
  void on_template(bool usable, Millis now);
  void on_reconfigure(const KnownDevice& known, Millis now);
  void on_token(const ProvisionToken& token, Millis now);
  void on_session(const SessionView& session, Millis now);
  void on_cloud_trouble(const CloudTrouble& trouble, Millis now);

  [[nodiscard]] bool finished() const noexcept { return phase_ == Phase::finished; }
  [[nodiscard]] bool succeeded() const noexcept { return succeeded_; }
  [[nodiscard]] std::int64_t device_id() const noexcept { return token_.device_id; }
  /// When it did not succeed: the step that failed, and why.
  [[nodiscard]] const Report& failure() const noexcept { return failure_; }
  [[nodiscard]] const DeviceInfo& device() const noexcept { return info_; }

 private:
  enum class Phase : std::uint8_t {
    idle,
    opening,
    early_token,
    finding,
    picking_device,
    joining,
    reading_info,
    checking,
    listing,
    choosing,
    asking_password,
    asking_token,
    resetting,
    sending,
    following,
    farewell,
    restoring,
    finished
  };
  /// Where the host's radio is while the device is followed.
  enum class Link : std::uint8_t { none, up, gone, looking, rejoining };

  // provisioner.cpp: steps, and how it ends
  void begin(StepKind step, Millis now);
  void done(StepKind step, Millis now, std::string message = {});
  void leave(Millis now);
  void report_failed(const Report& failure, Millis now);
  void fail(StepKind step, ActivationFailure code, Millis now, std::string message = {});
  void fail_code(StepKind step, std::uint16_t code, Millis now, std::string message = {});
  void wrap_up(Millis now);

  // finding.cpp
  void find(Millis now);
  void take_candidates(std::vector<AccessPoint> devices, Millis now);
  [[nodiscard]] std::vector<AccessPoint> wanted_of(std::vector<AccessPoint> devices, Millis now);
  [[nodiscard]] bool is_wanted(const DeviceInfo& info, Millis now);
  void look_on(const std::string& why, Millis now);
  void find_no_device(Millis now);
  void join(const AccessPoint& device, Millis now);
  void read_info(Millis now);
  void take_info(const DeviceInfo& info, Millis now);

  // handing_over.cpp
  void list(Millis now);
  void take_networks(std::vector<SeenNetwork> found, bool readable, Millis now);
  void ask_network(Millis now);
  void ask_token(Millis now);
  void warn_of_token(Millis now);
  void prepare(Millis now);
  void send(Millis now);
  void send_again(Millis now);

  // following.cpp
  void follow(Millis now);
  void device_has_joined(Millis now, const std::string& detail = {});
  void take_last_error(const DeviceInfo& info, Millis now);
  void take_failure(std::uint16_t code, const std::string& message, Millis now);
  void ask_password_again(Millis now);
  void become_active(Millis now);

  void post(std::string_view step, Millis now, std::uint16_t code = 0, std::string_view message = {});
  void expect_answer(Millis now, Millis patience);
  [[nodiscard]] bool answered();  ///< Whether an answer was due.
  void ask_info(Millis now);
  void ask_networks(Millis now);
  void link_lost(Millis now);
  [[nodiscard]] bool matches(const std::string& ssid) const;

  HostRadio* radio_;
  std::unique_ptr<HttpDialect> http_;
  DeviceDialect& device_;
  CloudApi& cloud_;
  Front& front_;
  Options options_;

  Phase phase_ = Phase::idle;
  Link link_ = Link::none;
  StepKind step_ = StepKind::find_device;
  bool step_is_open_ = false, succeeded_ = false;
  Report failure_;

  KnownDevice known_;                ///< Reconfigure: what the cloud knows of it.
  std::vector<std::string> others_;  ///< Seen, and not the device that is wanted.
  std::string doubt_;                ///< Why one of them might be it all the same.
  bool picked_ = false;              ///< A person has said that it is this one.
  bool on_trial_ = false;            ///< It was joined to find out which one it is.
  Millis find_until_ = 0, any_name_from_ = 0;
  AccessPoint access_point_;
  DeviceInfo info_;
  std::uint16_t stale_error_ = 0;
  bool saw_no_error_ = false, stored_ = false;
  DeviceProgress furthest_ = DeviceProgress::joining;
  std::vector<SeenNetwork> networks_;  ///< By the device; of the wanted name also by this host.
  std::string ssid_, password_;
  bool network_is_open_ = false, password_known_ = false;
  ProvisionToken token_;
  bool has_token_ = false, heard_cloud_ = false;
  std::string last_cloud_message_;

  unsigned tries_ = 0, passwords_ = 0;
  bool device_busy_ = false, cloud_busy_ = false, scanning_ = false;
  Millis phase_due_ = agent::never;   ///< The phase has failed.
  Millis again_due_ = agent::never;   ///< Something is to be tried again.
  Millis answer_due_ = agent::never;  ///< Of the device.
  Millis mend_due_ = agent::never;    ///< What may still mend has failed.
  Millis device_due_ = agent::never, cloud_due_ = agent::never, look_due_ = agent::never;
  Millis sent_at_ = 0;
};

/// Whether a network can have this password: 8 to 63 characters, or 64 hexadecimal digits.
[[nodiscard]] bool is_possible_password(std::string_view password) noexcept;

}  // namespace muster::provisioner
