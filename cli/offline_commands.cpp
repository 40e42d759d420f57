// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <ostream>
#include <thread>
#include <vector>

#include "cli/commands.hpp"
#include "cloud/base/age.hpp"
#include "cloud/base/error.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/password.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/main/data_store.hpp"
#include "cloud/store/backup/backup_archive.hpp"

namespace muster::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t rotate_batch = 1000;
constexpr auto server_takes_key_within = std::chrono::seconds{5};  ///< It looks at keys/ several times a second.
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

domain::Actor operator_here() {
  domain::Actor actor;
  actor.client = "CLI";
  actor.at = SystemClock{}.utc_now();
  return actor;
}

/// A data directory that holds a server's data, for a command that works beside the server or without it.
Outcome<fs::path> existing_data(const std::string& data) {
  const fs::path path{data};
  std::error_code error;
  if (!fs::is_directory(path, error)) return usage(data + " is not a directory; give the server's data directory with --data.");
  if (!fs::exists(path / "muster.db", error)) return usage(data + " holds no muster.db; is it the server's data directory?");
  if (!fs::is_directory(path / "keys", error))
    return failed((path / "keys").string() +
                  " is missing: without its keys nothing in the database can be read. Bring keys/ back, or restore a backup.");
  return path;
}

Outcome<std::unique_ptr<KeyRing>> open_keys(const fs::path& data) {
  SecureRandom random;
  auto keys = KeyRing::open(data / "keys", random);
  if (!keys) return failure_of((data / "keys").string(), keys.error());
  return std::move(*keys);
}

Outcome<std::unique_ptr<domain::Store>> open_store(const fs::path& data) {
  auto opened = main::open_data_store(data);
  if (!opened) return failure_of((data / "muster.db").string(), opened.error());
  return std::move(*opened);
}

