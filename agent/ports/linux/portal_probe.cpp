// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/portal_probe.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace muster::agent::linux_port {

namespace {

constexpr std::size_t status_line_min_bytes = 12;  // "HTTP/1.1 200"
constexpr int status_sign_in_required = 511;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool starts_with_any_case(std::string_view text, std::string_view wanted) {
  return text.size() >= wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), text.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

bool contains_any_case(std::string_view text, std::string_view wanted) {
  return std::search(text.begin(), text.end(), wanted.begin(), wanted.end(), [](char a, char b) { return lower(a) == lower(b); }) !=
         text.end();
}

/// Of a header field among `head`'s lines; empty: there is none.
std::string_view field(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const std::size_t end = std::min(head.find('\n'), head.size());
    std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 1, head.size()));
    if (!starts_with_any_case(line, name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    line.remove_prefix(name.size() + 1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    return line;
  }
  return {};
}

/// Whether a redirect only asks for encryption, as many servers do.
bool is_https_of(std::string_view location, std::string_view host) {
  constexpr std::string_view scheme = "https://";
  if (!starts_with_any_case(location, scheme)) return false;
  location.remove_prefix(scheme.size());
  if (!starts_with_any_case(location, host)) return false;
  location.remove_prefix(host.size());
  return location.empty() || location.front() == ':' || location.front() == '/' || location.front() == '?';
}

PortalVerdict judge_page(std::string_view type, std::string_view body, bool whole) {
  if (!type.empty()) return contains_any_case(type, "html") ? PortalVerdict::portal : PortalVerdict::no_portal;
  const std::size_t begin = body.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return whole ? PortalVerdict::no_portal : PortalVerdict::unknown;
  return body[begin] == '<' ? PortalVerdict::portal : PortalVerdict::no_portal;
}

}  // namespace

PortalVerdict judge_portal_answer(std::string_view answer, bool whole, std::string_view host) noexcept {
  if (answer.size() < status_line_min_bytes) return whole ? PortalVerdict::no_portal : PortalVerdict::unknown;
  if (answer.substr(0, 7) != "HTTP/1.") return PortalVerdict::no_portal;
  int status = 0;
  for (const char digit : answer.substr(9, 3)) {
    if (digit < '0' || digit > '9') return PortalVerdict::no_portal;
    status = status * 10 + (digit - '0');
  }
  if (status == status_sign_in_required) return PortalVerdict::portal;
  std::size_t head_size = answer.find("\r\n\r\n");
  if (head_size == std::string_view::npos) head_size = answer.find("\n\n");
  if (head_size == std::string_view::npos) {
    if (!whole) return PortalVerdict::unknown;
    head_size = answer.size();
  }
  const std::string_view head = answer.substr(0, head_size);
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308: {
      const std::string_view location = field(head, "Location");
      return location.empty() || is_https_of(location, host) ? PortalVerdict::no_portal : PortalVerdict::portal;
    }
    case 200: return judge_page(field(head, "Content-Type"), answer.substr(head_size), whole);
    default: return PortalVerdict::no_portal;
  }
}

bool PortalProbe::start(const SocketAddress& address, std::string_view host) {
  cancel();
  fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return false;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 && errno != EINPROGRESS) {
    cancel();
    return false;
  }
  host_ = host;
  outgoing_ = "GET /healthz HTTP/1.1\r\nHost: " + host_ + "\r\nUser-Agent: muster-agent\r\nConnection: close\r\n\r\n";
  answer_.clear();
  deadline_ = clock_.now() + timeout_ms;
  return true;
}

void PortalProbe::cancel() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  deadline_ = never;
}

short PortalProbe::events() const noexcept { return static_cast<short>(outgoing_.empty() ? POLLIN : POLLOUT); }

PortalVerdict PortalProbe::serve() {
  bool whole = clock_.now() >= deadline_;
  if (!whole && !outgoing_.empty()) {
    const ssize_t sent = ::send(fd_, outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (sent > 0) outgoing_.erase(0, static_cast<std::size_t>(sent));
    whole = sent < 0 && errno != EAGAIN && errno != EINTR;
  } else if (!whole) {
    char room[1024];
    const ssize_t got = ::recv(fd_, room, sizeof room, 0);
    if (got > 0) answer_.append(room, static_cast<std::size_t>(got));
    whole = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || answer_.size() >= answer_max_bytes;
  }
  const PortalVerdict verdict = judge_portal_answer(answer_, whole, host_);
  if (verdict != PortalVerdict::unknown) cancel();
  return verdict;
}

}  // namespace muster::agent::linux_port
