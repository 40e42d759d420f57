// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/deliverer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "cloud/base/temporary_folder.hpp"
#include "cloud/domain/views.hpp"
#include "cloud/domain/webhook_text.hpp"
#include "cloud/store/faulty/faulty_store.hpp"
#include "cloud/store/shared_clock.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"
#include "cloud/webhook/signature.hpp"
#include "cloud/webhook/test_receiver.hpp"

namespace muster::webhook {
namespace {

using namespace std::chrono_literals;
using domain::DeliveryState;
using domain::Trigger;
using domain::Webhook;

constexpr std::string_view secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

class Delivering : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto first = store_->set_up("Root", "owner@example.org", "verifier", {});
    ASSERT_TRUE(first);
    root_ = first->organization_id;
    admin_ = first->user_id;
    domain::Template value;
    value.organization_id = root_;
    value.name = "Pump";
    value.tmpl_ids = {"TMPL12345"};
    template_ = store_->create_template(value, {}).value().id;
  }
  Webhook hook(const std::string& url, Trigger trigger = Trigger::device_added, std::function<void(Webhook&)> change = {}) {
    Webhook value;
    value.organization_id = root_;
    value.name = "W";
    value.url = url;
    value.trigger = trigger;
    value.sealed_secret = keys_->seal(secret_context, secret, random_);
    if (change) change(value);
    domain::Actor actor;
    actor.user_id = admin_;
    actor.organization_id = root_;
    const auto made = store_->create_webhook(value, actor);
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }
  DeviceId device(const std::string& name) {
    domain::Device value;
    value.organization_id = root_;
    value.template_id = template_;
    value.name = name;
    const std::string token = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" + std::to_string(10 + ++devices_);
    const auto digests = keys_->digest("auth-token", token);
    const domain::NewToken issued{digests.newest(), digests.all(), keys_->seal("auth-token", token, random_)};
    const auto made = store_->create_device(value, issued, {});
    EXPECT_TRUE(made) << made.error().message();
    tokens_.push_back(token);
    EXPECT_TRUE(views_.ready() ? views_.catch_up() : views_.rebuild());
    return made->id;
  }
  Deliverer& deliverer(Options options = {}, domain::Store* store = nullptr) {
    SenderOptions sender;
    sender.targets = domain::WebhookTargets{{*IpNetwork::parse("127.0.0.1")}};
    sender.timeout = 2s;
    deliverer_ = std::make_unique<Deliverer>(
        Deliverer::Dependencies{store != nullptr ? *store : *store_, views_.directory, *keys_, random_, clock_, metrics_}, options,
        HttpSender{sender}, [](const Webhook& told, const std::string& problem) {
          return std::vector<domain::NewMail>{{"owner@example.org", "webhook", told.name + ": " + problem}};
        });
    return *deliverer_;
  }
  void pass() {
    deliverer_->look();
    deliverer_->wait_idle();
  }
  std::vector<domain::Delivery> deliveries(WebhookId id) {
    domain::Page page;
    page.limit = 1000;
    return store_->deliveries(id, {}, page).value().rows;
  }
  std::vector<domain::QueuedMail> told() { return store_->due_mail(clock_.utc_now(), 10).value(); }
  static TestReceiver::Handler always(int status) {
    return [status](const auto&) { return TestReceiver::answer(status, "said"); };
  }

  TemporaryFolder folder_;
  store::SharedClock clock_;
  SecureRandom random_;
  Metrics metrics_;
  std::unique_ptr<KeyRing> keys_ = KeyRing::in_memory(random_);
  std::unique_ptr<store::SqliteStore> store_ = open();
  domain::Views views_{*store_};
  OrganizationId root_;
  UserId admin_;
  TemplateId template_;
  int devices_ = 0;
  std::vector<std::string> tokens_;
  std::unique_ptr<Deliverer> deliverer_;  ///< Ends before what it uses.

  std::unique_ptr<store::SqliteStore> open() {
    store::SqliteOptions options;
    options.clock = &clock_;
    options.durability = store::Durability::off;
    return store::SqliteStore::open(folder_ / "muster.db", options);
  }
};

