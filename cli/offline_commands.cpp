// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <ostream>
#include <thread>
#include <vector>

#include "cli/commands.hpp"
#include "cloud/base/age.hpp"
#include "cloud/base/audit_key.hpp"
#include "cloud/base/error.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/password.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/domain/permission.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/main/audit_heads.hpp"
#include "cloud/main/data_store.hpp"
#include "cloud/main/key_fit.hpp"
#include "cloud/store/backup/backup_archive.hpp"

namespace muster::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t rotate_batch = 1000;
constexpr auto server_takes_key_within = std::chrono::seconds{5};  ///< It looks at keys/ several times a second.
constexpr auto server_is_past_key_after = std::chrono::hours{24};
constexpr std::size_t administrators_listed_max = 20;
constexpr std::string_view auth_token_context = "auth-token";

std::string quoted_json(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) quoted += c;
  }
  return quoted + "\"";
}

Failure failure_of(const std::string& what, const Error& error) {
  auto why = error.message();
  if (!why.empty() && why.back() != '.') why += '.';
  return failed(what + ": " + why);
}

/// The operator of the machine, for the audit log: shown with the root organization's entries.
domain::Actor operator_here(domain::Store& store) {
  domain::Actor actor;
  actor.client = "CLI";
  actor.at = SystemClock{}.utc_now();
  if (const auto organizations = store.organizations()) {
    for (const auto& organization : *organizations) {
      if (!organization.parent_id) actor.organization_id = organization.id;
    }
  }
  return actor;
}

/// A data directory and the database that belongs to it.
struct Data {
  fs::path directory, database;
};

/// A data directory that holds a server's data, for a command that works beside the server or without it. The store is the one that
/// was given, else the one that the server said it uses.
Outcome<Data> existing_data(const DataOptions& options) {
  Data data{options.directory, {}};
  std::error_code error;
  if (!fs::is_directory(data.directory, error)) {
    return usage(printable(options.directory) + " is not a directory" + (error ? " (" + error.message() + ")" : std::string{}) +
                 "; give the server's data directory with --data.");
  }
  if (!options.store_url.empty()) {
    if (!main::is_store_url(options.store_url))
      return usage("--store " + printable(options.store_url) + " is not supported; this version knows sqlite:PATH.");
    data.database = main::database_of_url(options.store_url);
  } else {
    auto recorded = main::recorded_database(data.directory);
    if (!recorded) return failure_of((data.directory / "store").string(), recorded.error());
    data.database = std::move(*recorded);
  }
  if (!fs::exists(data.database, error)) {
    return usage(printable(data.database.string()) +
                 (error ? " cannot be looked at (" + error.message() + ")" : std::string{" is missing"}) + "; is " +
                 printable(options.directory) + " the server's data directory?");
  }
  if (!fs::is_directory(data.directory / "keys", error))
    return failed((data.directory / "keys").string() +
                  " is missing: without its keys nothing in the database can be read. Bring keys/ back, or restore a backup.");
  return data;
}

Outcome<std::unique_ptr<KeyRing>> open_keys(const fs::path& data) {
  SecureRandom random;
  auto keys = KeyRing::open(data / "keys", random);
  if (!keys) return failure_of((data / "keys").string(), keys.error());
  return std::move(*keys);
}

Outcome<std::unique_ptr<domain::Store>> open_store(const Data& data) {
  auto opened = main::open_data_store(data.directory, data.database);
  if (!opened) return failure_of(data.database.string(), opened.error());
  return std::move(*opened);
}

/// An entry about something that was done to the data directory as a whole.
Result<void> append_audit(domain::Store& store, std::string_view action, std::string_view object_kind, std::int64_t object_id,
                          std::string detail) {
  const auto actor = operator_here(store);
  domain::AuditEntry entry;
  entry.at = actor.at;
  entry.client = actor.client;
  entry.organization_id = actor.organization_id;
  entry.action = action;
  entry.object_kind = object_kind;
  entry.object_id = object_id;
  entry.detail = std::move(detail);
  return store.append_audit(entry);
}

