// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/agent.hpp"
#include "agent/core/device_name.hpp"
#include "agent/core/settings.hpp"
#include "agent/port/radio.hpp"
#include "agent/port/store.hpp"
#include "wire/activation_failure.hpp"

/// A whole device: open for set-up, joining a network, reaching the cloud, and back. It owns the Agent (the cloud session) and decides
/// when that starts and stops. Events and time go in, calls on Radio, Store and Transport come out. No I/O, no clock, no heap, no
/// exceptions, C++17. Facts: docs/protocol/provisioning.md sections 4 to 6.
///
/// Verify, then commit: settings that were received are written as the pending record before the first dial, and become the proved one
/// only when the cloud accepted both the token and what the device said of itself. Until then the proved record stays as it was, and the
/// device goes back to it by itself.
namespace muster::agent {

enum class DeviceState : std::uint8_t {
  idle,              ///< Gave up waiting; the radio is off.
  wait_config,       ///< Open for set-up.
  configuring,       ///< Open, and an app has asked for the device's info.
  switching,         ///< Settings were taken; the answer gets the time to arrive.
  connecting_net,    ///< Joining, and getting an address.
  connecting_cloud,  ///< Dialling, logging in, announcing.
  running,           ///< Online.
  reset_config,      ///< Erasing.
  error,             ///< Shown for 10 s, then a restart is wanted.
};
[[nodiscard]] std::string_view to_text(DeviceState state) noexcept;  ///< As above.

enum class Color : std::uint8_t { off, white, red, yellow, green, brand, blue, magenta };
enum class Rhythm : std::uint8_t {
  steady,
  blink,        ///< on_ms, off_ms
  wave,         ///< Breathing: on_ms is the whole period.
  double_beat,  ///< 80 on, 100 off, 80 on, 1000 off.
};
/// What the device's light shows. A light of one color uses the same rhythm.
struct Indicator {
  Color color = Color::off;
  Rhythm rhythm = Rhythm::steady;
  std::uint16_t on_ms = 0, off_ms = 0;
};
[[nodiscard]] constexpr bool operator==(const Indicator& a, const Indicator& b) noexcept {
  return a.color == b.color && a.rhythm == b.rhythm && a.on_ms == b.on_ms && a.off_ms == b.off_ms;
}

enum class StepKind : std::uint8_t {
  setup_opened,
  setup_open_failed,
  setup_closed,
  app_seen,        ///< Device info was asked for.
  settings_taken,  ///< They are on disk as the pending record (or as the proved one, when that was asked for).
  settings_refused,
  joining,
  joined,
  join_failed,  ///< code; another try follows unless gave_up follows.
  dialing,      ///< The cloud stage begins.
  dial_failed,  ///< code; reason in detail.
  accepted,     ///< The cloud took the token and the info block.
  stored,       ///< Proved and on disk.
  online,
  gave_up,    ///< The attempt with new settings is over: code, detail.
  fell_back,  ///< Back to the proved settings.
  network_lost,
  token_refused,  ///< The proved token was refused; nothing is erased.
  reset,
};
[[nodiscard]] std::string_view to_text(StepKind kind) noexcept;  ///< As above.

struct Step {
  StepKind kind;
  wire::ActivationFailure code = wire::ActivationFailure::none;
  bool trial = false;            ///< Of settings that are not proved yet.
  std::string_view detail = {};  ///< ASCII, for logs and `msg`; valid during the call.
};

/// Who wants to know what the device does. The calls come from inside the device's own; request_setup(), stop() and the like may not be
/// called from them. Must outlive the device or be removed.
class Observer {
 public:
  virtual void on_state(DeviceState state, Millis now) {
    static_cast<void>(state);
    static_cast<void>(now);
  }
  virtual void on_indicator(const Indicator& indicator) { static_cast<void>(indicator); }
  virtual void on_step(const Step& step, Millis now) {
    static_cast<void>(step);
    static_cast<void>(now);
  }
  /// The answer to request_scan(), for all who asked. Valid during the call.
  virtual void on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) {
    static_cast<void>(networks);
    static_cast<void>(count);
    static_cast<void>(now);
  }
  /// The platform shall restart the device (or the program). The device does nothing more by itself until then.
  virtual void on_restart_wanted(Millis now) { static_cast<void>(now); }

 protected:
  ~Observer() = default;
};

