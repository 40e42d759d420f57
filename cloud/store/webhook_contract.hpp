// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/store/store_contract.hpp"

/// What every backend does with webhooks and the events they wait for. Beside store_contract.hpp.
namespace muster::domain {

class WebhookContract : public StoreContract {
 protected:
  void SetUp() override {
    StoreContract::SetUp();
    set_up();
    template_ = make_template(root_, "T").id;
  }
  Webhook make_webhook(Trigger trigger, OrganizationId organization = {}, std::function<void(Webhook&)> change = {}) {
    Webhook value;
    value.organization_id = organization ? organization : root_;
    value.name = "W";
    value.url = "https://hooks.example.org/";
    value.trigger = trigger;
    value.sealed_secret = "sealed";
    if (change) change(value);
    const auto made = store().create_webhook(value, actor());
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : Webhook{};
  }
  std::size_t fan_out() {
    const auto made = store().fan_out_events(100);
    EXPECT_TRUE(made) << made.error().message();
    return made ? made->deliveries : 0;
  }
  std::vector<Delivery> deliveries(const Webhook& hook) {
    Page page;
    page.limit = 100;
    const auto found = store().deliveries(hook.id, {}, page);
    EXPECT_TRUE(found) << found.error().message();
    return found ? found->rows : std::vector<Delivery>{};
  }
  DeliveryAttempt failed_attempt(std::int64_t next_ms) const {
    DeliveryAttempt attempt;
    attempt.at = {t0};
    attempt.status = 500;
    attempt.problem = "500";
    attempt.next_at = {next_ms};
    return attempt;
  }
  TemplateId template_;
};

TEST_P(WebhookContract, OperationsLeaveEventsThatBecomeDeliveriesOnce) {
  const auto added = make_webhook(Trigger::device_added), deleted = make_webhook(Trigger::device_deleted);
  const auto device = make_device(root_, template_, "D", 1);
  ASSERT_TRUE(store().delete_device(device.id, actor()));
  EXPECT_EQ(fan_out(), 2u);
  EXPECT_EQ(fan_out(), 0u);
  reopen();
  EXPECT_EQ(fan_out(), 0u);
  ASSERT_EQ(deliveries(added).size(), 1u);
  const auto delivery = deliveries(deleted).at(0);
  EXPECT_EQ(delivery.device_id, device.id);
  EXPECT_EQ(delivery.event, Trigger::device_deleted);
  // What placeholders stand for outlives the device.
  EXPECT_NE(delivery.facts.find("\"device_name\":\"D\""), std::string::npos) << delivery.facts;
  EXPECT_NE(deliveries(added).at(0).message_id, delivery.message_id);
}

TEST_P(WebhookContract, EventsOfUsersAndOrganizations) {
  const auto new_user = make_webhook(Trigger::new_user), updated = make_webhook(Trigger::updated_user),
             deleted = make_webhook(Trigger::deleted_user), organization = make_webhook(Trigger::organization_added);
  const auto user = make_user(root_, "u@example.org");
  UserChange change;
  change.name = "New";
  ASSERT_TRUE(store().update_user(user.id, change, actor()));
  ASSERT_TRUE(store().delete_user(user.id, actor()));
  make_organization(root_, "Sub");
  fan_out();
  for (const auto& hook : {new_user, updated, deleted, organization}) EXPECT_EQ(deliveries(hook).size(), 1u) << trigger_name(hook.trigger);
  EXPECT_NE(deliveries(deleted).at(0).facts.find("\"user_email\":\"u@example.org\""), std::string::npos);
  EXPECT_NE(deliveries(organization).at(0).facts.find("\"added_org_name\":\"Sub\""), std::string::npos);
}

TEST_P(WebhookContract, AMoveIsAnUpdateInBothOrganizationsAndWhoLeavesIsDeleted) {
  const auto branch = make_organization(root_, "Branch").id;
  const auto here = make_webhook(Trigger::updated_user), there = make_webhook(Trigger::updated_user, branch),
             gone = make_webhook(Trigger::deleted_user, branch), above = make_webhook(Trigger::deleted_user);
  const auto user = make_user(root_, "u@example.org"), other = make_user(branch, "o@example.org");
  ASSERT_TRUE(store().transfer_user(user.id, branch, {}, OwnedDevices::refuse, actor()));
  fan_out();
  for (const auto& hook : {here, there}) EXPECT_EQ(deliveries(hook).size(), 1u) << hook.id.value();
  ASSERT_TRUE(store().leave(user.id, OwnedDevices::refuse, actor()));
  fan_out();
  ASSERT_EQ(deliveries(gone).size(), 1u);
  EXPECT_NE(deliveries(gone)[0].facts.find("u@example.org"), std::string::npos);
  EXPECT_TRUE(deliveries(above).empty());
  // The organization goes, and its webhooks with it: what is above hears of its people.
  ASSERT_TRUE(store().delete_organization(branch, actor()));
  fan_out();
  ASSERT_EQ(deliveries(above).size(), 1u);
  EXPECT_NE(deliveries(above)[0].facts.find("o@example.org"), std::string::npos);
  EXPECT_EQ(other.organization_id, branch);
}

TEST_P(WebhookContract, AFirstConnectionIsToldOnceAndOncePerOrganization) {
  const auto first = make_webhook(Trigger::first_device_connection, {}, [](Webhook& value) { value.include_sub_organizations = true; });
  const auto in_org =
      make_webhook(Trigger::first_device_connection_in_org, {}, [](Webhook& value) { value.include_sub_organizations = true; });
  const auto device = make_device(root_, template_, "D", 1);
  PresenceUpdate update;
  update.device_id = device.id;
  const auto connect = [&](std::int64_t at) {
    update.connected_at = UtcTime{t0 + at};
    ASSERT_TRUE(store().write_presence(std::vector{update}));
    fan_out();
  };
  connect(1);
  connect(2);
  EXPECT_EQ(deliveries(first).size(), 1u);
  EXPECT_EQ(deliveries(in_org).size(), 1u);
  DeviceDestination to;
  to.organization = make_organization(root_, "Sub").id;
  ASSERT_TRUE(store().transfer_device(device.id, to, actor()));
  connect(3);
  connect(4);
  EXPECT_EQ(deliveries(first).size(), 1u);
  EXPECT_EQ(deliveries(in_org).size(), 2u);
}

TEST_P(WebhookContract, AWebhookHearsOfItsOrganizationAndOnRequestOfThoseBeneath) {
  const auto sub = make_organization(root_, "Sub").id, other = make_organization(root_, "Other").id;
  const auto own = make_webhook(Trigger::device_added),
             below = make_webhook(Trigger::device_added, {}, [](Webhook& value) { value.include_sub_organizations = true; }),
             of_sub = make_webhook(Trigger::device_added, sub), of_other = make_webhook(Trigger::device_added, other);
  make_device(sub, template_, "D", 1);
  EXPECT_EQ(fan_out(), 2u);
  EXPECT_TRUE(deliveries(own).empty());
  EXPECT_EQ(deliveries(below).size(), 1u);
  EXPECT_EQ(deliveries(of_sub).size(), 1u);
  EXPECT_TRUE(deliveries(of_other).empty());
}

TEST_P(WebhookContract, ValuesAndLoggedEventsAreToldToWhoNamedTheDeviceOrTheTemplate) {
  const auto sub = make_organization(root_, "Sub").id;
  const auto other_template = make_template(root_, "U").id;
  const auto device = make_device(root_, template_, "D", 1), below = make_device(sub, template_, "E", 2),
             other = make_device(root_, other_template, "F", 3);
  const auto on_device = make_webhook(Trigger::device_datastream_update, {}, [&](Webhook& value) { value.device_id = device.id; });
  const auto on_pin = make_webhook(Trigger::product_datastream_update, {}, [&](Webhook& value) {
    value.template_id = template_;
    value.pin = 2;
  });
  const auto global = make_webhook(Trigger::global_product_datastream_update, {}, [&](Webhook& value) { value.template_id = template_; });
  const auto logged = make_webhook(Trigger::product_log_event, {}, [&](Webhook& value) {
    value.template_id = template_;
    value.event_code = "hot";
  });
  std::vector<ValueUpdate> values;
  for (const auto id : {device.id, below.id, other.id}) {
    for (std::uint8_t pin = 1; pin <= 2; ++pin) values.push_back({id, {pin, "v" + std::to_string(pin), {t0}}});
  }
  ASSERT_TRUE(store().write_values(values));
  for (const auto* code : {"hot", "cold"}) {
    TimelineEntry entry;
    entry.device_id = device.id;
    entry.at = {t0};
    entry.type = TimelineType::warning;
    entry.code = code;
    entry.description = "words";
    ASSERT_TRUE(store().add_timeline(entry));
  }
  fan_out();
  EXPECT_EQ(deliveries(on_device).size(), 2u);
  ASSERT_EQ(deliveries(on_pin).size(), 1u);
  EXPECT_NE(deliveries(on_pin)[0].facts.find("\"datastream_value\":\"v2\""), std::string::npos) << deliveries(on_pin)[0].facts;
  EXPECT_EQ(deliveries(global).size(), 4u);
  ASSERT_EQ(deliveries(logged).size(), 1u);
  EXPECT_NE(deliveries(logged)[0].facts.find("\"event_description\":\"words\""), std::string::npos);
}

TEST_P(WebhookContract, NobodyWaitsNothingIsKept) {
  make_device(root_, template_, "D", 1);
  const auto late = make_webhook(Trigger::device_added);
  EXPECT_EQ(fan_out(), 0u);
  auto disabled = make_webhook(Trigger::device_deleted);
  disabled.enabled = false;
  ASSERT_TRUE(store().update_webhook(disabled, actor()));
  ASSERT_TRUE(store().delete_device(DeviceId{1}, actor()));
  EXPECT_EQ(fan_out(), 0u);
  EXPECT_TRUE(deliveries(late).empty());
}

TEST_P(WebhookContract, ADeliveryIsDueUntilItEnds) {
  const auto hook = make_webhook(Trigger::device_added);
  const auto made = store().create_test_delivery(hook.id, actor());
  ASSERT_TRUE(made);
  const auto due = [&](std::int64_t at) { return store().due_deliveries({at}, 10, {}).value().size(); };
  EXPECT_EQ(due(t0 - 1), 0u);
  EXPECT_EQ(due(t0), 1u);
  EXPECT_EQ(store().due_deliveries({t0}, 10, std::vector{hook.id}).value().size(), 0u);
  EXPECT_EQ(store().note_attempt(made->id, failed_attempt(t0 + 100)).value(), DeliveryEnd::none);
  EXPECT_EQ(due(t0 + 99), 0u);
  EXPECT_EQ(due(t0 + 100), 1u);
  DeliveryAttempt success = failed_attempt(0);
  success.succeeded = true;
  EXPECT_EQ(store().note_attempt(made->id, success).value(), DeliveryEnd::delivered);
  EXPECT_EQ(due(t0 + 1'000'000), 0u);
  EXPECT_EQ(store().note_attempt(made->id, success).error(), make_error_code(DomainError::wrong_state));
  EXPECT_EQ(store().find_delivery(made->id).value()->attempts, 2u);
}

TEST_P(WebhookContract, EnoughDeliveriesGivenUpInARowDisableItAndEnablingForgetsThem) {
  auto hook = make_webhook(Trigger::device_added, {}, [](Webhook& value) { value.fail_after = 2; });
  const auto give_up = [&] {
    const auto made = store().create_test_delivery(hook.id, actor());
    return store().note_attempt(made->id, failed_attempt(0)).value();
  };
  EXPECT_EQ(give_up(), DeliveryEnd::given_up);
  EXPECT_EQ(give_up(), DeliveryEnd::disabled);
  EXPECT_EQ(give_up(), DeliveryEnd::given_up) << "told once";
  auto now = store().find_webhook(hook.id).value().value();
  EXPECT_FALSE(now.enabled);
  EXPECT_EQ(now.disabled_at.ms, t0);
  now.enabled = true;
  const auto again = store().update_webhook(now, actor());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->failures, 0);
  EXPECT_EQ(again->disabled_at.ms, 0);
}

