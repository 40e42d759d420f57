// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/audit_heads.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <string>
#include <utility>

#include "cloud/base/secure_file.hpp"

namespace muster::main {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t line_max_bytes = 4096;

Error last_error() noexcept { return {errno, boost::system::generic_category()}; }

fs::path folder_of_heads(const fs::path& data_directory) { return data_directory / "files" / audit_heads_folder; }

std::string month_of(UtcTime at) {
  const auto seconds = static_cast<std::time_t>(at.ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 16> text{};
  const auto length = std::strftime(text.data(), text.size(), "%Y-%m", &parts);
  return {text.data(), length};
}

Result<void> append_line(const fs::path& file, const std::string& line) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return last_error();
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  // One write: a line is whole, or cut off at its end and no head.
  if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return last_error();
  if (::fdatasync(fd) != 0) return last_error();
  return {};
}

}  // namespace

Result<domain::AuditHead> write_audit_head(const fs::path& data_directory, const AuditKey& key, domain::Store& store, UtcTime now) {
  MUSTER_TRY(const domain::AuditTip tip, store.audit_tip());
  const domain::AuditHead head = domain::sign_audit_head(key, tip, now);
  const auto folder = folder_of_heads(data_directory);
  std::error_code failure;
  const bool made = fs::create_directories(folder, failure);
  if (failure) return Error{failure.value(), boost::system::generic_category()};
  if (made) {
    fs::permissions(folder, fs::perms::owner_all, failure);
    MUSTER_TRY_VOID(give_to_owner_of(data_directory, folder));
  }
  const auto file = folder / month_of(now);
  const bool is_new = !fs::exists(file, failure);
  MUSTER_TRY_VOID(append_line(file, domain::audit_head_line(head) + "\n"));
  if (is_new) {
    MUSTER_TRY_VOID(give_to_owner_of(folder, file));
    MUSTER_TRY_VOID(sync_directory(folder));
  }
  return head;
}

Result<std::vector<domain::AuditHead>> read_audit_heads(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) return errno != 0 ? last_error() : Error{ENOENT, boost::system::generic_category()};
  std::vector<domain::AuditHead> heads;
  std::string line;
  for (char c = 0; in.get(c);) {
    if (c != '\n') {
      if (line.size() < line_max_bytes) line += c;
      continue;
    }
    if (auto head = domain::parse_audit_head(line)) heads.push_back(*head);
    line.clear();
    if (heads.size() >= 2 * domain::AuditCheck::heads_max) heads.erase(heads.begin(), heads.end() - domain::AuditCheck::heads_max);
  }
  if (auto head = domain::parse_audit_head(line)) heads.push_back(*head);
  if (heads.size() > domain::AuditCheck::heads_max) heads.erase(heads.begin(), heads.end() - domain::AuditCheck::heads_max);
  return heads;
}

Result<std::vector<domain::AuditHead>> own_audit_heads(const fs::path& data_directory) {
  std::vector<fs::path> files;
  std::error_code failure;
  for (fs::directory_iterator entry{folder_of_heads(data_directory), failure}, end; !failure && entry != end; entry.increment(failure))
    files.push_back(entry->path());
  std::sort(files.begin(), files.end());
  std::vector<domain::AuditHead> heads;
  for (const auto& file : files) {
    MUSTER_TRY(auto of_month, read_audit_heads(file));
    heads.insert(heads.end(), of_month.begin(), of_month.end());
    if (heads.size() > domain::AuditCheck::heads_max) heads.erase(heads.begin(), heads.end() - domain::AuditCheck::heads_max);
  }
  return heads;
}

Result<AuditVerdict> verify_audit(const fs::path& data_directory, const AuditKey& key, domain::Store& store,
                                  std::vector<domain::AuditHead> kept_heads) {
  // Before the walk: a server that runs may write newer ones while it lasts.
  MUSTER_TRY(const auto own, own_audit_heads(data_directory));
  kept_heads.insert(kept_heads.end(), own.begin(), own.end());
  domain::AuditCheck check{key, std::move(kept_heads)};
  MUSTER_TRY_VOID(store.for_each_audit_link([&check](const domain::AuditLink& link) { check.take(link); }));
  MUSTER_TRY(const auto given, store.audit_numbers_given());
  // A server may have laid entries since the walk: what it gave out by then is not missing.
  MUSTER_TRY(const domain::AuditTip now, store.audit_tip());
  check.finish(now.count > check.tip().count && now.count == given ? 0 : given);
  return AuditVerdict{check.findings(), check.findings_left_out(), check.entries(), check.genuine(),
                      check.erased(),   check.heads_met(),         check.tip()};
}

}  // namespace muster::main
