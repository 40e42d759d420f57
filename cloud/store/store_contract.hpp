// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cloud/domain/permission.hpp"
#include "cloud/domain/provision_session_life_cycle.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/domain/token_life_cycle.hpp"

/// What every backend of domain::Store must do. A backend instantiates it in one source file of its tests:
///   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, testing::Values(StoreBackend{"file", make}));
namespace muster::domain {

/// A new, empty store and what keeps it alive.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual Store& store() = 0;
  /// Closes it and opens it again: what was acknowledged is still there.
  virtual void reopen() = 0;
  /// Makes the token another kind behind the store's back: some kinds have no operation that makes them yet. A tombstone loses its
  /// device and sealed copy.
  virtual void force_kind(AuthTokenId id, TokenKind kind) = 0;
};

struct StoreBackend {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};

class StoreContract : public testing::TestWithParam<StoreBackend> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    store_ = &under_test_->store();
  }
  Store& store() { return *store_; }
  void reopen() {
    under_test_->reopen();
    store_ = &under_test_->store();
  }
  void force_kind(AuthTokenId id, TokenKind kind) { under_test_->force_kind(id, kind); }

  // --- things to begin with ------------------------------------------------------------------------------------------------
  static constexpr std::int64_t t0 = 1'767'225'600'000;

  Actor actor(std::int64_t at_ms = t0) const {
    Actor value;
    value.user_id = admin_;
    value.organization_id = root_;
    value.client = "Test";
    value.ip = "192.0.2.1";
    value.at = {at_ms};
    return value;
  }
  void set_up() {
    const auto first = store().set_up("Root", "Owner@Example.com", "verifier-1", Actor{});
    ASSERT_TRUE(first) << first.error().message();
    root_ = first->organization_id;
    admin_ = first->user_id;
  }
  Organization make_organization(OrganizationId parent, std::string name, OrganizationType type = OrganizationType::business) {
    Organization value;
    value.parent_id = parent;
    value.name = std::move(name);
    value.type = type;
    const auto made = store().create_organization(value, actor());
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : Organization{};
  }
  User make_user(OrganizationId organization, std::string email, RoleId role = user_role, UserStatus status = UserStatus::active) {
    User value;
    value.organization_id = organization;
    value.email = std::move(email);
    value.role_id = role;
    value.status = status;
    const auto made = store().create_user(value, "verifier", actor());
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : User{};
  }
  static UserChange status(UserStatus status) {
    UserChange change;
    change.status = status;
    return change;
  }
  Template make_template(OrganizationId organization, std::string name) {
    Template value;
    value.organization_id = organization;
    value.tmpl_ids = {"TMPL" + name};
    value.name = std::move(name);
    const auto made = store().create_template(value, actor());
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : Template{};
  }
  /// A digest that stands for the secret number `secret` under the key `key`.
  static TokenDigest digest(std::uint64_t secret, std::uint16_t key = 1) {
    TokenDigest value;
    value.key_id = key;
    for (std::size_t i = 0; i < value.mac.size(); ++i)
      value.mac[i] = static_cast<std::uint8_t>((secret * 0x9E3779B97F4A7C15ull + key) >> (i % 8 * 8) ^ i * 37);
    return value;
  }
  static NewToken token(std::uint64_t secret, std::uint16_t key = 1) {
    return {digest(secret, key), {}, "sealed-" + std::to_string(secret)};
  }
  Result<Device> try_device(OrganizationId organization, TemplateId template_id, std::string name, std::uint64_t secret,
                            UserId owner = {}) {
    Device value;
    value.organization_id = organization;
    value.template_id = template_id;
    value.name = std::move(name);
    value.owner_id = owner;
    return store().create_device(value, token(secret), actor());
  }
  Device make_device(OrganizationId organization, TemplateId template_id, std::string name, std::uint64_t secret, UserId owner = {}) {
    const auto made = try_device(organization, template_id, std::move(name), secret, owner);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : Device{};
  }

  static constexpr std::int64_t hour = 3'600'000;
  Result<ProvisionSession> try_session(std::uint64_t secret, std::string uid = "", DeviceId device = {}, UserId owner = {}) {
    NewProvisionSession wanted;
    wanted.organization_id = root_;
    wanted.owner_id = owner;
    wanted.client = "Test app";
    wanted.uid = std::move(uid);
    wanted.device_id = device;
    wanted.expires_at = {t0 + hour};
    return store().create_provision_session(wanted, token(secret), actor());
  }
  ProvisionSession make_session(std::uint64_t secret, std::string uid = "", DeviceId device = {}, UserId owner = {}) {
    const auto made = try_session(secret, std::move(uid), device, owner);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : ProvisionSession{};
  }
  ProvisionSession session_now(ProvisionSessionId id) { return store().find_provision_session(id).value().value(); }
  TokenKind kind_of(std::uint64_t secret) { return store().find_token(std::array{digest(secret)}).value().value().record.kind; }
  static ReportedInfo info(std::string tmpl_id, std::int64_t at_ms = t0 + 1000) {
    ReportedInfo value;
    value.tmpl_id = std::move(tmpl_id);
    value.at = {at_ms};
    return value;
  }
  std::vector<std::string> steps_of(ProvisionSessionId id) {
    std::vector<std::string> out;
    const auto steps = store().provision_steps(id).value();
    for (const auto& step : steps) out.push_back(step.step);
    return out;
  }

  // --- what the log and the feed say ------------------------------------------------------------------------------------------
  std::int64_t newest() {
    const auto seq = store().newest_change();
    EXPECT_TRUE(seq);
    return seq ? *seq : -1;
  }
  /// (kind, id) of every change after `seq`.
  std::vector<std::pair<ChangeKind, std::int64_t>> changes_since(std::int64_t seq) {
    const auto changes = store().changes_after(seq, 10'000);
    EXPECT_TRUE(changes) << changes.error().message();
    std::vector<std::pair<ChangeKind, std::int64_t>> out;
    if (changes) {
      EXPECT_FALSE(changes->too_far_behind);
      for (const auto& row : changes->rows) out.emplace_back(row.kind, row.id);
    }
    return out;
  }
  bool changed_since(std::int64_t seq, ChangeKind kind, std::int64_t id) {
    const auto all = changes_since(seq);
    return std::find(all.begin(), all.end(), std::pair{kind, id}) != all.end();
  }
  std::vector<AuditEntry> audit_of(std::string action) {
    std::vector<OrganizationId> everywhere;
    const auto all = store().organizations();
    EXPECT_TRUE(all);
    if (all) {
      for (const auto& organization : *all) everywhere.push_back(organization.id);
    }
    Page page;
    page.limit = 1000;
    const auto found = store().audit({everywhere, std::move(action), {}, {}}, page);
    EXPECT_TRUE(found) << found.error().message();
    return found ? found->rows : std::vector<AuditEntry>{};
  }
  std::int64_t audit_count() { return static_cast<std::int64_t>(audit_of("").size()); }

  /// Runs `work` and checks that it refused with `error` and left neither an audit entry nor a change.
  template <class Work>
  void expect_refused(const Error& error, Work&& work, int line) {
    const auto seq = newest();
    const auto entries = audit_count();
    const auto result = work();
    ASSERT_FALSE(result) << "line " << line;
    EXPECT_EQ(result.error(), error) << "line " << line << ": " << result.error().message();
    EXPECT_EQ(newest(), seq) << "line " << line;
    EXPECT_EQ(audit_count(), entries) << "line " << line;
  }

  OrganizationId root_;
  UserId admin_;

 private:
  std::unique_ptr<StoreUnderTest> under_test_;
  Store* store_ = nullptr;
};

#define EXPECT_REFUSED(error, ...) expect_refused(Error{error}, [&] { return __VA_ARGS__; }, __LINE__)
#define ASSERT_OK(...)                                             \
  do {                                                             \
    const auto& muster_result = __VA_ARGS__;                       \
    ASSERT_TRUE(muster_result) << muster_result.error().message(); \
  } while (false)

// --- state -----------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, IsReadyAndHoldsUnknownTokensUntilItIsSetUp) {
  ASSERT_OK(store().check());
  EXPECT_EQ(store().unknown_tokens().value(), UnknownTokens::hold);
  EXPECT_FALSE(store().has_administrator().value());
  set_up();
  EXPECT_EQ(store().unknown_tokens().value(), UnknownTokens::refuse);
  EXPECT_TRUE(store().has_administrator().value());
}

TEST_P(StoreContract, GoesOnHoldingUnknownTokensThroughSetUpWhenThereWasAnotherStore) {
  ASSERT_OK(store().set_unknown_tokens(UnknownTokens::hold_through_set_up, actor()));
  reopen();
  EXPECT_EQ(store().unknown_tokens().value(), UnknownTokens::hold_through_set_up);
  set_up();
  EXPECT_EQ(store().unknown_tokens().value(), UnknownTokens::hold_through_set_up);
  ASSERT_OK(store().set_unknown_tokens(UnknownTokens::refuse, actor()));
  EXPECT_EQ(store().unknown_tokens().value(), UnknownTokens::refuse);
}

TEST_P(StoreContract, RemembersHowUnknownTokensAreAnswered) {
  set_up();
  const auto seq = newest();
  ASSERT_OK(store().set_unknown_tokens(UnknownTokens::hold, actor()));
  reopen();
  EXPECT_EQ(store().unknown_tokens().value(), UnknownTokens::hold);
  EXPECT_TRUE(changed_since(seq, ChangeKind::settings, 0));
  ASSERT_EQ(audit_of("store.unknown_tokens").size(), 1u);
  EXPECT_EQ(audit_of("store.unknown_tokens")[0].detail, R"({"unknownTokens":"hold"})");
}

TEST_P(StoreContract, NumbersChangesWithoutGapsAndHandsThemOutInPieces) {
  set_up();
  const auto seq = newest();
  for (int i = 0; i < 10; ++i) make_organization(root_, "Organization " + std::to_string(i));
  std::int64_t after = seq;
  int pieces = 0;
  for (;;) {
    const auto piece = store().changes_after(after, 3);
    ASSERT_TRUE(piece);
    ASSERT_FALSE(piece->too_far_behind);
    if (piece->rows.empty()) break;
    for (const auto& row : piece->rows) {
      EXPECT_EQ(row.seq, after + 1);
      after = row.seq;
    }
    ++pieces;
  }
  EXPECT_EQ(pieces, 4);
  EXPECT_EQ(after, newest());
}

TEST_P(StoreContract, TellsAConsumerThatItIsTooFarBehindOrAhead) {
  set_up();
  for (int i = 0; i < 5; ++i) make_organization(root_, "Organization " + std::to_string(i));
  const auto last = newest();
  ASSERT_OK(store().trim_changes(last - 2));
  EXPECT_TRUE(store().changes_after(last - 3, 10)->too_far_behind);
  EXPECT_EQ(store().changes_after(last - 2, 10)->rows.size(), 2u);
  EXPECT_FALSE(store().changes_after(last - 2, 10)->too_far_behind);
  EXPECT_TRUE(store().changes_after(last + 1, 10)->too_far_behind);  // A store that was replaced by an older one.
  ASSERT_OK(store().trim_changes(last + 100));
  EXPECT_EQ(newest(), last);  // Trimmed to nothing, it still knows where it is.
  reopen();
  EXPECT_EQ(newest(), last);
  make_organization(root_, "One more");
  EXPECT_EQ(newest(), last + 1);
  ASSERT_OK(store().trim_changes(1));  // Going back does nothing.
  EXPECT_TRUE(store().changes_after(last - 1, 10)->too_far_behind);
}

// --- setup -----------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, IsSetUpOnce) {
  const auto before = newest();
  set_up();
  EXPECT_TRUE(changed_since(before, ChangeKind::organization, root_.value()));
  EXPECT_TRUE(changed_since(before, ChangeKind::user, admin_.value()));
  const auto root = store().find_organization(root_).value();
  ASSERT_TRUE(root);
  EXPECT_EQ(root->type, OrganizationType::root);
  EXPECT_FALSE(root->parent_id);
  const auto admin = store().find_user(admin_).value();
  ASSERT_TRUE(admin);
  EXPECT_EQ(admin->email, "owner@example.com");
  EXPECT_EQ(admin->role_id, admin_role);
  EXPECT_EQ(admin->status, UserStatus::active);
  ASSERT_EQ(audit_of("setup").size(), 1u);
  EXPECT_EQ(audit_of("setup")[0].organization_id, root_);
  EXPECT_EQ(audit_of("setup")[0].detail.find("verifier"), std::string::npos);
  EXPECT_REFUSED(DomainError::already_set_up, store().set_up("Other", "other@example.com", "v", Actor{}));
}

TEST_P(StoreContract, RecoversALockedOutAdministrator) {
  EXPECT_EQ(store().recover_administrator("a@example.com", "v", Actor{}).error(), Error{DomainError::not_found});
  set_up();
  ASSERT_OK(store().create_access_token(admin_, digest(1), {t0 + 1'000'000}, actor()));
  make_user(root_, "second@example.com", admin_role);
  ASSERT_OK(store().update_user(admin_, status(UserStatus::suspended), actor()));
  const auto seq = newest();
  const auto recovered = store().recover_administrator("OWNER@example.com", "new-verifier", Actor{});
  ASSERT_OK(recovered);
  EXPECT_EQ(*recovered, admin_);
  EXPECT_EQ(store().find_user(admin_).value()->status, UserStatus::active);
  EXPECT_EQ(store().find_credentials("owner@example.com").value()->verifier, "new-verifier");
  EXPECT_FALSE(store().find_access_token(std::array{digest(1)}).value());
  EXPECT_TRUE(changed_since(seq, ChangeKind::user, admin_.value()));
  EXPECT_EQ(audit_of("user.recover").size(), 1u);

  const auto made = store().recover_administrator("new@example.com", "v", Actor{});
  ASSERT_OK(made);
  EXPECT_EQ(store().find_user(*made).value()->role_id, admin_role);
  EXPECT_EQ(store().find_user(*made).value()->organization_id, root_);

  const auto branch = make_organization(root_, "Branch");
  make_user(branch.id, "elsewhere@example.com");
  EXPECT_REFUSED(DomainError::email_taken, store().recover_administrator("elsewhere@example.com", "v", Actor{}));
}

