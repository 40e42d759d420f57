// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/writer.hpp"

#include <exception>
#include <utility>

#include "cloud/base/log.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/store/sqlite/audit_log.hpp"

namespace muster::store {

using domain::StoreError;

// --- Transaction ---------------------------------------------------------------------------------------------------------

Result<void> Transaction::change(domain::ChangeKind kind, std::int64_t id) {
  MUSTER_TRY_VOID(connection_.run("INSERT INTO changes (kind, id) VALUES (?1, ?2)", kind, id));
  return {};
}

Result<void> Transaction::audit(const domain::Actor& actor, OrganizationId organization, std::string_view action,
                                std::string_view object_kind, std::int64_t object_id, const JsonText& detail) {
  domain::AuditEntry entry;
  entry.at = at(actor);
  entry.actor_user_id = actor.user_id;
  entry.api_key_id = actor.api_key_id;
  entry.oauth_client_id = actor.oauth_client_id;
  entry.client = actor.client;
  entry.ip = actor.ip;
  entry.organization_id = actor.organization_id ? actor.organization_id : organization;
  entry.action = action;
  entry.object_kind = object_kind;
  entry.object_id = object_id;
  entry.detail = detail.finish();
  entry.personal = detail.finish_personal();
  return lay(std::move(entry));
}

Result<void> Transaction::lay(domain::AuditEntry entry) {
  if (entry.at.ms == 0) entry.at = now();
  return lay_audit_entry(connection_, audit_key_, entry);
}

// --- Writer --------------------------------------------------------------------------------------------------------------

Writer::Writer(Database& database, const SqliteOptions& options, const Clock& clock)
    : database_{database}, clock_{clock}, audit_key_{*options.audit_key}, group_max_{options.group_max}, queue_max_{options.queue_max} {
  thread_ = std::thread{[this] { work(); }};
}

Writer::~Writer() { stop(); }

void Writer::stop() {
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  arrived_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Error Writer::submit(Operation& operation) {
  {
    std::lock_guard lock{mutex_};
    if (stopping_) return StoreError::shutting_down;
    if (queue_.size() >= queue_max_) return StoreError::busy;
    queue_.push_back(&operation);
  }
  arrived_.notify_one();
  std::unique_lock lock{operation.mutex};
  operation.finished.wait(lock, [&] { return operation.done; });
  return operation.error;
}

void Writer::work() noexcept {
  std::vector<Operation*> group;
  group.reserve(group_max_);
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      arrived_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) break;
      while (!queue_.empty() && group.size() < group_max_) {
        group.push_back(queue_.front());
        queue_.pop_front();
      }
    }
    run_group(group);
    operations_.fetch_add(group.size(), std::memory_order_relaxed);
    for (Operation* operation : group) {
      // Notified under the lock: the operation lies on its caller's stack and is gone once the caller can return.
      std::lock_guard lock{operation->mutex};
      operation->done = true;
      operation->finished.notify_one();
    }
    group.clear();
  }
}

void Writer::run_group(std::vector<Operation*>& group) {
  auto writer = database_.borrow_writer();
  if (!writer) {
    for (Operation* operation : group) operation->error = writer.error();
    return;
  }
  run_group_on(*writer, group);
  database_.give_back(std::move(*writer));
}

void Writer::run_group_on(Database::Writer& writer, std::vector<Operation*>& group) {
  Connection& connection = *writer.connection;
  const Error error = run_transaction(connection, group);
  // Whatever an operation met may be trouble of the whole file.
  for (Operation* operation : group) {
    if (operation->error) database_.met(operation->error, writer.generation, connection);
  }
  if (!error) return;
  for (Operation* operation : group) operation->error = error;
  database_.met(error, writer.generation, connection);
  if (connection.in_transaction() && !connection.execute("ROLLBACK")) {
    writer.connection.reset();  // In an unknown state: a fresh one takes its place.
  }
}

Error Writer::run_transaction(Connection& connection, std::vector<Operation*>& group) {
  if (auto begun = connection.run("BEGIN IMMEDIATE"); !begun) return begun.error();
  Transaction transaction{connection, clock_, audit_key_};
  bool anything = false;
  for (Operation* operation : group) {
    if (auto result = connection.run("SAVEPOINT operation"); !result) return result.error();
    operation->error = perform(*operation, transaction);
    // Some errors (no memory, disk full, I/O) end the transaction by themselves: what ran before is gone as well.
    if (!connection.in_transaction()) return operation->error ? operation->error : Error{StoreError::unavailable};
    if (operation->error) {
      if (auto result = connection.run("ROLLBACK TO operation"); !result) return result.error();
    } else {
      anything = true;
    }
    if (auto result = connection.run("RELEASE operation"); !result) return result.error();
  }
  if (!anything) {
    if (auto result = connection.run("ROLLBACK"); !result) return result.error();
    return {};
  }
  if (auto committed = connection.run("COMMIT"); !committed) return committed.error();
  commits_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Error Writer::perform(Operation& operation, Transaction& transaction) noexcept {
  try {
    return operation.perform(transaction);
  } catch (const std::exception& exception) {
    log::error("store_operation_failed", {{"reason", exception.what()}});
  } catch (...) {
    log::error("store_operation_failed");
  }
  return StoreError::unavailable;
}

}  // namespace muster::store
