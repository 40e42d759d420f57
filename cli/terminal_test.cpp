// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "cli/fake_input.hpp"

namespace muster::cli {
namespace {

TEST(Terminal, TextFromOthersCannotMoveTheCursor) {
  EXPECT_EQ(printable("Lamp"), "Lamp");
  EXPECT_EQ(printable("Kühlraum 温室"), "Kühlraum 温室");
  EXPECT_EQ(printable("a\x1b[31mred\r\nb\x7f"), "a?[31mred??b?");
  EXPECT_EQ(printable("a\xC2\x9B"
                      "31m"),
            "a?31m");
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b"),
            "a?b");
  EXPECT_EQ(printable("a\xFF"), "a?");
}

TEST(Terminal, ColumnsAreAlignedByCharacters) {
  EXPECT_EQ(format_table({"ID", "NAME", "X"}, {{"1", "Ü", "a"}, {"100", "Lamp", "b"}}), "ID   NAME  X\n1    Ü     a\n100  Lamp  b\n");
  EXPECT_EQ(format_table({"ID"}, {}), "ID\n");
  EXPECT_EQ(format_table({"A", "B"}, {{"x\n", "y"}}), "A   B\nx?  y\n");
}

TEST(Terminal, TimesAreLocal) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(format_time(0), "never");
  EXPECT_EQ(format_time(1'767'225'600'999), "2026-01-01 00:00:00");
}

TEST(Terminal, CStrings) { EXPECT_EQ(c_string("a\"b\\c"), "\"a\\\"b\\\\c\""); }

TEST(Terminal, NewPasswordsAreAskedTwiceOnATerminal) {
  FakeInput same{{"long enough", "long enough"}, true};
  EXPECT_EQ(ask_new_password(same, "Password: ").value(), "long enough");
  EXPECT_TRUE(same.secrets[0] && same.secrets[1]);
  FakeInput different{{"long enough", "Long enough"}, true};
  EXPECT_EQ(ask_new_password(different, "Password: ").error().exit_code, exit_usage);
  FakeInput piped{{"long enough", "next line"}};
  EXPECT_EQ(ask_new_password(piped, "Password: ").value(), "long enough");
  EXPECT_EQ(piped.left(), 1u);
  FakeInput shorter{{"short"}};
  EXPECT_EQ(ask_new_password(shorter, "Password: ").error().exit_code, exit_usage);
  FakeInput nothing;
  EXPECT_EQ(ask_new_password(nothing, "Password: ").error().exit_code, exit_usage);
  FakeInput weak{{"seven77"}};
  EXPECT_FALSE(ask_new_passphrase(weak));
}

TEST(Terminal, DestructiveCommandsAsk) {
  FakeInput yes{{"yes"}, true}, no{{"y"}, true}, piped{{"yes"}};
  EXPECT_TRUE(confirm(yes, false, "Sure?"));
  EXPECT_EQ(confirm(no, false, "Sure?").error().exit_code, exit_failed);
  EXPECT_EQ(confirm(piped, false, "Sure?").error().exit_code, exit_usage);
  EXPECT_TRUE(confirm(piped, true, "Sure?"));
  EXPECT_EQ(piped.left(), 1u);
}

}  // namespace
}  // namespace muster::cli
