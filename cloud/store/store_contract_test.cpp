// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/access_contract.hpp"
#include "cloud/store/organization_contract.hpp"
#include "cloud/store/people_contract.hpp"
#include "cloud/store/timeline_contract.hpp"
#include "cloud/store/webhook_contract.hpp"

#include "cloud/base/temporary_folder.hpp"
#include "cloud/store/faulty/faulty_store.hpp"
#include "cloud/store/shared_clock.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::domain {
namespace {

class SqliteUnderTest final : public StoreUnderTest {
 public:
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    store_ = open();
  }
  void force_kind(AuthTokenId id, TokenKind kind) override {
    auto connection = store::Connection::open({.path = folder_ / "muster.db"}, store::Connection::Use::write).value();
    const bool dies = kind == TokenKind::revoked;
    ASSERT_TRUE(connection->run("UPDATE auth_token SET kind = ?2, device_id = iif(?3, NULL, device_id) WHERE id = ?1", id, kind, dies));
    if (!dies) return;
    ASSERT_TRUE(connection->run("DELETE FROM auth_token_sealed WHERE token_id = ?1", id));
  }

 private:
  std::unique_ptr<store::SqliteStore> open() {
    store::SqliteOptions options;
    options.clock = &clock_;
    options.durability = store::Durability::off;  // What is on disk when is not the contract's matter; waiting for disks is slow.
    return store::SqliteStore::open(folder_ / "muster.db", options);
  }
  TemporaryFolder folder_;
  store::SharedClock clock_;
  std::unique_ptr<store::SqliteStore> store_ = open();
};

/// A decorator without a script changes nothing.
class FaultyUnderTest final : public StoreUnderTest {
 public:
  Store& store() override { return *faulty_; }
  void reopen() override {
    faulty_.reset();
    below_.reopen();
    faulty_ = std::make_unique<store::FaultyStore>(below_.store());
  }
  void force_kind(AuthTokenId id, TokenKind kind) override { below_.force_kind(id, kind); }

 private:
  SqliteUnderTest below_;
  std::unique_ptr<store::FaultyStore> faulty_ = std::make_unique<store::FaultyStore>(below_.store());
};

template <class Under>
StoreBackend backend(std::string name) {
  return {std::move(name), [] { return std::make_unique<Under>(); }};
}

const auto backends = testing::Values(backend<SqliteUnderTest>("Sqlite"), backend<FaultyUnderTest>("FaultyOverSqlite"));
const auto name_of = [](const auto& tested) { return tested.param.name; };
INSTANTIATE_TEST_SUITE_P(Backends, StoreContract, backends, name_of);
INSTANTIATE_TEST_SUITE_P(Backends, OrganizationContract, backends, name_of);
INSTANTIATE_TEST_SUITE_P(Backends, AccessContract, backends, name_of);
INSTANTIATE_TEST_SUITE_P(Backends, PeopleContract, backends, name_of);
INSTANTIATE_TEST_SUITE_P(Backends, TimelineContract, backends, name_of);
INSTANTIATE_TEST_SUITE_P(Backends, WebhookContract, backends, name_of);

}  // namespace
}  // namespace muster::domain