/// Holds the data directory's lock, or knows that a server does.
class DataLock {
 public:
  explicit DataLock(const fs::path& data) : file_{::open((data / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
    held_ = file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) == 0;
    server_runs_ = file_ >= 0 && !held_ && errno == EWOULDBLOCK;
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
  const auto summary = store::create_backup(*data, options.out, to, random);
  if (!summary) return failure_of(options.out, summary.error());
  const auto size = fs::file_size(options.out, error);
  if (context.globals.json) {
    context.out << R"({"file":)" << quoted_json(options.out) << R"(,"bytes":)" << size << "}\n";
  } else {
    context.out << "Backup written: " << printable(options.out) << " (" << size << " bytes). Keep the "
                << (to.recipients.empty() ? "passphrase" : "age secret key") << " elsewhere: without it nobody can restore.\n";
  }
  return {};
}

Outcome<void> restore(Context& context, const RestoreOptions& options) {
  std::error_code error;
  if (fs::exists(options.data, error) && (!fs::is_directory(options.data, error) || !fs::is_empty(options.data, error))) {
    return usage(options.data + " exists and is not empty; restore into a new directory, so that nothing is overwritten.");
  }
  std::ifstream in{options.in, std::ios::binary};
  if (!in) return usage(options.in + " cannot be read: " + std::strerror(errno) + ".");
  std::string start(4096, '\0');
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
  if (const auto done = store::restore_backup(options.in, with, options.data); !done) {
    if (done.error() == make_error_code(BaseError::passphrase_wrong)) return failed("The passphrase is wrong.");
    if (done.error() == make_error_code(BaseError::identity_mismatch))
      return failed("The backup is encrypted to another key than that of " + options.identity + ".");
    if (done.error() == make_error_code(BaseError::file_damaged))
      return failed(options.in + " is damaged or cut off; nothing was restored.");
    return failure_of(options.data, done.error());
  }
  if (context.globals.json) {
    context.out << R"({"data":)" << quoted_json(options.data) << R"(,"unknownTokens":"hold"})" << "\n";
  } else {
    context.out << "Restored into " << printable(options.data)
                << ". People sign in anew; AuthTokens that were revoked after the backup live again and have to be revoked again.\n"
                << "AuthTokens that are not in the backup are held: such devices are closed without an answer, never called invalid "
                   "(muster_unknown_token_holds_total in /metrics).\n"
                << "Start the server: muster serve --data " << printable(options.data) << "\n"
                << "When no device made after the backup is missing: muster restore --complete --data " << printable(options.data) << "\n";
  }
  return {};
}

Outcome<void> complete_restore(Context& context, const std::string& data_text) {
  const auto data = existing_data(data_text);
  if (!data) return data.error();
  auto store = open_store(*data);
  if (!store) return store.error();
  const auto mode = (*store)->unknown_tokens();
  if (!mode) return failure_of((*data / "muster.db").string(), mode.error());
  if (*mode == domain::UnknownTokens::hold) {
    if (auto sure = confirm(context.input, context.globals.yes,
                            "From now on, devices whose AuthToken is not in the restored store hear that it is invalid; stock firmware "
                            "then erases its settings.");
        !sure) {
      return sure;
    }
    if (const auto done = (*store)->set_unknown_tokens(domain::UnknownTokens::refuse, operator_here()); !done)
      return failure_of((*data / "muster.db").string(), done.error());
  }
  if (context.globals.json) {
    context.out << R"({"unknownTokens":"refuse"})" << "\n";
  } else {
    context.out << (*mode == domain::UnknownTokens::hold ? "The restore is complete: unknown AuthTokens are invalid again.\n"
                                                         : "Nothing to do: unknown AuthTokens are not held.\n");
  }
  return {};
}

Outcome<void> rotate_keys(Context& context, const std::string& data_text) {
  const auto data = existing_data(data_text);
  if (!data) return data.error();
  const DataLock lock{*data};  // Keeps a server from starting in the middle; one that runs takes the new key by itself.
  auto keys = open_keys(*data);
  if (!keys) return keys.error();
  auto store = open_store(*data);
  if (!store) return store.error();
  const auto store_failure = [&](const Error& error) { return failure_of((*data / "muster.db").string(), error); };
  SecureRandom random;

  // Tokens under older keys beside some under the newest: an earlier rotation was cut off, and goes on.
  auto newest = (*keys)->newest_key_id();
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
      return failure_of((*data / "keys").string(), added.error());
    }
    newest = *added;
  } else if (!context.globals.json) {
    context.err << "An earlier rotation was not finished; it goes on.\n";
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

  // Keys that nothing carries any more go; a server that runs may still be giving out access tokens under the last one, so it keeps that.
  std::vector<std::uint16_t> removed;
  if (const auto in_use = (*store)->key_ids_in_use(); !in_use) {
    return store_failure(in_use.error());
  } else if (!lock.server_runs()) {
    for (const auto id : (*keys)->key_ids()) {
      if (id == newest || std::find(in_use->begin(), in_use->end(), id) != in_use->end()) continue;
      if (const auto done = (*keys)->remove_key(id); !done) return failure_of((*data / "keys").string(), done.error());
      removed.push_back(id);
    }
  }
  if (context.globals.json) {
    context.out << R"({"newestKey":)" << newest << R"(,"rotated":)" << rotated << R"(,"removedKeys":[)";
    for (std::size_t i = 0; i < removed.size(); ++i) context.out << (i == 0 ? "" : ",") << removed[i];
    context.out << "]}\n";
  } else {
    context.out << "Key " << newest << " is in use; " << rotated
                << " AuthTokens were digested and sealed anew. Keys in the ring: " << (*keys)->key_ids().size() << ".\n";
  }
  return {};
}

Outcome<void> recover_administrator(Context& context, const std::string& data_text, const std::string& email_text) {
  const auto data = existing_data(data_text);
  if (!data) return data.error();
  const auto email = domain::lower_ascii(domain::trim(email_text));
  if (const auto complaint = domain::check_email(email)) return usage(*complaint);
  auto store = open_store(*data);
  if (!store) return store.error();
  auto password = ask_new_password(context.input, "New password for " + printable(email) + ": ");
  if (!password) return password.error();
  const auto verifier = make_password_verifier(password_prehash(*password, email));
  const auto user = (*store)->recover_administrator(email, verifier, operator_here());
  if (!user) {
    if (user.error() == make_error_code(domain::DomainError::not_found))
      return failed("This server has not been set up yet; use `muster setup` with the code that it shows when it starts.");
    return failure_of((*data / "muster.db").string(), user.error());
  }
  if (context.globals.json) {
    context.out << R"({"id":)" << user->value() << R"(,"email":)" << quoted_json(email) << "}\n";
  } else {
    context.out << printable(email) << " is an active administrator with the new password; other sessions of that user have ended.\n";
  }
  return {};
}

}  // namespace muster::cli
