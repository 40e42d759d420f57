// SPDX-License-Identifier: Apache-2.0
#include "agent/app/journal.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace muster::agent::app {
namespace {

using namespace std::string_view_literals;

/// What `use` writes.
template <typename Use>
std::string written(bool json, Use use) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const file = open_memstream(&text, &size);
  Journal journal{json, file, 1'000};
  use(journal);
  std::fclose(file);
  const std::unique_ptr<char, decltype(&std::free)> owner{text, &std::free};
  return std::string{text, size};
}

TEST(JsonString, EscapesWhatJsonAndTerminalsCannotTake) {
  EXPECT_EQ(json_string("plain"), "\"plain\"");
  EXPECT_EQ(json_string("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json_string("\n\x1b\x7f\0"sv), R"("\u000a\u001b\u007f\u0000")");
  EXPECT_EQ(json_string("Wärme €  \xf0\x9f\x8c\xa1"), "\"Wärme €  \xf0\x9f\x8c\xa1\"");
  EXPECT_EQ(json_string("a\xc2\x9b"
                        "2J\xc2\xa0"),
            "\"a\\u009b2J\xc2\xa0\"");  // C1: CSI in one character.
  EXPECT_EQ(json_string("a\xff\xc3z"), "\"a\xef\xbf\xbd\xef\xbf\xbdz\"");
  for (const auto bad : {"\xc0\x80"sv, "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv, "\xe0\x80\x80"sv, "\xf0\x80\x80\x80"sv, "\x80"sv}) {
    std::string expected = "\"";
    for (std::size_t i = 0; i < bad.size(); ++i) {
      expected += "\xef\xbf\xbd";
    }
    EXPECT_EQ(json_string(bad), expected + '"');  // Overlong, surrogate, too large.
  }
  EXPECT_EQ(json_string("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");  // Cut.
}

TEST(Printable, KeepsTheTerminalSafeAndTheLineShort) {
  EXPECT_EQ(printable("ok ä"), "ok ä");
  EXPECT_EQ(printable("\x1b[31mred\x07"), "?[31mred?");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");  // C1: CSI in one character.
  EXPECT_EQ(printable("a\xe2\x80\xae"
                      "b"),
            "a?b");  // Turns the direction of text.
  EXPECT_EQ(printable("\xff"), "?");
  EXPECT_EQ(printable(std::string(201, 'x')), std::string(200, 'x') + "...");
}

TEST(Journal, WritesOneJsonObjectALine) {
  EXPECT_EQ(written(true,
                    [](Journal& j) {
                      Event event;
                      event.kind = EventKind::connecting;
                      event.host = "c.example";
                      event.port = 443;
                      event.tls = true;
                      j.event(event, {}, 1'003);
                    }),
            "{\"event\":\"connecting\",\"host\":\"c.example\",\"port\":443,\"tls\":true,\"t_ms\":3}\n");
  EXPECT_EQ(written(true,
                    [](Journal& j) {
                      Event event;
                      event.kind = EventKind::disconnected;
                      event.reason = CloseReason::login_refused;
                      event.status = 19;
                      j.event(event, {}, 1'500);
                    }),
            "{\"event\":\"disconnected\",\"reason\":\"login_refused\",\"status\":19,\"t_ms\":500}\n");
  EXPECT_EQ(written(true, [](Journal& j) { j.write(10, {"on"}, 1'000); }),
            "{\"event\":\"write\",\"pin\":10,\"value\":\"on\",\"t_ms\":0}\n");
  EXPECT_EQ(written(true, [](Journal& j) { j.write(10, {}, 1'000); }), "{\"event\":\"write\",\"pin\":10,\"value\":\"\",\"t_ms\":0}\n");
  EXPECT_EQ(written(true, [](Journal& j) { j.write(3, {"30.5", "50.4"}, 1'000); }),
            "{\"event\":\"write\",\"pin\":3,\"value\":\"30.5\",\"values\":[\"30.5\",\"50.4\"],\"t_ms\":0}\n");
}

TEST(Journal, TellsStepsAndStates) {
  const Step failed{StepKind::join_failed, wire::ActivationFailure::wrong_password, true, "WRONG_KEY"};
  EXPECT_EQ(written(true, [&](Journal& j) { j.step(failed, 1'007); }),
            "{\"event\":\"step\",\"step\":\"join_failed\",\"trial\":true,\"code\":722,\"detail\":\"WRONG_KEY\",\"t_ms\":7}\n");
  EXPECT_EQ(
      written(false, [&](Journal& j) { j.step(failed, 1'007); }),
      "       7 ms  join failed (new settings): The Wi-Fi password is wrong. Type the password again; upper and lower case matter. (722) "
      "[WRONG_KEY]\n");
  EXPECT_EQ(written(true, [](Journal& j) { j.step({StepKind::joined}, 1'000); }), "{\"event\":\"step\",\"step\":\"joined\",\"t_ms\":0}\n");
  EXPECT_EQ(written(true, [](Journal& j) { j.state(DeviceState::wait_config, "Blynk Lamp-N1A9", 1'000); }),
            "{\"event\":\"state\",\"state\":\"wait_config\",\"name\":\"Blynk Lamp-N1A9\",\"t_ms\":0}\n");
  EXPECT_EQ(written(false, [](Journal& j) { j.state(DeviceState::wait_config, "a\"\x1b", 1'000); }),
            "       0 ms  state: wait_config, as \"a\"?\"\n");
}

TEST(Journal, SaysItToPeopleInOneLine) {
  EXPECT_EQ(written(false,
                    [](Journal& j) {
                      Event event;
                      event.kind = EventKind::connect_failed;
                      event.host = "c.example";
                      event.port = 9443;
                      event.tls = true;
                      event.reason = CloseReason::tls_untrusted;
                      j.event(event, "hostname mismatch", 1'012);
                    }),
            "      12 ms  no connection to c.example:9443 (TLS): its certificate is not trusted; give the cloud's CA "
            "with --ca [hostname "
            "mismatch]\n");
  EXPECT_EQ(written(false, [](Journal& j) { j.write(10, {"a\nb", "c"}, 1'000); }), "       0 ms  V10 = a?b c\n");
}

TEST(Journal, HasALineForEveryEvent) {
  for (int kind = 0; kind <= static_cast<int>(EventKind::stopped); ++kind) {
    for (const bool json : {true, false}) {
      const std::string line = written(json, [&](Journal& j) {
        Event event;
        event.kind = static_cast<EventKind>(kind);
        j.event(event, {}, 1'000);
      });
      EXPECT_GT(line.size(), 14U) << kind;
      EXPECT_EQ(line.find('\n'), line.size() - 1);
      EXPECT_EQ(line.find("unknown"), std::string::npos) << kind;
    }
  }
}

}  // namespace
}  // namespace muster::agent::app
