// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/server.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>
#include <utility>

#include "cloud/base/log.hpp"
#include "cloud/net/error.hpp"
#include "cloud/net/listener.hpp"
#include "cloud/net/loop.hpp"

namespace muster::net {
namespace {

constexpr std::size_t descriptors_for_others = 256;  ///< Store, logs, lock files, outgoing connections.

std::size_t connections_by_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 768;
  if (limit.rlim_cur == RLIM_INFINITY) return 1'000'000;
  const std::size_t all = limit.rlim_cur;
  return all > 2 * descriptors_for_others ? all - descriptors_for_others : all / 2;
}

/// "listen-[::1]:8080.lock"; no character of an address is special in a file name.
std::string lock_name(const SocketAddress& address) { return "listen-" + address.text() + ".lock"; }

}  // namespace

struct Server::Impl {
  struct Bound {
    SocketAddress address;
    bool tls_only = false;
    std::vector<int> fds;  ///< One a loop.
  };

  Dependencies dependencies;
  ServerOptions options;
  std::vector<Bound> bound;
  std::vector<LockFile> locks;
  std::unique_ptr<LoopShared> shared;
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<std::thread> threads;
  std::atomic<bool> running{false};

  void close_bound() {
    for (const Bound& each : bound) {
      for (const int fd : each.fds) ::close(fd);
    }
    bound.clear();
  }
};

Server::Server(const Dependencies& dependencies, ServerOptions options)
    : impl_{new Impl{dependencies, std::move(options), {}, {}, {}, {}, {}, {}}} {
  // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): it loses sight of the options at the move.
  if (impl_->options.loops == 0) impl_->options.loops = std::max(1u, std::thread::hardware_concurrency());
  if (impl_->options.limits.connections_max == 0) impl_->options.limits.connections_max = connections_by_descriptors();
}

Server::~Server() {
  stop({std::chrono::milliseconds{0}, std::chrono::milliseconds{0}});
  impl_->close_bound();
}

Result<void> Server::bind() {
  const auto fail = [this](const std::string& sentence, Error error) {
    problem_ = sentence;
    impl_->close_bound();
    impl_->locks.clear();
    addresses_.clear();
    tls_addresses_.clear();
    return error;
  };
  const std::filesystem::path runtime =
      impl_->options.runtime_directory.empty() ? default_runtime_directory() : impl_->options.runtime_directory;

  const auto take_lock = [this, &runtime, &fail](const SocketAddress& address) -> Result<void> {
    long holder = 0;
    auto lock = LockFile::take(runtime / lock_name(address), holder);
    if (lock) {
      impl_->locks.push_back(std::move(lock).value());
      return {};
    }
    if (lock.error() == NetError::address_locked) {
      return fail("Another muster" + (holder != 0 ? " (process " + std::to_string(holder) + ")" : std::string{}) + " already serves " +
                      address.text() + ". Stop it, or choose another port with --listen.",
                  lock.error());
    }
    return fail("Lock files cannot be kept in " + runtime.string() + ": it must be a directory that only this user can write to.",
                lock.error());
  };

  const auto take = [this, &fail, &take_lock](const std::string& text, bool tls_only) -> Result<SocketAddress> {
    const auto wanted = SocketAddress::parse(text);
    if (!wanted) {
      return fail("\"" + text + "\" is not an address to listen on. Write ADDR:PORT, for example 0.0.0.0:8080 or [::]:8080.",
                  wanted.error());
    }
    const auto is_ours = [&](const SocketAddress& other) { return wanted->port != 0 && other.text() == wanted->text(); };
    if (std::any_of(addresses_.begin(), addresses_.end(), is_ours) || std::any_of(tls_addresses_.begin(), tls_addresses_.end(), is_ours))
      return fail(wanted->text() + " is given twice. Name each address once, with --listen or --listen-tls.", NetError::address_in_use);
    if (wanted->port != 0) MUSTER_TRY_VOID(take_lock(*wanted));
    if (const auto free = probe(*wanted); !free) {
      if (free.error() == NetError::address_in_use) {
        return fail("Port " + std::to_string(wanted->port) + " of " + wanted->ip.text() +
                        " is taken: another program listens there (try: ss -ltnp 'sport = :" + std::to_string(wanted->port) +
                        "'). Stop it, or choose another port with --listen.",
                    free.error());
      }
      if (free.error() == boost::system::errc::permission_denied) {
        return fail("Port " + std::to_string(wanted->port) +
                        " may not be used by this user: ports below 1024 need CAP_NET_BIND_SERVICE (the systemd unit grants it).",
                    free.error());
      }
      return fail("Cannot listen on " + wanted->text() + ": " + free.error().message() + ".", free.error());
    }
    Impl::Bound bound{*wanted, tls_only, {}};
    for (unsigned i = 0; i < impl_->options.loops; ++i) {
      const auto fd = listen_on(bound.address, bound.address);
      if (!fd) {
        impl_->bound.push_back(std::move(bound));  // So that fail() closes what was opened.
        return fail("Cannot listen on " + wanted->text() + ": " + fd.error().message() + ".", fd.error());
      }
      bound.fds.push_back(*fd);
    }
    const SocketAddress actual = bound.address;
    impl_->bound.push_back(std::move(bound));
    if (wanted->port == 0) MUSTER_TRY_VOID(take_lock(actual));
    return actual;
  };

  problem_.clear();
  for (const std::string& text : impl_->options.listen) {
    MUSTER_TRY(const SocketAddress actual, take(text, false));
    addresses_.push_back(actual);
  }
  for (const std::string& text : impl_->options.listen_tls) {
    MUSTER_TRY(const SocketAddress actual, take(text, true));
    tls_addresses_.push_back(actual);
  }
  return {};
}