TEST_F(Delivering, AnEventArrivesSignedWithItsFacts) {
  TestReceiver receiver{always(200)};
  const auto made = hook(receiver.url());
  deliverer();
  const DeviceId id = device("Pump 1");
  pass();
  const auto seen = receiver.seen();
  ASSERT_EQ(seen.size(), 1u);
  const auto& request = seen[0];
  EXPECT_EQ(request.header("webhook-signature"),
            sign(secret, request.header("webhook-id"), request.header("webhook-timestamp"), request.body));
  EXPECT_EQ(request.header("webhook-timestamp"), std::to_string(clock_.utc_now().ms / 1000));
  EXPECT_EQ(request.header("Content-Type"), "application/json");
  EXPECT_NE(request.body.find("\"type\":\"DEVICE_ADDED\""), std::string::npos) << request.body;
  EXPECT_NE(request.body.find("\"device_id\":" + std::to_string(id.value())), std::string::npos) << request.body;
  EXPECT_NE(request.body.find("\"device_name\":\"Pump 1\""), std::string::npos);
  EXPECT_NE(request.body.find("\"device_templateId\":\"TMPL12345\""), std::string::npos);
  EXPECT_EQ(request.body.find(tokens_[0]), std::string::npos);
  const auto all = deliveries(made.id);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].state, DeliveryState::delivered);
  EXPECT_EQ(all[0].attempts, 1u);
  EXPECT_EQ(all[0].message_id, request.header("webhook-id"));
  EXPECT_EQ(keys_->open_sealed(response_context, all[0].sealed_response).value(), "said");
  // Nothing of it lies open in the store.
  EXPECT_EQ(all[0].sealed_request.find("Pump 1"), std::string::npos);
  pass();
  EXPECT_EQ(receiver.seen().size(), 1u) << "delivered once";
}

TEST_F(Delivering, PlaceholdersOfUrlBodyAndFormStandForTheEventsFacts) {
  TestReceiver receiver{always(204)};
  hook(receiver.url() + "?n={device_name}", Trigger::device_added,
       [](Webhook& value) { value.body = R"({"n":"{device_name}","t":"{timestamp_iso8601}","o":"{device_orgName}","x":"{user_name}"})"; });
  deliverer();
  device("A'b (1)");
  pass();
  const auto request = receiver.seen().at(0);
  EXPECT_TRUE(request.head.starts_with("POST /in?n=A%27b%20%281%29 HTTP/1.1")) << request.head;
  EXPECT_EQ(request.body.substr(0, 15), "{\"n\":\"A'b (1)\",");
  EXPECT_NE(request.body.find("\"o\":\"Root\",\"x\":\"\""), std::string::npos) << request.body;
}

TEST_F(Delivering, TheAuthTokenGoesOutOnlyWithTheRightOfWhoMadeTheWebhook) {
  TestReceiver receiver{always(200)};
  const auto with_token = [](Webhook& value) { value.body = "{device_authToken}"; };
  hook(receiver.url(), Trigger::device_added, with_token);
  deliverer();
  device("One");
  pass();
  EXPECT_EQ(receiver.seen().at(0).body, tokens_[0]);
  domain::Store::AuditFilter filter;
  const std::vector<OrganizationId> organizations{root_};
  filter.organizations = organizations;
  filter.action = "device.token.reveal";
  EXPECT_EQ(store_->audit(filter, {}).value().total, 1);

  // A second Admin, so that the first can lose the role.
  domain::User other;
  other.organization_id = root_;
  other.email = "two@example.org";
  other.role_id = domain::admin_role;
  ASSERT_TRUE(store_->create_user(other, "v", {}));
  domain::UserChange change;
  change.role_id = domain::user_role;
  ASSERT_TRUE(store_->update_user(admin_, change, {}));
  device("Two");
  pass();
  EXPECT_EQ(receiver.seen().at(1).body, "");
  EXPECT_EQ(store_->audit(filter, {}).value().total, 1);
}

