// SPDX-License-Identifier: Apache-2.0
// The provisioner against scripted devices of each generation, a scripted cloud and a scripted radio.
#include "provisioner/provisioner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace muster::provisioner {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using F = ActivationFailure;

const std::string token_text(32, 't');
const std::string g1_info =
    R"({"board":"Lamp","tmpl_id":"TMPL1","fw_type":"TMPL1","fw_ver":"1","ssid":"Blynk Lamp-N1A9","last_error":0,"wifi_scan":true})";
const std::string g2_info =
    R"({"vendor":"Blynk","tmpl_id":"TMPL1","fw_ver":"1","name":"Blynk Lamp-N1A9","uid":"u-1","last_error":0,"ifs":[{"name":"wifi"}]})";
const std::string our_info =
    R"({"board":"Lamp","tmpl_id":"TMPL1","fw_ver":"1","ssid":"Blynk Lamp-N1A9","name":"Blynk Lamp-N1A9","uid":"u-1","last_error":0,"wifi_scan":true,"ifs":[{"name":"wifi"}]})";
const std::string home_list =
    R"([{"ssid":"Home","bssid":"x","rssi":-50,"sec":"WPA2","ch":6},{"ssid":"Guests","bssid":"y","rssi":-60,"sec":"OPEN","ch":6}])";

std::string with_error(std::string info, int code) {
  const auto at = info.find("\"last_error\":0");
  return info.replace(at, 14, "\"last_error\":" + std::to_string(code));
}

/// Everything around the provisioner; what it asks for is answered 10 ms later as the test says.
struct Rig : HostRadio, DeviceHttp, CloudApi, Front {
  explicit Rig(std::string info_text = our_info) : info{std::move(info_text)} {}
  virtual ~Rig() = default;
  void make() { muster = std::make_unique<Provisioner>(options.direct ? nullptr : this, *this, *this, *this, options); }

  // --- radio
  bool keeps_internet() const override { return internet_beside_device; }
  void scan() override {
    ++scans;
    later([this] { muster->on_scanned(access_points, now); });
  }
  void join_open(std::string_view name, std::uint16_t) override {
    joins.emplace_back(name);
    later([this, mine = ++joining] {
      if (mine != joining) return;
      if (join_failure) {
        muster->on_host_join_failed(*join_failure, now);
      } else {
        on_ap = true;
        muster->on_host_joined(now);
      }
    });
  }
  void leave() override {
    ++joining;
    on_ap = false;
  }
  void restore() override {
    ++restores;
    if (restores_at_all) later([this] { muster->on_restored(now); });
  }
  // --- device
  void get(const std::string& target) override {
    requests.push_back(target);
    ++turn;
    std::optional<std::pair<int, std::string>> answer;
    if (target == "/board_info.json") {
      const auto own = infos.find(joins.empty() ? std::string{} : joins.back());
      if (info_answers) answer = {200, own == infos.end() ? info : own->second};
    } else if (target == "/wifi_scan.json" && list_is_broken) {
      later([this, mine = turn] {
        if (mine == turn) muster->on_device_unreadable("It lies.", now);
      });
    } else if (target == "/wifi_scan.json") {
      if (!lists.empty()) {
        answer = {200, lists.front()};
        if (lists.size() > 1) lists.pop_front();
      }
    } else if (target.starts_with("/config?")) {
      ++configs;
      if (config_status != 0)
        answer = {config_status, config_status == 200 ? R"({"status":"ok","msg":"Trying to connect..."})"
                                                      : R"({"status":"error","msg":")" + config_refusal + R"("})"};
      if (on_config) later(on_config);
    } else if (target == "/reset") {
      answer = {200, R"({"status":"ok","msg":"Configuration reset"})"};
    }
    if (answer) {
      later([this, answer, mine = turn] {
        if (mine == turn && (on_ap || options.direct)) muster->on_device_answer(answer->first, answer->second, now);
      });
    }
  }
  void cancel() override { ++turn; }
  // --- cloud
  void ask_template(const std::string& id) override {
    asked.push_back("template " + id);
    answer_cloud([this] { muster->on_template(template_known, now); });
  }
  void ask_reconfigure(std::int64_t id) override {
    asked.push_back("reconfigure " + std::to_string(id));
    answer_cloud([this] { muster->on_reconfigure(known, now); });
  }
  void ask_token(const TokenRequest& request) override {
    asked.push_back("token " + request.template_id + " " + request.uid + " " + std::to_string(request.device_id));
    answer_cloud([this] { muster->on_token(token, now); });
  }
  void ask_session(std::int64_t) override {
    ++polls;
    answer_cloud([this] { muster->on_session(session, now); });
  }
  void post_step(std::int64_t id, std::string_view step, std::uint16_t code, std::string_view message) override {
    EXPECT_EQ(id, 3);
    last_message = message;
    steps.push_back(std::string{step} + (code == 0 ? "" : " " + std::to_string(code)));
  }
  void cancel_session(std::int64_t) override { ++canceled; }
  void answer_cloud(std::function<void()> answer) {
    if (cloud_trouble) {
      later([this, trouble = *cloud_trouble] { muster->on_cloud_trouble(trouble, now); });
    } else if (cloud_answers) {
      later(std::move(answer));
    }
  }
  // --- person
  void on_report(const Report& report, Millis) override {
    // Each step is begun before it ends, and ends before the next begins.
    if (report.state == StepState::begun) {
      EXPECT_FALSE(open) << to_text(report.step) << " begun within " << to_text(*open);
      open = report.step;
    } else {
      EXPECT_EQ(open, report.step) << to_text(report.step) << " was not begun";
      open.reset();
      log.push_back(std::string{to_text(report.step)} + " " + std::string{to_text(report.state)});
    }
  }
  void on_warning(std::string_view code, const std::string&, Millis) override { warnings.emplace_back(code); }
  void on_choose_device(const std::vector<AccessPoint>& devices, Millis) override {
    for (const auto& device : devices) offered.push_back(device.ssid);
    if (!pick.empty()) muster->choose_device(pick, now);
  }
  void on_choose_network(const std::vector<SeenNetwork>& networks, Millis) override {
    shown_networks = networks.size();
    muster->choose_network(ssid, now);
  }
  void on_ask_password(const std::string&, Millis) override {
    ++passwords_asked;
    muster->give_password(password, now);
  }

