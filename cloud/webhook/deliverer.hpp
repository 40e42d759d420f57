// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/metrics.hpp"
#include "cloud/base/random.hpp"
#include "cloud/domain/directory.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/webhook/http_sender.hpp"

namespace muster::webhook {

/// Contexts that the secrets of webhooks are sealed under.
inline constexpr std::string_view secret_context = "webhook-secret", headers_context = "webhook-headers", auth_context = "webhook-auth",
                                  request_context = "webhook-request", response_context = "webhook-response";

struct Options {
  unsigned rate_per_minute = 60;                 ///< Attempts of one webhook.
  std::chrono::milliseconds retry_first{5'000};  ///< After the first failure; doubled with each.
  std::chrono::milliseconds timeout{5'000};      ///< Of an attempt.
  unsigned connections_max = 16;                 ///< Attempts at the same time ...
  unsigned connections_per_webhook_max = 4;      ///< ... and of one webhook.
  std::vector<std::string> allowed_networks;     ///< That would be refused otherwise.
  std::string ca_file;                           ///< PEM; empty: the system's.
  unsigned log_days = 30;                        ///< How long ended deliveries are kept.
  std::chrono::milliseconds look_interval{250};
};

/// Turns the event feed into deliveries and delivers them: a thread of its own that looks, and a few that send. Nothing of a delivery is
/// only in memory: after kill -9 what was under way is sent again, with the same id.
class Deliverer {
 public:
  struct Dependencies {
    domain::Store& store;
    const domain::Directory& directory;
    const KeyRing& keys;
    Random& random;  ///< Thread-safe.
    const Clock& clock;
    Metrics& metrics;
  };
  /// The mails that tell a webhook's people that it was disabled because of this problem; they are queued with that, in one transaction.
  /// Called on a sending thread, for each delivery that is given up. May be empty: nobody is told.
  using Notices = std::function<std::vector<domain::NewMail>(const domain::Webhook& webhook, const std::string& problem)>;
  Deliverer(Dependencies dependencies, Options options, HttpSender sender, Notices notices);
  ~Deliverer();

  void start();
  /// Attempts under way end first (at most their timeout).
  void stop();
  /// One look: what is due is given to the senders. For tests without the thread.
  void look();
  /// Waits until nothing is under way. For tests.
  void wait_idle();
  /// Deletes what the log need not hold any more; how many. Blocks.
  std::size_t trim();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::webhook