TEST_P(StoreContract, HasTheBuiltInRoles) {
  const auto roles = store().roles();
  ASSERT_OK(roles);
  ASSERT_EQ(roles->size(), 3u);
  EXPECT_EQ((*roles)[0].id, admin_role);
  EXPECT_EQ((*roles)[1].id, staff_role);
  EXPECT_EQ((*roles)[2].id, user_role);
  for (const auto& role : *roles) {
    EXPECT_TRUE(role.is_builtin);
    EXPECT_EQ(role.permissions, builtin_role_permissions(role.id));
  }
}

// --- organizations ---------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, KeepsAnOrganizationAsItWasGiven) {
  set_up();
  Organization value;
  value.parent_id = root_;
  value.name = "Caf\xC3\xA9 \"Nord\"";
  value.description = "Line one\nline two";
  value.type = OrganizationType::distributor;
  value.can_create_sub_organizations = false;
  value.time_zone = "Europe/Berlin";
  value.home = {"eu.example.com", 8080, 9443};
  const auto seq = newest();
  const auto made = store().create_organization(value, actor(t0 + 5));
  ASSERT_OK(made);
  reopen();
  const auto found = store().find_organization(made->id).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parent_id, root_);
  EXPECT_EQ(found->name, value.name);
  EXPECT_EQ(found->description, value.description);
  EXPECT_EQ(found->type, value.type);
  EXPECT_FALSE(found->can_create_sub_organizations);
  EXPECT_EQ(found->time_zone, value.time_zone);
  EXPECT_EQ(found->home, value.home);
  EXPECT_EQ(found->created_at.ms, t0 + 5);
  EXPECT_EQ(store().organizations()->size(), 2u);
  EXPECT_EQ(changes_since(seq), (std::vector<std::pair<ChangeKind, std::int64_t>>{{ChangeKind::organization, made->id.value()}}));
  const auto entries = audit_of("organization.create");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].actor_user_id, admin_);
  EXPECT_EQ(entries[0].client, "Test");
  EXPECT_EQ(entries[0].ip, "192.0.2.1");
  EXPECT_EQ(entries[0].at.ms, t0 + 5);
  EXPECT_EQ(entries[0].object_kind, "organization");
  EXPECT_EQ(entries[0].object_id, made->id.value());
  EXPECT_NE(entries[0].detail.find(R"("name":"Café \"Nord\"")"), std::string::npos) << entries[0].detail;
  EXPECT_NE(entries[0].detail.find(R"(one\u000aline)"), std::string::npos) << entries[0].detail;
}

TEST_P(StoreContract, RefusesOrganizationsThatBreakTheTree) {
  set_up();
  const auto level2 = make_organization(root_, "Two");
  const auto level3 = make_organization(level2.id, "Three");
  const auto level4 = make_organization(level3.id, "Four");
  Organization value;
  value.parent_id = level4.id;
  value.name = "Five";
  EXPECT_REFUSED(DomainError::tree_too_deep, store().create_organization(value, actor()));
  value.parent_id = OrganizationId{999};
  EXPECT_REFUSED(DomainError::not_found, store().create_organization(value, actor()));
  value.parent_id = {};
  EXPECT_REFUSED(DomainError::not_found, store().create_organization(value, actor()));
  value.parent_id = root_;
  value.name = "Two";
  EXPECT_REFUSED(DomainError::name_taken, store().create_organization(value, actor()));
  value.parent_id = level2.id;  // The same name elsewhere is fine.
  EXPECT_TRUE(store().create_organization(value, actor()));
  value.name = "";
  EXPECT_REFUSED(DomainError::invalid_value, store().create_organization(value, actor()));
  value.name = std::string(101, 'x');
  EXPECT_REFUSED(DomainError::invalid_value, store().create_organization(value, actor()));
  value.name = std::string(100, 'x');
  EXPECT_TRUE(store().create_organization(value, actor()));

  value.parent_id = root_;
  value.name = "Closed";
  value.can_create_sub_organizations = false;
  const auto closed = store().create_organization(value, actor());
  ASSERT_OK(closed);
  value.parent_id = closed->id;
  EXPECT_REFUSED(DomainError::limit_reached, store().create_organization(value, actor()));
}

TEST_P(StoreContract, MakesPersonalWhatIsBelowPersonal) {
  set_up();
  const auto personal = make_organization(root_, "Ada", OrganizationType::personal);
  EXPECT_EQ(make_organization(personal.id, "Cabin").type, OrganizationType::personal);
}

TEST_P(StoreContract, UpdatesAnOrganization) {
  set_up();
  const auto value = make_organization(root_, "Before");
  make_organization(root_, "Other");
  const auto seq = newest();
  OrganizationChange change;
  change.name = "After";
  change.description = "text";
  change.time_zone = "Asia/Tokyo";
  change.home = Home{"jp.example.com", 80, 443};
  const auto updated = store().update_organization(value.id, change, actor(t0 + 9));
  ASSERT_OK(updated);
  const auto found = store().find_organization(value.id).value().value();
  EXPECT_EQ(found.name, "After");
  EXPECT_EQ(found.description, "text");
  EXPECT_EQ(found.time_zone, "Asia/Tokyo");
  EXPECT_EQ(found.home, change.home);
  EXPECT_EQ(found.updated_at.ms, t0 + 9);
  EXPECT_TRUE(changed_since(seq, ChangeKind::organization, value.id.value()));
  ASSERT_EQ(audit_of("organization.update").size(), 1u);
  const auto detail = audit_of("organization.update")[0].detail;
  EXPECT_NE(detail.find(R"("before":{"name":"Before")"), std::string::npos) << detail;
  EXPECT_NE(detail.find(R"("after":{"name":"After")"), std::string::npos) << detail;
  change.name = "Other";
  EXPECT_REFUSED(DomainError::name_taken, store().update_organization(value.id, change, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().update_organization(OrganizationId{999}, change, actor()));
}

TEST_P(StoreContract, ChangesOfAnOrganizationTouchOnlyWhatTheyName) {
  set_up();
  const auto value = make_organization(root_, "Before");
  OrganizationChange home, name, description, zone;
  home.home = Home{"jp.example.com", 8080, 8443};
  name.name = "After";
  description.description = "text";
  zone.time_zone = "Asia/Tokyo";
  for (const auto& change : {home, name, description, zone, OrganizationChange{}})
    ASSERT_OK(store().update_organization(value.id, change, actor()));
  const auto found = store().find_organization(value.id).value().value();
  EXPECT_EQ(found.home, home.home);
  EXPECT_EQ(found.name, "After");
  EXPECT_EQ(found.description, "text");
  EXPECT_EQ(found.time_zone, "Asia/Tokyo");
}

TEST_P(StoreContract, DeletesAnOrganizationWithItsPeopleAndTemplates) {
  set_up();
  const auto value = make_organization(root_, "Gone");
  const auto user = make_user(value.id, "gone@example.com", admin_role);
  const auto product = make_template(value.id, "GoneProduct");
  ASSERT_OK(store().create_access_token(user.id, digest(7), {t0 + 1'000'000}, actor()));
  const auto seq = newest();
  ASSERT_OK(store().delete_organization(value.id, actor()));
  EXPECT_FALSE(store().find_organization(value.id).value());
  EXPECT_FALSE(store().find_user(user.id).value());
  EXPECT_FALSE(store().find_template(product.id).value());
  EXPECT_FALSE(store().find_access_token(std::array{digest(7)}).value());
  EXPECT_TRUE(changed_since(seq, ChangeKind::organization, value.id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::user, user.id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::template_, product.id.value()));
  EXPECT_EQ(audit_of("organization.delete").size(), 1u);
}

TEST_P(StoreContract, RefusesToDeleteAnOrganizationThatIsNeeded) {
  set_up();
  EXPECT_REFUSED(DomainError::protected_entity, store().delete_organization(root_, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().delete_organization(OrganizationId{999}, actor()));
  const auto parent = make_organization(root_, "Parent");
  const auto child = make_organization(parent.id, "Child");
  EXPECT_REFUSED(DomainError::in_use, store().delete_organization(parent.id, actor()));
  const auto product = make_template(root_, "Product");
  const auto device = make_device(child.id, product.id, "Device", 1);
  EXPECT_REFUSED(DomainError::in_use, store().delete_organization(child.id, actor()));
  ASSERT_OK(store().delete_device(device.id, actor()));
  ASSERT_OK(store().delete_organization(child.id, actor()));
  ASSERT_OK(store().delete_organization(parent.id, actor()));
}

TEST_P(StoreContract, NeverGivesAnIdTwice) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto first = make_device(root_, product.id, "First", 1);
  ASSERT_OK(store().delete_device(first.id, actor()));
  EXPECT_GT(make_device(root_, product.id, "Second", 2).id, first.id);
  const auto gone = make_organization(root_, "Gone");
  ASSERT_OK(store().delete_organization(gone.id, actor()));
  EXPECT_GT(make_organization(root_, "Next").id, gone.id);
}

// --- users -----------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, KeepsAUserAsItWasGiven) {
  set_up();
  const auto branch = make_organization(root_, "Branch");
  User value;
  value.organization_id = branch.id;
  value.role_id = staff_role;
  value.email = "Grace@Example.COM";
  value.name = "Grace";
  value.status = UserStatus::pending;
  value.locale = "de_DE";
  value.time_zone = "Europe/Berlin";
  const auto seq = newest();
  const auto made = store().create_user(value, "secret-verifier", actor(t0 + 3));
  ASSERT_OK(made);
  reopen();
  const auto found = store().find_user(made->id).value().value();
  EXPECT_EQ(found.organization_id, branch.id);
  EXPECT_EQ(found.role_id, staff_role);
  EXPECT_EQ(found.email, "grace@example.com");
  EXPECT_EQ(found.name, "Grace");
  EXPECT_EQ(found.status, UserStatus::pending);
  EXPECT_EQ(found.locale, "de_DE");
  EXPECT_EQ(found.time_zone, "Europe/Berlin");
  EXPECT_EQ(found.created_at.ms, t0 + 3);
  EXPECT_EQ(found.last_logged_at.ms, 0);
  EXPECT_EQ(store().find_credentials("GRACE@example.com").value()->verifier, "secret-verifier");
  EXPECT_FALSE(store().find_credentials("nobody@example.com").value());
  EXPECT_FALSE(store().find_user(UserId{999}).value());
  EXPECT_TRUE(changed_since(seq, ChangeKind::user, made->id.value()));
  ASSERT_EQ(audit_of("user.create").size(), 1u);
  EXPECT_EQ(audit_of("user.create")[0].detail.find("secret-verifier"), std::string::npos);
  EXPECT_EQ(store().all_users()->size(), 2u);
}

TEST_P(StoreContract, RefusesUsersThatCannotBe) {
  set_up();
  User value;
  value.organization_id = root_;
  value.role_id = user_role;
  value.email = "OWNER@EXAMPLE.COM";
  EXPECT_REFUSED(DomainError::email_taken, store().create_user(value, "v", actor()));
  value.email = "new@example.com";
  value.organization_id = OrganizationId{999};
  EXPECT_REFUSED(DomainError::not_found, store().create_user(value, "v", actor()));
  value.organization_id = root_;
  value.role_id = RoleId{999};
  EXPECT_REFUSED(DomainError::not_found, store().create_user(value, "v", actor()));
  value.role_id = user_role;
  value.name = std::string(61, 'n');
  EXPECT_REFUSED(DomainError::invalid_value, store().create_user(value, "v", actor()));
}

TEST_P(StoreContract, UpdatesAUserAndEndsTheTokensOfASuspendedOne) {
  set_up();
  const auto user = make_user(root_, "u@example.com");
  ASSERT_OK(store().create_access_token(user.id, digest(1), {t0 + 1'000'000}, actor()));
  const auto seq = newest();
  UserChange change;
  change.name = "New name";
  change.role_id = staff_role;
  ASSERT_OK(store().update_user(user.id, change, actor()));
  EXPECT_TRUE(store().find_access_token(std::array{digest(1)}).value());
  EXPECT_EQ(store().find_user(user.id).value()->email, "u@example.com");
  EXPECT_EQ(store().find_user(user.id).value()->name, "New name");
  EXPECT_EQ(store().find_user(user.id).value()->role_id, staff_role);
  EXPECT_TRUE(changed_since(seq, ChangeKind::user, user.id.value()));
  ASSERT_OK(store().update_user(user.id, status(UserStatus::suspended), actor()));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1)}).value());
  EXPECT_TRUE(changed_since(seq, ChangeKind::access_token, user.id.value()));
  EXPECT_EQ(audit_of("user.update").size(), 2u);
  EXPECT_REFUSED(DomainError::not_found, store().update_user(UserId{999}, change, actor()));
  change.role_id = RoleId{999};
  EXPECT_REFUSED(DomainError::not_found, store().update_user(user.id, change, actor()));
}

TEST_P(StoreContract, ChangesOfAUserTouchOnlyWhatTheyName) {
  set_up();
  const auto user = make_user(root_, "u@example.com", staff_role);
  UserChange role, name, locale, zone;
  role.role_id = user_role;
  name.name = "New name";
  locale.locale = "de_DE";
  zone.time_zone = "Asia/Tokyo";
  for (const auto& change : {status(UserStatus::suspended), role, name, locale, zone, UserChange{}})
    ASSERT_OK(store().update_user(user.id, change, actor()));
  const auto found = store().find_user(user.id).value().value();
  EXPECT_EQ(found.status, UserStatus::suspended);
  EXPECT_EQ(found.role_id, user_role);
  EXPECT_EQ(found.name, "New name");
  EXPECT_EQ(found.locale, "de_DE");
  EXPECT_EQ(found.time_zone, "Asia/Tokyo");
}

