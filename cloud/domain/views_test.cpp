// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/views.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "cloud/domain/fake_store.hpp"

namespace muster::domain {
namespace {

struct Recorder : Views::Listener {
  std::vector<std::int32_t> tokens, devices;
  std::vector<std::int64_t> access_tokens;
  int permissions = 0, settings = 0;
  std::function<void()> inside;
  void token_gone(DeviceId device, AuthTokenId /*token*/) override {
    tokens.push_back(device.value());
    if (inside) inside();
  }
  void device_gone(DeviceId device) override { devices.push_back(device.value()); }
  void permissions_changed() override { ++permissions; }
  void access_tokens_changed(UserId user) override { access_tokens.push_back(user.value()); }
  void settings_changed() override { ++settings; }
};

class ViewsTest : public testing::Test {
 protected:
  SeededRandom random{1};
  std::unique_ptr<KeyRing> ring = KeyRing::in_memory(random);
  FakeStore store;
  Views views{store};
  Recorder recorder;

  [[nodiscard]] TokenDigests digests(const std::string& secret) const { return ring->digest("auth-token", secret); }
  [[nodiscard]] TokenRecord token(std::int64_t id, std::int32_t device, const std::string& secret) const {
    TokenRecord made;
    made.id = AuthTokenId{id};
    made.device_id = DeviceId{device};
    made.digest = digests(secret).newest();
    return made;
  }
  static Device device(std::int32_t id, std::int32_t organization = 1) {
    Device made;
    made.id = DeviceId{id};
    made.organization_id = OrganizationId{organization};
    made.template_id = TemplateId{1};
    return made;
  }
  void SetUp() override {
    Organization root;
    root.id = OrganizationId{1};
    store.organization_rows = {root};
    store.role_rows = {{admin_role, "Admin", true, builtin_role_permissions(admin_role)}};
    User admin;
    admin.id = UserId{1};
    admin.organization_id = OrganizationId{1};
    admin.role_id = admin_role;
    store.user_rows = {admin};
    Template product;
    product.id = TemplateId{1};
    product.organization_id = OrganizationId{1};
    product.tmpl_ids = {"TMPLaaaaaaaaa"};
    store.template_rows = {product};
    store.put(device(1));
    store.put(token(1, 1, "one"));
    views.set_listener(&recorder);
  }
};

TEST_F(ViewsTest, NotReadyUntilTheFirstRebuildWorked) {
  EXPECT_FALSE(views.ready());
  // Every call that rebuild makes fails in turn: never half a view.
  int failures = 0;
  for (int calls = 0; calls < 100; ++calls) {
    store.calls_until_failure = calls;
    if (views.catch_up()) break;
    ++failures;
    EXPECT_FALSE(views.ready());
    EXPECT_FALSE(views.credentials.find(digests("one")));
    EXPECT_EQ(views.directory.device_count(), 0u);
  }
  EXPECT_GE(failures, 9);
  EXPECT_TRUE(views.ready());
  EXPECT_EQ(views.credentials.find(digests("one"))->device_id, DeviceId{1});
  EXPECT_TRUE(views.directory.device(DeviceId{1}));
  EXPECT_TRUE(views.directory.caller(UserId{1}));
  EXPECT_TRUE(views.directory.template_by_tmpl("TMPLaaaaaaaaa"));
  EXPECT_EQ(views.applied_change(), 2);
  EXPECT_TRUE(recorder.tokens.empty() && recorder.devices.empty());
}

TEST_F(ViewsTest, FollowsEachKindOfChange) {
  ASSERT_TRUE(views.rebuild());
  store.put(device(2));
  store.put(token(2, 2, "two"));
  Organization branch;
  branch.id = OrganizationId{2};
  branch.parent_id = OrganizationId{1};
  store.organization_rows.push_back(branch);
  store.changed(ChangeKind::organization, 2);
  store.template_rows[0].name = "renamed";
  store.changed(ChangeKind::template_, 1);
  store.user_rows[0].status = UserStatus::suspended;
  store.changed(ChangeKind::user, 1);
  store.role_rows.clear();
  store.changed(ChangeKind::role, 1);
  ASSERT_TRUE(views.catch_up());
  EXPECT_TRUE(views.credentials.find(digests("two")));
  EXPECT_TRUE(views.directory.device(DeviceId{2}));
  EXPECT_TRUE(views.directory.in_subtree(OrganizationId{2}, OrganizationId{1}));
  EXPECT_EQ(views.directory.find_template(TemplateId{1})->name, "renamed");
  EXPECT_FALSE(views.directory.caller(UserId{1}));
  EXPECT_EQ(views.directory.permissions_in({UserId{1}, OrganizationId{1}, admin_role}, OrganizationId{1}), PermissionSet{});
  EXPECT_EQ(recorder.permissions, 1);
  EXPECT_EQ(recorder.settings, 0);

  store.organization_rows.pop_back();
  store.changed(ChangeKind::organization, 2);
  store.template_rows.clear();
  store.changed(ChangeKind::template_, 1);
  store.user_rows.clear();
  store.changed(ChangeKind::user, 1);
  EXPECT_EQ(recorder.access_tokens, std::vector<std::int64_t>{});
  store.changed(ChangeKind::access_token, 7);
  store.changed(ChangeKind::access_token, 8);
  store.changed(ChangeKind::access_token, 7);
  ASSERT_TRUE(views.catch_up());
  EXPECT_FALSE(views.directory.organization(OrganizationId{2}));
  EXPECT_FALSE(views.directory.find_template(TemplateId{1}));
  EXPECT_FALSE(views.directory.user(UserId{1}));
  EXPECT_EQ(recorder.permissions, 2);
  EXPECT_EQ(recorder.access_tokens, (std::vector<std::int64_t>{7, 8}));
  // People sign in all day: that changes nobody's permissions.
  store.changed(ChangeKind::access_token, 7);
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(recorder.permissions, 2);
}

TEST_F(ViewsTest, ARevokedTokenIsToldToTheListener) {
  ASSERT_TRUE(views.rebuild());
  auto revoked = token(1, 1, "one");
  revoked.kind = TokenKind::revoked;
  revoked.device_id = {};  // A tombstone need not know whose it was.
  store.put(revoked);
  store.put(token(2, 1, "two"));
  ASSERT_TRUE(views.catch_up());
  EXPECT_FALSE(views.credentials.find(digests("one")));
  EXPECT_TRUE(views.credentials.find(digests("two")));
  EXPECT_EQ(recorder.tokens, std::vector<std::int32_t>{1});
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(recorder.tokens.size(), 1u);
}

TEST_F(ViewsTest, ADeletedDeviceGoesWithItsTokens) {
  ASSERT_TRUE(views.rebuild());
  store.device_rows.clear();
  store.changed(ChangeKind::device, 1);
  store.token_rows.clear();
  store.changed(ChangeKind::token, 1);
  ASSERT_TRUE(views.catch_up());
  EXPECT_FALSE(views.directory.device(DeviceId{1}));
  EXPECT_FALSE(views.credentials.find(digests("one")));
  EXPECT_EQ(recorder.devices, std::vector<std::int32_t>{1});
  EXPECT_EQ(recorder.tokens, std::vector<std::int32_t>{1});
}

TEST_F(ViewsTest, AMovedDeviceChangesWhatPeopleSee) {
  ASSERT_TRUE(views.rebuild());
  store.put(device(1, 2));
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(views.directory.device(DeviceId{1})->organization_id, OrganizationId{2});
  EXPECT_EQ(recorder.permissions, 1);
  EXPECT_TRUE(recorder.devices.empty());
  auto renamed = device(1, 2);
  renamed.name = "other";
  renamed.home = {"else.example", 80, 443};
  store.put(renamed);
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(recorder.permissions, 1);
  EXPECT_EQ(views.directory.home_of(DeviceId{1})->host, "else.example");
}

TEST_F(ViewsTest, KeyRotationAndRevocationBetweenTwoLooks) {
  ASSERT_TRUE(views.rebuild());
  ASSERT_TRUE(ring->add_key(random));
  store.put(token(1, 1, "one"));  // Under the new key,
  auto revoked = token(1, 1, "one");
  revoked.kind = TokenKind::revoked;
  store.put(revoked);  // and gone, before anybody looked.
  ASSERT_TRUE(views.catch_up());
  EXPECT_FALSE(views.credentials.find(digests("one")));
  EXPECT_EQ(views.credentials.size(), 0u);
  EXPECT_EQ(recorder.tokens, std::vector<std::int32_t>{1});
}

TEST_F(ViewsTest, KeyRotationAloneClosesNobody) {
  ASSERT_TRUE(views.rebuild());
  ASSERT_TRUE(ring->add_key(random));
  store.put(token(1, 1, "one"));
  ASSERT_TRUE(views.catch_up());
  EXPECT_TRUE(views.credentials.find(digests("one")));
  EXPECT_TRUE(recorder.tokens.empty());
}

TEST_F(ViewsTest, AKeyIsMadeKnownBeforeAnyTokenUnderItCounts) {
  // The ring of this process; another one adds key 2 and takes the token over to it.
  std::vector<std::uint16_t> ring_knows{1};
  bool readable = false;
  int asked = 0;
  views.set_key_check([&](std::uint16_t id) -> Result<void> {
    ++asked;
    if (std::find(ring_knows.begin(), ring_knows.end(), id) != ring_knows.end()) return {};
    if (!readable) return make_error_code(StoreError::unavailable);
    ring_knows.push_back(id);
    return {};
  });
  ASSERT_TRUE(views.rebuild());
  const auto before = digests("one");
  ASSERT_TRUE(ring->add_key(random));
  store.put(token(1, 1, "one"));
  EXPECT_FALSE(views.catch_up());
  EXPECT_TRUE(views.credentials.find(before));  // Index and ring still agree.
  EXPECT_FALSE(views.rebuild());
  EXPECT_TRUE(views.credentials.find(before));
  readable = true;
  ASSERT_TRUE(views.catch_up());
  EXPECT_FALSE(views.credentials.find(before));
  EXPECT_TRUE(views.credentials.find(digests("one")));
  ASSERT_TRUE(views.rebuild());
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(asked, 5);  // Each key once until the next rebuild, and those that failed again.
}

TEST_F(ViewsTest, SettingsAreReadAgain) {
  store.mode = UnknownTokens::hold;
  ASSERT_TRUE(views.rebuild());
  EXPECT_TRUE(views.hold_unknown_tokens());
  ASSERT_TRUE(store.set_unknown_tokens(UnknownTokens::refuse, {}));
  ASSERT_TRUE(views.catch_up());
  EXPECT_FALSE(views.hold_unknown_tokens());
  EXPECT_EQ(recorder.settings, 1);
}

TEST_F(ViewsTest, TooFarBehindRebuildsAndTellsWhatWent) {
  ASSERT_TRUE(views.rebuild());
  store.device_rows.clear();
  store.token_rows.clear();
  store.put(device(2));
  store.put(token(2, 2, "two"));
  store.change_rows.clear();
  store.trimmed_up_to = 100;
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(views.applied_change(), 100);
  EXPECT_FALSE(views.credentials.find(digests("one")));
  EXPECT_TRUE(views.credentials.find(digests("two")));
  EXPECT_EQ(recorder.tokens, std::vector<std::int32_t>{1});
  EXPECT_EQ(recorder.devices, std::vector<std::int32_t>{1});
  EXPECT_EQ(recorder.permissions, 1);
  EXPECT_EQ(recorder.access_tokens, std::vector<std::int64_t>{0}) << "anybody's";
  store.put(device(3));
  ASSERT_TRUE(views.catch_up());
  EXPECT_TRUE(views.directory.device(DeviceId{3}));
}

TEST_F(ViewsTest, AFailureInTheMiddleGoesOnWhereItStopped) {
  ASSERT_TRUE(views.rebuild());
  auto revoked = token(1, 1, "one");
  revoked.kind = TokenKind::revoked;
  store.put(revoked);
  for (std::int32_t id = 10; id < 20; ++id) store.put(device(id));
  store.calls_until_failure = 4;
  EXPECT_FALSE(views.catch_up());
  EXPECT_TRUE(views.ready());
  EXPECT_EQ(recorder.tokens.size(), 1u);  // Told although the rest failed.
  EXPECT_EQ(views.applied_change(), 5);
  store.calls_until_failure = -1;
  ASSERT_TRUE(views.catch_up());
  EXPECT_TRUE(views.directory.device(DeviceId{19}));
  EXPECT_EQ(recorder.tokens.size(), 1u);
}

TEST_F(ViewsTest, ManyChangesComeInBatches) {
  ASSERT_TRUE(views.rebuild());
  for (std::int32_t id = 10; id < 3510; ++id) store.put(device(id));
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(views.directory.device_count(), 3501u);
  EXPECT_EQ(views.applied_change(), 3502);
}

TEST_F(ViewsTest, AFailedRebuildKeepsWhatWasThere) {
  ASSERT_TRUE(views.rebuild());
  store.device_rows.clear();
  store.calls_until_failure = 5;
  EXPECT_FALSE(views.rebuild());
  EXPECT_TRUE(views.ready());
  EXPECT_TRUE(views.directory.device(DeviceId{1}));
}

TEST_F(ViewsTest, TheListenerMayLookAgain) {
  ASSERT_TRUE(views.rebuild());
  recorder.inside = [&] { EXPECT_TRUE(views.catch_up()); };
  auto revoked = token(1, 1, "one");
  revoked.kind = TokenKind::revoked;
  store.put(revoked);
  ASSERT_TRUE(views.catch_up());
  EXPECT_EQ(recorder.tokens.size(), 1u);
}

TEST_F(ViewsTest, SeenAddressesGoToTheSink) {
  store.seen_ips = {"192.0.2.1", "2001:db8::1"};
  std::vector<std::string> seen;
  views.set_seen_ip_sink([&](std::string_view ip) { seen.emplace_back(ip); });
  ASSERT_TRUE(views.rebuild());
  EXPECT_EQ(seen, store.seen_ips);
}

TEST_F(ViewsTest, LogsInWhileOthersCatchUp) {
  for (std::int32_t id = 10; id < 200; ++id) store.put(device(id));
  ASSERT_TRUE(views.rebuild());
  for (std::int32_t id = 200; id < 400; ++id) store.put(device(id));
  views.set_listener(nullptr);  // It would have to be thread-safe.
  std::vector<std::jthread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        if (!views.catch_up()) wrong.fetch_add(1);
        if (round % 50 == 0 && !views.rebuild()) wrong.fetch_add(1);
      }
    });
  }
  const auto wanted = digests("one");
  for (int round = 0; round < 5000; ++round) {
    if (!views.credentials.find(wanted) || !views.directory.device(DeviceId{1})) wrong.fetch_add(1);
  }
  threads.clear();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(views.directory.device_count(), 391u);
}

}  // namespace
}  // namespace muster::domain
