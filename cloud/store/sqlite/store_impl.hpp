// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>

#include "cloud/domain/error.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/database.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"
#include "cloud/store/sqlite/writer.hpp"

/// What the files of SqliteStore's operations share. Only they include this.
namespace muster::store {

struct SqliteStore::Impl {
  Impl(std::filesystem::path path, const SqliteOptions& given)
      : options{with_audit_key(given)},
        clock{given.clock != nullptr ? *given.clock : static_cast<const Clock&>(system_clock)},
        database{std::move(path), options, clock},
        writer{database, options, clock} {}

  static SqliteOptions with_audit_key(SqliteOptions options) {
    if (options.audit_key == nullptr) options.audit_key = AuditKey::of_tests();
    return options;
  }

  /// Runs `work(Connection&)` in one snapshot.
  template <class Work>
  [[nodiscard]] std::invoke_result_t<Work&, Connection&> read(Work&& work) {
    using Answer = std::invoke_result_t<Work&, Connection&>;
    const auto reader = database.reader();
    if (!reader) return failed<Answer>(reader.error());
    Connection& connection = **reader;
    const auto snapshot = ReadTransaction::begin(connection);
    Answer answer = snapshot ? work(connection) : failed<Answer>(snapshot.error());
    if (!answer) database.met(answer.error(), reader->generation(), connection);
    return answer;
  }
  /// Runs `work(Transaction&)` on the writer thread; when it has answered a value, that is on disk.
  template <class Work>
  [[nodiscard]] std::invoke_result_t<Work&, Transaction&> write(Work&& work) {
    return writer.run(work);
  }

  const SqliteOptions options;
  SystemClock system_clock;
  const Clock& clock;
  Database database;
  std::int64_t seen_ip_trimmed_day = 0;  ///< Only the writer thread's.
  Writer writer;
};

/// A setting of the table of that name. One that is missing is damage.
[[nodiscard]] Result<std::int64_t> read_setting(Connection& connection, std::string_view name);
[[nodiscard]] Result<void> write_setting(Connection& connection, std::string_view name, std::int64_t value);

/// `[1,2,3]`, for json_each.
template <class IdType>
[[nodiscard]] std::string id_array(std::span<const IdType> ids) {
  std::string text = "[";
  for (const auto id : ids) {
    if (text.size() > 1) text += ',';
    text += std::to_string(id.value());
  }
  return text + ']';
}

/// ` ORDER BY ... LIMIT :limit OFFSET :offset` for a list whose columns are id, name and created_at of the table `prefix`.
/// Errors: DomainError::invalid_value for a column that lists do not sort by.
[[nodiscard]] Result<std::string> order_and_limit(const domain::Page& page, std::string_view prefix);
void bind_limit(Statement& statement, const domain::Page& page);

/// Whether `ancestor` is `id` or above it.
[[nodiscard]] Result<bool> is_at_or_above(Connection& connection, OrganizationId ancestor, OrganizationId id);

/// Devices of the organization and of those beneath it, with the ids that open provisioning sessions have reserved.
[[nodiscard]] Result<std::int64_t> devices_beneath(Connection& connection, OrganizationId id);
/// Whether `adding` more devices fit into the organization and those above it; what is in `from` counts already wherever that is beneath.
/// Errors: DomainError::limit_reached.
[[nodiscard]] Result<void> check_device_limit(Connection& connection, OrganizationId organization, std::int64_t adding,
                                              OrganizationId from = {});

/// A row, or nullopt.
[[nodiscard]] Result<std::optional<domain::Organization>> load_organization(Connection& connection, OrganizationId id);
[[nodiscard]] Result<std::optional<domain::User>> load_user(Connection& connection, UserId id);
[[nodiscard]] Result<std::optional<domain::Template>> load_template(Connection& connection, TemplateId id);
[[nodiscard]] Result<std::optional<domain::Device>> load_device(Connection& connection, DeviceId id);

/// What delete_device and delete_organization do, inside a larger operation.
[[nodiscard]] Result<void> remove_device(Transaction& transaction, DeviceId id, const domain::Actor& actor);
[[nodiscard]] Result<void> remove_organization(Transaction& transaction, OrganizationId id, const domain::Actor& actor);

/// Whether `user` is the only active Admin of its organization.
[[nodiscard]] Result<bool> is_last_administrator(Connection& connection, const domain::User& user);
/// All of them but `keep`.
[[nodiscard]] Result<void> end_access_tokens(Transaction& transaction, UserId user, const std::optional<TokenDigest>& keep);
/// What create_user does.
[[nodiscard]] Result<domain::User> insert_user(Transaction& transaction, const domain::User& user, std::string_view verifier,
                                               const domain::Actor& actor);
/// What create_organization does.
[[nodiscard]] Result<domain::Organization> insert_organization(Transaction& transaction, const domain::Organization& organization,
                                                               int depth_max, const domain::Actor& actor);
/// A mail that waits; `goes` nowhere: a row like any other that is never sent. Shown in `organization`.
enum class MailGoes : std::uint8_t { out, nowhere };
[[nodiscard]] Result<void> insert_mail(Transaction& transaction, const domain::NewMail& mail, OrganizationId organization, MailGoes goes,
                                       UtcTime at);

/// Its row alone; `id` none: the next one. Errors: DomainError::limit_reached.
[[nodiscard]] Result<DeviceId> insert_device(Transaction& transaction, const domain::Device& device, DeviceId id,
                                             const domain::Actor& actor);

/// Deletes the template's devices (their tokens become tombstones), with an audit entry and a change row each; how many there were.
[[nodiscard]] Result<std::int64_t> delete_devices_of_template(Transaction& transaction, TemplateId id, const domain::Actor& actor);
/// Sessions that would give such devices new settings end with them; `where` is a condition on `device`, `id` its ?1.
[[nodiscard]] Result<void> end_sessions_of_devices(Transaction& transaction, std::string_view where, std::int64_t id);
/// The re-provisioning that waits for the device ends as if canceled, its token with it; `step` is the trace's word for why.
[[nodiscard]] Result<void> end_waiting_reprovision(Transaction& transaction, DeviceId device, std::string_view step,
                                                   const domain::Actor& actor);
/// Moves one device and tells both organizations; no rule is asked. `owner` none: it has none there.
[[nodiscard]] Result<void> place_device(Transaction& transaction, const domain::Device& device, OrganizationId organization, UserId owner,
                                        const domain::Actor& actor);
/// Devices follow their owner into `organization`, for whoever moves the user in the same transaction. Errors: template_not_in_organization,
/// limit_reached (devices).
[[nodiscard]] Result<void> move_devices_of_owner(Transaction& transaction, UserId owner, OrganizationId organization,
                                                 const domain::Actor& actor);
/// Or they stay where they are, and are nobody's.
[[nodiscard]] Result<void> leave_devices_of_owner(Transaction& transaction, UserId owner, const domain::Actor& actor);
/// The open sessions that the user made end as if he had canceled them, their tokens with them; `step` is the trace's word for why.
[[nodiscard]] Result<void> end_sessions_of_user(Transaction& transaction, UserId user, std::string_view step, const domain::Actor& actor);
/// Deletes the row of the template and what hangs on it.
[[nodiscard]] Result<void> delete_template_row(Transaction& transaction, TemplateId id);

}  // namespace muster::store
