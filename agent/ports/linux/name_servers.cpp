// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/name_servers.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string_view>
#include <utility>

namespace muster::agent::linux_port {
namespace {

constexpr std::string_view head = "# muster-agent: the name servers of the network that this device has joined. Before:\n";
constexpr std::string_view was_line = "#was ", was_link = "#link ", was_nothing = "#nothing\n";

/// A place in the file system without following a link there.
struct Entry {
  enum class Kind : std::uint8_t { nothing, text, link, other } kind = Kind::nothing;
  std::string content;  ///< The text, or where the link points to.
};

Entry look_at(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return {errno == ENOENT ? Entry::Kind::nothing : Entry::Kind::other, {}};
  if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size <= 0 || size == static_cast<ssize_t>(sizeof target)) return {Entry::Kind::other, {}};
    return {Entry::Kind::link, std::string(target, static_cast<std::size_t>(size))};
  }
  if (!S_ISREG(status.st_mode)) return {Entry::Kind::other, {}};
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {Entry::Kind::other, {}};
  Entry entry{Entry::Kind::text, {}};
  char room[4096];
  ssize_t size = 0;
  // Ours is longer than what it holds: each kept line has its mark.
  constexpr std::size_t room_max_bytes = 8 * NameServers::size_max_bytes;
  while (entry.content.size() <= room_max_bytes && (size = ::read(fd, room, sizeof room)) > 0) {
    entry.content.append(room, static_cast<std::size_t>(size));
  }
  ::close(fd);
  if (size != 0) entry.kind = Entry::Kind::other;
  return entry;
}

bool is_ours(const Entry& entry) { return entry.kind == Entry::Kind::text && entry.content.compare(0, head.size(), head) == 0; }

/// As comments; the inverse of kept_in().
std::string as_comments(const Entry& before) {
  std::string text;
  if (before.kind == Entry::Kind::nothing) return std::string{was_nothing};
  if (before.kind == Entry::Kind::link) return std::string{was_link} + before.content + '\n';
  for (std::size_t at = 0; at != std::string::npos;) {
    const std::size_t end = before.content.find('\n', at);
    text.append(was_line).append(before.content, at, end == std::string::npos ? end : end - at).append(1, '\n');
    at = end == std::string::npos ? end : end + 1;
  }
  return text;
}

Entry kept_in(std::string_view ours) {
  Entry before;
  bool first = true;
  for (ours.remove_prefix(head.size()); !ours.empty();) {
    const std::size_t end = ours.find('\n');
    const std::string_view line = ours.substr(0, end);
    ours.remove_prefix(end == std::string_view::npos ? ours.size() : end + 1);
    if (line.substr(0, was_link.size()) == was_link) return {Entry::Kind::link, std::string{line.substr(was_link.size())}};
    if (line.substr(0, was_line.size()) != was_line) continue;
    before.kind = Entry::Kind::text;
    if (!std::exchange(first, false)) before.content += '\n';
    before.content.append(line.substr(was_line.size()));
  }
  return before;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

/// Through a new file that takes the old one's place, so that nobody ever sees half of it.
bool replace(const std::string& path, const Entry& with) {
  const std::string fresh = path + ".muster-new";
  ::unlink(fresh.c_str());
  bool made = false;
  if (with.kind == Entry::Kind::link) {
    made = ::symlink(with.content.c_str(), fresh.c_str()) == 0;
  } else if (const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644); fd >= 0) {
    struct stat status{};
    const bool same = ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    made = ::fchmod(fd, same ? status.st_mode & 07777 : 0644) == 0 && write_all(fd, with.content) && ::fsync(fd) == 0;
    ::close(fd);
  }
  if (made && ::rename(fresh.c_str(), path.c_str()) == 0) return true;
  ::unlink(fresh.c_str());
  return false;
}

/// Where the file is a mount point of its own, or its folder is read-only. Whole first and cut then: never empty in between.
bool write_in_place(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write_all(fd, text) && ::ftruncate(fd, static_cast<off_t>(text.size())) == 0;
  ::fsync(fd);
  ::close(fd);
  return done;
}

bool put(const std::string& path, const Entry& entry) {
  if (replace(path, entry)) return true;
  return entry.kind == Entry::Kind::text && write_in_place(path, entry.content);
}

}  // namespace

std::string NameServers::use(const std::string& interface, const std::string& path, std::uint32_t dns, std::uint32_t dns2) {
  if (path.empty() || (dns == 0 && dns2 == 0)) return {};
  std::string lines;
  for (const std::uint32_t server : {dns, dns2}) {
    if (server == 0) continue;
    lines += "nameserver";
    for (int i = 0; i < 4; ++i) lines += (i == 0 ? ' ' : '.') + std::to_string(server >> (24 - 8 * i) & 255);
    lines += '\n';
  }
  if (tell_program("-a", interface, lines)) return {};
  const Entry there = look_at(path);
  const Entry before = is_ours(there) ? kept_in(there.content) : there;
  if (before.kind == Entry::Kind::other || before.content.size() > size_max_bytes)
    return path + " is no file that can be kept and put back.";
  if (put(path, {Entry::Kind::text, std::string{head} + as_comments(before) + lines})) return {};
  if (there.kind == Entry::Kind::link) {
    return path + " is a link to " + there.content +
           " that cannot be replaced here, so the network's name servers are not used; make it a file of its own.";
  }
  return path + " cannot be written: " + ::strerrordesc_np(errno) + ".";
}

void NameServers::restore(const std::string& interface, const std::string& path) {
  if (path.empty()) return;
  static_cast<void>(tell_program("-d", interface, {}));
  const Entry there = look_at(path);
  if (!is_ours(there)) return;
  const Entry before = kept_in(there.content);
  if (before.kind != Entry::Kind::nothing)
    static_cast<void>(put(path, before));
  else if (::unlink(path.c_str()) != 0)
    static_cast<void>(write_in_place(path, {}));
}

bool NameServers::tell_program(const char* action, const std::string& interface, const std::string& text) const {
  if (program_.empty()) return false;
  int input[2];
  if (::pipe2(input, O_CLOEXEC) != 0) return false;
  // Few bytes: a pipe takes them before anybody reads.
  const bool written = write_all(input[1], text);
  ::close(input[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input[0], 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  // What follows the dot is a name of ours beside those of DHCP clients on the same interface.
  std::string record = interface + ".muster", name = program_, verb = action;
  char* const arguments[] = {name.data(), verb.data(), record.data(), nullptr};
  pid_t child = -1;
  const bool started = written && ::posix_spawnp(&child, program_.c_str(), &files, &attributes, arguments, environ) == 0;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  ::close(input[0]);
  if (!started) return false;
  constexpr int tries_max = 600;
  constexpr unsigned step_us = 5'000;
  int status = 0;
  for (int i = 0; i < tries_max; ++i) {
    if (::waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ::usleep(step_us);
  }
  ::kill(-child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return false;
}

}  // namespace muster::agent::linux_port
