// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include "cloud/base/audit_key.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/database.hpp"
#include "cloud/store/sqlite/json_text.hpp"

namespace muster::store {

/// What one operation writes with: its own savepoint in the group's transaction.
class Transaction {
 public:
  Transaction(Connection& connection, const Clock& clock, const AuditKey& audit_key) noexcept
      : connection_{connection}, clock_{clock}, audit_key_{audit_key} {}

  [[nodiscard]] Connection& operator*() const noexcept { return connection_; }
  [[nodiscard]] Connection* operator->() const noexcept { return &connection_; }
  [[nodiscard]] UtcTime now() const noexcept { return clock_.utc_now(); }
  /// When the actor did it; now, when it does not say.
  [[nodiscard]] UtcTime at(const domain::Actor& actor) const noexcept { return actor.at.ms != 0 ? actor.at : now(); }

  [[nodiscard]] Result<void> change(domain::ChangeKind kind, std::int64_t id);
  /// Shown in the actor's organization; in `organization` when the actor has none.
  [[nodiscard]] Result<void> audit(const domain::Actor& actor, OrganizationId organization, std::string_view action,
                                   std::string_view object_kind, std::int64_t object_id, const JsonText& detail = {});
  /// As it is given; its time is now when it says none.
  [[nodiscard]] Result<void> lay(domain::AuditEntry entry);

 private:
  Connection& connection_;
  const Clock& clock_;
  const AuditKey& audit_key_;
};

/// The one thread that writes. Operations that wait are run in one transaction, each in a savepoint, and their callers are
/// woken when that transaction is on disk, or has failed.
class Writer {
 public:
  /// `options` name an audit key, which must outlive the writer.
  Writer(Database& database, const SqliteOptions& options, const Clock& clock);
  ~Writer();

  /// Runs `work` on the writer thread and waits until it is committed or has failed.
  template <class Work>
  [[nodiscard]] std::invoke_result_t<Work&, Transaction&> run(Work&& work) {
    using Answer = std::invoke_result_t<Work&, Transaction&>;
    struct Typed final : Operation {
      explicit Typed(Work& w) noexcept : work{w} {}
      Error perform(Transaction& transaction) override {
        answer.emplace(work(transaction));
        return *answer ? Error{} : answer->error();
      }
      Work& work;
      std::optional<Answer> answer;
    } operation{work};
    if (const Error error = submit(operation)) return failed<Answer>(error);
    return std::move(*operation.answer);
  }

  /// Refuses new ones, runs what waits, ends the thread.
  void stop();

  [[nodiscard]] std::uint64_t operations() const noexcept { return operations_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t commits() const noexcept { return commits_.load(std::memory_order_relaxed); }

 private:
  struct Operation {
    virtual ~Operation() = default;
    virtual Error perform(Transaction& transaction) = 0;
    std::mutex mutex;
    std::condition_variable finished;
    bool done = false;
    Error error;
  };

  Error submit(Operation& operation);
  void work() noexcept;
  void run_group(std::vector<Operation*>& group);
  void run_group_on(Database::Writer& writer, std::vector<Operation*>& group);
  /// The outcome of each is left in its `error`; an error here stands for all of them.
  Error run_transaction(Connection& connection, std::vector<Operation*>& group);
  static Error perform(Operation& operation, Transaction& transaction) noexcept;

  Database& database_;
  const Clock& clock_;
  const AuditKey& audit_key_;
  const std::size_t group_max_, queue_max_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Operation*> queue_;
  bool stopping_ = false;
  std::atomic<std::uint64_t> operations_{0}, commits_{0};
  std::thread thread_;
};

}  // namespace muster::store