TEST_P(StoreContract, AnInvitationIsAcceptedByItsOwnerAlone) {
  set_up();
  const auto pending = make_user(root_, "pending@example.com", user_role, UserStatus::pending);
  EXPECT_REFUSED(DomainError::wrong_state, store().update_user(pending.id, status(UserStatus::active), actor()));
  EXPECT_REFUSED(DomainError::wrong_state, store().update_user(pending.id, status(UserStatus::suspended), actor()));
  EXPECT_REFUSED(DomainError::wrong_state, store().update_user(admin_, status(UserStatus::pending), actor()));
  UserChange name;
  name.name = "Not here yet";
  ASSERT_OK(store().update_user(pending.id, name, actor()));
  EXPECT_EQ(store().find_user(pending.id).value()->status, UserStatus::pending);
}

TEST_P(StoreContract, KeepsTheLastAdministrator) {
  set_up();
  UserChange demoted;
  demoted.role_id = user_role;
  EXPECT_REFUSED(DomainError::last_admin, store().update_user(admin_, demoted, actor()));
  EXPECT_REFUSED(DomainError::last_admin, store().update_user(admin_, status(UserStatus::suspended), actor()));
  EXPECT_REFUSED(DomainError::last_admin, store().delete_user(admin_, actor()));
  // One in another organization, or one that is not active, does not count.
  const auto branch = make_organization(root_, "Branch");
  make_user(branch.id, "branch@example.com", admin_role);
  make_user(root_, "pending@example.com", admin_role, UserStatus::pending);
  EXPECT_REFUSED(DomainError::last_admin, store().delete_user(admin_, actor()));
  make_user(root_, "second@example.com", admin_role);
  ASSERT_OK(store().delete_user(admin_, actor()));
}

TEST_P(StoreContract, LetsOneOfTwoAdministratorsThatRemoveEachOtherStay) {
  set_up();
  const auto second = make_user(root_, "second@example.com", admin_role);
  std::array<bool, 2> worked{};
  std::thread one{[&] { worked[0] = store().delete_user(second.id, actor()).has_value(); }};
  std::thread two{[&] { worked[1] = store().delete_user(admin_, actor()).has_value(); }};
  one.join();
  two.join();
  EXPECT_NE(worked[0], worked[1]);
  EXPECT_TRUE(store().has_administrator().value());
}

TEST_P(StoreContract, DeletesAUserThatOwnsNothing) {
  set_up();
  const auto user = make_user(root_, "u@example.com");
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1, user.id);
  ASSERT_OK(store().create_access_token(user.id, digest(9), {t0 + 1'000'000}, actor()));
  EXPECT_REFUSED(DomainError::in_use, store().delete_user(user.id, actor()));
  ASSERT_OK(store().delete_device(device.id, actor()));
  const auto seq = newest();
  ASSERT_OK(store().delete_user(user.id, actor()));
  EXPECT_FALSE(store().find_user(user.id).value());
  EXPECT_FALSE(store().find_access_token(std::array{digest(9)}).value());
  EXPECT_TRUE(changed_since(seq, ChangeKind::user, user.id.value()));
  EXPECT_EQ(audit_of("user.delete").size(), 1u);
  EXPECT_REFUSED(DomainError::not_found, store().delete_user(user.id, actor()));
}

TEST_P(StoreContract, SetsAPasswordAndEndsAllAccessTokensButOne) {
  set_up();
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_OK(store().create_access_token(admin_, digest(i), {t0 + 1'000'000}, actor()));
  const auto seq = newest();
  ASSERT_OK(store().set_password(admin_, "verifier-2", digest(2), actor()));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1)}).value());
  EXPECT_TRUE(store().find_access_token(std::array{digest(2)}).value());
  EXPECT_FALSE(store().find_access_token(std::array{digest(3)}).value());
  EXPECT_EQ(store().find_credentials("owner@example.com").value()->verifier, "verifier-2");
  EXPECT_TRUE(changed_since(seq, ChangeKind::access_token, admin_.value()));
  ASSERT_EQ(audit_of("user.password").size(), 1u);
  EXPECT_EQ(audit_of("user.password")[0].detail.find("verifier"), std::string::npos);
  ASSERT_OK(store().set_password(admin_, "verifier-3", std::nullopt, actor()));
  EXPECT_FALSE(store().find_access_token(std::array{digest(2)}).value());
  EXPECT_REFUSED(DomainError::not_found, store().set_password(UserId{999}, "v", std::nullopt, actor()));
}

TEST_P(StoreContract, ListsUsersByPageSearchAndOrder) {
  set_up();
  const auto branch = make_organization(root_, "Branch");
  for (int i = 0; i < 7; ++i) make_user(branch.id, "user" + std::to_string(i) + "@example.com");
  make_user(root_, "user9@example.com");
  Page page;
  page.limit = 3;
  page.offset = 3;
  const auto second = store().users(branch.id, page);
  ASSERT_OK(second);
  EXPECT_EQ(second->total, 7);
  ASSERT_EQ(second->rows.size(), 3u);
  EXPECT_EQ(second->rows[0].email, "user3@example.com");
  page = {};
  page.query = "USER5";
  const auto found = store().users(branch.id, page);
  ASSERT_EQ(found->rows.size(), 1u);
  EXPECT_EQ(found->total, 1);
  page.query = "%";  // Not a pattern.
  EXPECT_EQ(store().users(branch.id, page)->total, 0);
  page = {};
  page.descending = true;
  EXPECT_EQ(store().users(branch.id, page)->rows[0].email, "user6@example.com");
}

// --- access tokens ---------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, FindsAnAccessTokenUntilItEnds) {
  set_up();
  const auto far = UtcTime{store().find_user(admin_).value()->created_at.ms + 1'000'000'000'000};
  const auto seq = newest();
  ASSERT_OK(store().create_access_token(admin_, digest(1, 3), far, actor(t0 + 77)));
  EXPECT_TRUE(changed_since(seq, ChangeKind::access_token, admin_.value()));
  EXPECT_EQ(store().find_user(admin_).value()->last_logged_at.ms, t0 + 77);
  ASSERT_EQ(audit_of("session.create").size(), 1u);
  reopen();
  const auto found = store().find_access_token(std::array{digest(1, 4), digest(1, 3)}).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user_id, admin_);
  EXPECT_EQ(found->created_at.ms, t0 + 77);
  EXPECT_EQ(found->expires_at, far);
  EXPECT_FALSE(store().find_access_token(std::array{digest(2, 3)}).value());
  EXPECT_FALSE(store().find_access_token({}).value());
  const auto later = UtcTime{far.ms + 5};
  ASSERT_OK(store().extend_access_token(std::array{digest(1, 3)}, later));
  EXPECT_EQ(store().find_access_token(std::array{digest(1, 3)}).value()->expires_at, later);
  ASSERT_OK(store().delete_access_token(std::array{digest(1, 3)}, actor()));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1, 3)}).value());
  EXPECT_EQ(audit_of("session.delete").size(), 1u);
  ASSERT_OK(store().delete_access_token(std::array{digest(1, 3)}, actor()));  // Signing out twice is fine.
  EXPECT_EQ(audit_of("session.delete").size(), 1u);
  ASSERT_OK(store().extend_access_token(std::array{digest(1, 3)}, later));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1, 3)}).value());
}

TEST_P(StoreContract, DoesNotFindAnAccessTokenThatIsOver) {
  set_up();
  ASSERT_OK(store().create_access_token(admin_, digest(1), {1}, actor()));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1)}).value());
  ASSERT_OK(store().extend_access_token(std::array{digest(1)}, {t0 + 1'000'000'000'000}));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1)}).value());
}