std::string json_list(const std::vector<std::uint16_t>& numbers) {
  std::string list = "[";
  for (std::size_t i = 0; i < numbers.size(); ++i) list += (i == 0 ? "" : ",") + std::to_string(numbers[i]);
  return list + "]";
}

/// Whether a restore may unpack here: nothing is there, but what a restore that was cut off left.
bool holds_nothing(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator entry{directory, error}, end; !error && entry != end; entry.increment(error)) {
    if (!store::is_restore_scratch(entry->path())) return false;
  }
  return !error;
}

/// Holds the data directory's lock, or knows that a server does.
class DataLock {
 public:
  explicit DataLock(const fs::path& data) : file_{::open((data / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
    held_ = file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) == 0;
    server_runs_ = file_ >= 0 && !held_ && errno == EWOULDBLOCK;
    if (file_ >= 0) static_cast<void>(give_to_owner_of(data, data / "lock"));  // The server has to open it, too.
  }
  ~DataLock() {
    if (file_ >= 0) ::close(file_);
  }
  DataLock(const DataLock&) = delete;
  DataLock& operator=(const DataLock&) = delete;
  [[nodiscard]] bool server_runs() const noexcept { return server_runs_; }

 private:
  int file_;
  bool held_ = false, server_runs_ = false;
};

/// Whether the keys are those that the store's tokens were made with.
Result<void> check_keys_fit(const KeyRing& keys, domain::Store& store) {
  MUSTER_TRY(const auto ids, store.key_ids_in_use());
  for (const auto id : ids) MUSTER_TRY_VOID(main::check_key_fits(keys, store, id));
  return {};
}

/// Emails of the root's Admins.
Outcome<std::vector<std::string>> administrators(domain::Store& store) {
  const auto users = store.all_users();
  const auto organizations = store.organizations();
  if (!users || !organizations) return failure_of("The users cannot be read", users ? organizations.error() : users.error());
  std::vector<std::string> emails;
  for (const auto& user : *users) {
    const auto is_root = [&user](const domain::Organization& o) { return o.id == user.organization_id && !o.parent_id; };
    if (user.role_id == domain::admin_role && std::any_of(organizations->begin(), organizations->end(), is_root))
      emails.push_back(user.email);
  }
  return emails;
}

std::string list_of(const std::vector<std::string>& emails) {
  std::string list;
  for (std::size_t i = 0; i < emails.size() && i < administrators_listed_max; ++i) list += (i == 0 ? "" : ", ") + printable(emails[i]);
  if (emails.size() > administrators_listed_max) list += ", ...";
  return list;
}

/// Long work says that it goes on, to people only.
void say(Context& context, std::string_view what) {
  if (!context.globals.json && ::isatty(STDERR_FILENO) == 1) context.err << what << std::flush;
}

}  // namespace

