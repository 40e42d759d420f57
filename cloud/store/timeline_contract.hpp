// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/store/store_contract.hpp"

/// What every backend does with timelines. Beside store_contract.hpp.
namespace muster::domain {

class TimelineContract : public StoreContract {
 protected:
  void SetUp() override {
    StoreContract::SetUp();
    set_up();
    template_ = make_template(root_, "T").id;
    device_ = make_device(root_, template_, "D", 1).id;
  }
  TimelineNote note(TimelineType type, std::string code, std::int64_t at) const {
    TimelineNote value;
    value.device_id = device_;
    value.type = type;
    value.code = std::move(code);
    value.at = {t0 + at};
    return value;
  }
  std::vector<TimelineEntry> lines(std::optional<TimelineType> type = {}, DeviceId device = {}) {
    TimelineFilter filter;
    filter.device = device ? device : device_;
    filter.type = type;
    Page page;
    page.limit = 100;
    const auto found = store().timeline(filter, page);
    EXPECT_TRUE(found) << found.error().message();
    return found ? found->rows : std::vector<TimelineEntry>{};
  }
  std::vector<std::string> codes() {
    std::vector<std::string> all;
    for (const auto& line : lines()) all.push_back(line.code);
    std::reverse(all.begin(), all.end());
    return all;
  }
  Result<void> write(std::vector<TimelineNote> notes) { return store().write_timeline(notes); }

  TemplateId template_;
  DeviceId device_;
};

TEST_P(TimelineContract, ADeviceBeginsWithItsActivation) {
  const auto all = lines();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].code, timeline_code::activated);
  EXPECT_EQ(all[0].organization_id, root_);
  EXPECT_EQ(all[0].at.ms, t0);
}

TEST_P(TimelineContract, OnlineAndOfflineAlternate) {
  ASSERT_TRUE(
      write({note(TimelineType::online, "online", 1), note(TimelineType::online, "online", 2), note(TimelineType::offline, "offline", 3),
             note(TimelineType::offline, "offline", 4), note(TimelineType::online, "online", 5),
             // Told late, after the device came back.
             note(TimelineType::offline, "offline", 4)}));
  EXPECT_EQ(codes(), (std::vector<std::string>{"activated", "online", "offline", "online"}));
  // And so after a restart, which writes again what it does not know to be written.
  reopen();
  ASSERT_TRUE(write({note(TimelineType::online, "online", 6)}));
  EXPECT_EQ(lines(TimelineType::online).size(), 2u);
}

TEST_P(TimelineContract, TheFirstConnectionIsALineOfItsOwnOnce) {
  PresenceUpdate update;
  update.device_id = device_;
  update.connected_at = UtcTime{t0 + 10};
  ASSERT_TRUE(store().write_presence(std::vector{update}));
  update.connected_at = UtcTime{t0 + 20};
  ASSERT_TRUE(store().write_presence(std::vector{update}));
  EXPECT_EQ(codes(), (std::vector<std::string>{"activated", "first_connection"}));
  EXPECT_EQ(store().find_device(device_).value()->first_connect_time.ms, t0 + 10);
}

TEST_P(TimelineContract, LinesAreFoundByTypeTimeAndPageNewestFirst) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(write({note(TimelineType::warning, "hot", 100 + i)}));
  TimelineFilter filter;
  filter.device = device_;
  filter.type = TimelineType::warning;
  filter.from = {t0 + 101};
  filter.to = {t0 + 104};
  Page page;
  page.limit = 2;
  auto found = store().timeline(filter, page);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->total, 3);
  ASSERT_EQ(found->rows.size(), 2u);
  EXPECT_EQ(found->rows[0].at.ms, t0 + 103);
  page.offset = 2;
  found = store().timeline(filter, page);
  ASSERT_EQ(found->rows.size(), 1u);
  EXPECT_EQ(found->rows[0].at.ms, t0 + 101);
}

TEST_P(TimelineContract, WhoFollowsGetsEveryLineInTheOrderOfWriting) {
  const auto before = store().newest_timeline();
  ASSERT_TRUE(before);
  ASSERT_TRUE(write({note(TimelineType::warning, "b", 2), note(TimelineType::warning, "a", 1)}));
  const auto after = store().timeline_after(*before, 10);
  ASSERT_TRUE(after);
  ASSERT_EQ(after->size(), 2u);
  EXPECT_EQ((*after)[0].code, "b");
  EXPECT_EQ(store().newest_timeline().value(), (*after)[1].id);
}

