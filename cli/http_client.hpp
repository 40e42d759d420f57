// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/outcome.hpp"

namespace muster::cli {

struct HttpAnswer {
  long status = 0;
  std::string body;
};

using Query = std::vector<std::pair<std::string, std::string>>;

/// "?a=b&c=d", percent-encoded; empty for none.
[[nodiscard]] std::string format_query(const Query& query);

/// Requests to one server, over one connection. Not thread-safe.
class HttpClient {
 public:
  /// `url` normalized; `ca_file` empty: the system's certificates.
  HttpClient(std::string url, std::string ca_file);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  /// Any answer is a success here. `body` is JSON. An answer of more than 64 MiB, or none within 60 s, is a failure.
  /// Errors: exit_unreachable, with a sentence that says why and what to do.
  [[nodiscard]] Outcome<HttpAnswer> send(std::string_view method, const std::string& path_and_query, std::string_view access_token,
                                         const std::optional<std::string>& body);
  /// Shown to the server as `Muster-Device` with every request from now on; empty: nothing is.
  void set_known_device(std::string mark);
  /// From when this is true, requests end within about a second, also the one under way on another thread. It must outlive the client.
  void end_when(const std::atomic<bool>& ended) noexcept;
  [[nodiscard]] const std::string& url() const noexcept;
  [[nodiscard]] const std::string& ca_file() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Why a CURLcode means that `url` cannot be reached.
[[nodiscard]] std::string explain_curl_error(int code, std::string_view url, std::string_view ca_file, std::string_view detail);

}  // namespace muster::cli
