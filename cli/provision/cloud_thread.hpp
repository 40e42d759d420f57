// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "agent/port/clock.hpp"
#include "cli/api_client.hpp"
#include "cli/provision/wake.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::cli {

/// The cloud for a provisioner: its HTTP API, asked on a thread of its own because those calls wait. An answer wakes `pipe` and is handed
/// over by deliver(), on the thread of the loop. attach() before the first call.
class CloudThread final : public provisioner::CloudApi {
 public:
  static constexpr agent::Millis last_words_ms = 10'000;  ///< For what the cloud is still to be told.
  static constexpr agent::Millis tell_again_ms = 500;     ///< What it was to be told, when it could not be reached.

  CloudThread(ApiClient client, const WakePipe& pipe, std::optional<std::int64_t> organization);
  ~CloudThread();
  CloudThread(const CloudThread&) = delete;
  CloudThread& operator=(const CloudThread&) = delete;
  void attach(provisioner::Provisioner& provisioner) { provisioner_ = &provisioner; }

  void ask_template(const std::string& id) override;
  void ask_reconfigure(std::int64_t id) override;
  void ask_token(const provisioner::TokenRequest& request) override;
  void ask_session(std::int64_t id) override;
  void post_step(std::int64_t id, std::string_view step, std::uint16_t code, std::string_view message) override;
  void cancel_session(std::int64_t id) override;

  /// Hands over what has come.
  void deliver(agent::Millis now);
  /// Waits until all was sent, at most last_words_ms.
  void finish();

 private:
  using Answer = std::function<void(provisioner::Provisioner&, const boost::json::value&, agent::Millis)>;
  struct Work {
    std::string method, path;
    Query query;
    std::optional<boost::json::object> body;
    Answer answer;  ///< Empty: nobody waits.
  };
  void ask(std::string method, std::string path, Query query, std::optional<boost::json::object> body, Answer answer);
  void work();

  ApiClient client_;
  const WakePipe& pipe_;
  std::optional<std::int64_t> organization_;
  provisioner::Provisioner* provisioner_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wanted_, idle_;
  std::deque<Work> work_;
  std::deque<std::function<void(agent::Millis)>> answers_;
  bool stopping_ = false, busy_ = false;
  std::atomic<bool> abandoned_{false};  ///< Nobody waits for the request under way any more.
  std::thread thread_;                  // Last: it uses all of the above.
};

}  // namespace muster::cli
