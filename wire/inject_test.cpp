// SPDX-License-Identifier: Apache-2.0
#include "wire/inject.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace muster::wire {
namespace {

struct Message {
  std::unique_ptr<std::uint8_t[]> room;
  InjectMessage message;
  InjectStatus status;
  explicit Message(std::string_view text)
      : room{new std::uint8_t[text.size()]}, status{decode_inject(text, {room.get(), text.size()}, message)} {}
  const InjectMessage* operator->() const { return &message; }
};

struct Room {
  std::uint8_t bytes[600];
  ByteSpan span() { return {bytes, sizeof bytes}; }
  std::string text(std::size_t size) const { return {reinterpret_cast<const char*>(bytes), size}; }
};

TEST(Inject, EveryTypeHasItsOwnWordAndIsFoundByIt) {
  for (int i = 1; i <= static_cast<int>(InjectType::ota_rollback_fail); ++i) {
    const auto type = static_cast<InjectType>(i);
    ASSERT_FALSE(to_text(type).empty()) << i;
    EXPECT_EQ(parse_inject_type(to_text(type)), type);
  }
  EXPECT_EQ(parse_inject_type("nonsense"), InjectType::unknown);
  EXPECT_EQ(to_text(InjectType::interface), "if");
}

TEST(Inject, ReadsASet) {
  const Message m{R"({"t":"set","if":"wifi","ssid":"a\"b","pass":"secret123","port":9443,"save":true,"x":null,"y":{"z":[1]}})"};
  ASSERT_EQ(m.status, InjectStatus::ok);
  EXPECT_EQ(m->type, InjectType::set);
  EXPECT_EQ(m->text("if"), "wifi");
  EXPECT_EQ(m->text("ssid"), "a\"b");
  EXPECT_EQ(m->text("pass"), "secret123");
  EXPECT_EQ(m->number("port"), 9443);
  EXPECT_EQ(m->number("save"), 1);
  EXPECT_EQ(m->find("x")->kind, InjectMessage::Kind::null);
  EXPECT_EQ(m->find("y")->kind, InjectMessage::Kind::other);
  EXPECT_EQ(m->text("none"), "");
  EXPECT_EQ(m->number("ssid", -7), -7);
}

TEST(Inject, KeepsEscapedTextsApart) {
  const Message m{R"({"\u0074":"set","ssid":"\u0061\u0062","pass":"\u0063\u0064"})"};
  ASSERT_EQ(m.status, InjectStatus::ok);
  EXPECT_EQ(m->word, "set");
  EXPECT_EQ(m->text("ssid"), "ab");
  EXPECT_EQ(m->text("pass"), "cd");
}

TEST(Inject, ToldApartWhatIsWrong) {
  for (const char* bad : {"", "x", "[]", "\"t\"", "{", R"({"t":"info"} x)", R"({"t":)", R"({"t":"info",})"}) {
    EXPECT_EQ(Message{bad}.status, InjectStatus::wrong_format) << bad;
  }
  for (const char* bad : {"{}", R"({"t":1})", R"({"t":null})", R"({"t":["info"]})", R"({"T":"info"})"}) {
    EXPECT_EQ(Message{bad}.status, InjectStatus::no_type) << bad;
  }
  EXPECT_EQ(Message{R"({"t":"dance"})"} -> type, InjectType::unknown);
  EXPECT_EQ(Message{std::string{R"({"t":"info","x":")"} + std::string(600, 'x') + "\"}"}.status, InjectStatus::wrong_format);
  std::string many = R"({"t":"set")";
  for (std::size_t i = 0; i < InjectMessage::fields_max; ++i) many += ",\"a\":1";
  EXPECT_EQ(Message{many + "}"}.status, InjectStatus::ok);
  EXPECT_EQ(Message{many + ",\"a\":1}"}.status, InjectStatus::wrong_format);
}

TEST(Inject, InfoGoesThereAndBack) {
  Room room;
  InjectInfo info;
  info.vendor = "Blynk";
  info.template_id = "TMPL123456789";
  info.firmware_type = "TMPL123456789";
  info.firmware_version = "1.0";
  info.name = "Blynk \"Lamp\"-N1A9";
  info.uid = "none";
  info.live_status = true;
  const std::string text = room.text(encode_inject(info, room.span()));
  EXPECT_EQ(
      text,
      R"({"t":"info","vendor":"Blynk","tmpl_id":"TMPL123456789","fw_type":"TMPL123456789","fw_ver":"1.0","name":"Blynk \"Lamp\"-N1A9","uid":"none","caps":["live_status"]})");
  const Message m{text};
  const InjectInfo read = read_inject_info(m.message);
  EXPECT_EQ(read.vendor, info.vendor);
  EXPECT_EQ(read.name, info.name);
  EXPECT_TRUE(read.live_status);
  EXPECT_FALSE(read_inject_info(Message{R"({"t":"info","caps":["other"]})"}.message).live_status);
  EXPECT_TRUE(read_inject_info(Message{R"({"t":"info","caps":["other","live_status",5]})"}.message).live_status);
}