TEST_P(StoreContract, GivesAccessTokensToActiveUsersOnly) {
  set_up();
  const auto pending = make_user(root_, "p@example.com", user_role, UserStatus::pending);
  EXPECT_REFUSED(DomainError::not_active, store().create_access_token(pending.id, digest(1), {t0 + 1'000'000}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().create_access_token(UserId{999}, digest(1), {t0 + 1'000'000}, actor()));
}

TEST_P(StoreContract, EndsTheOldestAccessTokensPastTheLimit) {
  set_up();
  const auto far = UtcTime{t0 + 1'000'000'000'000};
  for (std::uint64_t i = 1; i <= 101; ++i)
    ASSERT_OK(store().create_access_token(admin_, digest(i), far, actor(t0 + static_cast<std::int64_t>(i))));
  EXPECT_FALSE(store().find_access_token(std::array{digest(1)}).value());
  EXPECT_TRUE(store().find_access_token(std::array{digest(2)}).value());
  EXPECT_TRUE(store().find_access_token(std::array{digest(101)}).value());
}

// --- audit -----------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, ListsTheAuditLogNewestFirst) {
  set_up();
  const auto branch = make_organization(root_, "Branch");
  for (int i = 0; i < 6; ++i) {
    AuditEntry entry;
    entry.at = {t0 + i * 100};
    entry.organization_id = i % 2 == 0 ? root_ : branch.id;
    entry.action = i < 3 ? "device.export" : "device.export.labels";
    entry.object_kind = "device";
    entry.object_id = i;
    entry.client = "CLI";
    entry.ip = "2001:db8::1";
    entry.detail = R"({"count":1})";
    ASSERT_OK(store().append_audit(entry));
  }
  const auto find = [&](std::vector<OrganizationId> where, std::string action, std::int64_t from, std::int64_t to, Page page = {}) {
    const auto found = store().audit({where, std::move(action), {from}, {to}}, page);
    EXPECT_TRUE(found);
    std::vector<std::int64_t> ids;
    for (const auto& row : found->rows) ids.push_back(row.object_id);
    return std::pair{ids, found->total};
  };
  using Ids = std::vector<std::int64_t>;
  EXPECT_EQ(find({root_, branch.id}, "device.export", 0, 0).first, (Ids{2, 1, 0}));
  EXPECT_EQ(find({root_, branch.id}, "device.", 0, 0).first, (Ids{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(find({branch.id}, "device.", 0, 0).first, (Ids{5, 3, 1}));
  EXPECT_EQ(find({root_, branch.id}, "device.", t0 + 200, t0 + 400).first, (Ids{3, 2}));
  EXPECT_EQ(find({}, "device.", 0, 0).first, Ids{});
  Page page;
  page.limit = 2;
  page.offset = 2;
  EXPECT_EQ(find({root_, branch.id}, "device.", 0, 0, page), (std::pair{Ids{3, 2}, std::int64_t{6}}));
  const auto entries = audit_of("device.export");
  EXPECT_EQ(entries[0].detail, R"({"count":1})");
  EXPECT_EQ(entries[0].client, "CLI");
  EXPECT_EQ(entries[0].ip, "2001:db8::1");
}

TEST_P(StoreContract, FiltersTheAuditLog) {
  set_up();
  const auto user = make_user(root_, "Ada@Example.com", staff_role);
  const auto lay = [&](UserId who, std::string kind, std::int64_t object) {
    AuditEntry entry;
    entry.at = {t0};
    entry.actor_user_id = who;
    entry.organization_id = root_;
    entry.action = "thing.touch";
    entry.object_kind = std::move(kind);
    entry.object_id = object;
    entry.ip = "198.51.100.7";
    entry.personal = R"({"email":"Someone@Example.org"})";
    ASSERT_OK(store().append_audit(entry));
  };
  lay(user.id, "device", 1);
  lay(user.id, "device", 2);
  lay(admin_, "webhook", 1);
  const std::array organizations{root_};
  const auto count = [&](AuditStore::AuditFilter filter) {
    filter.organizations = organizations;
    const auto found = store().audit(filter, {});
    EXPECT_TRUE(found);
    return found ? static_cast<std::int64_t>(found->rows.size()) : -1;
  };
  EXPECT_EQ(count({.action = "thing.touch"}), 3);
  EXPECT_EQ(count({.action = "thing.touch", .actor = user.id}), 2);
  EXPECT_EQ(count({.action = "thing.touch", .object_kind = "device"}), 2);
  EXPECT_EQ(count({.action = "thing.touch", .object_kind = "device", .object_id = 2}), 1);
  EXPECT_EQ(count({.action = "thing.touch", .text = "SOMEONE@"}), 3);
  EXPECT_EQ(count({.action = "thing.touch", .text = "100.7"}), 3);
  EXPECT_EQ(count({.action = "thing.touch", .text = "nothing of it"}), 0);
  const auto all = audit_of("thing.touch");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].detail, R"({"email":"Someone@Example.org"})");
  EXPECT_EQ(count({.action = "thing.touch", .before = all[1].id}), 1);
  const auto uncounted = store().audit({.organizations = organizations, .count = false}, {});
  EXPECT_EQ(uncounted->total, 0);
}

TEST_P(StoreContract, TheAuditChainIsWholeAndErasingAUserKeepsItSo) {
  set_up();
  const auto user = make_user(root_, "Ada@Example.com", staff_role);
  auto as_user = actor();
  as_user.user_id = user.id;
  as_user.ip = "203.0.113.5";
  as_user.api_key_id = ApiKeyId{7};
  ASSERT_OK(store().update_organization(root_, {.name = "Renamed"}, as_user));
  ASSERT_OK(store().set_password(user.id, "v2", std::nullopt, as_user));
  const auto check = [&] {
    const auto key = AuditKey::of_tests();
    AuditCheck walk{*key, {}};
    EXPECT_TRUE(store().for_each_audit_link([&](const AuditLink& link) { walk.take(link); }));
    walk.finish(store().audit_numbers_given().value());
    EXPECT_TRUE(walk.findings().empty());
    EXPECT_EQ(walk.tip().count, store().audit_tip()->count);
    EXPECT_EQ(walk.tip().mac, store().audit_tip()->mac);
    return walk.erased();
  };
  EXPECT_EQ(check(), 0);
  EXPECT_EQ(audit_of("organization.update")[0].api_key_id, ApiKeyId{7});
  EXPECT_NE(audit_of("user.create")[0].detail.find("ada@example.com"), std::string::npos);

  ASSERT_OK(store().delete_user(user.id, actor()));
  EXPECT_GT(check(), 0);
  for (const auto* action : {"user.create", "user.password", "user.delete", "organization.update"}) {
    const auto entries = audit_of(action);
    ASSERT_FALSE(entries.empty()) << action;
    EXPECT_EQ(entries[0].detail.find("example.com"), std::string::npos) << action << entries[0].detail;
    EXPECT_NE(entries[0].ip, "203.0.113.5") << action;
  }
  EXPECT_EQ(audit_of("organization.update")[0].actor_user_id, user.id) << "who it was is known by number";
  EXPECT_NE(audit_of("setup")[0].detail.find("@"), std::string::npos) << "other people's stay";
}

// --- templates -------------------------------------------------------------------------------------------------------------

inline Template full_template(OrganizationId organization) {
  Template value;
  value.organization_id = organization;
  value.tmpl_ids = {"TMPLabcdefghi", "TMPLold"};
  value.name = "Thermostat";
  value.board_type = "ESP8266";
  value.connection_type = "ETHERNET";
  value.manufacturer = "Maker";
  value.description = "Warm";
  value.hotspot_prefix = "Thermo";
  value.firmware_type = "thermo-1";
  value.offline_ignore_period_s = 90;
  value.allow_public_plain_text = true;
  Datastream one;
  one.name = "Temperature";
  one.alias = "temperature";
  one.pin = 5;
  one.type = DataType::real;
  one.units = "C";
  one.min = -40.5;
  one.max = 125;
  one.default_value = "20.5";
  one.decimals = 1;
  one.sync_on_connect = true;
  Datastream two;
  two.name = "Mode";
  two.pin = 255;
  two.type = DataType::enumeration;
  two.enum_values = {"off", "eco \"green\"",
                     "\xC3\xBC"
                     "ber"};
  value.datastreams = {one, two};
  MetaField field;
  field.name = "Serial";
  field.type = MetaFieldType::serial;
  field.default_value = "none";
  field.description = "On the label";
  field.in_provisioning = true;
  field.required = true;
  value.meta_fields = {field};
  EventDef event;
  event.name = "Too hot";
  event.code = "too_hot";
  event.description = "Above the limit";
  event.type = EventType::critical;
  value.events = {event};
  return value;
}

TEST_P(StoreContract, KeepsATemplateAndAddsWhatIsBuiltIn) {
  set_up();
  const auto value = full_template(root_);
  const auto seq = newest();
  const auto made = store().create_template(value, actor(t0 + 4));
  ASSERT_OK(made);
  EXPECT_EQ(changes_since(seq), (std::vector<std::pair<ChangeKind, std::int64_t>>{{ChangeKind::template_, made->id.value()}}));
  EXPECT_EQ(audit_of("template.create").size(), 1u);
  reopen();
  const auto found = store().find_template(made->id).value().value();
  EXPECT_EQ(found.tmpl_ids, value.tmpl_ids);
  EXPECT_EQ(found.name, value.name);
  EXPECT_EQ(found.board_type, value.board_type);
  EXPECT_EQ(found.connection_type, value.connection_type);
  EXPECT_EQ(found.manufacturer, value.manufacturer);
  EXPECT_EQ(found.description, value.description);
  EXPECT_EQ(found.hotspot_prefix, value.hotspot_prefix);
  EXPECT_EQ(found.firmware_type, value.firmware_type);
  EXPECT_EQ(found.offline_ignore_period_s, 90u);
  EXPECT_TRUE(found.allow_public_plain_text);
  EXPECT_EQ(found.version, 1u);
  EXPECT_EQ(found.created_at.ms, t0 + 4);
  ASSERT_EQ(found.datastreams.size(), 2u);
  EXPECT_EQ(found.datastreams[0].name, "Temperature");
  EXPECT_EQ(found.datastreams[0].alias, "temperature");
  EXPECT_EQ(found.datastreams[0].pin, 5);
  EXPECT_EQ(found.datastreams[0].type, DataType::real);
  EXPECT_EQ(found.datastreams[0].units, "C");
  EXPECT_EQ(found.datastreams[0].min, -40.5);
  EXPECT_EQ(found.datastreams[0].max, 125.0);
  EXPECT_EQ(found.datastreams[0].default_value, "20.5");
  EXPECT_EQ(found.datastreams[0].decimals, 1);
  EXPECT_TRUE(found.datastreams[0].sync_on_connect);
  EXPECT_TRUE(found.datastreams[0].enum_values.empty());
  EXPECT_EQ(found.datastreams[1].pin, 255);
  EXPECT_FALSE(found.datastreams[1].min);
  EXPECT_EQ(found.datastreams[1].enum_values, value.datastreams[1].enum_values);
  EXPECT_NE(found.datastreams[0].id, found.datastreams[1].id);
  ASSERT_EQ(found.meta_fields.size(), 7u);
  const auto serial =
      std::find_if(found.meta_fields.begin(), found.meta_fields.end(), [](const auto& field) { return field.name == "Serial"; });
  ASSERT_NE(serial, found.meta_fields.end());
  EXPECT_EQ(serial->type, MetaFieldType::serial);
  EXPECT_EQ(serial->default_value, "none");
  EXPECT_TRUE(serial->in_provisioning);
  EXPECT_TRUE(serial->required);
  EXPECT_FALSE(serial->is_builtin);
  for (const auto* name : {"Device Name", "Device Owner", "Location", "Device Timezone", "Hotspot Name", "Device UID"}) {
    const auto builtin =
        std::find_if(found.meta_fields.begin(), found.meta_fields.end(), [&](const auto& field) { return field.name == name; });
    ASSERT_NE(builtin, found.meta_fields.end()) << name;
    EXPECT_TRUE(builtin->is_builtin) << name;
  }
  EXPECT_EQ(std::count_if(found.events.begin(), found.events.end(), [](const auto& event) { return event.is_system; }), 3);
  EXPECT_EQ(found.events.size(), 4u);
  ASSERT_EQ(store().templates()->size(), 1u);
  EXPECT_EQ(store().templates()->front().datastreams.size(), 2u);
  EXPECT_FALSE(store().find_template(TemplateId{999}).value());
}

TEST_P(StoreContract, RefusesTemplatesThatCannotBe) {
  set_up();
  ASSERT_OK(store().create_template(full_template(root_), actor()));
  auto value = full_template(root_);
  EXPECT_REFUSED(DomainError::name_taken, store().create_template(value, actor()));  // The name in its organization.
  value.name = "Other";
  EXPECT_REFUSED(DomainError::name_taken, store().create_template(value, actor()));  // The TMPL id on the server.
  value.tmpl_ids = {"TMPLother"};
  value.organization_id = OrganizationId{999};
  EXPECT_REFUSED(DomainError::not_found, store().create_template(value, actor()));
  value.organization_id = root_;
  value.datastreams[1].pin = value.datastreams[0].pin;
  EXPECT_REFUSED(DomainError::pin_taken, store().create_template(value, actor()));
  value.datastreams[1].pin = 6;
  value.datastreams[1].name = value.datastreams[0].name;
  EXPECT_REFUSED(DomainError::name_taken, store().create_template(value, actor()));
  value.datastreams[1].name = "Mode";
  for (int i = 0; i < 100; ++i) {
    EventDef event;
    event.name = event.code = "event" + std::to_string(i);
    value.events.push_back(event);
  }
  EXPECT_REFUSED(DomainError::limit_reached, store().create_template(value, actor()));
  value.events.resize(97);  // With the three of the system: 100.
  ASSERT_OK(store().create_template(value, actor()));
}

TEST_P(StoreContract, UpdatesATemplateInOneGo) {
  set_up();
  const auto made = store().create_template(full_template(root_), actor()).value();
  auto value = made;
  value.name = "Thermostat 2";
  value.organization_id = OrganizationId{999};  // Ignored, and so are the TMPL ids.
  value.tmpl_ids = {"TMPLignored"};
  value.datastreams.erase(value.datastreams.begin());  // Temperature goes.
  Datastream humidity;
  humidity.name = "Humidity";
  humidity.pin = 5;  // Its pin is free now.
  value.datastreams.push_back(humidity);
  value.meta_fields.clear();  // Only built-in ones can stay.
  value.events.clear();
  const auto seq = newest();
  const auto updated = store().update_template(value, 1, actor(t0 + 50));
  ASSERT_OK(updated);
  EXPECT_EQ(updated->version, 2u);
  EXPECT_EQ(updated->name, "Thermostat 2");
  EXPECT_EQ(updated->organization_id, root_);
  EXPECT_EQ(updated->tmpl_ids, made.tmpl_ids);
  ASSERT_EQ(updated->datastreams.size(), 2u);
  EXPECT_EQ(updated->datastreams[0].id, made.datastreams[1].id);
  EXPECT_GT(updated->datastreams[1].id, made.datastreams[1].id);  // A new id, never one that was used.
  EXPECT_EQ(updated->meta_fields.size(), 6u);
  EXPECT_EQ(updated->events.size(), 3u);
  EXPECT_EQ(updated->updated_at.ms, t0 + 50);
  for (const auto& field : updated->meta_fields) {
    EXPECT_TRUE(field.is_builtin);
    EXPECT_TRUE(std::any_of(made.meta_fields.begin(), made.meta_fields.end(),
                            [&](const auto& old) { return old.id == field.id && old.name == field.name; }));
  }
  EXPECT_TRUE(changed_since(seq, ChangeKind::template_, made.id.value()));
  EXPECT_EQ(audit_of("template.update").size(), 1u);
}

TEST_P(StoreContract, RefusesTemplateUpdatesThatCannotBe) {
  set_up();
  const auto made = store().create_template(full_template(root_), actor()).value();
  make_template(root_, "Other");
  auto value = made;
  ASSERT_OK(store().update_template(value, 1, actor()));
  EXPECT_REFUSED(DomainError::version_conflict, store().update_template(value, 1, actor()));
  value.name = "Other";
  EXPECT_REFUSED(DomainError::name_taken, store().update_template(value, 2, actor()));
  value.name = "Fine";
  value.datastreams[1].pin = value.datastreams[0].pin;
  EXPECT_REFUSED(DomainError::pin_taken, store().update_template(value, 2, actor()));
  value.datastreams[1].pin = 77;
  value.datastreams[1].id = DatastreamId{500};
  EXPECT_REFUSED(DomainError::not_found, store().update_template(value, 2, actor()));
  value = made;
  value.id = TemplateId{999};
  EXPECT_REFUSED(DomainError::not_found, store().update_template(value, 2, actor()));
  EXPECT_EQ(store().find_template(made.id).value()->version, 2u);
}

TEST_P(StoreContract, OneOfTwoEditsOfTheSameVersionWins) {
  set_up();
  const auto made = make_template(root_, "Product");
  std::atomic<int> won{0}, lost{0};
  std::vector<std::thread> editors;
  for (int i = 0; i < 4; ++i) {
    editors.emplace_back([&, i] {
      auto value = made;
      value.description = "edit " + std::to_string(i);
      const auto result = store().update_template(value, 1, actor());
      if (result) {
        ++won;
      } else if (result.error() == Error{DomainError::version_conflict}) {
        ++lost;
      }
    });
  }
  for (auto& editor : editors) editor.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, 3);
}

TEST_P(StoreContract, DeletesATemplateAloneOrWithItsDevices) {
  set_up();
  const auto empty = make_template(root_, "Empty");
  ASSERT_OK(store().delete_template(empty.id, false, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().delete_template(empty.id, false, actor()));
  const auto product = make_template(root_, "Product");
  const auto other = make_template(root_, "Another");
  const auto branch = make_organization(root_, "Branch");
  const auto owner = make_user(branch.id, "o@example.com");
  const auto device = make_device(root_, product.id, "One", 1);
  const auto elsewhere = make_device(branch.id, product.id, "T\xC3\xBC \"2\"", 2, owner.id);
  const auto survivor = make_device(root_, other.id, "Three", 3);
  EXPECT_REFUSED(DomainError::in_use, store().delete_template(product.id, false, actor()));
  const auto token_id = store().tokens_of_device(device.id).value().at(0).id;
  const auto seq = newest();
  ASSERT_OK(store().delete_template(product.id, true, actor()));
  EXPECT_FALSE(store().find_device(device.id).value());
  EXPECT_TRUE(store().find_device(survivor.id).value());
  EXPECT_EQ(store().find_token(std::array{digest(1)}).value()->record.kind, TokenKind::revoked);
  EXPECT_EQ(store().find_token(std::array{digest(3)}).value()->record.kind, TokenKind::device);
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, device.id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, token_id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::template_, product.id.value()));
  // Each organization finds its own device in its log, as if it had been deleted alone.
  const auto entries = audit_of("device.delete");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].object_id, device.id.value());
  EXPECT_EQ(entries[1].organization_id, root_);
  EXPECT_EQ(entries[0].object_id, elsewhere.id.value());
  EXPECT_EQ(entries[0].organization_id, branch.id);
  EXPECT_EQ(entries[0].object_kind, "device");
  EXPECT_EQ(entries[0].actor_user_id, actor().user_id);
  EXPECT_EQ(entries[0].client, actor().client);
  EXPECT_EQ(entries[0].ip, actor().ip);
  EXPECT_EQ(entries[0].at, actor().at);
  EXPECT_EQ(entries[0].detail, "{\"before\":{\"name\":\"T\xC3\xBC \\\"2\\\"\",\"organizationId\":" + std::to_string(branch.id.value()) +
                                   R"(,"templateId":)" + std::to_string(product.id.value()) + R"(,"ownerId":)" +
                                   std::to_string(owner.id.value()) + "}}");
  int live = 0;
  ASSERT_OK(store().for_each_live_token([&](const TokenRecord&) { ++live; }));
  EXPECT_EQ(live, 1);
  make_template(root_, "Product");  // Name and TMPL id are free again.
}

