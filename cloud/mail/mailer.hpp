// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "cloud/base/clock.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/mail/message.hpp"
#include "cloud/mail/transport.hpp"

namespace muster::mail {

struct MailerOptions {
  Sender from;
  std::chrono::milliseconds pause{2'000};                     ///< Between looks at the queue.
  std::chrono::milliseconds backoff_first{30'000};            ///< After the first failure; doubled with each ...
  std::chrono::milliseconds backoff_max{3'600'000};           ///< ... up to this.
  std::chrono::milliseconds give_up_after{48LL * 3'600'000};  ///< Since it was queued.
};

/// Takes the queue of the store to a transport. A mail goes out at least once: a crash between the server's yes and the row's end sends
/// it again under the same Message-ID.
class Mailer {
 public:
  struct Dependencies {
    domain::Store& store;
    const KeyRing& keys;
    Transport& transport;
    const Clock& clock;
  };
  Mailer(Dependencies dependencies, MailerOptions options);
  /// stop(), when it was not called.
  ~Mailer();
  Mailer(const Mailer&) = delete;
  Mailer& operator=(const Mailer&) = delete;

  /// Begins a thread of its own that looks at the queue again and again.
  void start();
  void stop();
  /// One look at the queue: how many were sent. What start() does; for tests.
  std::size_t pass();

 private:
  [[nodiscard]] bool send(const domain::QueuedMail& mail);
  void failed(const domain::QueuedMail& mail, bool for_good, std::string_view reason);

  const Dependencies with_;
  const MailerOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

/// How long until the try after `tries` failed ones.
[[nodiscard]] std::chrono::milliseconds backoff(const MailerOptions& options, std::uint32_t tries) noexcept;

}  // namespace muster::mail