TEST_F(Delivering, WhatFailsIsTriedAgainLaterWithTheSameIdAndBody) {
  std::atomic<int> failures{2};
  TestReceiver receiver{[&](const auto&) { return failures-- > 0 ? TestReceiver::answer(500) : TestReceiver::answer(200); }};
  const auto made = hook(receiver.url());
  deliverer();
  device("Pump");
  pass();
  EXPECT_EQ(receiver.seen().size(), 1u);
  pass();
  EXPECT_EQ(receiver.seen().size(), 1u) << "not before its time";
  clock_.advance(6s);
  pass();
  clock_.advance(12s);
  pass();
  const auto seen = receiver.seen();
  ASSERT_EQ(seen.size(), 3u);
  std::set<std::string> ids, bodies, signatures;
  for (const auto& request : seen) {
    ids.insert(request.header("webhook-id"));
    bodies.insert(request.body);
    signatures.insert(request.header("webhook-signature"));
  }
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(bodies.size(), 1u);
  EXPECT_EQ(signatures.size(), 3u) << "signed anew each time";
  EXPECT_EQ(deliveries(made.id).at(0).attempts, 3u);
  EXPECT_EQ(deliveries(made.id).at(0).state, DeliveryState::delivered);
}

TEST_F(Delivering, AfterADayAndAsManyAttemptsItIsGivenUpAndAfterEnoughOfThoseTheOwnerIsTold) {
  TestReceiver receiver{always(503)};
  const auto made = hook(receiver.url(), Trigger::device_added, [](Webhook& value) { value.fail_after = 2; });
  deliverer();
  device("One");
  pass();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 60 && deliveries(made.id)[0].state == DeliveryState::waiting; ++i) {
      pass();
      clock_.advance(std::chrono::hours{2} + 13min);
    }
    const auto last = deliveries(made.id)[0];
    EXPECT_EQ(last.state, DeliveryState::given_up);
    EXPECT_GE(last.attempts, 15u);
    EXPECT_EQ(last.last_status, 503);
    EXPECT_EQ(told().size(), round == 0 ? 0u : 1u);
    if (round == 0) device("Two");
    if (round == 0) pass();
  }
  EXPECT_EQ(told().at(0).organization_id, root_);
  EXPECT_EQ(told().at(0).recipient, "owner@example.org");
  EXPECT_EQ(told().at(0).sealed, "W: The target answered 503.");
  const auto now = store_->find_webhook(made.id).value().value();
  EXPECT_FALSE(now.enabled);
  EXPECT_NE(now.disabled_at.ms, 0);
  const auto sent = receiver.seen().size();
  device("Three");
  pass();
  EXPECT_EQ(receiver.seen().size(), sent) << "a disabled webhook hears nothing more";
  EXPECT_EQ(told().size(), 1u) << "told once";
}

TEST_F(Delivering, ASuccessEndsTheCountOfFailures) {
  std::atomic<int> status{503};
  TestReceiver receiver{[&](const auto&) { return TestReceiver::answer(status); }};
  const auto made = hook(receiver.url(), Trigger::device_added, [](Webhook& value) { value.fail_after = 2; });
  deliverer();
  const auto give_up = [&](const std::string& name) {
    device(name);
    status = 503;
    pass();
    for (int i = 0; i < 60 && deliveries(made.id)[0].state == DeliveryState::waiting; ++i) {
      clock_.advance(std::chrono::hours{2} + 13min);
      pass();
    }
  };
  give_up("One");
  status = 200;
  device("Two");
  pass();
  give_up("Three");
  EXPECT_TRUE(store_->find_webhook(made.id).value()->enabled);
  EXPECT_TRUE(told().empty());
}

TEST_F(Delivering, TheRateOfAWebhookIsKept) {
  TestReceiver receiver{always(200)};
  const auto made = hook(receiver.url());
  Options options;
  options.rate_per_minute = 3;
  deliverer(options);
  for (int i = 0; i < 6; ++i) device("D" + std::to_string(i));
  pass();
  pass();
  EXPECT_EQ(receiver.seen().size(), 3u);
  clock_.advance(20s);
  pass();
  EXPECT_EQ(receiver.seen().size(), 4u);
  clock_.advance(60s);
  pass();
  pass();
  EXPECT_EQ(receiver.seen().size(), 6u);
  EXPECT_EQ(deliveries(made.id).size(), 6u);
}

TEST_F(Delivering, WhenTheOutcomeCannotBeWrittenItIsSentAgainWithTheSameId) {
  TestReceiver receiver{always(200)};
  hook(receiver.url());
  store::FaultyStore faulty{*store_};
  deliverer({}, &faulty);
  device("Pump");
  faulty.script.fail_next("note_attempt", 1, domain::StoreError::disk_full);
  pass();
  pass();
  const auto seen = receiver.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
  pass();
  EXPECT_EQ(receiver.seen().size(), 2u);
}

