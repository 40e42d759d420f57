// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/mailer.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "cloud/base/log.hpp"

namespace muster::mail {
namespace {
constexpr std::size_t at_once_max = 50;
}

std::chrono::milliseconds backoff(const MailerOptions& options, std::uint32_t tries) noexcept {
  auto wait = options.backoff_first;
  for (std::uint32_t i = 1; i < tries && wait < options.backoff_max; ++i) wait *= 2;
  return std::min(wait, options.backoff_max);
}

Mailer::Mailer(Dependencies dependencies, MailerOptions options) : with_{dependencies}, options_{std::move(options)} {}
Mailer::~Mailer() { stop(); }

void Mailer::start() {
  thread_ = std::thread{[this] {
    pthread_setname_np(pthread_self(), "muster-mail");
    std::unique_lock lock{mutex_};
    while (!stopping_) {
      lock.unlock();
      pass();
      lock.lock();
      changed_.wait_for(lock, options_.pause, [this] { return stopping_; });
    }
  }};
}

void Mailer::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  with_.transport.interrupt();
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::size_t Mailer::pass() {
  const auto due = with_.store.due_mail(with_.clock.utc_now(), at_once_max);
  if (!due) return 0;  // The follower tells of the store's trouble.
  std::size_t sent = 0;
  for (const auto& mail : *due) {
    {
      const std::lock_guard lock{mutex_};
      if (stopping_) break;
    }
    if (send(mail)) ++sent;
  }
  return sent;
}

bool Mailer::send(const domain::QueuedMail& mail) {
  const auto opened = with_.keys.open_sealed(seal_context, mail.sealed);
  const auto message = opened ? unpack(*opened) : std::nullopt;
  if (!message) {
    failed(mail, true, opened ? "its text is damaged" : opened.error().message());
    return false;
  }
  const std::string id = fmt::format("muster-{}-{}", mail.id.value(), mail.queued_at.ms);
  const Outcome outcome =
      with_.transport.send(options_.from.address, mail.recipient, compose(*message, options_.from, mail.recipient, mail.queued_at, id));
  if (outcome.kind == Outcome::Kind::sent) {
    if (const auto gone = with_.store.mail_sent(mail.id); !gone)
      log::warning("mail_sent_again", {{"id", mail.id.value()}, {"reason", gone.error().message()}});
    return true;
  }
  {
    const std::lock_guard lock{mutex_};
    if (stopping_) return false;  // It was we who ended it: no failure of the mail.
  }
  const bool too_old = with_.clock.utc_now().ms - mail.queued_at.ms >= options_.give_up_after.count();
  failed(mail, outcome.kind == Outcome::Kind::refused || too_old, outcome.reason);
  return false;
}

void Mailer::failed(const domain::QueuedMail& mail, bool for_good, std::string_view reason) {
  const UtcTime now = with_.clock.utc_now();
  const std::optional<UtcTime> next = for_good ? std::nullopt : std::optional{UtcTime{now.ms + backoff(options_, mail.tries + 1).count()}};
  // The recipient is personal: the log has the row's id, GET /api/v1/mail the rest.
  log::warning(for_good ? "mail_given_up" : "mail_not_sent",
               {{"id", mail.id.value()}, {"kind", mail.kind}, {"tries", std::uint64_t{mail.tries + 1}}, {"reason", reason}});
  if (const auto noted = with_.store.mail_failed(mail.id, next, reason, now); !noted)
    log::warning("mail_failure_not_noted", {{"id", mail.id.value()}, {"reason", noted.error().message()}});
}

}  // namespace muster::mail