// --- devices ---------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, CreatesADeviceWithItsToken) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto branch = make_organization(root_, "Branch");
  const auto owner = make_user(branch.id, "o@example.com");
  Device value;
  value.organization_id = branch.id;
  value.template_id = product.id;
  value.owner_id = owner.id;
  value.name = "Kitchen \xF0\x9F\x8C\xA1";
  value.home = {"home.example.com", 8080, 9443};
  const auto seq = newest();
  const auto made = store().create_device(value, token(1), actor(t0 + 6));
  ASSERT_OK(made);
  reopen();
  const auto found = store().find_device(made->id).value().value();
  EXPECT_EQ(found.organization_id, branch.id);
  EXPECT_EQ(found.template_id, product.id);
  EXPECT_EQ(found.owner_id, owner.id);
  EXPECT_EQ(found.name, value.name);
  EXPECT_EQ(found.activation_way, ActivationWay::manual);
  EXPECT_EQ(found.activated_at.ms, t0 + 6);
  EXPECT_EQ(found.activated_by, admin_);
  EXPECT_EQ(found.created_at.ms, t0 + 6);
  EXPECT_EQ(found.first_connect_time.ms, 0);
  EXPECT_EQ(found.home, value.home);
  const auto tokens = store().tokens_of_device(made->id).value();
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].kind, TokenKind::device);
  EXPECT_EQ(tokens[0].device_id, made->id);
  EXPECT_EQ(tokens[0].digest, digest(1));
  EXPECT_EQ(tokens[0].created_at.ms, t0 + 6);
  EXPECT_EQ(store().find_token_by_id(tokens[0].id).value()->digest, digest(1));
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, made->id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, tokens[0].id.value()));
  const auto entries = audit_of("device.create");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].object_id, made->id.value());
  EXPECT_EQ(entries[0].detail.find("sealed"), std::string::npos);
  EXPECT_FALSE(store().find_device(DeviceId{999}).value());
  EXPECT_FALSE(store().find_token_by_id(AuthTokenId{999}).value());
  EXPECT_TRUE(store().tokens_of_device(DeviceId{999}).value().empty());
}

TEST_P(StoreContract, RefusesDevicesThatCannotBe) {
  set_up();
  const auto branch = make_organization(root_, "Branch");
  const auto sibling = make_organization(root_, "Sibling");
  const auto product = make_template(root_, "Product");
  const auto foreign = make_template(sibling.id, "Foreign");
  const auto outsider = make_user(sibling.id, "out@example.com");
  const auto sleeper = make_user(branch.id, "sleep@example.com", user_role, UserStatus::suspended);
  EXPECT_REFUSED(DomainError::not_found, try_device(OrganizationId{999}, product.id, "D", 1));
  EXPECT_REFUSED(DomainError::not_found, try_device(branch.id, TemplateId{999}, "D", 1));
  EXPECT_REFUSED(DomainError::template_not_in_organization, try_device(branch.id, foreign.id, "D", 1));
  EXPECT_REFUSED(DomainError::template_not_in_organization, try_device(root_, foreign.id, "D", 1));  // From below is no better.
  EXPECT_REFUSED(DomainError::owner_not_in_organization, try_device(branch.id, product.id, "D", 1, outsider.id));
  EXPECT_REFUSED(DomainError::owner_not_in_organization, try_device(branch.id, product.id, "D", 1, UserId{999}));
  EXPECT_REFUSED(DomainError::not_active, try_device(branch.id, product.id, "D", 1, sleeper.id));
  EXPECT_REFUSED(DomainError::invalid_value, try_device(branch.id, product.id, "", 1));
  EXPECT_REFUSED(DomainError::invalid_value, try_device(branch.id, product.id, std::string(61, 'd'), 1));
  EXPECT_FALSE(store().find_token(std::array{digest(1)}).value());  // No refusal left its token behind.
  make_device(branch.id, product.id, "D", 1);
}

TEST_P(StoreContract, NeverUsesATokenTwice) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto first = make_device(root_, product.id, "First", 1);
  EXPECT_REFUSED(DomainError::token_taken, try_device(root_, product.id, "Second", 1));
  ASSERT_OK(store().replace_token(first.id, token(2), actor()));
  EXPECT_REFUSED(DomainError::token_taken, try_device(root_, product.id, "Second", 1));  // A tombstone now.
  EXPECT_REFUSED(DomainError::token_taken, store().replace_token(first.id, token(1), actor()));
  EXPECT_REFUSED(DomainError::token_taken, store().replace_token(first.id, token(2), actor()));  // The present one.
  ASSERT_OK(store().delete_device(first.id, actor()));
  EXPECT_REFUSED(DomainError::token_taken, try_device(root_, product.id, "Second", 1));
  EXPECT_REFUSED(DomainError::token_taken, try_device(root_, product.id, "Second", 2));
  // The same string under another key is the same string.
  Device value;
  value.organization_id = root_;
  value.template_id = product.id;
  value.name = "Third";
  const std::array both{digest(2, 9), digest(2, 1)};
  EXPECT_REFUSED(DomainError::token_taken, store().create_device(value, {both[0], both, "sealed"}, actor()));
  const std::array fresh{digest(3, 9), digest(3, 1)};
  ASSERT_OK(store().create_device(value, {fresh[0], fresh, "sealed"}, actor()));
}

TEST_P(StoreContract, ReplacesATokenAndLeavesATombstone) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto old_id = store().tokens_of_device(device.id).value().at(0).id;
  const auto seq = newest();
  ASSERT_OK(store().replace_token(device.id, token(2), actor()));
  const auto tokens = store().tokens_of_device(device.id).value();
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].digest, digest(2));
  const auto tombstone = store().find_token(std::array{digest(1)}).value();
  ASSERT_TRUE(tombstone);
  EXPECT_EQ(tombstone->record.kind, TokenKind::revoked);
  EXPECT_FALSE(tombstone->record.device_id);
  EXPECT_EQ(tombstone->record.id, old_id);
  EXPECT_EQ(tombstone->record.digest, digest(1));
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, old_id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, tokens[0].id.value()));
  EXPECT_EQ(audit_of("device.token.replace").size(), 1u);
  EXPECT_EQ(store().reveal_token(device.id, actor()).value(), "sealed-2");
  EXPECT_REFUSED(DomainError::not_found, store().replace_token(DeviceId{999}, token(9), actor()));
  EXPECT_FALSE(store().find_token(std::array{digest(9)}).value());
}

TEST_P(StoreContract, RevealsATokenAndWritesItDown) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  EXPECT_EQ(store().reveal_token(device.id, actor()).value(), "sealed-1");
  const auto entries = audit_of("device.token.reveal");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].object_id, device.id.value());
  EXPECT_EQ(entries[0].detail.find("sealed-1"), std::string::npos);
  EXPECT_REFUSED(DomainError::not_found, store().reveal_token(DeviceId{999}, actor()));
}

TEST_P(StoreContract, KeepsSealedCopiesOfAnyBytes) {
  set_up();
  const auto product = make_template(root_, "Product");
  Device value;
  value.organization_id = root_;
  value.template_id = product.id;
  value.name = "Device";
  std::string sealed;
  for (int i = 0; i < 256; ++i) sealed += static_cast<char>(i);
  const auto made = store().create_device(value, {digest(1), {}, sealed}, actor());
  ASSERT_OK(made);
  EXPECT_EQ(store().reveal_token(made->id, actor()).value(), sealed);
}

TEST_P(StoreContract, FindsATokenUnderAnyKey) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto found = store().find_token(std::array{digest(1, 3), digest(1, 2), digest(1, 1)}).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->record.device_id, device.id);
  EXPECT_FALSE(store().find_token(std::array{digest(5, 3), digest(5, 2), digest(5, 1)}).value());
  EXPECT_FALSE(store().find_token({}).value());
}

TEST_P(StoreContract, DeletesADeviceWithEverythingButItsTombstone) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  ASSERT_OK(store().write_values(std::array{ValueUpdate{device.id, {1, "42", {t0}}}}));
  ASSERT_OK(store().set_device_metadata(device.id, "Location", "Hall", actor()));
  const auto token_id = store().tokens_of_device(device.id).value().at(0).id;
  const auto seq = newest();
  ASSERT_OK(store().delete_device(device.id, actor()));
  EXPECT_FALSE(store().find_device(device.id).value());
  EXPECT_TRUE(store().values_of(device.id).value().empty());
  EXPECT_TRUE(store().all_device_metadata(device.id).value().empty());
  EXPECT_EQ(store().find_token(std::array{digest(1)}).value()->record.kind, TokenKind::revoked);
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, device.id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, token_id.value()));
  ASSERT_EQ(audit_of("device.delete").size(), 1u);
  EXPECT_NE(audit_of("device.delete")[0].detail.find(R"("name":"Device")"), std::string::npos);
  EXPECT_REFUSED(DomainError::not_found, store().delete_device(device.id, actor()));
}

TEST_P(StoreContract, RenamesADeviceAndGivesItAHome) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Before", 1);
  auto seq = newest();
  const auto renamed = store().rename_device(device.id, "After", actor(t0 + 8));
  ASSERT_OK(renamed);
  EXPECT_EQ(renamed->name, "After");
  EXPECT_EQ(renamed->updated_at.ms, t0 + 8);
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, device.id.value()));
  EXPECT_EQ(audit_of("device.rename").size(), 1u);
  EXPECT_REFUSED(DomainError::invalid_value, store().rename_device(device.id, "", actor()));
  EXPECT_REFUSED(DomainError::not_found, store().rename_device(DeviceId{999}, "X", actor()));

  seq = newest();
  const Home home{"eu.example.com", 8080, 9443};
  ASSERT_OK(store().set_device_home(device.id, home, actor()));
  EXPECT_EQ(store().find_device(device.id).value()->home, home);
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, device.id.value()));
  std::vector<std::pair<DeviceId, Home>> homes;
  ASSERT_OK(store().for_each_device_home([&](DeviceId id, const Home& where) { homes.emplace_back(id, where); }));
  ASSERT_EQ(homes.size(), 1u);
  EXPECT_EQ(homes[0], (std::pair{device.id, home}));
  ASSERT_OK(store().set_device_home(device.id, {}, actor()));
  homes.clear();
  ASSERT_OK(store().for_each_device_home([&](DeviceId id, const Home& where) { homes.emplace_back(id, where); }));
  EXPECT_TRUE(homes.empty());
  EXPECT_EQ(audit_of("device.home").size(), 2u);
  EXPECT_REFUSED(DomainError::invalid_value, store().set_device_home(device.id, {std::string(64, 'h'), 80, 443}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().set_device_home(DeviceId{999}, home, actor()));
}

TEST_P(StoreContract, ListsDevicesByFilterPageSearchAndOrder) {
  set_up();
  const auto branch = make_organization(root_, "Branch");
  const auto other = make_organization(root_, "Other");
  const auto product = make_template(root_, "Product");
  const auto second = make_template(root_, "Second");
  const auto owner = make_user(branch.id, "o@example.com");
  std::uint64_t secret = 1;
  for (int i = 0; i < 10; ++i)
    make_device(branch.id, i % 2 == 0 ? product.id : second.id, "Lamp " + std::to_string(i), secret++, i < 3 ? owner.id : UserId{});
  make_device(other.id, product.id,
              "K\xC3\x9C"
              "CHE 100%",
              secret++);
  const auto list = [&](std::vector<OrganizationId> where, UserId by, TemplateId of, Page page = {}) {
    const auto found = store().devices({where, by, of}, page);
    EXPECT_TRUE(found) << found.error().message();
    std::vector<std::string> names;
    for (const auto& device : found->rows) names.push_back(device.name);
    return std::pair{names, found->total};
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(list({branch.id}, {}, {}).second, 10);
  EXPECT_EQ(list({branch.id, other.id}, {}, {}).second, 11);
  EXPECT_EQ(list({branch.id, other.id}, {}, product.id).second, 6);
  EXPECT_EQ(list({branch.id}, owner.id, {}).first, (Names{"Lamp 0", "Lamp 1", "Lamp 2"}));
  EXPECT_EQ(list({branch.id}, owner.id, second.id).first, (Names{"Lamp 1"}));
  EXPECT_EQ(list({other.id}, owner.id, {}).second, 0);
  Page page;
  page.limit = 3;
  page.offset = 9;
  EXPECT_EQ(list({branch.id, other.id}, {}, {}, page).first, (Names{"Lamp 9",
                                                                    "K\xC3\x9C"
                                                                    "CHE 100%"}));
  page.sort_by = "name";
  page.offset = 0;
  page.limit = 2;
  EXPECT_EQ(list({branch.id, other.id}, {}, {}, page).first, (Names{"K\xC3\x9C"
                                                                    "CHE 100%",
                                                                    "Lamp 0"}));
  page.descending = true;
  EXPECT_EQ(list({branch.id, other.id}, {}, {}, page).first, (Names{"Lamp 9", "Lamp 8"}));
  page.sort_by = "createdAt";
  EXPECT_EQ(list({branch.id}, {}, {}, page).first, (Names{"Lamp 9", "Lamp 8"}));
  page.sort_by = "password";
  EXPECT_EQ(store().devices({std::array{branch.id}, {}, {}}, page).error(), Error{DomainError::invalid_value});
  page = {};
  page.query = "lAMP 3";
  EXPECT_EQ(list({branch.id, other.id}, {}, {}, page), (std::pair{Names{"Lamp 3"}, std::int64_t{1}}));
  page.query =
      "k\xC3\xBC"
      "che";
  EXPECT_EQ(list({branch.id, other.id}, {}, {}, page).second, 1);
  for (const auto* harmless : {"100%", "'", "\"", "\\", "%", "_amp"}) {
    page.query = harmless;
    EXPECT_EQ(list({branch.id, other.id}, {}, {}, page).second, harmless[0] == '1' || harmless[0] == '%' ? 1 : 0) << harmless;
  }
  page = {};
  page.limit = 0;  // Out of range: taken as the nearest that is.
  EXPECT_EQ(list({branch.id}, {}, {}, page).first.size(), 1u);
}

TEST_P(StoreContract, StreamsDevicesAndLiveTokens) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto owner = make_user(root_, "o@example.com");
  const auto one = make_device(root_, product.id, "One", 1, owner.id);
  const auto two = make_device(root_, product.id, "Two", 2);
  const auto three = make_device(root_, product.id, "Three", 3);
  ASSERT_OK(store().delete_device(two.id, actor()));
  ASSERT_OK(store().replace_token(three.id, token(4), actor()));
  std::vector<DeviceRow> devices;
  ASSERT_OK(store().for_each_device([&](const DeviceRow& row) { devices.push_back(row); }));
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].id, one.id);
  EXPECT_EQ(devices[0].owner_id, owner.id);
  EXPECT_EQ(devices[0].organization_id, root_);
  EXPECT_EQ(devices[0].template_id, product.id);
  EXPECT_EQ(devices[1].id, three.id);
  EXPECT_FALSE(devices[1].owner_id);
  std::vector<TokenRecord> tokens;
  ASSERT_OK(store().for_each_live_token([&](const TokenRecord& record) { tokens.push_back(record); }));
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].digest, digest(1));
  EXPECT_EQ(tokens[0].device_id, one.id);
  EXPECT_EQ(tokens[1].digest, digest(4));
  EXPECT_EQ(tokens[1].device_id, three.id);
}

