// SPDX-License-Identifier: Apache-2.0
#include "agent/core/local_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "agent/core/device_test_rig.hpp"
#include "agent/core/setup_page.hpp"

namespace muster::agent::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct WebSink final : LocalServer::Sink {
  std::map<ConnectionId, std::string> sent;
  std::map<ConnectionId, int> closed;
  bool gone = false;
  bool send(ConnectionId connection, wire::ByteView bytes) override {
    if (gone) return false;
    sent[connection] += bytes.text();
    return true;
  }
  void close(ConnectionId connection) override { ++closed[connection]; }
};

struct WebRig : DeviceRig {
  WebSink sink;
  LocalServer web;
  ConnectionId last = 0;
  explicit WebRig(const LocalServer::Options& options = {}, const DeviceProfile& profile = make_profile())
      : DeviceRig{profile}, web{device, sink, options} {
    start();
    DeviceRig::open();
    device.on_visitors(1, now);
  }
  void bytes(ConnectionId connection, std::string_view text) {
    const std::vector<std::uint8_t> exact{text.begin(), text.end()};
    web.on_bytes(connection, {exact.data(), exact.size()}, now);
  }
  ConnectionId connection() {
    EXPECT_TRUE(web.on_open(++last, now));
    return last;
  }
  std::string raw(std::string_view request) {
    const ConnectionId id = connection();
    bytes(id, request);
    return sink.sent[id];
  }
  std::string get(std::string_view target, std::string_view host = "192.168.4.1") {
    return raw("GET " + std::string{target} + " HTTP/1.1\r\nHost: " + std::string{host} + "\r\nUser-Agent: test\r\n\r\n");
  }
  std::string post(std::string_view target, std::string_view body, std::string_view type = "application/x-www-form-urlencoded") {
    return raw("POST " + std::string{target} + " HTTP/1.1\r\nHost: 192.168.4.1\r\nContent-Type: " + std::string{type} +
               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body});
  }
};

std::string body_of(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  EXPECT_NE(end, std::string::npos) << answer;
  const std::string body = answer.substr(end + 4);
  EXPECT_THAT(answer, HasSubstr("Content-Length: " + std::to_string(body.size()) + "\r\n"));
  return body;
}

constexpr std::string_view config_query =
    "/config?ssid=new&pass=secret456&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=new.example&port_ssl=9443";

TEST(LocalServer, DeviceInfoIsTheUnionOfBothGenerationsAndBeginsConfiguring) {
  WebRig rig;
  const std::string answer = rig.get("/board_info.json");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(
      body_of(answer),
      R"({"board":"Lamp","vendor":"Blynk","tmpl_id":"TMPL2abcdefgh","fw_type":"TMPL2abcdefgh","fw_ver":"1.2.3","name":"Blynk Lamp-N1A9",)"
      R"("ssid":"Blynk Lamp-N1A9","uid":"11111111-2222-4333-8444-555555555555","bssid":"AE:00:00:00:00:00","mac":"AA:00:00:00:00:00",)"
      R"("last_error":0,"wifi_scan":true,"static_ip":true,"ifs":[{"name":"wifi","mac":"AA:00:00:00:00:00","scan":1,"5ghz":0,"static_ip":1}]})");
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  EXPECT_EQ(rig.sink.closed[rig.last], 1);
}

TEST(LocalServer, ConfigAnswersBeforeTheDeviceJoins) {
  WebRig rig;
  const std::string answer = rig.get(config_query);
  EXPECT_EQ(body_of(answer), R"({"status":"ok","msg":"Trying to connect..."})");
  EXPECT_EQ(rig.state(), DeviceState::switching);
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join new/secret456");
  rig.join();
  EXPECT_EQ(rig.transport.connects.back(), "new.example:9443+");
}

TEST(LocalServer, ConfigTakesAFormAndDecodesIt) {
  WebRig rig;
  EXPECT_THAT(
      rig.post(
          "/config",
          "if=wifi&ssid=a+b%26%22%c3%a4&pass=p%3D%2bsecret&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h.example&ssidManual=&unknown=1"),
      HasSubstr("Trying"));
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join a b&\"ä/p=+secret");
}

