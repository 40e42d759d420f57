// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/store/faulty/faulty_store.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/power_cut_vfs.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"
#include "tests/sim/bug.hpp"

namespace muster::sim {

/// What outlives the simulated server: the real SQLite store on a disk in memory that can lose the power. The server sees it through
/// a decorator that injects faults and makes the planted mistake; the judge reads it with SQL of its own, past both.
class Disk {
 public:
  /// `clock` must outlive it. One at a time: it registers its file system with SQLite. `image`: what is on it; none: an empty database.
  Disk(const Clock& clock, Bug bug, std::uint64_t seed, const store::PowerCutDisk::Image* image = nullptr);
  ~Disk();

  /// Until reopen().
  [[nodiscard]] domain::Store& store() noexcept { return *seen_; }
  [[nodiscard]] store::FaultScript& faults() noexcept { return seen_->script; }
  /// Faults injected so far, also before reopen().
  [[nodiscard]] std::uint64_t faults_injected() const noexcept { return injected_ + seen_->script.injected(); }

  /// The process that had it open died, and the machine with it when `power_cut`: what was not synced is gone. Faults end.
  void reopen(bool power_cut);
  /// What is on it now, to begin other runs with. What store() was before is gone.
  [[nodiscard]] store::PowerCutDisk::Image image();
  /// Changes that a careless start or store would make, and that only a planted mistake makes.
  void run(std::string_view sql);

  struct DeviceRow {
    std::int64_t activated_at = 0, first_connect_time = 0, disconnect_time = 0, organization_id = 0, owner_id = 0, template_id = 0;
  };
  [[nodiscard]] std::map<std::int32_t, DeviceRow> devices();
  /// Kind (domain::TokenKind) by id.
  [[nodiscard]] std::map<std::int64_t, std::int64_t> tokens();
  [[nodiscard]] bool has_device(DeviceId id);
  [[nodiscard]] std::int64_t activated_at(DeviceId id);
  using Mac = std::array<std::uint8_t, 32>;
  [[nodiscard]] bool is_live_token(const Mac& mac);
  struct SessionRow {
    std::int64_t id, kind, state, device_id, token_id, old_token_id, expires_at, accepted_at, failure_code, created_by;
    std::string uid;
    std::int64_t steps;
  };
  [[nodiscard]] std::vector<SessionRow> provision_sessions();
  struct TokenRow {
    std::int64_t id, kind, device_id;
  };
  [[nodiscard]] std::optional<TokenRow> token(const Mac& mac);
  /// Strings that stand in the registry more than once.
  [[nodiscard]] std::int64_t tokens_twice();
  /// Entries by action.
  [[nodiscard]] std::map<std::string, std::uint64_t> audit();
  /// Nothing, or what SQLite's own check finds wrong.
  [[nodiscard]] std::string damage();

 private:
  /// The store as the server sees it.
  class Seen final : public store::FaultyStore {
   public:
    Seen(domain::Store& below, Disk& disk, std::uint64_t seed) : FaultyStore{below, seed}, disk_{disk} {}
    Result<std::optional<domain::FoundToken>> find_token(std::span<const TokenDigest> digests) override;
    Result<std::string> reveal_token(DeviceId id, const domain::Actor& actor) override;
    Result<domain::Device> create_device(const domain::Device& device, const domain::NewToken& token, const domain::Actor& actor) override;
    Result<domain::InfoVerdict> accept_info(ProvisionSessionId id, const domain::ReportedInfo& info, const domain::Actor& actor) override;

   private:
    Disk& disk_;
  };
  void open();
  void close();

  const Clock& clock_;
  const Bug bug_;
  SeededRandom random_;
  store::PowerCutDisk files_;
  std::unique_ptr<store::SqliteStore> sqlite_;
  std::unique_ptr<Seen> seen_;
  std::unique_ptr<store::Connection> judge_;
  std::uint64_t injected_ = 0;
};

}  // namespace muster::sim