/// What the firmware knows of itself. The text must outlive the device.
struct DeviceProfile {
  std::string_view vendor = "Blynk";  ///< The prefix that apps look for.
  std::string_view template_id;
  std::string_view template_name;
  std::string_view firmware_type;  ///< Empty: the template id.
  std::string_view firmware_version;
  std::string_view uid = "none";  ///< See make_device_uid().
  std::string_view suffix;        ///< See make_unique_suffix().
  std::string_view default_host;  ///< Used when an app sends none.
  Security security = Security::tls;
  std::uint8_t station_mac[6] = {};
  std::uint8_t ap_mac[6] = {};
  bool five_ghz = false;
  bool ethernet = false;  ///< The radio can also join by cable: `if`=`eth`.
};

struct DeviceLimits {
  std::uint32_t wait_config_ms = 600'000;  ///< Nobody came: back to the stored settings, or idle. 0: waits for ever.
  std::uint32_t switching_ms = 200;        ///< From the answer to `config` to the first try.
  std::uint32_t stage_ms = 50'000;         ///< One round of the network stage, and of the cloud stage.
  std::uint16_t rounds_max = 500;          ///< Rounds with proved settings; then error and restart. New settings have one.
  std::uint32_t rejoin_first_ms = 3'000;   ///< Between tries to join; times 1.7 each, up to the cap.
  std::uint32_t rejoin_cap_ms = 60'000;
  std::uint32_t result_hold_ms = 60'000;      ///< Set-up stays open so long for somebody to read the result.
  std::uint32_t read_linger_ms = 1'000;       ///< And so long after it was read.
  std::uint32_t verdict_ms = 5'000;           ///< Name, certificate and portal trouble is final when it has lasted so long.
  std::uint32_t unreachable_ms = 12'000;      ///< The same for a cloud that refuses or closes connections.
  std::uint32_t refused_wait_ms = 300'000;    ///< The cloud refused the proved token: open for set-up so long, then tried again.
  std::uint32_t unanswered_info_ms = 30'000;  ///< A session whose info block was never answered counts as accepted when so old and alive.
  std::uint32_t error_shown_ms = 10'000;
  std::uint32_t button_min_ms = 50;
  std::uint32_t button_hint_ms = 4'000;     ///< From here the light says that something will happen,
  std::uint32_t button_reset_ms = 10'000;   ///< from here that letting go resets,
  std::uint32_t button_cancel_ms = 20'000;  ///< and from here nothing happens any more.
};

struct DeviceParts {
  Radio* radio;  ///< nullptr: the platform is on a network by itself; no set-up over the air.
  Store& store;
  Transport& transport;
  RandomSource& random;
  Handler& handler;             ///< The program: values, metadata, and every event of the session.
  wire::ByteSpan receive_room;  ///< See Agent.
  wire::ByteSpan send_room;
};

enum class ConfigureResult : std::uint8_t {
  started,  ///< The attempt begins; the same settings again while it runs are the same attempt.
  saved,    ///< Stored without proof, as was asked for.
  invalid,  ///< 700
  busy,     ///< Other settings are being tried, or the device is not open for set-up.
  store_failed,
};

/// What apps are told of the last attempt.
enum class Outcome : std::uint8_t { none, trying, succeeded, failed };

/// Not thread-safe: all calls come from one thread. Times that go back are taken as the latest one known.
class Device final {
 public:
  static constexpr std::size_t observers_max = 6;

  Device(const DeviceParts& parts, const DeviceProfile& profile, const Identity& identity, const DeviceLimits& limits = {},
         const Limits& session_limits = {}) noexcept;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Observers are told in the order in which they were added. More than observers_max are not told.
  void add_observer(Observer& observer) noexcept;
  void remove_observer(Observer& observer) noexcept;

  /// Reads the store and begins: with the proved record, else with a pending one, else open for set-up.
  void start(Millis now);
  /// Ends everything; only start() leads on.
  void stop(Millis now);

