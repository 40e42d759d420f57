// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/mailer.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "cloud/base/temporary_folder.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::mail {
namespace {

using namespace std::chrono_literals;

/// Does as it is told, and notes what it was given.
class ScriptedTransport final : public Transport {
 public:
  Outcome send(std::string_view from, std::string_view to, std::string_view data) override {
    sent.push_back({std::string{from}, std::string{to}, std::string{data}});
    if (script.empty()) return {};
    const Outcome next = script.front();
    script.pop_front();
    return next;
  }
  void interrupt() noexcept override {}
  struct Sent {
    std::string from, to, data;
  };
  std::vector<Sent> sent;
  std::deque<Outcome> script;
};

class MailerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_->set_up("Root", "root@example.org", "", {}));
    queue("a@example.com");
  }
  void queue(std::string to) {
    ASSERT_TRUE(store_->queue_mail({std::move(to), "test", keys_->seal(seal_context, pack({"Subject", "text", "html"}), random_)},
                                   OrganizationId{1}, clock_.utc_now()));
  }
  domain::QueuedMail listed() { return store_->queued_mail(OrganizationId{1}, {}).value().rows.at(0); }
  std::unique_ptr<store::SqliteStore> open() {
    store::SqliteOptions options;
    options.clock = &clock_;
    options.durability = store::Durability::off;
    return store::SqliteStore::open(folder_ / "muster.db", options);
  }

  TemporaryFolder folder_;
  ManualClock clock_;
  SecureRandom random_;
  std::unique_ptr<KeyRing> keys_ = KeyRing::in_memory(random_);
  std::unique_ptr<store::SqliteStore> store_ = open();
  ScriptedTransport transport_;
  MailerOptions options_{.from = {"muster@example.org", "Muster"}};
  Mailer mailer_{{*store_, *keys_, transport_, clock_}, options_};
};

TEST_F(MailerTest, WhatIsSentIsGone) {
  EXPECT_EQ(mailer_.pass(), 1u);
  ASSERT_EQ(transport_.sent.size(), 1u);
  EXPECT_EQ(transport_.sent[0].from, "muster@example.org");
  EXPECT_EQ(transport_.sent[0].to, "a@example.com");
  EXPECT_EQ(mailer_.pass(), 0u);
  EXPECT_EQ(store_->queued_mail(OrganizationId{1}, {}).value().total, 0);
}

TEST_F(MailerTest, GreylistingIsWaitedOutAndTheMailKeepsItsName) {
  transport_.script = {{Outcome::Kind::try_later, "451 greylisted"}, {Outcome::Kind::try_later, "451 greylisted"}};
  EXPECT_EQ(mailer_.pass(), 0u);
  EXPECT_EQ(listed().reason, "451 greylisted");
  clock_.advance(29s);
  EXPECT_EQ(mailer_.pass(), 0u);
  EXPECT_EQ(transport_.sent.size(), 1u) << "too early";
  clock_.advance(2s);
  EXPECT_EQ(mailer_.pass(), 0u);
  clock_.advance(61s);
  EXPECT_EQ(mailer_.pass(), 1u);
  ASSERT_EQ(transport_.sent.size(), 3u);
  EXPECT_EQ(transport_.sent[0].data, transport_.sent[2].data) << "also its Message-ID";
}

TEST_F(MailerTest, ARefusedMailIsGivenUpAtOnceAndShown) {
  transport_.script = {{Outcome::Kind::refused, "550 no such user"}};
  EXPECT_EQ(mailer_.pass(), 0u);
  EXPECT_TRUE(listed().given_up);
  EXPECT_EQ(listed().reason, "550 no such user");
  clock_.advance(48h);
  EXPECT_EQ(mailer_.pass(), 0u);
  EXPECT_EQ(transport_.sent.size(), 1u);
}

TEST_F(MailerTest, AServerThatStaysAwayIsGivenTwoDays) {
  std::size_t passes = 0;
  while (!listed().given_up && passes < 200) {
    transport_.script = {{Outcome::Kind::try_later, "hangs"}};
    mailer_.pass();
    clock_.advance(1h);
    ++passes;
  }
  EXPECT_TRUE(listed().given_up);
  EXPECT_EQ(passes, 49u);
}

TEST_F(MailerTest, OneThatCannotGoDoesNotHoldUpTheOthers) {
  queue("b@example.com");
  transport_.script = {{Outcome::Kind::try_later, "hangs"}};
  EXPECT_EQ(mailer_.pass(), 1u);
  EXPECT_EQ(transport_.sent[1].to, "b@example.com");
}

TEST_F(MailerTest, AMailUnderAKeyThatIsGoneIsGivenUp) {
  const auto other = KeyRing::in_memory(random_);
  Mailer stranger{{*store_, *other, transport_, clock_}, options_};
  EXPECT_EQ(stranger.pass(), 0u);
  EXPECT_TRUE(listed().given_up);
  EXPECT_TRUE(transport_.sent.empty());
}

TEST_F(MailerTest, TheQueueSurvivesARestartAndLooksLikeNothing) {
  store_.reset();
  const auto again = open();
  Mailer mailer{{*again, *keys_, transport_, clock_}, options_};
  EXPECT_EQ(mailer.pass(), 1u);
  store_ = open();
}

TEST(Backoff, DoublesUpToItsEnd) {
  MailerOptions options;
  EXPECT_EQ(backoff(options, 1), 30s);
  EXPECT_EQ(backoff(options, 2), 60s);
  EXPECT_EQ(backoff(options, 8), 3600s);
  EXPECT_EQ(backoff(options, 4'000'000'000u), 3600s);
}

}  // namespace
}  // namespace muster::mail