  void later(std::function<void()> action) { queue.emplace(now + 10, std::move(action)); }
  /// Until it has finished, or this much time has passed.
  void run(Millis for_ms = 400'000) {
    if (!muster) {
      make();
      muster->start(now);
    }
    const Millis end = now + for_ms;
    while (!muster->finished()) {
      const Millis due = std::min(muster->next_deadline(), queue.empty() ? agent::never : queue.begin()->first);
      if (due > end) break;
      now = std::max(now, due);
      if (!queue.empty() && queue.begin()->first <= now) {
        const auto action = queue.begin()->second;
        queue.erase(queue.begin());
        action();
      } else {
        muster->on_timer(now);
      }
    }
    if (!muster->finished()) now = end;
    EXPECT_FALSE(muster->finished() && open) << to_text(*open);
  }
  void expect_failure(StepKind step, F code) {
    EXPECT_TRUE(muster->finished());
    EXPECT_FALSE(muster->succeeded());
    EXPECT_EQ(to_text(muster->failure().step), to_text(step));
    EXPECT_EQ(muster->failure().code, static_cast<std::uint16_t>(code));
    EXPECT_NE(wire::find_failure(code), nullptr);
    if (!options.direct) {
      EXPECT_GE(restores, 1);
    }
    if (!steps.empty()) {
      EXPECT_EQ(canceled, 1);
    }
  }

  Options options;
  KnownDevice known;
  std::map<std::string, std::string> infos;  ///< Of access points whose device has its own.
  std::optional<StepKind> open;              ///< Begun, and not ended.
  bool list_is_broken = false;
  Millis now = 1'000;
  std::multimap<Millis, std::function<void()>> queue;
  std::string info;
  std::deque<std::string> lists{home_list};
  std::vector<AccessPoint> access_points{{"Blynk Lamp-N1A9", -40, 1, true}, {"Home", -50, 6, false}, {"Blynkish", -30, 1, true}};
  std::optional<HostJoinFailure> join_failure;
  bool internet_beside_device = true, on_ap = false, restores_at_all = true, info_answers = true, template_known = true,
       cloud_answers = true;
  std::optional<CloudTrouble> cloud_trouble;
  int config_status = 200;
  std::string config_refusal = "no";
  std::function<void()> on_config;
  ProvisionToken token{token_text, 7, 3, "cloud.example", 9443, 8080, {}};
  SessionView session{"TOKEN_ISSUED", 0, {}};
  std::string ssid = "Home", password = "password & more", pick, last_message;
  unsigned turn = 0, joining = 0;
  int passwords_asked = 0;
  int scans = 0, restores = 0, configs = 0, polls = 0, canceled = 0;
  std::size_t shown_networks = 0;
  std::vector<std::string> joins, requests, asked, steps, log, warnings, offered;
  std::unique_ptr<Provisioner> muster;
};

TEST(Provisioner, MakesADeviceOfEachGenerationActive) {
  for (const auto& info : {our_info, g1_info, g2_info}) {
    Rig rig{info};
    rig.on_config = [&] {
      rig.session.state = "ACTIVE";
      if (info == g1_info) {
        rig.on_ap = false;
        rig.muster->on_host_lost(rig.now);
      }
    };
    rig.run();
    EXPECT_TRUE(rig.muster->succeeded()) << info;
    EXPECT_EQ(rig.muster->device_id(), 7);
    EXPECT_EQ(rig.restores, 1);
    EXPECT_FALSE(rig.on_ap);
    EXPECT_EQ(rig.canceled, 0);
    EXPECT_EQ(rig.joins, std::vector<std::string>{"Blynk Lamp-N1A9"});
    EXPECT_EQ(rig.requests[0], "/board_info.json");
    EXPECT_THAT(rig.requests,
                Contains("/config?if=wifi&ssid=Home&pass=password%20%26%20more&blynk=" + token_text + "&host=cloud.example&port_ssl=9443"));
    EXPECT_THAT(rig.asked, Contains("template TMPL1"));
    EXPECT_THAT(rig.asked, Contains(info == g1_info ? "token TMPL1  0" : "token TMPL1 u-1 0"));
    EXPECT_EQ(rig.steps.front(), "board_info");
    EXPECT_THAT(rig.steps, Contains("sent"));
    EXPECT_EQ(rig.steps.back(), "done");
  }
}