TEST_P(StoreContract, CreatesDevicesFromManyThreads) {
  set_up();
  const auto product = make_template(root_, "Product");
  constexpr int threads = 8, each = 25;
  std::atomic<int> made{0}, taken{0};
  std::vector<std::thread> creators;
  for (int t = 0; t < threads; ++t) {
    creators.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        // Two threads share every secret: exactly one of them gets it.
        const auto secret = static_cast<std::uint64_t>((t / 2) * each + i + 1);
        const auto result = try_device(root_, product.id, "Device", secret);
        if (result) {
          ++made;
        } else if (result.error() == Error{DomainError::token_taken}) {
          ++taken;
        }
      }
    });
  }
  for (auto& creator : creators) creator.join();
  EXPECT_EQ(made, threads / 2 * each);
  EXPECT_EQ(taken, threads / 2 * each);
  EXPECT_EQ(audit_of("device.create").size(), static_cast<std::size_t>(made));
  std::set<DeviceId> devices;
  ASSERT_OK(store().for_each_live_token([&](const TokenRecord& record) { devices.insert(record.device_id); }));
  EXPECT_EQ(devices.size(), static_cast<std::size_t>(made));
}

TEST_P(StoreContract, AnOperationThatFailsTakesNoNeighbourDown) {
  set_up();
  const auto product = make_template(root_, "Product");
  std::atomic<int> good{0}, bad{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto secret = static_cast<std::uint64_t>(t * 20 + i + 1);
        if (t % 2 == 0) {
          try_device(root_, product.id, "Device", secret) ? ++good : ++wrong;
        } else {
          // Refused late, after rows were written: the name is checked by the table.
          try_device(root_, product.id, i % 2 == 0 ? std::string(61, 'x') : "", secret) ? ++wrong : ++bad;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 80);
  EXPECT_EQ(bad, 80);
  EXPECT_EQ(wrong, 0);
  int live = 0;
  ASSERT_OK(store().for_each_live_token([&](const TokenRecord&) { ++live; }));
  EXPECT_EQ(live, 80);
  EXPECT_EQ(audit_of("device.create").size(), 80u);
}

// --- metadata --------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, KeepsMetadataByFieldAlsoWhenTheFieldIsRenamed) {
  set_up();
  auto product = store().create_template(full_template(root_), actor()).value();
  const auto device = make_device(root_, product.id, "Device", 1);
  EXPECT_FALSE(store().device_metadata(device.id, "Serial").value());
  const auto seq = newest();
  ASSERT_OK(store().set_device_metadata(device.id, "Serial", "A-1", actor()));
  ASSERT_OK(store().set_device_metadata(device.id, "Serial", "A-2", actor()));
  ASSERT_OK(store().set_device_metadata(device.id, "Location", "Hall", actor()));
  EXPECT_EQ(store().device_metadata(device.id, "Serial").value(), "A-2");
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, device.id.value()));
  ASSERT_EQ(audit_of("device.metadata").size(), 3u);
  EXPECT_EQ(audit_of("device.metadata")[1].detail, R"({"before":{"Serial":"A-1"},"after":{"Serial":"A-2"}})");
  EXPECT_REFUSED(DomainError::not_found, store().set_device_metadata(device.id, "serial", "x", actor()));  // Case matters.
  EXPECT_REFUSED(DomainError::not_found, store().set_device_metadata(DeviceId{999}, "Serial", "x", actor()));
  EXPECT_REFUSED(DomainError::invalid_value, store().set_device_metadata(device.id, "Serial", std::string(5000, 'x'), actor()));
  for (auto& field : product.meta_fields) {
    if (field.name == "Serial") field.name = "Serial number";
  }
  product = store().update_template(product, 1, actor()).value();
  EXPECT_EQ(store().device_metadata(device.id, "Serial number").value(), "A-2");
  EXPECT_EQ(store().all_device_metadata(device.id).value().size(), 2u);
  std::erase_if(product.meta_fields, [](const auto& field) { return field.name == "Serial number"; });
  ASSERT_OK(store().update_template(product, 2, actor()));
  const auto left = store().all_device_metadata(device.id).value();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].field, "Location");
  EXPECT_EQ(left[0].value, "Hall");
}

// --- written behind --------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, WritesPresenceFieldByField) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto seq = newest();
  const auto entries = audit_count();
  PresenceUpdate first;
  first.device_id = device.id;
  first.connected_at = UtcTime{t0 + 10};
  first.ip = "198.51.100.7";
  first.plain_text_link = true;
  HardwareInfo info;
  info.version = "1.2.3";
  info.firmware_type = "fw";
  info.library_version = "1.3.2";
  info.board_type = "ESP32";
  info.build = "Jan  1 2026";
  info.template_id = "TMPLx";
  info.agent = "muster";
  info.heartbeat_s = 45;
  info.buffer_in_bytes = 1024;
  first.hardware = info;
  PresenceUpdate unknown;
  unknown.device_id = DeviceId{999};
  unknown.connected_at = UtcTime{t0};
  unknown.ip = "203.0.113.9";
  ASSERT_OK(store().write_presence(std::array{first, unknown}));
  PresenceUpdate second;
  second.device_id = device.id;
  second.connected_at = UtcTime{t0 + 20};
  second.disconnected_at = UtcTime{t0 + 15};
  second.reported_at = UtcTime{t0 + 14};
  ASSERT_OK(store().write_presence(std::array{second}));
  reopen();
  const auto found = store().find_device(device.id).value().value();
  EXPECT_EQ(found.first_connect_time.ms, t0 + 10);  // Set once.
  EXPECT_EQ(found.connect_time.ms, t0 + 20);
  EXPECT_EQ(found.disconnect_time.ms, t0 + 15);
  EXPECT_EQ(found.last_reported_at.ms, t0 + 14);
  EXPECT_EQ(found.last_ip, "198.51.100.7");  // Not set the second time: kept.
  EXPECT_TRUE(found.plain_text_link);
  EXPECT_EQ(found.hardware, info);
  std::vector<std::string> seen;
  ASSERT_OK(store().for_each_seen_ip([&](std::string_view ip) { seen.emplace_back(ip); }));
  EXPECT_EQ(seen, std::vector<std::string>{"198.51.100.7"});
  EXPECT_EQ(newest(), seq);
  EXPECT_EQ(audit_count(), entries);
  EXPECT_EQ(store().devices({std::array{root_}, {}, {}}, {})->rows[0].connect_time.ms, t0 + 20);
}

TEST_P(StoreContract, WritesValuesAndKeepsTheLast) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto seq = newest();
  const std::string location{
      "52.5\0"
      "13.4",
      9};
  ASSERT_OK(store().write_values(std::array{ValueUpdate{device.id, {255, "old", {t0}}}, ValueUpdate{device.id, {0, location, {t0 + 1}}},
                                            ValueUpdate{device.id, {255, "new", {t0 + 2}}}, ValueUpdate{DeviceId{999}, {1, "x", {t0}}},
                                            ValueUpdate{device.id, {7, "", {t0 + 3}}}}));
  reopen();
  const auto values = store().values_of(device.id).value();
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0].pin, 0);
  EXPECT_EQ(values[0].value, location);
  EXPECT_EQ(values[0].at.ms, t0 + 1);
  EXPECT_EQ(values[1].pin, 7);
  EXPECT_EQ(values[1].value, "");
  EXPECT_EQ(values[2].pin, 255);
  EXPECT_EQ(values[2].value, "new");
  EXPECT_TRUE(store().values_of(DeviceId{999}).value().empty());
  EXPECT_EQ(newest(), seq);
}

// --- key rotation ----------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, RotatesTokensInResumableBatches) {
  set_up();
  const auto product = make_template(root_, "Product");
  for (std::uint64_t i = 1; i <= 10; ++i) make_device(root_, product.id, "Device " + std::to_string(i), i);
  const auto last = store().find_token(std::array{digest(10)}).value()->record.device_id;
  ASSERT_OK(store().delete_device(last, actor()));
  ASSERT_OK(store().create_access_token(admin_, digest(100, 1), {t0 + 1'000'000'000'000}, actor()));
  EXPECT_EQ(store().key_ids_in_use().value(), (std::vector<std::uint16_t>{1}));
  EXPECT_TRUE(store().tokens_to_rotate(1, 100).value().empty());
  const auto seq = newest();
  int rotated = 0;
  for (int round = 0; round < 10; ++round) {
    const auto batch = store().tokens_to_rotate(2, 4).value();
    if (batch.empty()) break;
    EXPECT_LE(batch.size(), 4u);
    std::vector<RotatedToken> turned;
    for (const auto& item : batch) {
      ASSERT_TRUE(item.sealed.starts_with("sealed-"));
      const auto secret = std::stoull(item.sealed.substr(7));
      turned.push_back({item.id, digest(secret, 2), "again-" + std::to_string(secret)});
      ++rotated;
    }
    ASSERT_OK(store().rotate_tokens(turned));
    if (round == 0) reopen();
  }
  EXPECT_EQ(rotated, 9);
  EXPECT_TRUE(store().tokens_to_rotate(2, 100).value().empty());
  EXPECT_EQ(store().key_ids_in_use().value(), (std::vector<std::uint16_t>{1, 2}));  // The tombstone and the access token.
  const auto found = store().find_token(std::array{digest(3, 2), digest(3, 1)}).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->record.digest, digest(3, 2));
  EXPECT_EQ(store().reveal_token(found->record.device_id, actor()).value(), "again-3");
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, found->record.id.value()));
  // The tombstone still bars its string.
  const std::array both{digest(10, 2), digest(10, 1)};
  Device value;
  value.organization_id = root_;
  value.template_id = product.id;
  value.name = "New";
  EXPECT_REFUSED(DomainError::token_taken, store().create_device(value, {both[0], both, "sealed"}, actor()));
}

TEST_P(StoreContract, ShowsSomeLiveTokensOfEachKeyWithoutTellingAnybody) {
  set_up();
  const auto product = make_template(root_, "Product");
  for (std::uint64_t i = 1; i <= 3; ++i) make_device(root_, product.id, "Device " + std::to_string(i), i);
  const auto gone = make_device(root_, product.id, "Gone", 4);
  ASSERT_OK(store().delete_device(gone.id, actor()));
  const auto one = store().find_token(std::array{digest(1)}).value()->record.id;
  ASSERT_OK(store().rotate_tokens(std::array{RotatedToken{one, digest(1, 2), "again-1"}}));
  const auto seq = newest();
  const auto entries = audit_count();
  const auto old = store().sealed_tokens(1, 10).value();
  ASSERT_EQ(old.size(), 2u);  // Neither the one that was rotated nor the one that was revoked.
  for (const auto& token : old) EXPECT_EQ(token.digest, digest(std::stoull(token.sealed.substr(7))));
  const auto rotated = store().sealed_tokens(2, 10).value();
  ASSERT_EQ(rotated.size(), 1u);
  EXPECT_EQ(rotated[0].digest, digest(1, 2));
  EXPECT_EQ(rotated[0].sealed, "again-1");
  EXPECT_EQ(store().sealed_tokens(1, 1).value().size(), 1u);
  EXPECT_TRUE(store().sealed_tokens(3, 10).value().empty());
  EXPECT_EQ(newest(), seq);
  EXPECT_EQ(audit_count(), entries);
}

TEST_P(StoreContract, SkipsTokensThatWereRevokedWhileTheyWereRotated) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto batch = store().tokens_to_rotate(2, 10).value();
  ASSERT_EQ(batch.size(), 1u);
  ASSERT_OK(store().delete_device(device.id, actor()));
  const auto seq = newest();
  ASSERT_OK(store().rotate_tokens(
      std::array{RotatedToken{batch[0].id, digest(1, 2), "again"}, RotatedToken{AuthTokenId{999}, digest(2, 2), "again"}}));
  EXPECT_EQ(store().find_token(std::array{digest(1, 1)}).value()->record.kind, TokenKind::revoked);
  EXPECT_FALSE(store().find_token(std::array{digest(1, 2)}).value());
  EXPECT_EQ(newest(), seq);
}

// --- durability ------------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, EveryEventDoesToEveryKindOfTokenWhatItsLifeCycleSays) {
  set_up();
  std::uint64_t secret = 0;
  for (std::size_t index = 0; index < token_kind_count; ++index) {
    const auto kind = static_cast<TokenKind>(index + 1);
    SCOPED_TRACE(token_kind_name(kind));
    const bool dead = kind == TokenKind::revoked;
    const auto product = make_template(root_, "Product " + std::to_string(index));
    AuthTokenId id;
    Device device;
    // A device with one token of the kind, then what an operation answered and made of it.
    const auto begin = [&] {
      device = make_device(root_, product.id, "Device " + std::to_string(secret + 1), secret + 1);
      id = store().find_token(std::array{digest(++secret)}).value()->record.id;
      force_kind(id, kind);
    };
    const auto present = [&] { return store().find_token_by_id(id).value().value(); };
    const auto expect = [&](TokenEvent event, const Result<void>& answer) {
      SCOPED_TRACE(token_event_name(event));
      const auto verdict = next(kind, event);
      EXPECT_EQ(present().kind, verdict.next);
      if (dead && event != TokenEvent::revealed) return;  // A tombstone has no device any more: the operation is not about it.
      EXPECT_EQ(answer.has_value(), verdict.allowed);
      EXPECT_EQ(answer ? Error{} : answer.error(), verdict.allowed ? Error{} : Error{verdict.refusal});
    };

    begin();
    bool is_live = false;
    ASSERT_OK(store().for_each_live_token([&](const TokenRecord& each) { is_live |= each.id == id; }));
    EXPECT_EQ(is_live, may_log_in(kind)) << "the index admits whom the table admits";

    const auto revealed = store().reveal_token(device.id, actor());
    expect(TokenEvent::revealed, revealed ? Result<void>{} : Result<void>{revealed.error()});

    ASSERT_OK(store().rotate_tokens(std::array{RotatedToken{id, digest(secret, 2), "again"}}));
    EXPECT_EQ(present().digest, next(kind, TokenEvent::key_rotated).allowed ? digest(secret, 2) : digest(secret));
    EXPECT_EQ(present().kind, next(kind, TokenEvent::key_rotated).next);

    begin();
    expect(TokenEvent::replaced, store().replace_token(device.id, token(++secret), actor()));
    EXPECT_EQ(store().find_token(std::array{digest(secret)}).value().has_value(), dead || next(kind, TokenEvent::replaced).allowed);

    begin();
    const auto deleted = store().delete_device(device.id, actor());
    expect(TokenEvent::device_removed, deleted);
    EXPECT_EQ(store().find_device(device.id).value().has_value(), !deleted.has_value());
    EXPECT_EQ(present().device_id, deleted ? DeviceId{} : device.id);

    begin();  // The same by way of its template, with all that the kind's other devices have.
    const bool removable = dead || next(kind, TokenEvent::device_removed).allowed;
    const auto with_template = store().delete_template(product.id, true, actor());
    EXPECT_EQ(with_template.has_value(), removable);
    EXPECT_EQ(present().kind, next(kind, TokenEvent::device_removed).next);
  }
}