TEST_F(Delivering, ATestAndAReplayGoOutAlsoOfADisabledWebhook) {
  TestReceiver receiver{always(200)};
  const auto made = hook(receiver.url(), Trigger::device_added, [](Webhook& value) { value.enabled = false; });
  deliverer();
  const auto tested = store_->create_test_delivery(made.id, {});
  ASSERT_TRUE(tested);
  EXPECT_EQ(store_->replay_delivery(tested->id, {}).error(), make_error_code(domain::DomainError::wrong_state)) << "it is on its way";
  pass();
  ASSERT_EQ(receiver.seen().size(), 1u);
  EXPECT_NE(receiver.seen()[0].body.find("\"type\":\"TEST\""), std::string::npos) << receiver.seen()[0].body;
  clock_.advance(5s);
  const auto replay = store_->replay_delivery(tested->id, {});
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->replay_of, tested->id);
  pass();
  const auto seen = receiver.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
  EXPECT_EQ(seen[0].body, seen[1].body);
  EXPECT_NE(seen[0].header("webhook-signature"), seen[1].header("webhook-signature"));
}

TEST_F(Delivering, HeadersAndBasicCredentialsGoWithIt) {
  TestReceiver receiver{always(200)};
  hook(receiver.url(), Trigger::device_added, [&](Webhook& value) {
    value.method = domain::WebhookMethod::put;
    value.sealed_headers = keys_->seal(headers_context, domain::join_lines({"X-Key: k1"}), random_);
    value.auth = domain::WebhookAuth::basic;
    value.sealed_auth = keys_->seal(auth_context, domain::join_lines({"me", "secret"}), random_);
  });
  deliverer();
  device("Pump");
  pass();
  const auto request = receiver.seen().at(0);
  EXPECT_TRUE(request.head.starts_with("PUT ")) << request.head;
  EXPECT_EQ(request.header("X-Key"), "k1");
  EXPECT_EQ(request.header("Authorization"), "Basic bWU6c2VjcmV0");
}

TEST_F(Delivering, AnAccessTokenIsAskedForAndUsedUntilItEndsOrIsRefused) {
  std::atomic<int> granted{0}, status{200};
  TestReceiver receiver{[&](const TestReceiver::Seen& seen) {
    if (seen.body == "grant_type=client_credentials&scope=a%20b")
      return TestReceiver::answer(200, R"({"access_token":"t)" + std::to_string(++granted) + R"(","expires_in":600})");
    return TestReceiver::answer(status);
  }};
  hook(receiver.url(), Trigger::device_added, [&](Webhook& value) {
    value.auth = domain::WebhookAuth::oauth2;
    value.sealed_auth = keys_->seal(auth_context, domain::join_lines({receiver.url(), "id", "secret", "a b"}), random_);
  });
  deliverer();
  const auto last_authorization = [&] { return receiver.seen().back().header("Authorization"); };
  device("One");
  pass();
  EXPECT_EQ(last_authorization(), "Bearer t1");
  device("Two");
  pass();
  EXPECT_EQ(last_authorization(), "Bearer t1") << "still good";
  clock_.advance(580s);
  device("Three");
  pass();
  EXPECT_EQ(last_authorization(), "Bearer t2");
  status = 401;
  device("Four");
  pass();
  status = 200;
  device("Five");
  pass();
  EXPECT_EQ(last_authorization(), "Bearer t3");
}

TEST_F(Delivering, ATargetInsideIsRefusedAndSaysWhy) {
  const auto made = hook("http://[::ffff:10.0.0.1]/");
  deliverer();
  device("Pump");
  pass();
  const auto all = deliveries(made.id);
  EXPECT_EQ(all.at(0).state, DeliveryState::waiting);
  EXPECT_NE(all.at(0).last_problem.find("private network"), std::string::npos) << all.at(0).last_problem;
}

TEST_F(Delivering, TheLogIsTrimmedOfWhatHasEnded) {
  TestReceiver receiver{always(200)};
  const auto made = hook(receiver.url());
  deliverer();
  device("One");
  pass();
  EXPECT_EQ(deliverer_->trim(), 0u);
  clock_.advance(std::chrono::hours{31 * 24});
  EXPECT_EQ(deliverer_->trim(), 1u);
  EXPECT_TRUE(deliveries(made.id).empty());
}

}  // namespace
}  // namespace muster::webhook