TEST(Provisioner, FailuresOfTheDeviceAreNamedAtOnceWithTheirStep) {
  for (const auto& [code, step] : std::map<int, StepKind>{{700, StepKind::send_settings},
                                                          {701, StepKind::join_network},
                                                          {720, StepKind::join_network},
                                                          {722, StepKind::join_network},
                                                          {723, StepKind::join_network},
                                                          {702, StepKind::reach_cloud},
                                                          {703, StepKind::reach_cloud},
                                                          {710, StepKind::reach_cloud},
                                                          {711, StepKind::reach_cloud},
                                                          {712, StepKind::reach_cloud}}) {
    for (const auto& info : {our_info, g2_info}) {
      Rig rig{info};
      rig.on_config = [&, code = code] { rig.info = with_error(info, code); };
      rig.run();
      rig.expect_failure(step, static_cast<F>(code));
      EXPECT_LT(rig.now, 5'000U);
      EXPECT_EQ(rig.steps.back(), std::string{to_text(step)} + " " + std::to_string(code));
    }
  }
}

TEST(Provisioner, AWrongPasswordIsAskedAgainWhenThereIsSomebodyToAsk) {
  for (const auto& info : {our_info, g2_info}) {
    Rig rig{info};
    rig.options.passwords_max = 2;
    rig.on_config = [&] {
      if (rig.configs == 1) {
        rig.info = with_error(info, 722);
      } else {
        rig.info = info;
        rig.session.state = "ACTIVE";
      }
    };
    rig.run();
    EXPECT_TRUE(rig.muster->succeeded()) << info;
    EXPECT_EQ(rig.passwords_asked, 2);
    EXPECT_EQ(rig.configs, 2);
    EXPECT_EQ(rig.canceled, 0);
    EXPECT_THAT(rig.log, Contains("join_network failed"));
    EXPECT_THAT(rig.steps, Contains("join_network 722"));
    EXPECT_EQ(std::count_if(rig.asked.begin(), rig.asked.end(), [](const auto& a) { return a.starts_with("token"); }), 1);
  }
  Rig live;  // One that tells by itself.
  live.options.passwords_max = 2;
  live.on_config = [&] {
    if (live.configs == 1) {
      live.later([&] { live.muster->on_device_failed(722, {}, live.now); });
    } else {
      live.session.state = "ACTIVE";
    }
  };
  live.run();
  EXPECT_TRUE(live.muster->succeeded());
  EXPECT_EQ(live.passwords_asked, 2);
  Rig rig;
  rig.options.passwords_max = 2;
  rig.on_config = [&] { rig.info = with_error(our_info, 722); };
  rig.run();
  rig.expect_failure(StepKind::join_network, F::wrong_password);
  EXPECT_EQ(rig.configs, 2);
}

TEST(Provisioner, NobodyIsAskedForThePasswordOfAnOpenNetwork) {
  const auto run = [](auto change) {
    Rig rig;
    rig.options.ssid = "Guests";
    change(rig);
    rig.on_config = [&] { rig.session.state = "ACTIVE"; };
    rig.run();
    EXPECT_TRUE(rig.muster->succeeded());
    return std::pair{rig.passwords_asked, std::count(rig.requests.begin(), rig.requests.end(), "/wifi_scan.json")};
  };
  // This computer sees it itself, or the device does.
  EXPECT_EQ(run([](Rig& rig) { rig.access_points.push_back({"Guests", -50, 6, true}); }), std::pair(0, 0L));
  EXPECT_EQ(run([](Rig&) {}), std::pair(0, 1L));
  EXPECT_EQ(run([](Rig& rig) { rig.options.direct = true; }), std::pair(0, 1L));
  // An open one beside a protected one of the same name is not taken for it.
  EXPECT_EQ(run([](Rig& rig) {
              rig.access_points.push_back({"Guests", -50, 6, true});
              rig.access_points.push_back({"Guests", -80, 11, false});
            }),
            std::pair(1, 0L));
  // A password that was given is used.
  EXPECT_EQ(run([](Rig& rig) {
              rig.access_points.push_back({"Guests", -50, 6, true});
              rig.options.password_given = true;
            }),
            std::pair(1, 0L));
}

TEST(Provisioner, ARadioThatEndsAfterTheSettingsCostsNothing) {
  Rig rig;
  rig.on_config = [&] { rig.later([&] { rig.muster->on_radio_unusable("It has gone.", rig.now); }); };
  rig.run(5'000);
  EXPECT_FALSE(rig.muster->finished());
  rig.session.state = "ACTIVE";
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  Rig early;
  early.info_answers = false;
  early.run(1'000);
  early.muster->on_radio_unusable("It has gone.", early.now);
  early.run();
  early.expect_failure(StepKind::device_info, F::radio_unusable);
}

TEST(Provisioner, TheErrorOfAnEarlierTryIsNotTakenForANewOne) {
  Rig rig{with_error(g2_info, 722)};
  rig.run(30'000);
  EXPECT_FALSE(rig.muster->finished());  // Still the old one.
  rig.info = g2_info;
  rig.run(2'000);
  rig.info = with_error(g2_info, 722);
  rig.run(2'000);
  rig.expect_failure(StepKind::join_network, F::wrong_password);

  Rig lasting{with_error(g2_info, 722)};  // Never seen to be cleared, but it stands longer than any try takes.
  lasting.run();
  lasting.expect_failure(StepKind::join_network, F::wrong_password);
  EXPECT_LT(lasting.now, 60'000U);

  Rig ours{with_error(our_info, 722)};
  ours.run(5'000);
  ours.expect_failure(StepKind::join_network, F::wrong_password);
}

TEST(Provisioner, AFirstGenerationDeviceThatComesBackTellsItsError) {
  Rig rig{g1_info};
  rig.on_config = [&] {
    rig.on_ap = false;
    rig.access_points.clear();
    rig.muster->on_host_lost(rig.now);
  };
  rig.run(50'000);
  EXPECT_FALSE(rig.muster->finished());
  EXPECT_THAT(rig.steps, Contains("ap_lost"));
  rig.info = with_error(g1_info, 701);
  rig.access_points = {{"Blynk Lamp-N1A9", -40, 1, true}};
  rig.run(10'000);
  rig.expect_failure(StepKind::join_network, F::network_timeout);
}

TEST(Provisioner, ADeviceThatIsNeverHeardOfAgainIsSilent) {
  Rig rig{g1_info};
  rig.on_config = [&] {
    rig.on_ap = false;
    rig.access_points.clear();
    rig.muster->on_host_lost(rig.now);
  };
  rig.run();
  rig.expect_failure(StepKind::join_network, F::device_silent);
  EXPECT_LT(rig.now, 130'000U);
}

TEST(Provisioner, WhatTheCloudRefusesIsNamed) {
  struct Case {
    std::string state;
    std::uint16_t failure;
    F code;
  };
  for (const auto& wanted :
       {Case{"FAILED", 801, F::template_foreign}, Case{"FAILED", 0, F::cloud_other}, Case{"CANCELED", 0, F::canceled},
        Case{"EXPIRED", 0, F::expired}, Case{"SUPERSEDED", 0, F::superseded}, Case{"REPROVISIONING", 800, F::template_unknown}}) {
    Rig rig;
    rig.on_config = [&] { rig.session = {wanted.state, wanted.failure, "why"}; };
    rig.run();
    // Whoever ends a session from elsewhere says nothing of how far the device came.
    const bool from_elsewhere = wanted.code == F::canceled || wanted.code == F::expired || wanted.code == F::superseded;
    rig.expect_failure(from_elsewhere ? StepKind::join_network : StepKind::reach_cloud, wanted.code);
  }
}

TEST(Provisioner, NoDeviceNoJoinNoAnswerNonsense) {
  {
    Rig rig;
    rig.access_points = {{"Home", -50, 6, false}, {"Blynk Secret-1234", -50, 6, false}};
    rig.run();
    rig.expect_failure(StepKind::find_device, F::device_not_found);
    EXPECT_GT(rig.scans, 5);
  }
  {
    Rig rig;
    rig.join_failure = HostJoinFailure::timeout;
    rig.run();
    rig.expect_failure(StepKind::join_device, F::device_unreachable);
  }
  {
    Rig rig;
    rig.info_answers = false;
    rig.run();
    rig.expect_failure(StepKind::device_info, F::device_unreachable);
    EXPECT_EQ(rig.requests.size(), 2U);
    EXPECT_LT(rig.now, 17'000U);
  }
  {
    Rig rig{"<html>\x1b[2J"};
    rig.run();
    rig.expect_failure(StepKind::device_info, F::device_answer_bad);
  }
  {
    Rig rig;
    rig.config_status = 500;
    rig.run();
    rig.expect_failure(StepKind::send_settings, F::settings_invalid);
    EXPECT_EQ(rig.muster->failure().message, "no");
    Rig second;
    second.config_status = 500;
    second.config_refusal = "Busy with other settings";  // What our device says.
    second.run();
    second.expect_failure(StepKind::send_settings, F::device_busy);
  }
  {
    Rig rig;
    rig.config_status = 0;
    rig.run();
    rig.expect_failure(StepKind::send_settings, F::device_unreachable);
    EXPECT_EQ(rig.configs, 2);
    EXPECT_LT(rig.now, 17'000U);
  }
  {
    Rig rig;
    rig.make();
    rig.muster->start(rig.now);
    rig.muster->on_radio_unusable("no such radio", rig.now);
    rig.run();
    rig.expect_failure(StepKind::find_device, F::radio_unusable);
  }
}

TEST(Provisioner, TheCloudRefusesOrIsNotThere) {
  for (const bool unreachable : {true, false}) {
    Rig rig;
    rig.cloud_trouble = CloudTrouble{unreachable, false, "sentence"};
    rig.run();
    rig.expect_failure(StepKind::check_template, unreachable ? F::cloud_unreachable : F::sign_in_refused);
    EXPECT_EQ(rig.muster->failure().message, "sentence");
  }
  {
    Rig rig;
    rig.cloud_answers = false;
    rig.run();
    rig.expect_failure(StepKind::check_template, F::cloud_unreachable);
  }
  {
    Rig rig;
    rig.template_known = false;
    rig.run();
    rig.expect_failure(StepKind::check_template, F::template_not_in_account);
  }
  {
    Rig rig;
    rig.options.template_id = "TMPL2";
    rig.run();
    rig.expect_failure(StepKind::check_template, F::template_differs);
  }
  {
    Rig rig;
    rig.token.token = "short";
    rig.run();
    rig.expect_failure(StepKind::get_token, F::host_unusable);
  }
  {  // The cloud may stumble while the device is followed.
    Rig rig;
    rig.on_config = [&] { rig.cloud_trouble = CloudTrouble{true, false, "down"}; };
    rig.run(20'000);
    EXPECT_FALSE(rig.muster->finished());
    rig.cloud_trouble.reset();
    rig.session.state = "DONE";
    rig.run(5'000);
    EXPECT_TRUE(rig.muster->succeeded());
  }
}

TEST(Provisioner, LengthsAreCheckedBeforeTheDeviceHearsThem) {
  struct Case {
    std::string info, ssid, password;
    std::optional<F> code;
  };
  const std::string key(64, 'a');
  for (const auto& wanted :
       {Case{g2_info, std::string(32, 's'), "password", F::ssid_too_long}, Case{g2_info, std::string(31, 's'), "password", {}},
        Case{our_info, std::string(32, 's'), "password", {}}, Case{our_info, std::string(33, 's'), "password", F::ssid_too_long},
        Case{our_info, "", "password", F::ssid_too_long}, Case{our_info, "Home", "seven77", F::password_unsuitable},
        Case{our_info, "Home", "eight888", {}}, Case{our_info, "Home", std::string(63, 'x'), {}},
        Case{our_info, "Home", std::string(64, 'x'), F::password_unsuitable}, Case{our_info, "Home", key, {}},
        Case{g2_info, "Home", key, {}}, Case{g1_info, "Home", key, F::password_unsuitable},
        Case{our_info, "Home", std::string(65, 'a'), F::password_unsuitable}, Case{our_info, "Home", "", F::password_unsuitable},
        Case{our_info, "Guests", "ignored", {}}, Case{our_info, "Not listed", "", {}}}) {
    Rig rig{wanted.info};
    rig.ssid = wanted.ssid;
    rig.password = wanted.password;
    rig.on_config = [&] { rig.session.state = "ACTIVE"; };
    rig.run();
    if (wanted.code) {
      rig.expect_failure(StepKind::choose_network, *wanted.code);
      EXPECT_EQ(rig.configs, 0);
    } else {
      EXPECT_TRUE(rig.muster->succeeded()) << wanted.ssid << " " << wanted.password;
      if (wanted.ssid == "Guests") {
        EXPECT_THAT(rig.requests, Contains(HasSubstr("&pass=&")));
      }
    }
  }
}

TEST(Provisioner, AnEmptyListIsAskedForAgain) {
  Rig rig;
  rig.lists = {"[]", home_list};
  rig.on_config = [&] { rig.session.state = "ACTIVE"; };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_EQ(rig.shown_networks, 2U);

  Rig never;  // The name can be typed all the same.
  never.lists = {"[]"};
  never.on_config = [&] { never.session.state = "ACTIVE"; };
  never.run();
  EXPECT_TRUE(never.muster->succeeded());
  EXPECT_EQ(std::count(never.requests.begin(), never.requests.end(), "/wifi_scan.json"), 3);
}

TEST(Provisioner, TheSecondGenerationIsAskedTwiceForAFreshList) {
  const std::string old_list = R"([{"ssid":"Other","rssi":-50,"sec":"WPA2","ch":6}])";
  Rig rig{g2_info};
  rig.options.ssid = "Guests";
  rig.lists = {old_list, old_list, home_list};
  rig.on_config = [&] { rig.session.state = "ACTIVE"; };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_EQ(std::count(rig.requests.begin(), rig.requests.end(), "/wifi_scan.json"), 3);
  EXPECT_THAT(rig.requests, Contains(HasSubstr("ssid=Guests&pass=&")));  // Open, as the fresh list says.
}

TEST(Provisioner, ASecondGenerationDeviceThatFailedAtTheCloudForgetsItsNetworkFirst) {
  Rig rig{with_error(g2_info, 702)};
  rig.on_config = [&] { rig.session.state = "ACTIVE"; };
  rig.run();
  EXPECT_THAT(rig.requests, Contains("/reset"));
  Rig wifi{with_error(g2_info, 722)};
  wifi.on_config = [&] { wifi.session.state = "ACTIVE"; };
  wifi.run();
  EXPECT_THAT(wifi.requests,
              ::testing::Not(Contains("/reset")));  // On the first generation that would erase everything, here it is not needed.
}

TEST(Provisioner, SaysBeforehandWhenTheCloudCannotBeDialled) {
  for (const auto& [info, port, plain, warned] : {std::tuple{g2_info, 8443, 8081, true}, std::tuple{g2_info, 9443, 8081, false},
                                                  std::tuple{g2_info, 8443, 8080, false}, std::tuple{our_info, 8443, 8081, false}}) {
    Rig rig{info};
    rig.token.port = static_cast<std::uint16_t>(port);
    rig.token.port_plain = static_cast<std::uint16_t>(plain);
    rig.token.warnings = {"port_not_dialed", "host_is_loopback"};
    rig.on_config = [&] { rig.session.state = "ACTIVE"; };
    rig.run();
    EXPECT_EQ(std::count(rig.warnings.begin(), rig.warnings.end(), "port_not_dialed"), warned ? 1 : 0);
    EXPECT_THAT(rig.warnings, Contains("host_is_loopback"));
  }
  Rig rig{g1_info};
  rig.token.host = std::string(34, 'h');
  rig.run();
  rig.expect_failure(StepKind::send_settings, F::host_unusable);
  EXPECT_EQ(rig.configs, 0);
}

TEST(Provisioner, SeveralDevicesAreAPersonsChoice) {
  Rig rig;
  rig.access_points.push_back({"Blynk Lamp-0000", -30, 1, true});
  rig.pick = "Blynk Lamp-0000";
  rig.on_config = [&] { rig.session.state = "ACTIVE"; };
  rig.run();
  EXPECT_EQ(rig.offered, (std::vector<std::string>{"Blynk Lamp-N1A9", "Blynk Lamp-0000"}));
  EXPECT_EQ(rig.joins, std::vector<std::string>{"Blynk Lamp-0000"});
  Rig named;
  named.access_points.push_back({"Blynk Lamp-0000", -30, 1, true});
  named.options.device_name = "Blynk Lamp-0000";
  named.on_config = [&] { named.session.state = "ACTIVE"; };
  named.run();
  EXPECT_TRUE(named.offered.empty());
  EXPECT_EQ(named.joins, std::vector<std::string>{"Blynk Lamp-0000"});
}

TEST(Provisioner, WithoutARadioTheDeviceIsReachedByAddress) {
  Rig rig;
  rig.options.direct = true;
  rig.on_config = [&] { rig.session.state = "ACTIVE"; };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_EQ(rig.scans + rig.restores, 0);
}

TEST(Provisioner, AHostWithOneRadioGetsTheTokenFirstAndComesHomeForTheCloud) {
  Rig rig{g1_info};
  rig.internet_beside_device = false;
  rig.on_config = [&] {
    rig.on_ap = false;
    rig.session.state = "ACTIVE";
    rig.muster->on_host_lost(rig.now);
  };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_EQ(rig.asked.front(), "token   0");
  EXPECT_EQ(rig.log.front(), "get_token done");
  EXPECT_GE(rig.restores, 1);
}

TEST(Provisioner, ReconfiguresADeviceOfTheCloud) {
  Rig rig;
  rig.options.reconfigure = 7;
  rig.known = {"u-1", "Blynk Lamp-N1A9"};
  rig.session.state = "REPROVISIONING";
  rig.on_config = [&] { rig.session.state = "PROVING"; };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_EQ(rig.asked.front(), "reconfigure 7");
  EXPECT_EQ(rig.asked.back(), "token TMPL1 u-1 7");
}

const std::string neighbour = "Blynk Lamp-0000";
const std::string neighbour_info =
    R"({"vendor":"Blynk","tmpl_id":"TMPL1","fw_ver":"1","name":"Blynk Lamp-0000","uid":"u-2","last_error":0,"ifs":[{"name":"wifi"}]})";

/// Device 7 shall have a new network. Its neighbour is nearer, and waits as well.
struct ReconfigureRig : Rig {
  explicit ReconfigureRig(KnownDevice known_device = {"u-1", "Blynk Lamp-N1A9"}, std::string info_text = our_info)
      : Rig{std::move(info_text)} {
    known = std::move(known_device);
    options.reconfigure = 7;
    session.state = "REPROVISIONING";
    on_config = [this] {
      configured = joins.empty() ? "by address" : joins.back();
      session.state = "PROVING";
    };
    access_points.insert(access_points.begin(), {neighbour, -20, 1, true});
    infos[neighbour] = neighbour_info;
  }
  void only_the_neighbour() { access_points.assign(1, {neighbour, -20, 1, true}); }
  std::string configured;
};

TEST(Provisioner, ReconfiguresTheVeryDevice) {
  for (const auto& info : {our_info, g1_info, g2_info}) {
    ReconfigureRig rig{{info == g1_info ? "" : "u-1", "Blynk Lamp-N1A9"}, info};
    rig.run();
    EXPECT_TRUE(rig.muster->succeeded()) << info;
    EXPECT_EQ(rig.joins, std::vector<std::string>{"Blynk Lamp-N1A9"});
    EXPECT_TRUE(rig.warnings.empty());
  }
  // Its network opens a while after its neighbour's; its name need not have the prefix.
  ReconfigureRig late;
  late.only_the_neighbour();
  late.options.prefix = "Acme";
  late.queue.emplace(8'000, [&] { late.access_points.push_back({"Blynk Lamp-N1A9", -70, 1, true}); });
  late.run();
  EXPECT_EQ(late.configured, "Blynk Lamp-N1A9");
  // Its name is not the one that it told the cloud, or the cloud knows none: it is known by its UID, after the neighbour was asked.
  for (const auto* name : {"Blynk Old lamp-N1A9", ""}) {
    ReconfigureRig renamed{{"u-1", name}};
    renamed.run();
    EXPECT_TRUE(renamed.muster->succeeded());
    EXPECT_EQ(renamed.joins, (std::vector<std::string>{neighbour, "Blynk Lamp-N1A9"}));
    EXPECT_EQ(renamed.configured, "Blynk Lamp-N1A9");
    EXPECT_LT(renamed.now, 15'000U);
  }
}

TEST(Provisioner, ANeighbourNeverGetsTheTokenOfTheDeviceToBeReconfigured) {
  for (const KnownDevice& known : {KnownDevice{"u-1", "Blynk Lamp-N1A9"}, KnownDevice{"", "Blynk Lamp-N1A9"}, KnownDevice{"u-1", ""}}) {
    ReconfigureRig alone{known};
    alone.only_the_neighbour();
    alone.run();
    alone.expect_failure(StepKind::find_device, F::device_not_found);
    EXPECT_EQ(alone.configured, "") << known.hotspot_name;
    EXPECT_THAT(alone.muster->failure().message, HasSubstr(neighbour));
    EXPECT_THAT(alone.muster->failure().message, HasSubstr("not device 7"));
    EXPECT_LT(alone.now, 40'000U);

    ReconfigureRig silent{known};  // It lets itself be joined, and then says nothing, or nonsense.
    silent.only_the_neighbour();
    silent.infos[neighbour] = "nonsense";
    silent.run();
    silent.expect_failure(StepKind::find_device, F::device_not_found);

    ReconfigureRig by_address{known, neighbour_info};
    by_address.options.direct = true;
    by_address.run();
    by_address.expect_failure(StepKind::device_info, F::device_not_found);
    EXPECT_EQ(by_address.configured, "");
  }
  // Nor when a person has named it.
  ReconfigureRig named;
  named.options.device_name = neighbour;
  named.run();
  named.expect_failure(StepKind::device_info, F::device_not_found);
  EXPECT_EQ(named.configured, "");
}

TEST(Provisioner, ADeviceThatTheCloudDoesNotKnowByNameIsAPersonsChoice) {
  ReconfigureRig asked{KnownDevice{}};
  asked.pick = "Blynk Lamp-N1A9";
  asked.run();
  EXPECT_EQ(asked.offered, (std::vector<std::string>{neighbour, "Blynk Lamp-N1A9"}));
  EXPECT_EQ(asked.configured, "Blynk Lamp-N1A9");
  EXPECT_THAT(asked.warnings, Contains("device_not_certain"));
  ReconfigureRig single{KnownDevice{}};  // It may be the neighbour: even one alone is asked for, and not at once.
  single.only_the_neighbour();
  single.pick = neighbour;
  single.run();
  EXPECT_EQ(single.offered, std::vector<std::string>{neighbour});
  EXPECT_GT(single.now, 11'000U);
  ReconfigureRig named{KnownDevice{}};
  named.options.device_name = "Blynk Lamp-N1A9";
  named.run();
  EXPECT_TRUE(named.offered.empty());
  EXPECT_EQ(named.configured, "Blynk Lamp-N1A9");
  ReconfigureRig by_address{KnownDevice{}};
  by_address.options.direct = true;
  by_address.run();
  EXPECT_EQ(by_address.configured, "by address");
  EXPECT_THAT(by_address.warnings, Contains("device_not_certain"));
}

TEST(Provisioner, ADeviceWhoseMemoryWasErasedIsTakenWhenAPersonSaysSo) {
  const KnownDevice known{"u-of-before", "Blynk Lamp-N1A9"};
  ReconfigureRig rig{known};
  rig.run();
  rig.expect_failure(StepKind::find_device, F::device_not_found);
  EXPECT_EQ(rig.configured, "");
  EXPECT_THAT(rig.muster->failure().message, HasSubstr("--device-name \"Blynk Lamp-N1A9\""));
  ReconfigureRig named{known};
  named.options.device_name = "Blynk Lamp-N1A9";
  named.run();
  EXPECT_EQ(named.configured, "Blynk Lamp-N1A9");
  EXPECT_THAT(named.warnings, Contains("device_not_certain"));
}

TEST(Provisioner, AnAnswerThatMakesNoSenseIsNotAskedForAgain) {
  Rig info;
  info.info_answers = false;
  info.make();
  info.muster->start(info.now);
  while (info.requests.empty()) info.run(1);
  info.muster->on_device_unreadable("It lies.", info.now);
  info.run();
  info.expect_failure(StepKind::device_info, F::device_answer_bad);
  EXPECT_EQ(info.requests.size(), 1U);
  EXPECT_LT(info.now, 2'000U);

  Rig settings;
  settings.config_status = 0;
  settings.on_config = [&] { settings.muster->on_device_unreadable("It lies.", settings.now); };
  settings.run();
  settings.expect_failure(StepKind::send_settings, F::device_answer_bad);
  EXPECT_EQ(settings.configs, 1);

  Rig list;  // The name can be typed all the same.
  list.list_is_broken = true;
  list.on_config = [&] { list.session.state = "ACTIVE"; };
  list.run();
  EXPECT_TRUE(list.muster->succeeded());
  EXPECT_EQ(std::count(list.requests.begin(), list.requests.end(), "/wifi_scan.json"), 1);
}

TEST(Provisioner, StoppedAtAnyMomentItCancelsAndPutsTheWifiBack) {
  Millis whole = 0;
  {
    Rig rig;
    rig.run(60'000);
    EXPECT_FALSE(rig.muster->finished());
    whole = 2'000;
  }
  int with_token = 0;
  for (Millis at = 0; at < whole; at += 5) {
    Rig rig;
    rig.run(at);
    rig.muster->stop(rig.now);
    rig.run(60'000);
    rig.expect_failure(rig.muster->failure().step, F::stopped_by_user);
    EXPECT_TRUE(rig.log.empty() || rig.log.back() == "restore_wifi done");
    EXPECT_FALSE(rig.on_ap);
    EXPECT_EQ(rig.restores, 1);
    if (rig.canceled == 1) ++with_token;
  }
  EXPECT_GT(with_token, 100);
}

TEST(Provisioner, ATokenThatComesAfterTheStopIsCanceledToo) {
  Rig rig;
  rig.make();
  rig.muster->start(rig.now);
  while (rig.asked.empty() || !rig.asked.back().starts_with("token")) rig.run(1);
  rig.muster->stop(rig.now);
  EXPECT_EQ(rig.canceled, 0);
  for (auto& [at, action] : rig.queue) {
    rig.now = std::max(rig.now, at);
    action();
  }
  EXPECT_EQ(rig.canceled, 1);
}

TEST(Provisioner, AWifiThatDoesNotComeBackIsNotWaitedForForEver) {
  Rig rig;
  rig.restores_at_all = false;
  rig.on_config = [&] { rig.session.state = "ACTIVE"; };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_THAT(rig.warnings, Contains("wifi_not_restored"));
}

TEST(Provisioner, ADeviceThatEndsItsNetworkTooEarlyIsUnreachable) {
  Rig rig;
  rig.make();
  rig.muster->start(rig.now);
  while (rig.requests.empty()) rig.run(1);
  rig.on_ap = false;
  rig.muster->on_host_lost(rig.now);
  rig.run();
  rig.expect_failure(StepKind::device_info, F::device_unreachable);
}

TEST(Provisioner, WhoOnlyRepeatsHimselfHasSaidNothing) {
  Rig rig;
  std::function<void()> repeat = [&] {
    rig.muster->on_device_progress(DeviceProgress::dialing, {}, rig.now);
    rig.queue.emplace(rig.now + 10'000, repeat);
  };
  rig.on_config = repeat;
  rig.run(150'000);
  rig.expect_failure(StepKind::reach_cloud, F::device_silent);
}

TEST(Provisioner, ADeviceThatTriesSomebodysSettingsIsLeftAloneBeforeATokenIsAskedFor) {
  // A token for the same device would end the other set-up, when it is by the same user.
  std::string info = our_info;
  Rig rig{info.insert(1, R"("busy":1,)")};
  rig.run();
  rig.expect_failure(StepKind::device_info, F::device_busy);
  EXPECT_TRUE(rig.asked.empty());
  EXPECT_EQ(rig.configs, 0);
}

TEST(Provisioner, ALoginThatBrokeBeforeItSaidWhatItIsMayMend) {
  Rig rig;
  rig.on_config = [&] {
    rig.session = {"CONNECTED", 802, "It said nothing."};
    rig.queue.emplace(rig.now + 8'000, [&] { rig.session.state = "ACTIVE"; });
  };
  rig.run();
  EXPECT_TRUE(rig.muster->succeeded());
  EXPECT_EQ(rig.canceled, 0);

  Rig never;
  never.on_config = [&] { never.session = {"CONNECTED", 802, "It said nothing."}; };
  never.run(16'000);
  never.expect_failure(StepKind::reach_cloud, F::info_missing);
}

TEST(Provisioner, WhatTheCloudIsToldIsCutBetweenCharacters) {
  std::string said = "x";
  for (int i = 0; i < 150; ++i) said += "\xc3\xbc";
  Rig rig;
  rig.on_config = [&] { rig.later([&] { rig.muster->on_device_failed(705, said, rig.now); }); };
  rig.run();
  EXPECT_EQ(rig.last_message, said.substr(0, 199));
}

}  // namespace
}  // namespace muster::provisioner