TEST_P(StoreContract, ReplacingATokenLeavesOneThatCannotBeReplaced) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto first = store().find_token(std::array{digest(1)}).value()->record.id;
  force_kind(first, TokenKind::grace);
  ASSERT_OK(store().replace_token(device.id, token(2), actor()));
  const auto second = store().find_token(std::array{digest(2)}).value()->record.id;
  EXPECT_EQ(store().find_token_by_id(first).value()->kind, TokenKind::revoked);
  force_kind(second, TokenKind::reprovision);
  EXPECT_REFUSED(DomainError::wrong_state, store().replace_token(device.id, token(3), actor()));
  EXPECT_EQ(store().find_token_by_id(second).value()->kind, TokenKind::reprovision);
}

// --- provisioning sessions -------------------------------------------------------------------------------------------------------

TEST_P(StoreContract, AProvisioningSessionMakesItsDeviceWhenTheInfoIsAccepted) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto owner = make_user(root_, "owner2@example.com");
  const auto before = make_device(root_, product.id, "Before", 1);
  const auto seq = newest();
  const auto session = make_session(2, "uid", {}, owner.id);
  EXPECT_EQ(session.state, ProvisionState::token_issued);
  EXPECT_EQ(session.kind, ProvisionKind::new_device);
  EXPECT_EQ(session.created_by, admin_);
  EXPECT_GT(session.device_id, before.id);
  EXPECT_TRUE(changed_since(seq, ChangeKind::provision_session, session.id.value()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, session.token_id.value()));
  EXPECT_EQ(audit_of("provision.create").size(), 1u);
  EXPECT_EQ(audit_of("provision.create")[0].detail.find("sealed"), std::string::npos);
  EXPECT_FALSE(store().find_device(session.device_id).value());
  const auto record = store().find_token(std::array{digest(2)}).value().value().record;
  EXPECT_EQ(record.kind, TokenKind::provision);
  EXPECT_EQ(record.device_id, session.device_id);
  EXPECT_EQ(record.expires_at, session.expires_at);
  std::size_t seen = 0;
  ASSERT_OK(store().for_each_live_token(
      [&](const TokenRecord& one) { seen += one.id == session.token_id && one.device_id == session.device_id; }));
  EXPECT_EQ(seen, 1u);

  // The id is nobody else's, also not over a restart.
  const auto by_hand = make_device(root_, product.id, "By hand", 3);
  EXPECT_GT(by_hand.id, session.device_id);
  reopen();
  const auto other = make_session(4);
  EXPECT_GT(other.device_id, by_hand.id);

  ASSERT_OK(store().note_provision_login(session.id, {t0 + 500}, "192.0.2.9"));
  EXPECT_EQ(session_now(session.id).state, ProvisionState::connected);
  const auto before_info = newest();
  const auto verdict = store().accept_info(session.id, info("TMPLProduct"), actor(t0 + 1000));
  ASSERT_OK(verdict);
  EXPECT_EQ(verdict->failure, ProvisionFailure::none);
  ASSERT_TRUE(verdict->device);
  EXPECT_EQ(verdict->device->id, session.device_id);
  EXPECT_EQ(verdict->device->name, "Product");
  EXPECT_EQ(verdict->device->owner_id, owner.id);
  EXPECT_EQ(verdict->device->activation_way, ActivationWay::dynamic);
  EXPECT_EQ(verdict->device->activated_at, (UtcTime{t0 + 1000}));
  EXPECT_EQ(verdict->device->activated_by, admin_);
  EXPECT_EQ(verdict->session.state, ProvisionState::active);
  EXPECT_EQ(verdict->session.template_id, product.id);
  EXPECT_TRUE(changed_since(before_info, ChangeKind::device, session.device_id.value()));
  EXPECT_TRUE(changed_since(before_info, ChangeKind::token, session.token_id.value()));
  EXPECT_TRUE(changed_since(before_info, ChangeKind::provision_session, session.id.value()));
  EXPECT_EQ(kind_of(2), TokenKind::device);
  EXPECT_EQ(store().tokens_of_device(session.device_id)->size(), 1u);
  EXPECT_EQ(store().find_token_by_id(session.token_id).value()->expires_at.ms, 0);
  EXPECT_EQ(steps_of(session.id), (std::vector<std::string>{"token_issued", "login", "active"}));

  // Again: the same answer, and nothing happens.
  const auto after = newest();
  const auto again = store().accept_info(session.id, info("TMPLProduct", t0 + 2000), actor(t0 + 2000));
  ASSERT_OK(again);
  EXPECT_EQ(again->device->id, session.device_id);
  EXPECT_EQ(newest(), after);
  make_template(root_, "Another");
  const auto lie = store().accept_info(session.id, info("TMPLAnother"), actor());
  ASSERT_OK(lie);
  EXPECT_EQ(lie->failure, ProvisionFailure::template_differs);
  EXPECT_FALSE(lie->device);
  EXPECT_EQ(kind_of(2), TokenKind::device);

  ASSERT_OK(store().note_first_value(session.id, {t0 + 3000}));
  ASSERT_OK(store().note_first_value(session.id, {t0 + 4000}));
  EXPECT_EQ(session_now(session.id).first_value_at, (UtcTime{t0 + 3000}));
  ProvisionStep done;
  done.source = StepSource::app;
  done.step = "done";
  ASSERT_OK(store().post_provision_step(session.id, done));
  EXPECT_EQ(session_now(session.id).state, ProvisionState::done);
}

TEST_P(StoreContract, ARefusedInfoLeavesNoDeviceAndNoToken) {
  set_up();
  make_template(root_, "Product");
  const auto branch = make_organization(root_, "Branch");
  make_template(branch.id, "Theirs");
  const auto owner = make_user(root_, "owner2@example.com");
  struct Case {
    std::uint64_t secret;
    std::string tmpl;
    ProvisionFailure failure;
  };
  for (const Case& one :
       {Case{1, "TMPLNobody", ProvisionFailure::template_unknown}, Case{2, "TMPLTheirs", ProvisionFailure::template_foreign},
        Case{3, "TMPLProduct", ProvisionFailure::owner_gone}}) {
    const auto session = make_session(one.secret, "", {}, owner.id);
    if (one.failure == ProvisionFailure::owner_gone) ASSERT_OK(store().update_user(owner.id, status(UserStatus::suspended), actor()));
    const auto verdict = store().accept_info(session.id, info(one.tmpl), actor());
    ASSERT_OK(verdict);
    EXPECT_EQ(verdict->failure, one.failure);
    EXPECT_FALSE(verdict->device);
    EXPECT_FALSE(store().find_device(session.device_id).value());
    EXPECT_EQ(session_now(session.id).state, ProvisionState::failed);
    EXPECT_EQ(session_now(session.id).failure_code, static_cast<std::uint16_t>(one.failure));
    EXPECT_GT(session_now(session.id).ended_at.ms, 0);
    EXPECT_EQ(kind_of(one.secret), TokenKind::revoked);
    EXPECT_FALSE(store().find_token(std::array{digest(one.secret)}).value()->record.is_quiet);
    EXPECT_REFUSED(DomainError::wrong_state, store().accept_info(session.id, info("TMPLProduct"), actor()));
    EXPECT_REFUSED(DomainError::token_taken, try_session(one.secret));
  }
  EXPECT_EQ(audit_of("provision.refused").size(), 3u);
  // No template at all: the token waits on.
  const auto session = make_session(4);
  EXPECT_EQ(store().accept_info(session.id, info(""), actor())->failure, ProvisionFailure::info_missing);
  EXPECT_EQ(session_now(session.id).state, ProvisionState::connected);
  EXPECT_EQ(kind_of(4), TokenKind::provision);
  EXPECT_EQ(store().accept_info(session.id, info("TMPLProduct"), actor())->failure, ProvisionFailure::none);
  EXPECT_EQ(session_now(session.id).failure_code, 0);
  // Plain text from a public address, without the template's leave.
  const auto exposed = make_session(5);
  auto plain = info("TMPLProduct");
  plain.is_public_plain_text = true;
  EXPECT_EQ(store().accept_info(exposed.id, plain, actor())->failure, ProvisionFailure::plain_text_refused);
  EXPECT_EQ(kind_of(5), TokenKind::provision);
  EXPECT_FALSE(store().find_device(exposed.device_id).value());
}

TEST_P(StoreContract, TheOpenProvisioningTokensOfAUserEndWithHim) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 10);
  for (const bool deleted : {false, true}) {
    SCOPED_TRACE(deleted);
    const std::uint64_t first = deleted ? 5 : 1;
    const auto user = make_user(root_, deleted ? "gone@example.com" : "suspended@example.com");
    const auto by_him = [&](std::uint64_t secret, DeviceId of = {}) {
      NewProvisionSession wanted;
      wanted.organization_id = root_;
      wanted.device_id = of;
      wanted.expires_at = {t0 + hour};
      Actor he = actor();
      he.user_id = user.id;
      return store().create_provision_session(wanted, token(secret), he).value().id;
    };
    const auto waiting = by_him(first), used = by_him(first + 1), again = by_him(first + 2, device.id);
    ASSERT_EQ(store().accept_info(used, info("TMPLProduct"), actor())->failure, ProvisionFailure::none);
    const auto of_another = make_session(first + 3);
    if (deleted)
      ASSERT_OK(store().delete_user(user.id, actor()));
    else
      ASSERT_OK(store().update_user(user.id, status(UserStatus::suspended), actor()));
    for (const auto id : {waiting, again}) {
      EXPECT_EQ(session_now(id).state, ProvisionState::canceled);
      EXPECT_EQ(session_now(id).failure_code, static_cast<std::uint16_t>(ProvisionFailure::canceled));
      EXPECT_EQ(store().provision_steps(id)->back().step, deleted ? "user_deleted" : "user_suspended");
    }
    EXPECT_EQ(kind_of(first), TokenKind::revoked);
    EXPECT_EQ(kind_of(first + 2), TokenKind::revoked);
    EXPECT_TRUE(store().find_token(std::array{digest(first + 2)}).value()->record.is_quiet) << "its device keeps its old settings";
    EXPECT_EQ(kind_of(10), TokenKind::device);
    EXPECT_EQ(session_now(used).state, ProvisionState::active) << "a device that is set up stays";
    EXPECT_EQ(kind_of(first + 1), TokenKind::device);
    EXPECT_EQ(session_now(of_another.id).state, ProvisionState::token_issued);
    EXPECT_EQ(audit_of("provision.cancel").size(), deleted ? 4u : 2u);
  }
}

