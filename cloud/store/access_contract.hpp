// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/store/store_contract.hpp"

/// What every backend must do about API keys and OAuth2 clients.
namespace muster::domain {

class AccessContract : public StoreContract {
 protected:
  ApiKey key_of(OrganizationId organization, std::string name = "CI") const {
    ApiKey key;
    key.organization_id = organization;
    key.user_id = admin_;
    key.name = std::move(name);
    key.scopes.add(Permission::org_view_users);
    key.addresses = {"192.0.2.0/24", "2001:db8::/32"};
    key.expires_at = {t0 + 1'000'000};
    key.requests_per_minute = 7;
    return key;
  }
  OAuthClient client_of(OrganizationId organization, std::string client_id = "oa2-client-id_1") const {
    OAuthClient client;
    client.organization_id = organization;
    client.user_id = admin_;
    client.name = "ERP";
    client.client_id = std::move(client_id);
    client.scopes.add(Permission::org_view_users);
    client.redirect_urls = {"https://a.example/x", "https://b.example"};
    return client;
  }
  /// Of the far future: the store's clock is the system's.
  static NewOAuthTokens tokens(std::uint64_t secret) { return {digest(secret), {far}, digest(secret + 1), {far}}; }
  static constexpr std::int64_t far = 4'102'444'800'000;
};

TEST_P(AccessContract, KeepsAnApiKeyAndFindsItByItsSecret) {
  set_up();
  const auto made = store().create_api_key(key_of(root_), digest(1), actor());
  ASSERT_OK(made);
  reopen();
  const auto found = store().find_api_key(std::array{digest(5), digest(1)}).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, made->id);
  EXPECT_EQ(found->user_id, admin_);
  EXPECT_EQ(found->scopes, key_of(root_).scopes);
  EXPECT_EQ(found->addresses, key_of(root_).addresses);
  EXPECT_EQ(found->expires_at.ms, t0 + 1'000'000);
  EXPECT_EQ(found->requests_per_minute, 7u);
  EXPECT_FALSE(store().find_api_key(std::array{digest(1, 2)}).value()) << "under another key";
  EXPECT_EQ(store().api_keys(root_)->size(), 1u);
  EXPECT_EQ(store().key_ids_in_use().value(), std::vector<std::uint16_t>{1});
  ASSERT_OK(store().delete_api_key(made->id, actor()));
  EXPECT_FALSE(store().find_api_key(std::array{digest(1)}).value());
  EXPECT_REFUSED(DomainError::not_found, store().delete_api_key(made->id, actor()));
  EXPECT_EQ(audit_of("apikey.create").size(), 1u);
  EXPECT_EQ(audit_of("apikey.delete").size(), 1u);
  EXPECT_REFUSED(DomainError::not_found, store().create_api_key(key_of(OrganizationId{99}), digest(2), actor()));
}

