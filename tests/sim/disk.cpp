// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/disk.hpp"

#include <stdexcept>

namespace muster::sim {

using store::Connection;
using store::Statement;

namespace {

constexpr const char* file = "muster.db";

/// The judge's own reading never fails: there is no fault below it.
template <class T>
T sure(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error{std::string{"the judge cannot read: "} + what + ": " + result.error().message()};
  return std::move(result).value();
}

}  // namespace

std::string_view bug_name(Bug bug) noexcept {
  switch (bug) {
    case Bug::none: return "none";
    case Bug::reissued_token: return "reissued_token";
    case Bug::nine_when_store_fails: return "nine_when_store_fails";
    case Bug::reveal_without_audit: return "reveal_without_audit";
    case Bug::restart_touches_rows: return "restart_touches_rows";
    case Bug::restart_is_disconnect: return "restart_is_disconnect";
    case Bug::oldest_login_stays: return "oldest_login_stays";
    case Bug::late_revocation: return "late_revocation";
    case Bug::revoked_session_lives: return "revoked_session_lives";
    case Bug::early_acknowledgement: return "early_acknowledgement";
    case Bug::unsynced_commit: return "unsynced_commit";
    case Bug::commit_before_proof: return "commit_before_proof";
    case Bug::pending_after_dial: return "pending_after_dial";
    case Bug::old_token_ends_at_login: return "old_token_ends_at_login";
  }
  return "?";
}

// --- the mistakes of a store ------------------------------------------------------------------------------------------------------------

Result<std::optional<domain::FoundToken>> Disk::Seen::find_token(std::span<const TokenDigest> digests) {
  auto found = FaultyStore::find_token(digests);
  if (!found && disk_.bug_ == Bug::nine_when_store_fails) return std::optional<domain::FoundToken>{};
  return found;
}

Result<std::string> Disk::Seen::reveal_token(DeviceId id, const domain::Actor& actor) {
  auto sealed = FaultyStore::reveal_token(id, actor);
  if (sealed && disk_.bug_ == Bug::reveal_without_audit) {
    disk_.run("DROP TRIGGER IF EXISTS audit_deleted");
    disk_.run("DELETE FROM audit WHERE action = 'device.token.reveal' AND id = (SELECT max(id) FROM audit)");
  }
  return sealed;
}

Result<domain::Device> Disk::Seen::create_device(const domain::Device& device, const domain::NewToken& token, const domain::Actor& actor) {
  // Tombstones that have forgotten what they stand for.
  if (disk_.bug_ == Bug::reissued_token) disk_.run("UPDATE auth_token SET mac = randomblob(32) WHERE kind = 6");
  return FaultyStore::create_device(device, token, actor);
}

Result<domain::InfoVerdict> Disk::Seen::accept_info(ProvisionSessionId id, const domain::ReportedInfo& info, const domain::Actor& actor) {
  auto verdict = FaultyStore::accept_info(id, info, actor);
  if (verdict && verdict->failure == domain::ProvisionFailure::none && disk_.bug_ == Bug::old_token_ends_at_login) {
    static_cast<void>(FaultyStore::finish_reprovision(id, verdict->session.token_id, actor));
  }
  return verdict;
}

// --- opening ------------------------------------------------------------------------------------------------------------------------------

Disk::Disk(const Clock& clock, Bug bug, std::uint64_t seed, const store::PowerCutDisk::Image* image)
    : clock_{clock}, bug_{bug}, random_{seed}, files_{"muster-sim"} {
  if (image == nullptr) {
    // The first start was long ago: what it made is on the disk, names too.
    open();
    close();
  }
  files_.load(image != nullptr ? *image : files_.save());
  open();
}
Disk::~Disk() = default;

void Disk::close() {
  seen_.reset();
  judge_.reset();
  sqlite_.reset();
}

void Disk::open() {
  store::SqliteOptions options;
  options.clock = &clock_;
  options.vfs = files_.vfs_name();
  options.durability = bug_ == Bug::unsynced_commit ? store::Durability::off : store::Durability::full;
  sqlite_ = store::SqliteStore::open(file, options);
  sure(sqlite_->check(), "opening");
  seen_ = std::make_unique<Seen>(*sqlite_, *this, random_.below(1'000'000'000));
  store::ConnectionOptions own;
  own.path = file;
  own.vfs = files_.vfs_name();
  own.synchronous = store::Synchronous::off;
  own.cache_kib = 1024;
  judge_ = sure(Connection::open(own, Connection::Use::write), "opening");
}

void Disk::reopen(bool power_cut) {
  injected_ += seen_->script.injected();
  // Closing writes; a machine without power does not, or not to the end.
  if (power_cut) files_.cut_at(1 + random_.below(30));
  close();
  if (power_cut) files_.power_cycle(random_.below(2) == 0 ? store::Unsynced::lost : store::Unsynced::torn, random_);
  open();
}

store::PowerCutDisk::Image Disk::image() {
  close();
  auto image = files_.save();
  open();
  return image;
}

// --- the judge's eyes -----------------------------------------------------------------------------------------------------------------------

void Disk::run(std::string_view sql) { sure(judge_->run(sql), "writing"); }

std::map<std::int32_t, Disk::DeviceRow> Disk::devices() {
  std::map<std::int32_t, DeviceRow> out;
  Statement rows = sure(judge_->query("SELECT id, activated_at, coalesce(first_connect_time, 0), coalesce(disconnect_time, 0), "
                                      "organization_id, coalesce(owner_id, 0), template_id FROM device "
                                      "LEFT JOIN device_presence ON device_id = id"),
                        "devices");
  while (sure(rows.step(), "devices")) {
    out[static_cast<std::int32_t>(rows.integer(0))] = {rows.integer(1), rows.integer(2), rows.integer(3),
                                                       rows.integer(4), rows.integer(5), rows.integer(6)};
  }
  return out;
}

std::map<std::int64_t, std::int64_t> Disk::tokens() {
  std::map<std::int64_t, std::int64_t> out;
  Statement rows = sure(judge_->query("SELECT id, kind FROM auth_token"), "tokens");
  while (sure(rows.step(), "tokens")) out[rows.integer(0)] = rows.integer(1);
  return out;
}

bool Disk::has_device(DeviceId id) { return sure(judge_->exists("SELECT 1 FROM device WHERE id = ?1", id), "a device"); }

std::int64_t Disk::activated_at(DeviceId id) {
  return sure(judge_->number("SELECT activated_at FROM device WHERE id = ?1", id), "a device").value_or(-1);
}

bool Disk::is_live_token(const Mac& mac) {
  return sure(judge_->exists("SELECT 1 FROM auth_token WHERE mac = ?1 AND kind <> 6", store::blob(mac)), "a token");
}

std::vector<Disk::SessionRow> Disk::provision_sessions() {
  std::vector<SessionRow> out;
  Statement rows = sure(judge_->query("SELECT id, kind, state, device_id, token_id, ifnull(old_token_id, 0), expires_at, accepted_at, "
                                      "failure_code, created_by, uid, (SELECT count(*) FROM provision_step WHERE session_id = s.id) "
                                      "FROM provision_session s ORDER BY id"),
                        "sessions");
  while (sure(rows.step(), "sessions")) {
    out.push_back({rows.integer(0), rows.integer(1), rows.integer(2), rows.integer(3), rows.integer(4), rows.integer(5), rows.integer(6),
                   rows.integer(7), rows.integer(8), rows.integer(9), std::string{rows.text(10)}, rows.integer(11)});
  }
  return out;
}

std::optional<Disk::TokenRow> Disk::token(const Mac& mac) {
  Statement row = sure(judge_->query("SELECT id, kind, ifnull(device_id, 0) FROM auth_token WHERE mac = ?1", store::blob(mac)), "a token");
  if (!sure(row.step(), "a token")) return std::nullopt;
  return TokenRow{row.integer(0), row.integer(1), row.integer(2)};
}

std::int64_t Disk::tokens_twice() {
  return *sure(judge_->number("SELECT count(*) - count(DISTINCT mac) FROM auth_token NOT INDEXED"), "tokens");
}

std::map<std::string, std::uint64_t> Disk::audit() {
  std::map<std::string, std::uint64_t> out;
  Statement rows = sure(judge_->query("SELECT action, count(*) FROM audit GROUP BY action"), "audit");
  while (sure(rows.step(), "audit")) out[std::string{rows.text(0)}] = static_cast<std::uint64_t>(rows.integer(1));
  return out;
}

std::string Disk::damage() {
  Statement check = sure(judge_->query("PRAGMA integrity_check(1)"), "the check");
  if (!sure(check.step(), "the check")) return "no answer";
  return check.text(0) == "ok" ? std::string{} : std::string{check.text(0)};
}

}  // namespace muster::sim