Outcome<void> back_up(Context& context, const BackupOptions& options) {
  const auto data = existing_data(options.data);
  if (!data) return data.error();
  store::BackupRecipients to;
  for (const auto& text : options.recipients) {
    auto recipient = age::Recipient::parse(text);
    if (!recipient && domain::lower_ascii(text).starts_with("age-secret-key-"))
      return usage("That is a secret key: keep it to yourself, and give its public key, which begins with age1 (`age-keygen -y FILE`).");
    if (!recipient) return usage("\"" + printable(text) + "\" is not an age public key; it begins with age1 (see `age-keygen`).");
    to.recipients.push_back(*recipient);
  }
  std::error_code error;
  if (fs::exists(fs::symlink_status(options.out, error)))
    return usage(options.out + " exists already; name another file, or remove it first.");
  if (to.recipients.empty()) {
    auto asked = ask_new_passphrase(context.input);
    if (!asked) return asked.error();
    to.passphrase = std::move(*asked);
  }
  say(context, "Copying and encrypting ...\n");
  SecureRandom random;
  // Before the copy, so that the backup holds it, too. A store that cannot be read is no reason to have no backup.
  std::string head_line;
  const auto head = [&]() -> Result<domain::AuditHead> {
    MUSTER_TRY(const auto audit_key, AuditKey::open(data->directory / "keys", random));
    MUSTER_TRY(const auto store, main::open_data_store(data->directory, data->database));
    return main::write_audit_head(data->directory, *audit_key, *store, SystemClock{}.utc_now());
  }();
  if (head) {
    head_line = domain::audit_head_line(*head);
  } else {
    context.err << "No head of the audit log could be taken: " << head.error().message() << ".\n";
  }
  const auto summary = store::create_backup(data->directory, data->database, options.out, to, random);
  if (!summary) return failure_of(options.out, summary.error());
  // Afterwards, and no reason to take the backup back: a store that cannot be written to is when it is needed most.
  const auto recorded = [&]() -> Result<void> {
    MUSTER_TRY(const auto store, main::open_data_store(data->directory, data->database));
    return append_audit(*store, "store.backup", "settings", 0,
                        R"({"file":)" + quoted_json(fs::path{options.out}.filename().string()) + R"(,"to":)" +
                            quoted_json(to.recipients.empty() ? "passphrase" : "recipients") + "}");
  }();
  if (!recorded) context.err << "The backup is whole, but it could not be noted in the audit log: " << recorded.error().message() << ".\n";
  const auto size = fs::file_size(options.out, error);
  if (context.globals.json) {
    context.out << R"({"file":)" << quoted_json(options.out) << R"(,"bytes":)" << size;
    if (!head_line.empty()) context.out << R"(,"auditHead":)" << quoted_json(head_line);
    context.out << "}\n";
  } else {
    context.out << "Backup written: " << printable(options.out) << " (" << size << " bytes). Keep the "
                << (to.recipients.empty() ? "passphrase" : "age secret key") << " elsewhere: without it nobody can restore.\n";
    if (!head_line.empty()) context.out << "Keep this line apart from the server, too; it proves the audit log: " << head_line << "\n";
  }
  return {};
}

Outcome<void> restore(Context& context, const RestoreOptions& options) {
  std::error_code error;
  const std::string& directory = options.data.directory;
  if (fs::exists(directory, error) && (!fs::is_directory(directory, error) || !holds_nothing(directory))) {
    return usage(directory + " exists and is not empty; restore into a new directory, so that nothing is overwritten.");
  }
  std::ifstream in{options.in, std::ios::binary};
  if (!in) return usage(options.in + " cannot be read: " + std::strerror(errno) + ".");
  std::string start(age::header_max_bytes, '\0');
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(in.gcount()));
  const auto kind = age::inspect(start);
  if (!kind) return failed(options.in + " is not a backup of muster.");

  store::BackupIdentities with;
  if (*kind == age::Kind::recipients) {
    if (options.identity.empty()) return usage("This backup is encrypted to an age key: give the secret key's file with --identity FILE.");
    const auto text = read_file(options.identity, 64 * 1024);
    if (!text) return usage(options.identity + " cannot be read: " + text.error().message() + ".");
    auto parsed = age::Identity::parse_file(*text);
    if (!parsed) return usage(options.identity + " holds no age secret key.");
    with.identities = std::move(*parsed);
  } else {
    auto asked = ask_password(context.input, "Recovery passphrase of this backup: ");
    if (!asked) return asked.error();
    with.passphrase = std::move(*asked);
    if (with.passphrase.empty()) return usage("The passphrase is empty.");
  }
  say(context, "Decrypting and checking ...\n");
  if (const auto done = store::restore_backup(options.in, with, directory); !done) {
    if (done.error() == make_error_code(BaseError::passphrase_wrong)) return failed("The passphrase is wrong.");
    if (done.error() == make_error_code(BaseError::identity_mismatch))
      return failed("The backup is encrypted to another key than that of " + options.identity + ".");
    if (done.error() == make_error_code(BaseError::file_damaged))
      return failed(options.in + " is damaged or cut off; nothing was restored.");
    return failure_of(directory, done.error());
  }
  if (context.globals.json) {
    context.out << R"({"data":)" << quoted_json(directory) << R"(,"unknownTokens":"hold"})" << "\n";
  } else {
    context.out << "Restored into " << printable(directory)
                << ". People sign in anew; AuthTokens that were revoked after the backup live again and have to be revoked again.\n"
                << "AuthTokens that are not in the backup are held: such devices are closed without an answer, never called invalid "
                   "(muster_unknown_token_holds_total in /metrics).\n"
                << "Start the server: muster serve --data " << printable(directory) << "\n"
                << "When no device made after the backup is missing: muster restore --complete --data " << printable(directory) << "\n";
  }
  return {};
}