TEST_P(AccessContract, NotesUsesOfKeysForward) {
  set_up();
  const auto id = store().create_api_key(key_of(root_), digest(1), actor())->id;
  const auto use = [&](std::int64_t at, const char* ip) {
    const std::array uses{KeyUse{id, {at}, ip}, KeyUse{ApiKeyId{999}, {at}, ip}};
    ASSERT_OK(store().note_api_key_uses(uses));
  };
  use(t0 + 1'000, "192.0.2.1");
  use(t0 + 2'000, "192.0.2.1");
  use(t0 + 500, "192.0.2.9");
  EXPECT_EQ(store().find_api_key(id).value()->last_used_at.ms, t0 + 2'000);
  EXPECT_EQ(store().find_api_key(id).value()->last_ip, "192.0.2.1");
  EXPECT_EQ(audit_of("apikey.use").size(), 1u);
  use(t0 + 3'000, "192.0.2.2");
  use(t0 + 90'000'000, "192.0.2.2");
  EXPECT_EQ(audit_of("apikey.use").size(), 3u) << "another address, another day";
  EXPECT_EQ(audit_of("apikey.use")[0].api_key_id, id);
}

TEST_P(AccessContract, ProgramsGoWithTheirMaker) {
  set_up();
  const auto other = make_user(root_, "other@example.com", admin_role);
  auto key = key_of(root_);
  key.user_id = other.id;
  auto client = client_of(root_);
  client.user_id = other.id;
  ASSERT_OK(store().create_api_key(key, digest(1), actor()));
  const auto made = store().create_oauth_client(client, digest(2), actor());
  ASSERT_OK(made);
  ASSERT_OK(store().issue_oauth_tokens(made->id, tokens(10), actor()));
  ASSERT_OK(store().delete_user(other.id, actor()));
  EXPECT_FALSE(store().find_api_key(std::array{digest(1)}).value());
  EXPECT_FALSE(store().find_oauth_client(made->id).value());
  EXPECT_FALSE(store().find_oauth_token(std::array{digest(10)}).value());
}

TEST_P(AccessContract, KeepsAnOAuthClientAndItsSecret) {
  set_up();
  const auto made = store().create_oauth_client(client_of(root_), digest(1), actor());
  ASSERT_OK(made);
  reopen();
  const auto found = store().find_oauth_client("oa2-client-id_1", std::array{digest(1)}).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->redirect_urls, client_of(root_).redirect_urls);
  EXPECT_TRUE(found->refresh_tokens);
  EXPECT_FALSE(store().find_oauth_client("oa2-client-id_1", std::array{digest(2)}).value());
  EXPECT_FALSE(store().find_oauth_client("oa2-client-id_2", std::array{digest(1)}).value());
  ASSERT_OK(store().issue_oauth_tokens(made->id, tokens(10), actor()));
  ASSERT_OK(store().set_oauth_secret(made->id, digest(2), actor()));
  EXPECT_FALSE(store().find_oauth_token(std::array{digest(10)}).value());
  EXPECT_TRUE(store().find_oauth_client("oa2-client-id_1", std::array{digest(2)}).value());
  ASSERT_OK(store().delete_oauth_client(made->id, actor()));
  EXPECT_TRUE(store().oauth_clients(root_)->empty());
  EXPECT_REFUSED(DomainError::not_found, store().delete_oauth_client(made->id, actor()));
}

TEST_P(AccessContract, ARefreshTokenIsGoodOnceAndItsReuseEndsItsFamilyOnly) {
  set_up();
  const auto id = store().create_oauth_client(client_of(root_), digest(1), actor())->id;
  const auto stranger = store().create_oauth_client(client_of(root_, "oa2-client-id_2"), digest(2), actor())->id;
  ASSERT_OK(store().issue_oauth_tokens(id, tokens(10), actor()));
  ASSERT_OK(store().issue_oauth_tokens(id, tokens(20), actor()));
  const auto lives = [&](std::uint64_t secret) { return store().find_oauth_token(std::array{digest(secret)}).value().has_value(); };
  EXPECT_TRUE(lives(10));
  EXPECT_FALSE(lives(11)) << "a refresh token is no access token";
  EXPECT_EQ(store().refresh_oauth_tokens(stranger, std::array{digest(11)}, tokens(90), actor()).value(), RefreshVerdict::unknown);
  EXPECT_EQ(store().refresh_oauth_tokens(id, std::array{digest(10)}, tokens(90), actor()).value(), RefreshVerdict::unknown);
  EXPECT_EQ(store().refresh_oauth_tokens(id, std::array{digest(11)}, tokens(30), actor()).value(), RefreshVerdict::done);
  EXPECT_FALSE(lives(10));
  EXPECT_TRUE(lives(30));
  reopen();
  EXPECT_EQ(store().refresh_oauth_tokens(id, std::array{digest(11)}, tokens(40), actor()).value(), RefreshVerdict::reused);
  EXPECT_FALSE(lives(30));
  EXPECT_FALSE(lives(40));
  EXPECT_EQ(store().refresh_oauth_tokens(id, std::array{digest(31)}, tokens(50), actor()).value(), RefreshVerdict::unknown);
  EXPECT_TRUE(lives(20));
  EXPECT_EQ(audit_of("oauth.token.reuse").size(), 1u);
  ASSERT_OK(store().end_oauth_tokens(id, actor()));
  EXPECT_FALSE(lives(20));
}

TEST_P(AccessContract, OfTwoThatUseOneRefreshTokenAtATimeOneIsTold) {
  set_up();
  const auto id = store().create_oauth_client(client_of(root_), digest(1), actor())->id;
  ASSERT_OK(store().issue_oauth_tokens(id, tokens(10), actor()));
  std::atomic<int> done{0}, reused{0};
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      const auto verdict = store().refresh_oauth_tokens(id, std::array{digest(11)}, tokens(100 + 10 * i), actor());
      if (verdict && *verdict == RefreshVerdict::done) ++done;
      if (verdict && *verdict == RefreshVerdict::reused) ++reused;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 1);
  EXPECT_EQ(reused, 1);
}

}  // namespace muster::domain