TEST_P(StoreContract, ProvisioningSessionsEndByCancelTimeAndSuccessor) {
  set_up();
  make_template(root_, "Product");
  const auto canceled = make_session(1);
  ASSERT_OK(store().cancel_provision_session(canceled.id, actor()));
  EXPECT_EQ(session_now(canceled.id).state, ProvisionState::canceled);
  EXPECT_EQ(kind_of(1), TokenKind::revoked);
  EXPECT_EQ(audit_of("provision.cancel").size(), 1u);
  EXPECT_REFUSED(DomainError::wrong_state, store().cancel_provision_session(canceled.id, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().cancel_provision_session(ProvisionSessionId{999}, actor()));

  const auto older = make_session(2, "same"), other = make_session(3, "other");
  const auto newer = make_session(4, "same");
  EXPECT_EQ(session_now(older.id).state, ProvisionState::superseded);
  EXPECT_EQ(kind_of(2), TokenKind::revoked);
  EXPECT_EQ(session_now(other.id).state, ProvisionState::token_issued);
  EXPECT_NE(newer.device_id, older.device_id);

  EXPECT_EQ(store().expire_provision_sessions({t0 + hour - 1}, 100).value(), 0u);
  EXPECT_EQ(store().expire_provision_sessions({t0 + hour}, 1).value(), 1u);
  EXPECT_EQ(store().expire_provision_sessions({t0 + hour}, 100).value(), 1u);
  EXPECT_EQ(store().expire_provision_sessions({t0 + hour}, 100).value(), 0u);
  for (const auto id : {other.id, newer.id}) EXPECT_EQ(session_now(id).state, ProvisionState::expired);
  EXPECT_EQ(kind_of(4), TokenKind::revoked);
  EXPECT_EQ(audit_of("provision.expired").size(), 2u);
  EXPECT_TRUE(store().live_provision_sessions()->empty());

  // A device whose info comes after the session's time, before anybody expired it.
  const auto late = make_session(5);
  EXPECT_EQ(store().accept_info(late.id, info("TMPLProduct", t0 + hour), actor())->failure, ProvisionFailure::expired);
  EXPECT_EQ(kind_of(5), TokenKind::revoked);
  EXPECT_FALSE(store().find_device(late.device_id).value());

  // An active one is done when its time is over; old traces go.
  const auto made = make_session(6);
  ASSERT_OK(store().accept_info(made.id, info("TMPLProduct"), actor()));
  ASSERT_OK(store().expire_provision_sessions({t0 + hour}, 100));
  EXPECT_EQ(session_now(made.id).state, ProvisionState::done);
  EXPECT_EQ(kind_of(6), TokenKind::device);
  ASSERT_OK(store().expire_provision_sessions({t0 + hour + provision_history_kept_ms + 1}, 100));
  EXPECT_FALSE(store().find_provision_session(made.id).value());
  EXPECT_TRUE(store().find_device(made.device_id).value());
}

TEST_P(StoreContract, OpenProvisioningSessionsOfAUserAreLimited) {
  set_up();
  for (std::uint64_t i = 1; i <= 50; ++i) make_session(i);
  EXPECT_REFUSED(DomainError::limit_reached, try_session(51));
  const auto live = store().live_provision_sessions().value();
  ASSERT_EQ(live.size(), 50u);
  ASSERT_OK(store().cancel_provision_session(live[0].id, actor()));
  make_session(52);
}

TEST_P(StoreContract, ReprovisioningKeepsTheOldTokenUntilTheNewOneIsProved) {
  set_up();
  const auto product = make_template(root_, "Product");
  make_template(root_, "Another");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto session = make_session(2, "", device.id);
  EXPECT_EQ(session.state, ProvisionState::reprovisioning);
  EXPECT_EQ(session.kind, ProvisionKind::reconfigure);
  EXPECT_EQ(session.device_id, device.id);
  EXPECT_EQ(kind_of(1), TokenKind::device);
  EXPECT_EQ(kind_of(2), TokenKind::reprovision);
  EXPECT_EQ(store().reveal_token(device.id, actor()).value(), "sealed-1");
  // Another kind of device: only noted.
  EXPECT_EQ(store().accept_info(session.id, info("TMPLAnother"), actor())->failure, ProvisionFailure::template_differs);
  EXPECT_EQ(session_now(session.id).state, ProvisionState::reprovisioning);
  EXPECT_EQ(session_now(session.id).failure_code, 809);
  EXPECT_EQ(kind_of(2), TokenKind::reprovision);

  ASSERT_OK(store().accept_info(session.id, info("TMPLProduct"), actor()));
  EXPECT_EQ(session_now(session.id).state, ProvisionState::proving);
  EXPECT_EQ(session_now(session.id).failure_code, 0);
  EXPECT_EQ(kind_of(1), TokenKind::grace);
  EXPECT_EQ(kind_of(2), TokenKind::device);
  EXPECT_EQ(store().reveal_token(device.id, actor()).value(), "sealed-2");
  // No time ends that: the device may have stored either token.
  ASSERT_OK(store().expire_provision_sessions({t0 + 100 * hour}, 100));
  EXPECT_EQ(session_now(session.id).state, ProvisionState::proving);
  EXPECT_REFUSED(DomainError::wrong_state, store().cancel_provision_session(session.id, actor()));
  reopen();
  ASSERT_EQ(store().live_provision_sessions()->size(), 1u);

  const auto seq = newest();
  ASSERT_OK(store().finish_reprovision(session.id, session.token_id, actor()));
  EXPECT_EQ(session_now(session.id).state, ProvisionState::active);
  EXPECT_EQ(kind_of(1), TokenKind::revoked);
  EXPECT_EQ(kind_of(2), TokenKind::device);
  EXPECT_TRUE(changed_since(seq, ChangeKind::token, session.old_token_id.value()));
  EXPECT_EQ(audit_of("provision.proved").size(), 1u);
  EXPECT_REFUSED(DomainError::wrong_state, store().finish_reprovision(session.id, session.token_id, actor()));
}

TEST_P(StoreContract, AReprovisioningThatComesToNothingGivesTheOldTokenBack) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  // Fell back.
  const auto first = make_session(2, "", device.id);
  ASSERT_OK(store().accept_info(first.id, info("TMPLProduct"), actor()));
  ASSERT_OK(store().finish_reprovision(first.id, first.old_token_id, actor()));
  EXPECT_EQ(session_now(first.id).state, ProvisionState::expired);
  EXPECT_EQ(kind_of(1), TokenKind::device);
  EXPECT_EQ(kind_of(2), TokenKind::revoked);
  EXPECT_TRUE(store().find_token(std::array{digest(2)}).value()->record.is_quiet);
  // Superseded, and out of time: nobody decided on these tokens.
  const auto second = make_session(3, "", device.id);
  const auto third = make_session(4, "", device.id);
  EXPECT_EQ(session_now(second.id).state, ProvisionState::superseded);
  EXPECT_TRUE(store().find_token(std::array{digest(3)}).value()->record.is_quiet);
  ASSERT_OK(store().expire_provision_sessions({t0 + hour}, 100));
  EXPECT_EQ(session_now(third.id).state, ProvisionState::expired);
  EXPECT_TRUE(store().find_token(std::array{digest(4)}).value()->record.is_quiet);
  // Canceled: that is no reason either to let a device lose the settings that work.
  const auto fourth = make_session(5, "", device.id);
  ASSERT_OK(store().cancel_provision_session(fourth.id, actor()));
  EXPECT_TRUE(store().find_token(std::array{digest(5)}).value()->record.is_quiet);
  EXPECT_EQ(kind_of(1), TokenKind::device);
  // The device goes, and everything with it.
  const auto fifth = make_session(6, "", device.id);
  ASSERT_OK(store().delete_device(device.id, actor()));
  EXPECT_EQ(session_now(fifth.id).state, ProvisionState::canceled);
  EXPECT_EQ(kind_of(6), TokenKind::revoked);
  EXPECT_EQ(kind_of(1), TokenKind::revoked);
  EXPECT_EQ(try_session(7, "", device.id).error(), Error{DomainError::not_found});
}

TEST_P(StoreContract, ASessionThatIsLetGoSaysWhatWentWrongBefore) {
  set_up();
  ProvisionStep wrong_password;
  wrong_password.source = StepSource::app;
  wrong_password.step = "join_network";
  wrong_password.code = 722;
  ProvisionStep stopped = wrong_password;
  stopped.code = 910;
  const auto failed = make_session(1), expired = make_session(2), untroubled = make_session(3), canceled = make_session(4);
  for (const auto id : {failed.id, expired.id, canceled.id}) ASSERT_OK(store().post_provision_step(id, wrong_password));
  ASSERT_OK(store().post_provision_step(canceled.id, stopped));
  for (const auto id : {failed.id, untroubled.id, canceled.id}) ASSERT_OK(store().cancel_provision_session(id, actor()));
  ASSERT_OK(store().expire_provision_sessions({t0 + 100 * hour}, 100));
  EXPECT_EQ(session_now(failed.id).state, ProvisionState::failed);
  EXPECT_EQ(session_now(failed.id).failure_code, 722);
  EXPECT_EQ(kind_of(1), TokenKind::revoked);
  EXPECT_EQ(session_now(canceled.id).state, ProvisionState::canceled);
  EXPECT_EQ(session_now(canceled.id).failure_code, 910);
  EXPECT_EQ(session_now(expired.id).state, ProvisionState::expired);
  EXPECT_EQ(session_now(expired.id).failure_code, 722);
  EXPECT_EQ(session_now(untroubled.id).state, ProvisionState::canceled);
  EXPECT_EQ(session_now(untroubled.id).failure_code, 804);
  EXPECT_EQ(steps_of(failed.id).back(), "given_up");
  EXPECT_EQ(steps_of(canceled.id).back(), "canceled");
}

TEST_P(StoreContract, AReprovisioningThatIsToBeProvedEndsOnlyWhenANewerOneIsAccepted) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Device", 1);
  const auto first = make_session(2, "", device.id);
  ASSERT_OK(store().accept_info(first.id, info("TMPLProduct"), actor()));
  // A newer one comes to nothing: the first goes on, and can still be proved.
  const auto second = make_session(3, "", device.id);
  EXPECT_EQ(session_now(first.id).state, ProvisionState::proving);
  ASSERT_OK(store().cancel_provision_session(second.id, actor()));
  EXPECT_EQ(session_now(first.id).state, ProvisionState::proving);
  EXPECT_EQ(kind_of(2), TokenKind::device);
  EXPECT_EQ(kind_of(1), TokenKind::grace);
  // Accepted: whichever of the three the device has kept, it works.
  const auto third = make_session(4, "", device.id);
  ASSERT_OK(store().accept_info(third.id, info("TMPLProduct"), actor()));
  EXPECT_EQ(session_now(first.id).state, ProvisionState::superseded);
  EXPECT_EQ(kind_of(1), TokenKind::grace);
  EXPECT_EQ(kind_of(2), TokenKind::grace);
  EXPECT_EQ(kind_of(4), TokenKind::device);
  EXPECT_REFUSED(DomainError::wrong_state, store().finish_reprovision(first.id, first.token_id, actor()));
  EXPECT_REFUSED(DomainError::wrong_state, store().finish_reprovision(third.id, second.token_id, actor()));  // A tombstone.
  EXPECT_EQ(session_now(third.id).state, ProvisionState::proving);
  // The oldest, as it turns out.
  ASSERT_OK(store().finish_reprovision(third.id, first.old_token_id, actor()));
  EXPECT_EQ(kind_of(1), TokenKind::device);
  EXPECT_EQ(kind_of(2), TokenKind::revoked);
  EXPECT_EQ(kind_of(4), TokenKind::revoked);
}

TEST_P(StoreContract, KeepsTheTraceOfAProvisioningSessionAndFindsSessions) {
  set_up();
  make_template(root_, "Product");
  const auto first = make_session(1), second = make_session(2);
  ProvisionStep step;
  step.at = {t0 + 10};
  step.source = StepSource::agent;
  step.step = "net_fail";
  step.code = 722;
  step.message = std::string(300, 'x');
  const auto seq = newest();
  const auto entries = audit_count();
  ASSERT_OK(store().post_provision_step(first.id, step));
  EXPECT_TRUE(changed_since(seq, ChangeKind::provision_session, first.id.value()));
  EXPECT_EQ(audit_count(), entries);
  EXPECT_EQ(session_now(first.id).state, ProvisionState::delivering);
  EXPECT_EQ(session_now(first.id).failure_code, 722);
  const auto steps = store().provision_steps(first.id).value();
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[1].source, StepSource::agent);
  EXPECT_EQ(steps[1].code, 722);
  EXPECT_EQ(steps[1].message.size(), 200u);
  for (std::size_t i = steps.size(); i < provision_steps_max; ++i) ASSERT_OK(store().post_provision_step(first.id, step));
  EXPECT_REFUSED(DomainError::limit_reached, store().post_provision_step(first.id, step));
  ASSERT_OK(store().note_provision_login(first.id, {t0 + 20}, "192.0.2.9"));  // The cloud's own still fit.
  EXPECT_REFUSED(DomainError::not_found, store().post_provision_step(ProvisionSessionId{99}, step));

  Page page;
  const std::array here{root_};
  ProvisionSessionFilter filter;
  filter.organizations = here;
  const auto ids = [&] {
    std::vector<std::int64_t> out;
    const auto found = store().provision_sessions(filter, page).value();
    for (const auto& row : found.rows) out.push_back(row.id.value());
    return out;
  };
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{second.id.value(), first.id.value()}));
  page.limit = 1;
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{second.id.value()}));
  EXPECT_EQ(store().provision_sessions(filter, page)->total, 2);
  page.limit = 50;
  filter.code = 722;
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{first.id.value()}));
  filter = {};
  EXPECT_TRUE(ids().empty());
  filter.or_user = admin_;
  EXPECT_EQ(ids().size(), 2u);
  filter.state = ProvisionState::token_issued;
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{second.id.value()}));
  filter.state = {};
  filter.client = "test APP";
  EXPECT_EQ(ids().size(), 2u);
  filter.client = "other";
  EXPECT_TRUE(ids().empty());
  filter = {};
  filter.organizations = here;
  filter.user = UserId{777};
  EXPECT_TRUE(ids().empty());
  filter.user = {};
  filter.device = first.device_id;
  EXPECT_EQ(ids(), (std::vector<std::int64_t>{first.id.value()}));
}

TEST_P(StoreContract, StreamsDevicesWithARecentSession) {
  set_up();
  const auto product = make_template(root_, "Product");
  std::vector<DeviceId> ids;
  for (std::uint64_t i = 1; i <= 4; ++i) ids.push_back(make_device(root_, product.id, "Device " + std::to_string(i), i).id);
  const auto at = [&](DeviceId id, std::int64_t connected, std::int64_t disconnected) {
    PresenceUpdate update;
    update.device_id = id;
    update.connected_at = UtcTime{connected};
    if (disconnected != 0) update.disconnected_at = UtcTime{disconnected};
    return update;
  };
  const std::array batch{at(ids[0], 1000, 0), at(ids[1], 1000, 2000), at(ids[2], 1000, 2001)};
  ASSERT_OK(store().write_presence(batch));
  std::map<DeviceId, std::int64_t> found;
  ASSERT_OK(store().for_each_recent_session({2000}, [&](DeviceId id, UtcTime ended_at) { found[id] = ended_at.ms; }));
  EXPECT_EQ(found, (std::map<DeviceId, std::int64_t>{{ids[0], 0}, {ids[2], 2001}}));
}

TEST_P(StoreContract, KeepsEverythingOverARestart) {
  set_up();
  const auto product = make_template(root_, "Product");
  for (std::uint64_t i = 1; i <= 5; ++i) make_device(root_, product.id, "Device " + std::to_string(i), i);
  const auto seq = newest();
  const auto entries = audit_count();
  reopen();
  EXPECT_EQ(newest(), seq);
  EXPECT_EQ(audit_count(), entries);
  EXPECT_TRUE(store().has_administrator().value());
  for (std::uint64_t i = 1; i <= 5; ++i) EXPECT_TRUE(store().find_token(std::array{digest(i)}).value());
}

}  // namespace muster::domain