Outcome<void> verify_audit(Context& context, const VerifyAuditOptions& options) {
  const auto data = existing_data(options.data);
  if (!data) return data.error();
  std::error_code error;
  const auto key_file = data->directory / "keys" / AuditKey::file_name;
  if (!fs::exists(key_file, error))  // Opening would make one, under which nothing is genuine.
    return failed(key_file.string() + " is missing: without it nothing can be said of the audit log. Bring it back from a backup.");
  std::vector<domain::AuditHead> kept;
  for (const auto& file : options.heads) {
    const auto heads = main::read_audit_heads(file);
    if (!heads) return usage(printable(file) + " cannot be read: " + heads.error().message() + ".");
    if (heads->empty()) return usage(printable(file) + " holds no head of an audit log.");
    kept.insert(kept.end(), heads->begin(), heads->end());
  }
  SecureRandom random;
  const auto key = AuditKey::open(data->directory / "keys", random);
  if (!key) return failure_of(key_file.string(), key.error());
  auto store = open_store(*data);
  if (!store) return store.error();
  say(context, "Checking every entry ...\n");
  const auto verdict = main::verify_audit(data->directory, **key, **store, std::move(kept));
  if (!verdict) return failure_of(data->database.string(), verdict.error());
  if (context.globals.json) {
    context.out << R"({"whole":)" << (verdict->whole() ? "true" : "false") << R"(,"entries":)" << verdict->entries << R"(,"genuine":)"
                << verdict->genuine << R"(,"erased":)" << verdict->erased << R"(,"headsMet":)" << verdict->heads_met
                << R"(,"findingsLeftOut":)" << verdict->findings_left_out << R"(,"findings":[)";
    bool first = true;
    for (const auto& finding : verdict->findings) {
      context.out << (first ? "" : ",") << R"({"problem":)" << quoted_json(domain::audit_problem_name(finding.problem)) << R"(,"first":)"
                  << finding.first << R"(,"last":)" << finding.last << "}";
      first = false;
    }
    context.out << "]}\n";
  } else {
    context.out << verdict->entries << " entries, " << verdict->genuine << " of them genuine; " << verdict->heads_met
                << " heads met; personal data erased " << verdict->erased << " times.\n";
    for (const auto& finding : verdict->findings) {
      context.out << domain::audit_problem_name(finding.problem) << ": entry " << finding.first;
      if (finding.last != finding.first) context.out << " to " << finding.last;
      context.out << "\n";
    }
    if (verdict->findings_left_out > 0) context.out << "... and " << verdict->findings_left_out << " more\n";
  }
  if (verdict->whole()) return {};
  if (verdict->entries > 0 && verdict->genuine == 0)
    return failed("Not one entry is genuine: keys/audit.secret is not the key of this log, or all of it was replaced.");
  return failed("The audit log was tampered with.");
}

Outcome<void> complete_restore(Context& context, const DataOptions& options) {
  const auto data = existing_data(options);
  if (!data) return data.error();
  auto store = open_store(*data);
  if (!store) return store.error();
  const auto mode = (*store)->unknown_tokens();
  if (!mode) return failure_of(data->database.string(), mode.error());
  if (*mode != domain::UnknownTokens::refuse) {
    if (auto sure = confirm(context.input, context.globals.yes,
                            "From now on, devices whose AuthToken is not in the restored store hear that it is invalid; stock firmware "
                            "then erases its settings.");
        !sure) {
      return sure;
    }
    if (const auto done = (*store)->set_unknown_tokens(domain::UnknownTokens::refuse, operator_here(**store)); !done)
      return failure_of(data->database.string(), done.error());
  }
  if (context.globals.json) {
    context.out << R"({"unknownTokens":"refuse"})" << "\n";
  } else {
    context.out << (*mode != domain::UnknownTokens::refuse ? "The restore is complete: unknown AuthTokens are invalid again.\n"
                                                           : "Nothing to do: unknown AuthTokens are not held.\n");
  }
  return {};
}

