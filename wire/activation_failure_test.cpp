// SPDX-License-Identifier: Apache-2.0
#include "wire/activation_failure.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

namespace muster::wire {
namespace {

TEST(ActivationFailure, EveryRowIsWholeAndTheCodesAndNamesAreUniqueAndInOrder) {
  std::set<std::string_view> names;
  std::uint16_t before = 0;
  for (const FailureText& row : failure_catalogue()) {
    const auto code = static_cast<std::uint16_t>(row.code);
    EXPECT_GT(code, before) << row.name;
    before = code;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    for (const std::string_view text : {row.sentence, row.cause, row.fix}) {
      ASSERT_FALSE(text.empty()) << row.name;
      EXPECT_EQ(text.back(), '.') << row.name;
      EXPECT_LE(text.size(), 200u) << row.name;
    }
    EXPECT_EQ(find_failure(code), &row);
  }
}

TEST(ActivationFailure, TheGuideTellsThemAll) {
  std::ifstream file{std::string{MUSTER_SOURCE_DIR} + "/docs/guides/wifi-provisioning.md"};
  const std::string guide{std::istreambuf_iterator<char>{file}, {}};
  for (const FailureText& row : failure_catalogue()) {
    const std::string line = "| " + std::to_string(static_cast<std::uint16_t>(row.code)) + " | " + std::string{row.sentence} + ' ' +
                             std::string{row.cause} + " | " + std::string{row.fix} + " |";
    EXPECT_NE(guide.find(line), std::string::npos) << line;
  }
}

TEST(ActivationFailure, EveryCodeThatDevicesSendHasARow) {
  for (const int number : {700, 701, 702, 703, 704, 705, 710, 711, 712, 720, 721, 722, 723, 730, 731, 732}) {
    const auto code = static_cast<std::uint16_t>(number);
    EXPECT_NE(find_failure(code), nullptr) << code;
    const auto failure = static_cast<ActivationFailure>(code);
    const FailureMessage said = failure_message(failure);
    EXPECT_EQ(failure_of(said.type, said.reason), failure) << code;
    const FailureText* own = find_device_failure(failure);
    ASSERT_NE(own, nullptr) << code;
    EXPECT_EQ(own->sentence, find_failure(code)->sentence);
  }
  EXPECT_EQ(find_device_failure(ActivationFailure::none), nullptr);
  EXPECT_EQ(find_device_failure(ActivationFailure::expired), nullptr);
  EXPECT_EQ(find_failure(0), nullptr);
  EXPECT_EQ(find_failure(999), nullptr);
}

TEST(ActivationFailure, UnknownReasonsAreTheGeneralOneOfTheirStage) {
  EXPECT_EQ(failure_of("net_fail", "aliens"), ActivationFailure::network_other);
  EXPECT_EQ(failure_of("net_fail", ""), ActivationFailure::network_other);
  EXPECT_EQ(failure_of("cloud_fail", "aliens"), ActivationFailure::cloud_other);
  EXPECT_EQ(failure_of("connect_fail", "aliens"), ActivationFailure::settings_invalid);
  EXPECT_EQ(failure_of("status", "connected"), ActivationFailure::none);
  EXPECT_EQ(failure_message(ActivationFailure::expired).type, "");
}

}  // namespace
}  // namespace muster::wire
