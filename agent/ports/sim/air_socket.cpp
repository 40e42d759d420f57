// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/air_socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

namespace muster::agent::sim {

namespace {

using CommandKind = AirCommand::Kind;
using EventKind = AirEvent::Kind;

constexpr Millis search_again_ms = 50;
constexpr std::size_t outgoing_max_bytes = 1024 * 1024;  ///< For somebody who does not read.
constexpr std::size_t messages_a_turn = 32;              ///< Of one connection, so that nobody keeps the loop for himself.
constexpr std::size_t clients_max = air_radios_max - 1;
constexpr std::size_t networks_file_max_bytes = 64 * 1024;

/// First on each connection, both ways.
constexpr std::array<std::uint8_t, 7> greeting{'m', 'u', 's', 't', 'e', 'r', air_protocol_version};

std::string reason(int error) { return std::generic_category().message(error); }

bool make_address(const std::string& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return false;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

/// The same user, or root: the air carries Wi-Fi passwords.
bool trusted(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == ::geteuid() || peer.uid == 0);
}

enum class Sent { all, later, broken };

Sent send_queued(int fd, std::deque<std::vector<std::uint8_t>>& queue, std::size_t& queued_bytes) {
  while (!queue.empty()) {
    const auto& message = queue.front();
    const auto sent = ::send(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      return errno == EAGAIN || errno == EINTR ? Sent::later : Sent::broken;
    }
    queued_bytes -= message.size();
    queue.pop_front();
  }
  return Sent::all;
}

}  // namespace

std::string default_air_path() {
  const char* const directory = std::getenv("XDG_RUNTIME_DIR");
  if (directory != nullptr && *directory == '/') {
    return std::string{directory} + "/muster-air";
  }
  return "/tmp/muster-air-" + std::to_string(::geteuid());
}

struct AirSocket::Client {
  int fd = -1;
  RadioId radio = 0;
  bool greeted = false;
  bool gone = false;
  std::deque<std::vector<std::uint8_t>> outgoing;
  std::size_t outgoing_bytes = 0;
};

struct AirSocket::Host {
  explicit Host(const AirTimes& times) : air{times, static_cast<std::uint64_t>(::getpid())} {}
  ~Host() {
    for (const Client& client : clients) {
      ::close(client.fd);
    }
    if (listener >= 0) {
      ::close(listener);
    }
    if (lock >= 0) {
      ::close(lock);
    }
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  Air air;
  int lock = -1, listener = -1;
  RadioId own = 0;
  std::vector<Client> clients;
  struct timespec networks_changed{};
  ino_t networks_inode = 0;
  off_t networks_size = -1;

  /// Reads the home networks again if their file was changed.
  void follow_networks(const std::string& path, Millis now) {
    struct stat status{};
    const bool there = ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (!there) {
      if (networks_size != -2) {
        networks_size = -2;
        air.set_home_networks({default_home_network()}, now);
      }
      return;
    }
    if (status.st_size == networks_size && status.st_ino == networks_inode && status.st_mtim.tv_sec == networks_changed.tv_sec &&
        status.st_mtim.tv_nsec == networks_changed.tv_nsec) {
      return;
    }
    networks_size = status.st_size;
    networks_inode = status.st_ino;
    networks_changed = status.st_mtim;
    std::string text(networks_file_max_bytes, '\0');
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const auto got = fd < 0 ? -1 : ::read(fd, text.data(), text.size());
    if (fd >= 0) {
      ::close(fd);
    }
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    air.set_home_networks(parse_home_networks(text), now);
  }
};

AirSocket::AirSocket(Options options) : options_{std::move(options)} {}

AirSocket::~AirSocket() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  if (host_ != nullptr && host_->listener >= 0) {
    ::unlink(options_.path.c_str());  // Still under the lock: nobody else has put a socket there.
  }
}

// ---- what this radio wants ------------------------------------------------------------------------------------------------------------

void AirSocket::note(const AirCommand& command) {
  switch (command.kind) {
    case CommandKind::open:
      open_ = true;
      opened_told_ = false;
      open_command_ = command;
      break;
    case CommandKind::shut: open_ = false; break;
    case CommandKind::scan: scanning_ = true; break;
    case CommandKind::join:
      joining_ = true;
      joined_ = false;
      join_command_ = command;
      break;
    case CommandKind::leave:
      joining_ = joined_ = false;
      join_command_ = {};
      break;
    case CommandKind::dial: streams_.push_back(command.stream); break;
    case CommandKind::close: streams_.erase(std::remove(streams_.begin(), streams_.end(), command.stream), streams_.end()); break;
    case CommandKind::send: break;
  }
}

void AirSocket::submit(const AirCommand& command) {
  note(command);
  if (state_ == State::searching) {
    if (command.kind == CommandKind::dial || command.kind == CommandKind::send) {
      AirEvent closed;
      closed.kind = EventKind::stream_closed;
      closed.stream = command.stream;
      own_.push_back(std::move(closed));
    }
    return;  // What lasts is told to the next host.
  }
  // Sent, or applied by the host itself, in the next serve().
  auto message = encode_command(command);
  outgoing_bytes_ += message.size();
  outgoing_.push_back(std::move(message));
}

void AirSocket::deliver(const AirEvent& event, Millis now) {
  switch (event.kind) {
    case EventKind::opened:
    case EventKind::open_failed: opened_told_ = event.kind == EventKind::opened; break;
    case EventKind::scanned: scanning_ = false; break;
    case EventKind::joined:
      if (joined_) {
        return;  // Back where it was before the air changed hands.
      }
      if (!joining_) {
        return;
      }
      joining_ = false;
      joined_ = true;
      break;
    case EventKind::join_failed:
      if (joined_) {  // It was there, and with the new host it is not.
        joined_ = false;
        AirEvent lost;
        lost.kind = EventKind::lost;
        if (listener_ != nullptr) {
          listener_->on_air(lost, now);
        }
        return;
      }
      joining_ = false;
      break;
    case EventKind::lost: joined_ = false; break;
    case EventKind::stream_opened: streams_.push_back(event.stream); break;
    case EventKind::stream_closed: streams_.erase(std::remove(streams_.begin(), streams_.end(), event.stream), streams_.end()); break;
    case EventKind::stations:
    case EventKind::dialed:
    case EventKind::bytes: break;
  }
  if (listener_ != nullptr) {
    listener_->on_air(event, now);
  }
}

// ---- finding the air ------------------------------------------------------------------------------------------------------------------

void AirSocket::search(Millis now) {
  search_at_ = now + search_again_ms;
  sockaddr_un address{};
  if (!make_address(options_.path, address)) {
    trouble_ = "The path of the air is empty or too long for a socket: " + options_.path;
    return;
  }
  if (dial(now) || !options_.may_host) {
    return;
  }
  if (begin_hosting(now)) {
    resume(now);
  }
}

bool AirSocket::dial(Millis now) {
  sockaddr_un address{};
  static_cast<void>(make_address(options_.path, address));
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    trouble_ = "No socket for the air: " + reason(errno);
    return false;
  }
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    trouble_ = errno == ENOENT || errno == ECONNREFUSED ? "Nobody is on the air at " + options_.path + "."
                                                        : "The air at " + options_.path + " cannot be reached: " + reason(errno) + ".";
    ::close(fd);
    return false;
  }
  if (!trusted(fd)) {
    trouble_ = "The air at " + options_.path + " belongs to another user.";
    ::close(fd);
    return false;
  }
  fd_ = fd;
  state_ = State::connected;
  trouble_.clear();
  outgoing_.emplace_back(greeting.begin(), greeting.end());
  outgoing_bytes_ += greeting.size();
  resume(now);
  return true;
}