Outcome<void> rotate_keys(Context& context, const DataOptions& options) {
  const auto data = existing_data(options);
  if (!data) return data.error();
  // Two rotations would each make a key of the same number, and each take the other's away.
  const auto alone = FolderLock::take(data->directory / "keys");
  if (!alone) {
    if (alone.error() == boost::system::errc::operation_would_block) {
      return failed("Another key rotation is running on " + printable(options.directory) +
                    "; wait for its end. If it was cut off after all, run this again: it goes on where that one stopped.");
    }
    return failure_of((data->directory / "keys").string(), alone.error());
  }
  const DataLock lock{data->directory};  // Keeps a server from starting in the middle; one that runs takes the new key by itself.
  auto keys = open_keys(data->directory);
  if (!keys) return keys.error();
  auto store = open_store(*data);
  if (!store) return store.error();
  const auto store_failure = [&](const Error& error) { return failure_of(data->database.string(), error); };
  if (const auto fit = check_keys_fit(**keys, **store); !fit) {
    if (fit.error() == BaseError::keys_foreign || fit.error() == BaseError::key_unknown) {
      return failed((data->directory / "keys").string() + " does not belong to " + data->database.string() +
                    ": its AuthTokens were made with other keys. Put the keys/ directory that belongs to it there; nothing was changed.");
    }
    return store_failure(fit.error());
  }
  SecureRandom random;

  // Tokens under older keys beside some under the newest: an earlier rotation was cut off, and goes on.
  auto newest = (*keys)->newest_key_id();
  auto newest_before = newest;
  const auto left = (*store)->tokens_to_rotate(newest, 1);
  if (!left) return store_failure(left.error());
  if (left->empty()) {
    const auto added = (*keys)->add_key(random);
    if (!added) {
      if (added.error() == make_error_code(BaseError::key_ring_full)) {
        return failed("There are " + std::to_string(KeyRing::keys_max) +
                      " keys already, all still needed: AuthTokens that were revoked keep the key of their time, so that none is ever "
                      "given out again.");
      }
      return failure_of((data->directory / "keys").string(), added.error());
    }
    newest = *added;
  } else {
    if (!context.globals.json) context.err << "An earlier rotation was not finished; it goes on.\n";
    if (const auto ids = (*keys)->key_ids(); ids.size() > 1) newest_before = ids[1];
  }
  if (lock.server_runs()) {
    // It must know the key before any AuthToken is found by it alone.
    if (!context.globals.json)
      context.err << "A server runs on this directory: giving it " << server_takes_key_within.count() << " s to take the new key.\n";
    std::this_thread::sleep_for(server_takes_key_within);
  }

  std::uint64_t rotated = 0;
  const bool show = ::isatty(STDERR_FILENO) == 1 && !context.globals.json;
  for (;;) {
    const auto batch = (*store)->tokens_to_rotate(newest, rotate_batch);
    if (!batch) return store_failure(batch.error());
    if (batch->empty()) break;
    std::vector<domain::RotatedToken> anew;
    anew.reserve(batch->size());
    for (const auto& token : *batch) {
      const auto plain = (*keys)->open_sealed(auth_token_context, token.sealed);
      if (!plain) return failure_of("AuthToken " + std::to_string(token.id.value()) + " cannot be read", plain.error());
      anew.push_back({token.id, (*keys)->digest(auth_token_context, *plain).newest(), (*keys)->seal(auth_token_context, *plain, random)});
    }
    if (const auto done = (*store)->rotate_tokens(anew); !done) return store_failure(done.error());
    rotated += anew.size();
    if (show) context.err << "\r" << rotated << " AuthTokens" << std::flush;
  }
  if (show && rotated > 0) context.err << "\n";

  // Keys that nothing carries any more go. A server that runs may still be giving out tokens under the key that was the newest until
  // now, so it keeps that one, and any that the next one took the place of a short while ago: it may not have taken that in yet.
  const auto server_is_past = [&](std::uint16_t id) {
    const auto ids = (*keys)->key_ids();  // Newest first.
    const auto at = std::find(ids.begin(), ids.end(), id);
    if (id == newest_before || at == ids.begin() || at == ids.end()) return false;
    std::error_code failure;
    const auto replaced_at = fs::last_write_time(data->directory / "keys" / KeyRing::file_name(*std::prev(at)), failure);
    return !failure && fs::file_time_type::clock::now() - replaced_at > server_is_past_key_after;
  };
  std::vector<std::uint16_t> removed;
  if (const auto in_use = (*store)->key_ids_in_use(); !in_use) {
    return store_failure(in_use.error());
  } else {
    for (const auto id : (*keys)->key_ids()) {
      if (id == newest || std::find(in_use->begin(), in_use->end(), id) != in_use->end()) continue;
      if (lock.server_runs() && !server_is_past(id)) continue;
      if (const auto done = (*keys)->remove_key(id); !done) return failure_of((data->directory / "keys").string(), done.error());
      removed.push_back(id);
    }
  }
  const std::string summary = R"({"newestKey":)" + std::to_string(newest) + R"(,"rotated":)" + std::to_string(rotated) +
                              R"(,"removedKeys":)" + json_list(removed) + "}";
  if (const auto noted = append_audit(**store, "key.rotate", "settings", newest, summary); !noted) return store_failure(noted.error());
  if (context.globals.json) {
    context.out << summary << "\n";
  } else {
    context.out << "Key " << newest << " is in use; " << rotated
                << " AuthTokens were digested and sealed anew. Keys in the ring: " << (*keys)->key_ids().size() << ".\n";
  }
  return {};
}

