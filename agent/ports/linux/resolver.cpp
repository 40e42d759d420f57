// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/resolver.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <unistd.h>

#include <cstring>

namespace muster::agent::linux_port {

namespace {

std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  std::vector<SocketAddress> addresses;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    return addresses;
  }
  for (const addrinfo* entry = list; entry != nullptr && addresses.size() < Resolver::addresses_max; entry = entry->ai_next) {
    if (entry->ai_addrlen > sizeof(sockaddr_storage)) {
      continue;
    }
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(list);
  return addresses;
}

}  // namespace

struct Resolver::Job {
  std::string host;
  std::uint16_t port = 0;
  int write_fd = -1;
  std::vector<SocketAddress> addresses;
  std::atomic<bool> done{false};

  static void* run(void* argument) {
    const std::unique_ptr<std::shared_ptr<Job>> owner{static_cast<std::shared_ptr<Job>*>(argument)};
    Job& job = **owner;
    job.addresses = look_up(job.host, job.port, AI_ADDRCONFIG);
    if (job.addresses.empty()) {
      job.addresses = look_up(job.host, job.port, 0);  // Without any network but loopback, that is what is left.
    }
    job.done.store(true, std::memory_order_release);
    ::close(job.write_fd);  // The reading end becomes readable.
    return nullptr;
  }
};

std::vector<SocketAddress> Resolver::parse_literal(const std::string& host, std::uint16_t port) {
  return look_up(host, port, AI_NUMERICHOST);
}

bool Resolver::start(const std::string& host, std::uint16_t port) {
  cancel();
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return false;
  }
  auto job = std::make_shared<Job>();
  job->host = host;
  job->port = port;
  job->write_fd = ends[1];
  auto argument = std::make_unique<std::shared_ptr<Job>>(job);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  const int error = pthread_create(&thread, &attributes, &Job::run, argument.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    return false;
  }
  argument.release();  // NOLINT(bugprone-unused-return-value): the thread owns it now.
  job_ = std::move(job);
  fd_ = ends[0];
  return true;
}

bool Resolver::done() const noexcept { return job_ != nullptr && job_->done.load(std::memory_order_acquire); }

std::vector<SocketAddress> Resolver::take() {
  std::vector<SocketAddress> addresses;
  if (done()) {
    addresses = std::move(job_->addresses);
  }
  cancel();
  return addresses;
}

void Resolver::cancel() noexcept {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
  job_.reset();
}

}  // namespace muster::agent::linux_port