bool AirSocket::begin_hosting(Millis now) {
  auto host = std::make_unique<Host>(options_.times);
  host->lock = ::open((options_.path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (host->lock < 0) {
    trouble_ = "The air at " + options_.path + " cannot be hosted: " + reason(errno) + ".";
    return false;
  }
  if (::flock(host->lock, LOCK_EX | LOCK_NB) != 0) {
    return false;  // Somebody is about to; the next search finds him.
  }
  sockaddr_un address{};
  static_cast<void>(make_address(options_.path, address));
  // Under the lock what lies there is left over from a host that is gone. Other things than sockets are nobody's to remove.
  struct stat status{};
  if (::lstat(options_.path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      trouble_ = options_.path + " is there already and is no socket.";
      return false;
    }
    ::unlink(options_.path.c_str());
  }
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const mode_t mask = ::umask(0177);
  const bool bound =
      listener >= 0 && ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(listener, 64) == 0;
  const int error = errno;
  ::umask(mask);
  if (!bound) {
    if (listener >= 0) {
      ::close(listener);
    }
    trouble_ = "The air at " + options_.path + " cannot be hosted: " + reason(error) + ".";
    return false;
  }
  host->listener = listener;
  host->follow_networks(options_.path + ".networks", now);
  host->own = host->air.add_radio();
  host_ = std::move(host);
  state_ = State::hosting;
  trouble_.clear();
  return true;
}

void AirSocket::resume(Millis) {
  const auto put = [&](AirCommand command) {
    auto message = encode_command(command);
    outgoing_bytes_ += message.size();
    outgoing_.push_back(std::move(message));
  };
  if (open_) {
    open_command_.resume = opened_told_;
    put(open_command_);
  }
  if (joining_ || joined_) {
    join_command_.resume = joined_;
    put(join_command_);
  }
  if (scanning_) {
    AirCommand scan;
    scan.kind = CommandKind::scan;
    put(scan);
  }
}

void AirSocket::lose_host(Millis now) {
  ::close(fd_);
  fd_ = -1;
  state_ = State::searching;
  search_at_ = now;
  outgoing_.clear();
  outgoing_bytes_ = 0;
  for (const auto stream : std::exchange(streams_, {})) {
    AirEvent closed;
    closed.kind = EventKind::stream_closed;
    closed.stream = stream;
    own_.push_back(std::move(closed));
  }
  // Its own access point may not be back yet, but whoever was on it is gone.
  if (open_ && opened_told_) {
    AirEvent nobody;
    nobody.kind = EventKind::stations;
    own_.push_back(std::move(nobody));
  }
}

// ---- the loop's side --------------------------------------------------------------------------------------------------------------------

std::size_t AirSocket::descriptor_count() const noexcept {
  return state_ == State::connected ? 1 : state_ == State::hosting ? 1 + host_->clients.size() : 0;
}

void AirSocket::fill(pollfd* room) const {
  if (state_ == State::connected) {
    *room = {fd_, static_cast<short>(outgoing_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
  } else if (state_ == State::hosting) {
    const bool full = host_->clients.size() >= clients_max;
    *room++ = {full ? -1 : host_->listener, POLLIN, 0};
    for (const Client& client : host_->clients) {
      *room++ = {client.fd, static_cast<short>(client.outgoing.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    }
  }
}

Millis AirSocket::next_deadline(Millis now) const {
  if (!own_.empty()) {
    return now;
  }
  switch (state_) {
    case State::searching: return search_at_;
    case State::connected: return never;
    case State::hosting: return outgoing_.empty() ? host_->air.next_deadline() : now;
  }
  return never;
}

void AirSocket::serve(const pollfd* ready, std::size_t count, Millis now) {
  if (state_ == State::searching && now >= search_at_) {
    search(now);
    ready = nullptr;
  }
  if (state_ == State::connected) {
    serve_connection(ready != nullptr && count == 1 ? ready->revents : short{0}, now);
  } else if (state_ == State::hosting) {
    serve_host(ready, count, now);
  }
  for (std::size_t left = own_.size(); left > 0 && !own_.empty(); --left) {
    const AirEvent event = std::move(own_.front());
    own_.pop_front();
    deliver(event, now);
  }
}

void AirSocket::serve_connection(short events, Millis now) {
  if (outgoing_bytes_ > outgoing_max_bytes || send_queued(fd_, outgoing_, outgoing_bytes_) == Sent::broken) {
    lose_host(now);
    return;
  }
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) {
    return;
  }
  std::array<std::uint8_t, air_message_max> room;
  for (std::size_t i = 0; i < messages_a_turn && state_ == State::connected; ++i) {
    const auto got = ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      break;
    }
    AirEvent event;
    if (got <= 0 || static_cast<std::size_t>(got) > room.size() || !decode_event(room.data(), static_cast<std::size_t>(got), event)) {
      lose_host(now);
      return;
    }
    deliver(event, now);
  }
  // What the events led to goes out at once.
  if (state_ == State::connected && send_queued(fd_, outgoing_, outgoing_bytes_) == Sent::broken) {
    lose_host(now);
  }
}

void AirSocket::serve_host(const pollfd* ready, std::size_t count, Millis now) {
  Host& host = *host_;
  const std::string networks = options_.path + ".networks";
  std::array<std::uint8_t, air_message_max> room;
  const std::size_t known = host.clients.size();
  if (ready != nullptr && count == known + 1) {
    for (std::size_t i = 0; i < known; ++i) {
      Client& client = host.clients[i];
      if ((ready[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) == 0) {
        continue;
      }
      for (std::size_t turn = 0; turn < messages_a_turn && !client.gone; ++turn) {
        const auto got = ::recv(client.fd, room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
          break;
        }
        const std::size_t size = got <= 0 ? 0 : static_cast<std::size_t>(got);
        if (size == 0 || size > air_message_max) {
          client.gone = true;
        } else if (!client.greeted) {
          client.greeted = size == greeting.size() && std::equal(greeting.begin(), greeting.end(), room.begin());
          client.gone = !client.greeted;
        } else {
          AirCommand command;
          client.gone = !decode_command(room.data(), size, command);
          if (!client.gone && (command.kind == CommandKind::scan || command.kind == CommandKind::join)) {
            host.follow_networks(networks, now);
          }
          client.gone = client.gone || !host.air.apply(client.radio, command, now);
        }
      }
    }
    if ((ready[0].revents & POLLIN) != 0) {
      for (std::size_t turn = 0; turn < messages_a_turn && host.clients.size() < clients_max; ++turn) {
        const int fd = ::accept4(host.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
          break;
        }
        const RadioId radio = trusted(fd) ? host.air.add_radio() : 0;
        if (radio == 0) {
          ::close(fd);
          continue;
        }
        Client client;
        client.fd = fd;
        client.radio = radio;
        host.clients.push_back(std::move(client));
      }
    }
  }
  const auto apply_own = [&] {
    while (!outgoing_.empty()) {
      AirCommand command;
      const bool good = decode_command(outgoing_.front().data(), outgoing_.front().size(), command);
      outgoing_bytes_ -= outgoing_.front().size();
      outgoing_.pop_front();
      if (good && (command.kind == CommandKind::scan || command.kind == CommandKind::join)) {
        host.follow_networks(networks, now);
      }
      if (good) {
        static_cast<void>(host.air.apply(host.own, command, now));
      }
    }
  };
  apply_own();
  AirEvent event;
  while (host.air.next_event(now, event)) {
    if (event.radio == host.own) {
      deliver(event, now);
      apply_own();
      continue;
    }
    for (Client& client : host.clients) {
      if (client.radio == event.radio && !client.gone) {
        auto message = encode_event(event);
        client.outgoing_bytes += message.size();
        client.gone = client.outgoing_bytes > outgoing_max_bytes;
        client.outgoing.push_back(std::move(message));
        break;
      }
    }
  }
  for (Client& client : host.clients) {
    client.gone = client.gone || send_queued(client.fd, client.outgoing, client.outgoing_bytes) == Sent::broken;
    if (client.gone) {
      host.air.remove_radio(client.radio, now);
      ::close(client.fd);
    }
  }
  host.clients.erase(std::remove_if(host.clients.begin(), host.clients.end(), [](const Client& client) { return client.gone; }),
                     host.clients.end());
}

}  // namespace muster::agent::sim