TEST_P(TimelineContract, WhatEachDeviceHasLoggedIsCounted) {
  const auto other = make_device(root_, template_, "Other", 2).id;
  ASSERT_TRUE(write({note(TimelineType::warning, "hot", 1), note(TimelineType::critical, "fire", 2),
                     note(TimelineType::online, "online", 3), note(TimelineType::warning, "hot", 4)}));
  auto one = note(TimelineType::information, "hello", 5);
  one.device_id = other;
  ASSERT_TRUE(write({one}));
  const auto counts = store().logged_since({t0 + 2}, 10);
  ASSERT_TRUE(counts);
  ASSERT_EQ(counts->size(), 2u);
  for (const auto& [device, count] : *counts) EXPECT_EQ(count, device == device_ ? 2u : 1u);
  EXPECT_EQ(store().logged_since({t0 + 2}, 1)->size(), 1u);
  EXPECT_TRUE(store().logged_since({t0 + 6}, 10)->empty());
}

TEST_P(TimelineContract, ALoggedEventIsResolvedOnceAndASystemLineNever) {
  TimelineEntry given;
  given.device_id = device_;
  given.at = {t0};
  given.type = TimelineType::critical;
  given.code = "fire";
  given.user_id = admin_;
  const auto added = store().add_timeline(given);
  ASSERT_TRUE(added);
  const auto resolved = store().resolve_timeline(device_, added->id, "put out", actor(t0 + 5));
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->resolved_at.ms, t0 + 5);
  EXPECT_EQ(resolved->resolved_by, admin_);
  EXPECT_EQ(resolved->resolve_comment, "put out");
  EXPECT_EQ(store().resolve_timeline(device_, added->id, "", actor()).error(), make_error_code(DomainError::wrong_state));
  const auto activated = lines(TimelineType::system).at(0).id;
  EXPECT_EQ(store().resolve_timeline(device_, activated, "", actor()).error(), make_error_code(DomainError::wrong_state));
  const auto other = make_device(root_, template_, "Other", 2).id;
  EXPECT_EQ(store().resolve_timeline(other, added->id, "", actor()).error(), make_error_code(DomainError::not_found));
}

TEST_P(TimelineContract, ADeviceResolvesItsLatestEventOrAll) {
  ASSERT_TRUE(write({note(TimelineType::warning, "hot", 1), note(TimelineType::warning, "hot", 2), note(TimelineType::warning, "hot", 3)}));
  auto clear = note(TimelineType::system, "hot", 9);
  clear.what = TimelineNote::What::resolve_latest;
  ASSERT_TRUE(write({clear}));
  auto all = lines(TimelineType::warning);
  EXPECT_EQ(all[0].resolved_at.ms, t0 + 9);
  EXPECT_EQ(all[1].resolved_at.ms, 0);
  clear.what = TimelineNote::What::resolve_all;
  ASSERT_TRUE(write({clear}));
  for (const auto& line : lines(TimelineType::warning)) EXPECT_EQ(line.resolved_at.ms, t0 + 9);
}

TEST_P(TimelineContract, LinesGoWithTheirDeviceAndWhatComesLateIsSkipped) {
  ASSERT_TRUE(store().delete_device(device_, actor()));
  ASSERT_TRUE(write({note(TimelineType::warning, "hot", 1)}));
  EXPECT_TRUE(lines().empty());
  TimelineEntry given;
  given.device_id = device_;
  given.code = "hot";
  EXPECT_EQ(store().add_timeline(given).error(), make_error_code(DomainError::not_found));
}

TEST_P(TimelineContract, ErasingADeviceEmptiesItsTimelineAlsoOfWhatWaitsToBeWritten) {
  ASSERT_TRUE(write({note(TimelineType::warning, "hot", 1)}));
  ASSERT_TRUE(store().erase_device(device_, actor()));
  EXPECT_TRUE(lines().empty());
  // t0 is earlier than any clock of a store under test.
  ASSERT_TRUE(write({note(TimelineType::warning, "late", 0)}));
  EXPECT_TRUE(lines().empty());
  ASSERT_TRUE(write({note(TimelineType::warning, "new", 1'000'000 * hour)}));
  EXPECT_EQ(codes(), std::vector<std::string>{"new"});
}

TEST_P(TimelineContract, ATransferIsALine) {
  const auto sub = make_organization(root_, "Sub");
  DeviceDestination to;
  to.organization = sub.id;
  ASSERT_TRUE(store().transfer_device(device_, to, actor(t0 + 7)));
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].code, timeline_code::transferred);
  EXPECT_EQ(all[0].organization_id, sub.id);
  EXPECT_EQ(all[0].user_id, admin_);
}

TEST_P(TimelineContract, OldLinesAreTrimmedInSteps) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(write({note(TimelineType::warning, "hot", i)}));
  EXPECT_EQ(store().trim_timeline({t0 + 2}, 2).value(), 2u);
  EXPECT_EQ(store().trim_timeline({t0 + 2}, 10).value(), 1u);
  EXPECT_EQ(store().trim_timeline({t0 + 2}, 10).value(), 0u);
  EXPECT_EQ(lines().size(), 3u);
}

}  // namespace muster::domain
