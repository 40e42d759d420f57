// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/mailbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace muster::net {

Mailbox::Mailbox(std::size_t session_mail_max) : session_mail_max_{session_mail_max}, wake_fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {}

Mailbox::~Mailbox() {
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

bool Mailbox::post(SessionMail&& mail) {
  {
    // The end of a session is never refused: nobody would ask again, and a revoked token would go on being served.
    const bool ends = std::holds_alternative<protocol::CloseSession>(mail.event);
    const std::lock_guard lock{mutex_};
    if (closed_ || (session_mail_ >= session_mail_max_ && !ends)) return false;
    ++session_mail_;
    queue_.emplace_back(std::move(mail));
    waiting_.store(true, std::memory_order_seq_cst);
  }
  wake();
  return true;
}

void Mailbox::post(ResponseMail&& mail) {
  {
    const std::lock_guard lock{mutex_};
    if (closed_) return;
    queue_.emplace_back(std::move(mail));
    waiting_.store(true, std::memory_order_seq_cst);
  }
  wake();
}

void Mailbox::post(StopMail mail) {
  {
    const std::lock_guard lock{mutex_};
    if (closed_) return;
    queue_.emplace_back(mail);
    waiting_.store(true, std::memory_order_seq_cst);
  }
  wake();
}

// Writer: waiting = true, then is it asleep? Reader: asleep = true, then is something waiting? Both sequentially consistent,
// so at least one of them sees the other.
bool Mailbox::prepare_sleep() noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  return !waiting_.load(std::memory_order_seq_cst);
}

void Mailbox::wake() noexcept {
  if (!sleeping_.load(std::memory_order_seq_cst) || !sleeping_.exchange(false)) return;
  const std::uint64_t one = 1;
  // The descriptor is watched edge-triggered and never read: a counter that cannot overflow in centuries needs no reset.
  (void)!::write(wake_fd_, &one, sizeof one);
}

void Mailbox::take(std::vector<Mail>& out) {
  if (empty()) return;
  const std::lock_guard lock{mutex_};
  queue_.swap(out);
  session_mail_ = 0;
  waiting_.store(false, std::memory_order_relaxed);
}

void Mailbox::close() {
  std::vector<Mail> dropped;
  const std::lock_guard lock{mutex_};
  closed_ = true;
  queue_.swap(dropped);
  session_mail_ = 0;
  waiting_.store(false, std::memory_order_relaxed);
}

}  // namespace muster::net