TEST(LocalServer, ConfigSaysNoTo500) {
  for (const char* bad : {"/config", "/config?ssid=new", "/config?ssid=new&blynk=short&host=h",
                          "/config?if=cell&ssid=n&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h",
                          "/config?ssid=n&pass=short&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h",
                          "/config?ssid=n&ip=1.2.3&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h"}) {
    WebRig rig;
    const std::string answer = rig.get(bad);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 ")) << bad;
    EXPECT_EQ(body_of(answer), R"({"status":"error","msg":"Configuration invalid"})");
    EXPECT_EQ(rig.last_error(), 700);
    EXPECT_EQ(rig.store.writes, 0);
  }
  WebRig rig;
  EXPECT_THAT(rig.post("/config", R"({"ssid":"x"})", "application/json"), StartsWith("HTTP/1.1 500 "));
}

TEST(LocalServer, SaveIsSaidDifferently) {
  WebRig rig;
  EXPECT_THAT(rig.get(std::string{config_query} + "&save=1"), HasSubstr("Configuration saved"));
}

TEST(LocalServer, LastErrorIsToldAndSetupStaysOpen) {
  WebRig rig;
  rig.get(config_query);
  rig.pass_ms(200);
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  EXPECT_THAT(rig.get("/board_info.json"), HasSubstr("\"last_error\":722,"));
  EXPECT_THAT(rig.get("/status.json"),
              HasSubstr(R"("outcome":"failed","last_error":722,"message":"The Wi-Fi password is wrong.","fix":"Type)"));
  EXPECT_THAT(rig.get(config_query), HasSubstr("Trying"));
  EXPECT_THAT(rig.get("/status.json"), HasSubstr(R"("state":"switching","outcome":"trying","last_error":0)"));
}

TEST(LocalServer, TheResultIsReadSoSetupCloses) {
  WebRig rig;
  rig.get(config_query);
  rig.pass_ms(200);
  rig.join();
  rig.go_online();
  EXPECT_THAT(rig.get("/status.json"), HasSubstr("\"outcome\":\"succeeded\""));
  rig.pass_ms(1'000);
  EXPECT_FALSE(rig.device.open_for_setup());
}

TEST(LocalServer, ASecondProvisionerIsToldThatItIsBusy) {
  WebRig rig;
  rig.get(config_query);
  const std::string answer = rig.get("/config?ssid=other&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h");
  EXPECT_THAT(answer, HasSubstr("500"));
  EXPECT_THAT(answer, HasSubstr("Busy"));
  EXPECT_THAT(rig.get(config_query), HasSubstr("Trying"));  // The first one asks again: its answer was lost.
}

TEST(LocalServer, ScansForAllWhoAskStrongestFirstAndEscaped) {
  WebRig rig;
  const ConnectionId a = rig.connection(), b = rig.connection();
  rig.bytes(a, "GET /wifi_scan.json HTTP/1.1\r\n\r\n");
  rig.bytes(b, "GET /wifi_scan.json HTTP/1.1\r\n\r\n");
  EXPECT_EQ(rig.sink.sent[a], "");
  ScannedNetwork seen[20];
  std::string names[20];
  for (int i = 0; i < 20; ++i) {
    names[i] = "net" + std::to_string(i);
    seen[i].ssid = names[i];
    seen[i].rssi_dbm = static_cast<std::int16_t>(-60 - i % 3);
    seen[i].channel = 6;
    seen[i].security = NetworkSecurity::wpa2_wpa3;
  }
  seen[7].ssid = "\"x\x01<b>";
  seen[7].rssi_dbm = -40;
  seen[8].ssid = "";
  seen[8].rssi_dbm = -30;
  seen[9].rssi_dbm = -91;
  rig.device.on_scanned(seen, 20, rig.now);
  const std::string body = body_of(rig.sink.sent[a]);
  EXPECT_THAT(body,
              StartsWith(R"([{"ssid":"\"x\u0001<b>","bssid":"00:00:00:00:00:00","rssi":-40,"sec":"WPA2+WPA3","ch":6},{"ssid":"net0")"));
  EXPECT_EQ(std::count(body.begin(), body.end(), '{'), 15);
  EXPECT_EQ(body, body_of(rig.sink.sent[b]));
  EXPECT_THAT(body, Not(HasSubstr("net9\"")));
}

TEST(LocalServer, AScanWithoutAnAnswerIsAnEmptyList) {
  WebRig rig;
  const ConnectionId id = rig.connection();
  rig.bytes(id, "GET /wifi_scan.json HTTP/1.1\r\n\r\n");
  rig.now += 20'000;
  rig.web.on_timer(rig.now);
  EXPECT_EQ(body_of(rig.sink.sent[id]), "[]");
  EXPECT_EQ(rig.web.next_deadline(), never);
  rig.get(config_query);
  rig.pass_ms(200);
  EXPECT_EQ(body_of(rig.get("/wifi_scan.json")), "[]");  // While it joins.
}

TEST(LocalServer, ResetForgetsNetworksRebootRestartsUpdateRefuses) {
  WebRig rig;
  EXPECT_EQ(body_of(rig.get("/reset")), R"({"status":"ok","msg":"Configuration reset"})");
  EXPECT_EQ(rig.get("/reboot"), "");
  EXPECT_EQ(rig.sink.closed[rig.last], 1);
  EXPECT_EQ(rig.observer.restarts, 1);
  EXPECT_THAT(rig.get("/update"), HasSubstr("takes no firmware"));
  const std::string answer =
      rig.raw("POST /update HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n--x\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer, HasSubstr("FAIL"));
  EXPECT_EQ(rig.sink.closed[rig.last], 0);  // What is still coming is read a moment, so that the answer arrives.
  rig.bytes(rig.last, std::string(5'000, 'x'));
  rig.now += 1'000;
  rig.web.on_timer(rig.now);
  EXPECT_EQ(rig.sink.closed[rig.last], 1);
}

TEST(LocalServer, ThePortalCatchesTheProbesOfEveryPhone) {
  WebRig rig;
  for (const auto& [host, path] : {std::pair{"captive.apple.com", "/hotspot-detect.html"},
                                   {"connectivitycheck.gstatic.com", "/generate_204"},
                                   {"www.msftconnecttest.com", "/connecttest.txt"},
                                   {"nmcheck.gnome.org", "/check_network_status.txt"},
                                   {"detectportal.firefox.com:80", "/canonical.html"},
                                   {"evil.example", "/config"}}) {
    const std::string answer = rig.get(path, host);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 302 ")) << host;
    EXPECT_THAT(answer, HasSubstr("Location: http://192.168.4.1/\r\n"));
  }
  EXPECT_EQ(body_of(rig.get("/")), setup_page);
  EXPECT_EQ(body_of(rig.get("/somewhere")), setup_page);
  EXPECT_EQ(body_of(rig.get("/", "blynk.setup")), setup_page);
  EXPECT_EQ(body_of(rig.get("/?blynk=x", "127.0.0.1:8123")), setup_page);
  EXPECT_THAT(rig.get("http://captive.apple.com/x", ""), StartsWith("HTTP/1.1 302 "));
  EXPECT_THAT(rig.get("/favicon.ico"), StartsWith("HTTP/1.1 404 "));
}

TEST(LocalServer, APhonesOwnProbeDoesNotKeepTheDeviceOpen) {
  for (const bool person : {false, true}) {
    WebRig rig;
    rig.pass_ms(599'000);
    rig.get("/generate_204", person ? "192.168.4.1" : "connectivitycheck.gstatic.com");
    rig.pass_ms(2'000);
    EXPECT_EQ(rig.state(), person ? DeviceState::wait_config : DeviceState::idle);
  }
}

TEST(LocalServer, SaysThatItIsBusyWhileItWouldTakeNoOtherSettings) {
  WebRig rig;
  const auto busy = [&rig] { return rig.get("/board_info.json").find(R"("busy":1)") != std::string::npos; };
  EXPECT_FALSE(busy());
  rig.take();
  EXPECT_TRUE(busy());
  EXPECT_EQ(rig.configure(settings("other")), ConfigureResult::busy);
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  EXPECT_FALSE(busy());
  rig.take();
  EXPECT_TRUE(busy());
  rig.join();
  rig.go_online();
  EXPECT_TRUE(rig.device.open_for_setup());
  EXPECT_FALSE(busy());
}

TEST(LocalServer, IsNotBusyWithWhatItTriesByItself) {
  WebRig rig;
  rig.take();
  rig.device.stop(rig.now);  // The power is gone; the settings are pending.
  rig.start();
  rig.open();
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  EXPECT_THAT(rig.get("/board_info.json"), Not(HasSubstr("busy")));
  EXPECT_EQ(rig.configure(settings("other")), ConfigureResult::started);
  EXPECT_THAT(rig.get("/board_info.json"), HasSubstr("busy"));
}

TEST(LocalServer, WithoutThePortalUnknownPathsAreNotFound) {
  LocalServer::Options options;
  options.portal = false;
  WebRig rig{options};
  EXPECT_EQ(body_of(rig.get("/generate_204", "connectivitycheck.gstatic.com")), "Not found");
  EXPECT_EQ(body_of(rig.get("/")), setup_page);
  EXPECT_THAT(rig.get("/board_info.json", "anything.example"), HasSubstr("tmpl_id"));
}

TEST(LocalServer, ThePageIsWholeInItselfAndModest) {
  EXPECT_LT(setup_page.size(), 8'192U);
  for (const char* outside : {"http:", "https:", "src=", "<link", "@import", "innerHTML", "document.write", "eval("}) {
    EXPECT_EQ(setup_page.find(outside), std::string_view::npos) << outside;
  }
  EXPECT_NE(setup_page.find("width=device-width"), std::string_view::npos);
}

TEST(LocalServer, TakesARequestInAnyPieces) {
  const std::string request = "\r\nPOST /config HTTP/1.1\r\nhOsT:192.168.4.1\r\nCookie: " + std::string(3'000, 'c') +
                              "\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 71\r\n\r\n"
                              "ssid=new&pass=secret456&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h.a";
  WebRig rig;
  const ConnectionId id = rig.connection();
  for (const char c : request) {
    EXPECT_EQ(rig.sink.sent[id], "");
    rig.bytes(id, {&c, 1});
  }
  EXPECT_THAT(rig.sink.sent[id], HasSubstr("Trying"));
  rig.bytes(id, "GET / HTTP/1.1\r\n\r\n");  // Behind it: no second answer.
  EXPECT_THAT(rig.sink.sent[id], Not(HasSubstr("<html")));
}

TEST(LocalServer, TheLongestSettingsFitAndLongerOnesAreNotCutIntoGoodOnes) {
  const std::string rest = "ssid=new&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h.a";
  const auto encoded = [](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "%61";
    return text;
  };
  const std::string name = "%70%61%73%73=";  // pass
  {
    WebRig rig;
    EXPECT_THAT(rig.get("/config?" + rest + '&' + name + encoded(64)), HasSubstr("Trying"));
    rig.pass_ms(200);
    EXPECT_EQ(rig.last_radio(), "join new/" + std::string(64, 'a'));
  }
  {
    WebRig rig;
    EXPECT_THAT(rig.post("/config", rest + "&pass=" + encoded(64)), HasSubstr("Trying"));
  }
  for (const std::string& bad :
       {rest + '&' + name + encoded(65), rest + "&pass=12345678" + std::string(300, 'x'), rest + "&pass=12345678 " + std::string(300, 'x'),
        "pass=12345678" + std::string(300, 'x') + '&' + rest, "ssidManual=" + encoded(33) + '&' + rest, rest + "&host=" + encoded(64),
        rest + "&port=1" + std::string(300, ' '), rest + "&ip=1.2.3.4" + std::string(300, ' ')}) {
    WebRig rig;
    EXPECT_THAT(rig.get("/config?" + bad), HasSubstr("Configuration invalid")) << bad;
    EXPECT_THAT(rig.post("/config", bad), HasSubstr("Configuration invalid")) << bad;
  }
}

TEST(LocalServer, SettingsOfTwoRequestsAtOnceStayApart) {
  WebRig rig;
  const ConnectionId a = rig.connection(), b = rig.connection();
  rig.bytes(a, "GET /config?ssid=first&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h.a&pa");
  rig.bytes(b, "GET /config?ssid=second&pass=secret456&bl");
  rig.bytes(a, "ss=secret123 HTTP/1.1\r\n\r\n");
  rig.bytes(b, "ynk=short HTTP/1.1\r\n\r\n");
  EXPECT_THAT(rig.sink.sent[a], HasSubstr("Trying"));
  EXPECT_THAT(rig.sink.sent[b], HasSubstr("500"));
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join first/secret123");
  // And nothing of them is left for the next one in that place.
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  EXPECT_THAT(rig.get("/config?ssid=first&pass=secret123"), HasSubstr("Configuration invalid"));
}

TEST(LocalServer, ReadsOddRequestLinesAsMeant) {
  WebRig rig;
  EXPECT_THAT(rig.raw("GET http://192.168.4.1/status.json?x HTTP/1.1\r\nHost: evil.example\r\n\r\n"), HasSubstr("\"outcome\""));
  EXPECT_THAT(rig.raw("GET http://evil.example/config?ssid=x HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"), StartsWith("HTTP/1.1 302 "));
  EXPECT_THAT(rig.raw("GET http://192.168.4.1 HTTP/1.1\n\n"), HasSubstr("<html"));
  EXPECT_THAT(rig.raw("GET /%s?" + std::string(300, 'x') + " HTTP/1.1\r\n\r\n"), HasSubstr("<html"));
  EXPECT_THAT(rig.raw("GET /" + std::string(300, 'x') + " HTTP/1.1\r\n\r\n"), HasSubstr("<html"));
  EXPECT_THAT(rig.raw("GET /" + std::string(300, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(rig.raw("GET /?x HTTP/1.1?\r\n\r\n"), HasSubstr("<html"));
  EXPECT_THAT(rig.raw("GET /status.json?x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  rig.now += 2'000;
  rig.web.on_timer(rig.now);
  EXPECT_THAT(rig.raw("G?T /status.json HTTP/1.0\r\n\r\n"), HasSubstr("\"outcome\""));
  EXPECT_THAT(rig.raw("GET /config?ssid=my net&pass=pass word&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h.a HTTP/1.1\r\n\r\n"),
              HasSubstr("Trying"));
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join my net/pass word");
}

TEST(LocalServer, HoldsItsLimits) {
  WebRig rig;
  EXPECT_THAT(rig.raw("GET /" + std::string(LocalServer::request_size_max_bytes, 'x')), StartsWith("HTTP/1.1 414 "));
  EXPECT_THAT(rig.raw("GET / HTTP/1.1\r\nX: " + std::string(LocalServer::headers_size_max_bytes, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(rig.raw("POST /config HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 801\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  for (const char* length : {"99999999999999999999", "-1", "1 2", "x"}) {
    EXPECT_THAT(rig.raw(std::string{"POST /config HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "} +
                        length + "\r\n\r\n"),
                StartsWith("HTTP/1.1 413 "))
        << length;
    rig.now += 2'000;
    rig.web.on_timer(rig.now);
  }
  EXPECT_THAT(rig.raw("POST /config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), StartsWith("HTTP/1.1 411 "));
  for (const char* bad : {"GET\r\n\r\n", " / HTTP/1.1\r\n\r\n", "GET /\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET / HTTQ/1.1\r\n\r\n"}) {
    rig.now += 2'000;
    rig.web.on_timer(rig.now);
    EXPECT_THAT(rig.raw(bad), StartsWith("HTTP/1.1 400 ")) << bad;
  }
  const std::string head = rig.raw("HEAD / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: " + std::to_string(setup_page.size())));
  EXPECT_EQ(head.find("<html"), std::string::npos);
}

TEST(LocalServer, AnEscapeThatIsNoneIsRefused) {
  const std::string rest = "ssid=new&blynk=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345&host=h.a";
  for (const auto* bad :
       {"&pass=secret45%", "&pass=secret45%4", "&pass=secret45%4g", "&pass=secret45%%41", "&pass=%zzsecret4", "&p%6=secret45"}) {
    WebRig rig;
    EXPECT_THAT(rig.get("/config?" + rest + bad), StartsWith("HTTP/1.1 400 ")) << bad;
    EXPECT_THAT(rig.post("/config", rest + bad), StartsWith("HTTP/1.1 400 ")) << bad;
    rig.pass_ms(200);
    EXPECT_NE(rig.state(), DeviceState::connecting_net);
  }
  WebRig rig;
  EXPECT_THAT(rig.get("/config?" + rest + "&pass=secret4%25"), HasSubstr("Trying"));
}

TEST(LocalServer, VisitorsWhoHaveNotAskedYetMakePlaceAndSlowOnesEnd) {
  WebRig rig;
  for (std::size_t i = 0; i < LocalServer::connections_max; ++i) {
    rig.connection();
    ++rig.now;
  }
  rig.bytes(1, "GET");
  EXPECT_TRUE(rig.web.on_open(100, rig.now));
  EXPECT_EQ(rig.sink.closed[2], 1);  // The oldest of the silent ones.
  rig.bytes(3, "G");
  rig.bytes(4, "G");
  rig.bytes(100, "G");
  // As many as like may say half a sentence: whoever comes next is heard.
  for (ConnectionId id = 101; id < 140; ++id) {
    EXPECT_TRUE(rig.web.on_open(id, ++rig.now));
    rig.bytes(id, "GET / HTTP/1.1\r\nHost: ");
  }
  EXPECT_EQ(rig.sink.closed[1], 1);
  EXPECT_EQ(rig.sink.closed[135], 1);
  EXPECT_EQ(rig.sink.closed[136], 0);
  rig.last = 200;
  EXPECT_THAT(rig.get("/"), HasSubstr("<html"));
  rig.now += 5'000;
  rig.web.on_timer(rig.now);
  EXPECT_EQ(rig.sink.closed[139], 1);
  EXPECT_EQ(rig.web.next_deadline(), never);
  rig.bytes(2, "GET / HTTP/1.1\r\n\r\n");  // Late bytes of a connection that is no more.
  EXPECT_EQ(rig.sink.sent[2], "");
  // Who has asked and waits for the answer is never sent away.
  for (ConnectionId id = 301; id < 305; ++id) {
    EXPECT_TRUE(rig.web.on_open(id, rig.now));
    rig.bytes(id, "GET /wifi_scan.json HTTP/1.1\r\n\r\n");
  }
  EXPECT_FALSE(rig.web.on_open(305, rig.now));
}

TEST(LocalServer, AConnectionThatBreaksInTheAnswerIsForgotten) {
  WebRig rig;
  const ConnectionId id = rig.connection();
  rig.sink.gone = true;
  rig.bytes(id, "GET /board_info.json HTTP/1.1\r\n\r\n");
  EXPECT_EQ(rig.web.next_deadline(), never);
  EXPECT_EQ(rig.sink.closed[id], 0);
}

TEST(LocalServer, AnAppThatIsGoneAfterAnyStepLeavesAnOpenDevice) {
  for (int steps = 0; steps < 3; ++steps) {
    WebRig rig;
    if (steps > 0) rig.get("/board_info.json");
    if (steps > 1) {
      const ConnectionId id = rig.connection();
      rig.bytes(id, "GET /wifi_scan.json HTTP/1.1\r\n\r\n");
      rig.web.on_closed(id, rig.now);
      rig.device.on_scanned(nullptr, 0, rig.now);
    }
    rig.device.on_visitors(0, rig.now);
    EXPECT_EQ(rig.state(), DeviceState::wait_config);
    rig.device.on_visitors(1, rig.now);
    EXPECT_THAT(rig.get(config_query), HasSubstr("Trying"));
    rig.device.on_visitors(0, rig.now);  // And gone again: it goes on joining.
    rig.pass_ms(200);
    EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  }
}

}  // namespace
}  // namespace muster::agent::test