  // What the radio has to tell.
  void on_opened(Millis now);
  void on_open_failed(Millis now);
  void on_visitors(std::size_t count, Millis now);  ///< Stations on the SoftAP and apps on BLE, together.
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now);
  void on_joined(const JoinedNetwork& network, Millis now);
  void on_join_failed(JoinFailure failure, Millis now);
  void on_network_lost(Millis now);

  // What the transport has to tell; see Agent.
  void on_connected(Millis now);
  void on_bytes(wire::ByteView bytes, Millis now);
  void on_closed(CloseReason reason, Millis now);

  void on_timer(Millis now);
  /// When on_timer() is wanted next; `never` when nothing is due. Changes with every call.
  [[nodiscard]] Millis next_deadline() const noexcept;

  void on_button(bool pressed, Millis now);

  // What people and the cloud ask for.
  /// Opens for set-up, unless new settings are being tried; erases nothing. Without a radio: nothing.
  void request_setup(Millis now);
  /// Back to the stored settings, or idle when there are none.
  void end_setup(Millis now);
  /// Forgets networks, keeps the token. False: not now, the device is connected or about to be; or the store failed.
  [[nodiscard]] bool forget_networks(Millis now);
  /// Forgets networks and tokens; the device UID stays.
  void reset_config(Millis now);
  void request_restart(Millis now);
  /// Cuts a wait short: to join again, to dial again.
  void retry_now(Millis now);

  // For the local interfaces (LocalServer, InjectServer, Console).
  /// An app has asked for the device's info: somebody is configuring.
  void on_app_seen(Millis now);
  /// Somebody uses the interface: waiting for set-up starts anew.
  void on_app_active(Millis now);
  /// The outcome, when there is one, has been told to somebody.
  void on_result_read(Millis now);
  /// At the console, settings are also taken by a device that is not open for set-up.
  [[nodiscard]] ConfigureResult configure(const SetupSettings& settings, Millis now, bool at_console = false);
  /// For the console: a new token (and host, when not empty) on the network that the device has.
  [[nodiscard]] ConfigureResult configure_token(std::string_view token, std::string_view host, std::uint16_t port, Millis now);
  /// Asks for the networks around; the answer is Observer::on_networks. False: there is no radio.
  bool request_scan(Millis now);

  [[nodiscard]] DeviceState state() const noexcept { return state_; }
  [[nodiscard]] Indicator indicator() const noexcept { return shown_; }
  [[nodiscard]] bool open_for_setup() const noexcept { return setup_ == Setup::opening || setup_ == Setup::open; }
  /// Of the last attempt; kept until it was read and set-up has closed, or until the next attempt.
  [[nodiscard]] wire::ActivationFailure last_error() const noexcept { return last_error_; }
  [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] const DeviceProfile& profile() const noexcept { return profile_; }
  [[nodiscard]] std::string_view name() const noexcept { return name_.view(); }
  [[nodiscard]] bool has_radio() const noexcept { return radio_ != nullptr; }
  [[nodiscard]] bool has_proved() const noexcept { return has_proved_; }
  [[nodiscard]] bool has_pending() const noexcept { return has_pending_; }
  [[nodiscard]] bool trying() const noexcept { return trial_; }
  /// The settings in use; without any, all empty. Holds secrets: not for logs.
  [[nodiscard]] const DeviceConfig& settings() const noexcept { return active_; }
  [[nodiscard]] const JoinedNetwork& network() const noexcept { return joined_; }
  [[nodiscard]] bool joined() const noexcept { return is_joined_; }
  /// The cloud session: for sending values.
  [[nodiscard]] Agent& agent() noexcept { return agent_; }
  [[nodiscard]] const Agent& agent() const noexcept { return agent_; }

 private:
  enum class Setup : std::uint8_t { shut, opening, open };
  enum class RecordState : std::uint8_t { absent, usable, without_network, newer, failed };
  enum class Wish : std::uint8_t { none, setup, end_setup, restart };

  /// What the session tells. Apart, so that the device itself is no polymorphic type.
  struct SessionEvents final : Handler {
    explicit SessionEvents(Device& owner) noexcept : device{owner} {}
    void on_event(const Event& event, Millis now) override;
    void on_write(std::uint8_t pin, wire::Fields values, Millis now) override;
    void on_metadata(std::string_view name, std::string_view value) override;
    void on_utc(std::uint64_t unix_ms) override;
    void on_console(std::string_view line) override;
    void on_print(std::string_view text) override;
    void on_update_offered(std::string_view url) override;
    void on_response(std::uint16_t id, std::uint16_t status) override;
    Device& device;
  };

  void note_event(const Event& event) noexcept;
  void advance(Millis now) noexcept { now_ = now > now_ ? now : now_; }
  void enter(DeviceState state);
  void tell(StepKind kind, wire::ActivationFailure code = wire::ActivationFailure::none, std::string_view detail = {});
  void show();
  [[nodiscard]] Indicator wanted_indicator() const noexcept;
  [[nodiscard]] bool waits_for_config() const noexcept { return state_ == DeviceState::wait_config || state_ == DeviceState::configuring; }
  [[nodiscard]] bool connects() const noexcept {
    return state_ == DeviceState::connecting_net || state_ == DeviceState::connecting_cloud || state_ == DeviceState::running;
  }

  [[nodiscard]] RecordState load(Slot slot, DeviceConfig& config);
  [[nodiscard]] bool save(Slot slot, const DeviceConfig& config);
  [[nodiscard]] bool erase(Slot slot);
  void drop_pending();

  void open_setup();
  void close_setup();
  /// Ends session and join, and opens. `wait_ms` 0: waits for ever.
  void wait_for_config(std::uint32_t wait_ms);
  void restart_waiting() noexcept;
  void go_on_without_setup();
  void disconnect();
  /// Uses the record of the slot; false when it cannot be used.
  bool begin_with(Slot slot);
  void begin_active();
  void begin_network();
  void join();
  void begin_cloud();
  void end_round();
  void give_up(wire::ActivationFailure code, std::string_view detail);
  void commit();
  void fail_hard();
  void note_verdict(CloseReason reason);
  /// Does what the session's events ask for; from outside of the session's own calls.
  void settle();
  void settle_failure(CloseReason reason);
  void settle_refusal();
  void settle_online();
  void keep_home();
  bool change_places();
  [[nodiscard]] ConfigureResult take(DeviceConfig& wanted, bool unproved, bool at_console);
  [[nodiscard]] ConfigureResult refuse_settings(std::string_view detail);
  void run_button();

  Radio* radio_;
  Store& store_;
  Handler& handler_;
  DeviceProfile profile_;
  DeviceLimits limits_;
  SessionEvents session_;
  Agent agent_;
  Observer* observers_[observers_max] = {};

  DeviceConfig active_;  ///< In use, or last used.
  DeviceName name_;
  JoinedNetwork joined_;
  Indicator shown_;

  Millis now_ = 0;
  Millis state_due_ = never;   ///< End of waiting, switching, the stage's round, or the error, by state.
  Millis trial_due_ = never;   ///< New settings have no longer than this, whatever happens.
  Millis rejoin_due_ = never;  ///< The next try to join.
  Millis verdict_due_ = never;
  Millis accept_due_ = never;    ///< A session without an answer to its info block counts as accepted.
  Millis unanswered_since_ = 0;  ///< And something must have come since then.
  Millis resume_due_ = never;    ///< An attempt that the power cut short goes on.
  Millis setup_due_ = never;     ///< Set-up closes although the device connects or runs.
  Millis reopen_due_ = never;
  Millis scan_due_ = never;  ///< The radio owes an answer until then.
  Millis pressed_at_ = never;
  std::uint32_t generation_ = 0;  ///< The highest that was seen or written.
  std::uint32_t rejoin_ms_ = 0;
  std::uint32_t wait_ms_ = 0;
  std::size_t visitors_ = 0;
  std::uint16_t rounds_ = 0;
  wire::ActivationFailure last_error_ = wire::ActivationFailure::none;
  wire::ActivationFailure verdict_ = wire::ActivationFailure::none;
  wire::ActivationFailure join_problem_ = wire::ActivationFailure::none;
  CloseReason verdict_reason_ = CloseReason::stopped;
  CloseReason failure_reason_ = CloseReason::stopped;
  DeviceState state_ = DeviceState::idle;
  Setup setup_ = Setup::shut;
  Outcome outcome_ = Outcome::none;
  Wish wish_ = Wish::none;  ///< Of the cloud.
  std::uint8_t button_phase_ = 0;
  std::uint8_t resumes_left_ = 0;
  bool has_proved_ = false;
  bool has_pending_ = false;
  bool pending_given_up_ = false;  ///< Its failure was told, or it is an earlier home: it goes once the proved settings have worked.
  bool pending_tried_ = false;     ///< By the device itself, since the proved settings were begun.
  bool trial_ = false;
  bool unattended_ = false;  ///< The trial was begun by the device itself.
  bool let_in_ = false;      ///< The cloud has taken the token since these settings were begun.
  bool is_joined_ = false;
  bool result_read_ = false;
  bool announced_ = false;  ///< Metadata was sent in this run.
  // What the session told and settle() has not met yet.
  bool told_accepted_ = false;
  bool told_info_refused_ = false;
  bool told_online_ = false;
  bool told_token_refused_ = false;
  bool told_failure_ = false;
};

}  // namespace muster::agent