Result<void> Server::start(DeviceHandler& devices, HttpHandler& http) {
  Impl& impl = *impl_;
  impl.shared.reset(
      new LoopShared{.limits = impl.options.limits,
                     .devices = devices,
                     .http = http,
                     .executor = impl.dependencies.executor,
                     .clock = impl.dependencies.clock,
                     .metrics = impl.dependencies.metrics,
                     .proxies = impl.options.proxies,
                     .tls = impl.dependencies.tls,
                     .addresses = AddressLimiter{impl.options.limits.connections_per_address_max},
                     .handshake_addresses = AddressLimiter{std::max<std::size_t>(1, impl.options.limits.tls_handshakes_max / 8)},
                     .bodies = std::make_shared<BodyBudget>(BodyBudget::Limits{impl.options.limits.http_body_memory_max_bytes,
                                                                               impl.options.limits.http_body_memory_per_address_max_bytes}),
                     .node = impl.options.node});
  for (unsigned i = 0; i < impl.options.loops; ++i) {
    auto loop = std::make_unique<Loop>(*impl.shared, static_cast<std::uint16_t>(i));
    std::vector<LoopListener> listeners;
    for (Impl::Bound& bound : impl.bound) {
      listeners.push_back({std::exchange(bound.fds[i], -1), bound.tls_only, bound.address.is_any() ? std::string{} : bound.address.text()});
    }
    const auto opened = loop->open(std::move(listeners));
    impl.loops.push_back(std::move(loop));
    if (!opened) {
      problem_ = "The network loops cannot be started: " + opened.error().message() + ".";
      impl.loops.clear();
      return opened.error();
    }
  }
  impl.bound.clear();
  impl.running.store(true, std::memory_order_release);
  // Signals belong to the main thread: loops inherit a mask that blocks them all.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  for (unsigned i = 0; i < impl.options.loops; ++i) {
    impl.threads.emplace_back([loop = impl.loops[i].get()] { loop->run(); });
    ::pthread_setname_np(impl.threads.back().native_handle(), ("loop-" + std::to_string(i)).c_str());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void Server::stop(const StopOptions& options) {
  Impl& impl = *impl_;
  for (const auto& loop : impl.loops) loop->mailbox().post(StopMail{options.spread, options.grace});
  for (std::thread& thread : impl.threads) thread.join();
  impl.threads.clear();
  impl.locks.clear();
}

bool Server::post(const domain::SessionAddress& address, protocol::SessionEvent event) {
  const Impl& impl = *impl_;
  if (!impl.running.load(std::memory_order_acquire) || address.node != impl.options.node || address.loop >= impl.loops.size()) return false;
  return impl.loops[address.loop]->mailbox().post(SessionMail{address, std::move(event)});
}

std::optional<IpAddress> Server::local_address(const domain::SessionAddress& session) const {
  const Impl& impl = *impl_;
  if (session.node != impl.options.node || session.loop >= impl.loops.size()) return std::nullopt;
  return impl.loops[session.loop]->local_address(session);
}

}  // namespace muster::net