TEST(Inject, InterfacesGoThereAndBack) {
  Room room;
  InjectInterface wifi;
  wifi.name = "wifi";
  wifi.mac = "AA:BB:CC:00:11:22";
  wifi.scan = wifi.static_ip = true;
  const std::string text = room.text(encode_inject(wifi, room.span()));
  EXPECT_EQ(text, R"({"t":"if","name":"wifi","mac":"AA:BB:CC:00:11:22","scan":1,"5ghz":0,"static_ip":1})");
  const Message m{text};
  const InjectInterface read = read_inject_interface(m.message);
  EXPECT_EQ(read.name, "wifi");
  EXPECT_TRUE(read.scan && read.static_ip && !read.five_ghz);
  InjectInterface eth;
  eth.name = "eth";
  eth.mac = "m";
  eth.status = "down";
  EXPECT_EQ(room.text(encode_inject(eth, room.span())), R"({"t":"if","name":"eth","mac":"m","status":"down","static_ip":0})");
  InjectInterface cell;
  cell.name = "cell";
  cell.imei = "1";
  cell.pin = true;
  EXPECT_EQ(room.text(encode_inject(cell, room.span())), R"({"t":"if","name":"cell","imei":"1","scan":0,"pin":1,"apn":0})");
}

TEST(Inject, NetworksGoThereAndBack) {
  Room room;
  const std::string ssid = "0123456789\x01\"012345678901234567";
  const std::string text = room.text(encode_inject(InjectNetwork{ssid, "B", "WPA2", -71, 11}, room.span()));
  const Message m{text};
  const InjectNetwork read = read_inject_network(m.message);
  EXPECT_EQ(m->type, InjectType::scan);
  EXPECT_EQ(read.ssid, ssid);
  EXPECT_EQ(read.security, "WPA2");
  EXPECT_EQ(read.rssi_dbm, -71);
  EXPECT_EQ(read.channel, 11);
  const InjectNetwork lying = read_inject_network(Message{R"({"t":"scan","rssi":-99999999,"ch":-1})"}.message);
  EXPECT_EQ(lying.rssi_dbm, -32768);
  EXPECT_EQ(lying.channel, 0);
}

TEST(Inject, SettingsLeaveOutWhatIsEmpty) {
  Room room;
  InjectSettings settings;
  settings.interface = "wifi";
  settings.ssid = "home";
  EXPECT_EQ(room.text(encode_inject(settings, room.span())), R"({"t":"set","if":"wifi","ssid":"home"})");
  settings = {};
  settings.token = "T";
  settings.host = "h";
  settings.port = 9443;
  settings.ip = "10.0.0.2";
  settings.mask = "255.0.0.0";
  settings.gateway = "10.0.0.1";
  settings.dns = "1.1.1.1";
  settings.dns2 = "8.8.8.8";
  settings.save = true;
  EXPECT_EQ(
      room.text(encode_inject(settings, room.span())),
      R"({"t":"set","blynk":"T","host":"h","port":9443,"ip":"10.0.0.2","mask":"255.0.0.0","gw":"10.0.0.1","dns":"1.1.1.1","dns2":"8.8.8.8","save":true})");
}

TEST(Inject, EveryFailureOfADeviceGoesThereAndBack) {
  Room room;
  for (const FailureText& row : failure_catalogue()) {
    const std::size_t size = encode_inject(InjectFailure{row.code, "why"}, room.span());
    if (static_cast<int>(row.code) >= 800) {
      EXPECT_EQ(size, 0U);
      continue;
    }
    const std::string text = room.text(size);
    const Message m{text};
    const InjectFailure read = read_inject_failure(m.message);
    EXPECT_EQ(read.code, row.code) << text;
    EXPECT_EQ(read.message, "why");
  }
  EXPECT_EQ(read_inject_failure(Message{R"({"t":"status","s":"connected"})"}.message).code, ActivationFailure::none);
  EXPECT_EQ(room.text(encode_inject(InjectFailure{ActivationFailure::wrong_password, ""}, room.span())),
            R"({"t":"net_fail","reason":"invalid_credentials"})");
}

TEST(Inject, NetStatusGoesThereAndBack) {
  Room room;
  const std::string text = room.text(encode_inject(InjectNetStatus{"wifi", "CONNECTED", "home", "B", "10.0.0.2", -50}, room.span()));
  EXPECT_EQ(text, R"({"t":"net_status","if":"wifi","state":"CONNECTED","ssid":"home","bssid":"B","ip":"10.0.0.2","rssi":-50})");
  const Message m{text};
  const InjectNetStatus read = read_inject_net_status(m.message);
  EXPECT_EQ(read.interface, "wifi");
  EXPECT_EQ(read.ip, "10.0.0.2");
  EXPECT_EQ(read.rssi_dbm, -50);
}

TEST(Inject, ShortMessages) {
  Room room;
  EXPECT_EQ(room.text(encode_inject(InjectType::connect, room.span())), R"({"t":"connect"})");
  EXPECT_EQ(room.text(encode_inject(InjectType::error, "msg", "no wifi", room.span())), R"({"t":"error","msg":"no wifi"})");
  EXPECT_EQ(encode_inject(InjectType::connect, {room.bytes, 14}), 0U);
}

}  // namespace
}  // namespace muster::wire
