// SPDX-License-Identifier: Apache-2.0
#include "cloud/bus/local/local_bus.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "cloud/base/log.hpp"

namespace muster::bus {

struct LocalBus::Impl {
  struct Subscriber {
    ChangesCallback callback;
    std::optional<std::int64_t> waiting;  ///< The newest hint it has not heard.
    std::int64_t heard = 0;
    bool running = false;
  };

  std::mutex mutex;
  std::condition_variable work;   ///< A hint waits, or the bus stops.
  std::condition_variable quiet;  ///< A callback has returned.
  std::vector<std::shared_ptr<Subscriber>> subscribers;
  bool stopping = false;
  std::thread thread;

  void run() {
    std::unique_lock lock{mutex};
    for (;;) {
      const auto next = std::find_if(subscribers.begin(), subscribers.end(), [](const auto& each) { return each->waiting.has_value(); });
      if (stopping) return;
      if (next == subscribers.end()) {
        work.wait(lock);
        continue;
      }
      // Whoever is served goes to the end, so that one that is told all the time does not starve the others.
      std::rotate(next, next + 1, subscribers.end());
      const std::shared_ptr<Subscriber> subscriber = subscribers.back();
      const std::int64_t seq = *std::exchange(subscriber->waiting, std::nullopt);
      subscriber->heard = std::max(subscriber->heard, seq);
      subscriber->running = true;
      lock.unlock();
      try {
        subscriber->callback(seq);
      } catch (const std::exception& exception) {
        log::error("bus_callback_failed", {{"reason", exception.what()}});
      }
      lock.lock();
      subscriber->running = false;
      quiet.notify_all();
    }
  }
};

class LocalBus::LocalSubscription final : public Subscription {
 public:
  LocalSubscription(std::shared_ptr<Impl> impl, std::shared_ptr<Impl::Subscriber> subscriber)
      : impl_{std::move(impl)}, subscriber_{std::move(subscriber)} {}
  ~LocalSubscription() override {
    std::unique_lock lock{impl_->mutex};
    std::erase(impl_->subscribers, subscriber_);
    impl_->quiet.wait(lock, [&] { return !subscriber_->running; });
  }

 private:
  std::shared_ptr<Impl> impl_;
  std::shared_ptr<Impl::Subscriber> subscriber_;
};

LocalBus::LocalBus() : impl_{std::make_shared<Impl>()} {
  impl_->thread = std::thread{[impl = impl_.get()] { impl->run(); }};
}

LocalBus::~LocalBus() {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  impl_->work.notify_one();
  impl_->thread.join();
}

void LocalBus::notify_changes(std::int64_t seq) {
  {
    std::lock_guard lock{impl_->mutex};
    for (const auto& subscriber : impl_->subscribers) {
      // An older number than one already told says nothing new; 0 means "look in any case".
      if (seq != 0 && seq <= subscriber->heard) continue;
      subscriber->waiting = std::max(seq, subscriber->waiting.value_or(seq));
    }
  }
  impl_->work.notify_one();
}

std::unique_ptr<Subscription> LocalBus::subscribe(ChangesCallback callback) {
  auto subscriber = std::make_shared<Impl::Subscriber>();
  subscriber->callback = std::move(callback);
  {
    std::lock_guard lock{impl_->mutex};
    impl_->subscribers.push_back(subscriber);
  }
  return std::make_unique<LocalSubscription>(impl_, std::move(subscriber));
}

}  // namespace muster::bus