TEST_P(WebhookContract, ItsPeopleAreToldWithTheChangeThatDisablesItAndNotBefore) {
  const auto hook = make_webhook(Trigger::device_added, {}, [](Webhook& value) { value.fail_after = 2; });
  auto attempt = failed_attempt(0);
  attempt.notices = {{"a@example.org", "webhook", "sealed"}, {"b@example.org", "webhook", "sealed"}};
  std::vector<std::size_t> told;
  for (int i = 0; i < 3; ++i) {
    const auto made = store().create_test_delivery(hook.id, actor());
    ASSERT_TRUE(store().note_attempt(made->id, attempt));
    told.push_back(store().due_mail({t0}, 10).value().size());
  }
  EXPECT_EQ(told, (std::vector<std::size_t>{0, 2, 2}));
}

TEST_P(WebhookContract, OfADisabledWebhookOnlyTestsAndReplaysAreDueAndTheRestGoesWithTheLog) {
  auto hook = make_webhook(Trigger::device_added);
  make_device(root_, template_, "D", 1);
  ASSERT_EQ(fan_out(), 1u);
  hook.enabled = false;
  ASSERT_TRUE(store().update_webhook(hook, actor()));
  const auto due = [&] {
    const auto found = store().due_deliveries({t0 + 1'000'000}, 10, {});
    EXPECT_TRUE(found);
    return found ? found->size() : 99;
  };
  EXPECT_EQ(due(), 0u);
  ASSERT_TRUE(store().create_test_delivery(hook.id, actor()));
  EXPECT_EQ(due(), 1u);
  // One that waits for an enabled webhook stays, however old.
  const auto other = make_webhook(Trigger::device_deleted);
  ASSERT_TRUE(store().create_test_delivery(other.id, actor()));
  const UtcTime later{t0 + 1'000LL * 24 * 3'600'000};
  EXPECT_EQ(store().trim_deliveries(later, 1).value(), 1u);
  EXPECT_EQ(store().trim_deliveries(later, 10).value(), 1u);
  EXPECT_TRUE(deliveries(hook).empty());
  EXPECT_EQ(deliveries(other).size(), 1u);
}

TEST_P(WebhookContract, AnOrganizationHasALimitedNumberAndDeletingTakesTheDeliveriesAlong) {
  Webhook last;
  for (std::size_t i = 0; i < webhooks_per_organization_max; ++i) last = make_webhook(Trigger::device_added);
  EXPECT_EQ(store().create_webhook(last, actor()).error(), make_error_code(DomainError::limit_reached));
  const auto delivery = store().create_test_delivery(last.id, actor());
  ASSERT_TRUE(store().delete_webhook(last.id, actor()));
  EXPECT_FALSE(store().find_webhook(last.id).value());
  EXPECT_FALSE(store().find_delivery(delivery->id).value());
  EXPECT_EQ(store().delete_webhook(last.id, actor()).error(), make_error_code(DomainError::not_found));
  EXPECT_EQ(store().note_attempt(delivery->id, failed_attempt(0)).error(), make_error_code(DomainError::not_found));
}

TEST_P(WebhookContract, KeysThatItsSecretsAreSealedUnderAreInUse) {
  make_webhook(Trigger::device_added, {}, [](Webhook& value) { value.sealed_secret = std::string{"\1\0\7sealed", 9}; });
  const auto in_use = store().key_ids_in_use();
  ASSERT_TRUE(in_use);
  EXPECT_TRUE(std::find(in_use->begin(), in_use->end(), 7) != in_use->end());
}

}  // namespace muster::domain
