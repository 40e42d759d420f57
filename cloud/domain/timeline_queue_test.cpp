// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/timeline_queue.hpp"

#include <gtest/gtest.h>

#include <string>

#include "cloud/domain/fake_store.hpp"
#include "cloud/domain/write_behind.hpp"

namespace muster::domain {
namespace {

using namespace std::chrono_literals;
using Verdict = TimelineQueue::Verdict;

constexpr DeviceId device{7};
UtcTime at(std::int64_t seconds) { return {1'767'225'600'000 + seconds * 1000}; }

std::vector<std::string> codes(const std::vector<TimelineNote>& notes) {
  std::vector<std::string> all;
  for (const auto& note : notes) all.push_back(note.code);
  return all;
}

TEST(TimelineQueue, KeepsTheOrderOfADevice) {
  TimelineQueue queue;
  queue.online(device, at(0));
  queue.offline(device, at(10), 0s);
  queue.online(device, at(20));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(codes(queue.take(2, at(30))), (std::vector<std::string>{"online", "offline"}));
  EXPECT_EQ(codes(queue.take(2, at(30))), (std::vector<std::string>{"online"}));
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimelineQueue, AnAbsenceShorterThanTheIgnorePeriodLeavesNeitherLine) {
  TimelineQueue queue;
  queue.offline(device, at(100), 60s);
  EXPECT_TRUE(queue.take(10, at(159)).empty());
  queue.online(device, at(159));
  EXPECT_TRUE(queue.take(10, at(1'000)).empty());
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimelineQueue, AnAbsenceAsLongAsTheIgnorePeriodLeavesBothAtTheirTimes) {
  TimelineQueue queue;
  queue.offline(device, at(100), 60s);
  queue.online(device, at(160));
  const auto notes = queue.take(10, at(160));
  ASSERT_EQ(codes(notes), (std::vector<std::string>{"offline", "online"}));
  EXPECT_EQ(notes[0].at, at(100));
  EXPECT_EQ(notes[1].at, at(160));
}

TEST(TimelineQueue, OneThatStaysAwayIsToldWhenThePeriodIsOver) {
  TimelineQueue queue;
  queue.offline(device, at(100), 60s);
  const auto notes = queue.take(10, at(160));
  ASSERT_EQ(codes(notes), (std::vector<std::string>{"offline"}));
  EXPECT_EQ(notes[0].at, at(100));
}

TEST(TimelineQueue, DropsAndCountsWhatDoesNotFit) {
  TimelineQueue::Limits limits;
  limits.notes_max = 2;
  TimelineQueue queue{limits};
  for (int i = 0; i < 4; ++i) queue.online(device, at(i));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.dropped(), 2u);
}

TEST(TimelineQueue, WhatTheStoreCouldNotTakeComesAgainFirst) {
  FakeStore store;  // Its timeline is unavailable.
  TimelineQueue queue;
  queue.online(device, at(0));
  queue.offline(device, at(1), 0s);
  EXPECT_TRUE(write_behind(store, queue, at(2)).error);
  queue.online(device, at(3));
  EXPECT_EQ(codes(queue.take(10, at(4))), (std::vector<std::string>{"online", "offline", "online"}));
}

class JudgingEvents : public ::testing::Test {
 protected:
  JudgingEvents() {
    its_template.events.push_back({EventDefId{1}, "Hot", "hot", "It is hot.", EventType::warning, false});
    its_template.events.push_back({EventDefId{2}, "Fire", "fire", "", EventType::critical, false});
    its_template.events.push_back({EventDefId{3}, "Online", "online", "", EventType::information, true});
  }
  Verdict judge(std::string_view code, std::int64_t seconds, std::string_view description = {}, DeviceId who = device) {
    return queue.judge(its_template, who, code, description, at(seconds), note);
  }
  Template its_template;
  TimelineQueue queue;
  TimelineNote note;
};

TEST_F(JudgingEvents, KnownCodesAreAcceptedWithTheTemplatesWords) {
  EXPECT_EQ(judge("hot", 0), Verdict::accepted);
  EXPECT_EQ(note.description, "It is hot.");
  EXPECT_EQ(note.name, "Hot");
  EXPECT_EQ(note.type, TimelineType::warning);
  EXPECT_EQ(judge("fire", 0, "kitchen"), Verdict::accepted);
  EXPECT_EQ(note.description, "kitchen");
}

TEST_F(JudgingEvents, UnknownCodesAndTheCloudsOwnAreRefused) {
  EXPECT_EQ(judge("cold", 0), Verdict::unknown_code);
  EXPECT_EQ(judge("online", 0), Verdict::unknown_code);
}

TEST_F(JudgingEvents, ADescriptionHas300Characters) {
  std::string umlauts;
  for (int i = 0; i < 300; ++i) umlauts += "ä";
  EXPECT_EQ(judge("hot", 0, umlauts), Verdict::accepted);
  EXPECT_EQ(judge("fire", 0, umlauts + "x"), Verdict::too_long);
}

TEST_F(JudgingEvents, WhatADeviceSaysCannotSteerATerminal) {
  EXPECT_EQ(judge("hot", 0, "a\x1b[2J\xff z"), Verdict::accepted);
  EXPECT_EQ(note.description, "a [2J  z");
}

TEST_F(JudgingEvents, TheSameEventComesOnceASecond) {
  EXPECT_EQ(judge("hot", 0), Verdict::accepted);
  EXPECT_EQ(judge("hot", 0), Verdict::too_soon);
  EXPECT_EQ(judge("fire", 0), Verdict::accepted);
  EXPECT_EQ(judge("hot", 0, "", DeviceId{8}), Verdict::accepted);
  EXPECT_EQ(judge("hot", 1), Verdict::accepted);
}

TEST_F(JudgingEvents, ADeviceLogs100ADayAndTheNextDayAgain) {
  for (int i = 0; i < 100; ++i) ASSERT_EQ(judge("hot", i), Verdict::accepted);
  EXPECT_EQ(judge("hot", 100), Verdict::too_many_today);
  EXPECT_EQ(judge("fire", 100), Verdict::too_many_today);
  EXPECT_EQ(judge("hot", 0, "", DeviceId{8}), Verdict::accepted);
  EXPECT_EQ(judge("hot", 24 * 3'600), Verdict::accepted);
}

TEST_F(JudgingEvents, WhatWasLoggedBeforeTheServerBeganCounts) {
  queue.remember(device, 99, at(0));
  EXPECT_EQ(judge("hot", 1), Verdict::accepted);
  EXPECT_EQ(judge("hot", 2), Verdict::too_many_today);
  EXPECT_EQ(judge("hot", 24 * 3'600), Verdict::accepted);
}

TEST_F(JudgingEvents, MoreDevicesThanItHasRoomForWaitForTheNextDay) {
  TimelineQueue::Limits limits;
  limits.counted_devices_max = 2;
  TimelineQueue small{limits};
  const auto log = [&](int who, std::int64_t seconds) { return small.judge(its_template, DeviceId{who}, "hot", "", at(seconds), note); };
  EXPECT_EQ(log(1, 0), Verdict::accepted);
  EXPECT_EQ(log(2, 0), Verdict::accepted);
  EXPECT_EQ(log(3, 0), Verdict::too_many_today);
  EXPECT_EQ(log(1, 1), Verdict::accepted) << "those it knows go on";
  EXPECT_EQ(log(3, 24 * 3'600), Verdict::accepted);
}

}  // namespace
}  // namespace muster::domain