Outcome<void> recover_administrator(Context& context, const RecoverOptions& options) {
  const auto data = existing_data(options.data);
  if (!data) return data.error();
  auto email = domain::lower_ascii(domain::trim(options.email));
  if (const auto complaint = email.empty() ? std::nullopt : domain::check_email(email)) return usage(*complaint);
  auto store = open_store(*data);
  if (!store) return store.error();
  const auto known = administrators(**store);
  if (!known) return known.error();
  if (email.empty()) {
    if (known->empty()) return usage("There is no administrator yet; name one with --email, or use `muster setup` on a new server.");
    if (known->size() > 1)
      return usage("There are " + std::to_string(known->size()) + " administrators; say with --email which one: " + list_of(*known));
    email = known->front();
  }
  const bool is_new = std::find(known->begin(), known->end(), email) == known->end();
  if (is_new && !options.make_administrator) {
    return usage(printable(email) + " is no administrator of this server. " +
                 (known->empty() ? std::string{"There is none"} : "There is " + list_of(*known)) +
                 ". To make this address one, add --make-administrator.");
  }
  auto password = ask_new_password(context.input, "New password for " + printable(email) + ": ");
  if (!password) return password.error();
  const auto verifier = make_password_verifier(password_prehash(*password, email));
  const auto user = (*store)->recover_administrator(email, verifier, operator_here(**store));
  if (!user) {
    if (user.error() == make_error_code(domain::DomainError::not_found))
      return failed("This server has not been set up yet; use `muster setup` with the code that it shows when it starts.");
    if (user.error() == make_error_code(domain::DomainError::email_taken))
      return failed(printable(email) +
                    " belongs to a user of another organization, who cannot administer the server; use another address.");
    return failure_of(data->database.string(), user.error());
  }
  if (context.globals.json) {
    context.out << R"({"id":)" << user->value() << R"(,"email":)" << quoted_json(email) << R"(,"madeAdministrator":)"
                << (is_new ? "true" : "false") << "}\n";
  } else {
    context.out << printable(email) << (is_new ? " has been made an administrator" : " is an active administrator")
                << ", with the new password; other sessions of that user have ended.\n";
  }
  return {};
}

}  // namespace muster::cli
