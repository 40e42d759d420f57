// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/http_client.hpp"
#include "cli/outcome.hpp"

namespace muster::cli {

/// Which rows of a list: all, unless a page or a limit is given.
struct Paging {
  std::optional<std::int64_t> page;   ///< From 0.
  std::optional<std::int64_t> limit;  ///< Rows a page, or rows at all without a page.
};

/// The HTTP API of one server, as signed in (or not).
class ApiClient {
 public:
  ApiClient(HttpClient http, std::string access_token) : http_{std::move(http)}, access_token_{std::move(access_token)} {}

  /// One request. An answer without a body is null. Errors: exit_refused with the server's own sentence, exit_unreachable.
  [[nodiscard]] Outcome<boost::json::value> call(std::string_view method, std::string_view path, const Query& query,
                                                 const boost::json::object* body = nullptr);
  /// GET of something that is not JSON. Errors: as call().
  [[nodiscard]] Outcome<std::string> text(std::string_view path, const Query& query);
  /// The rows of a list, fetched page by page.
  [[nodiscard]] Outcome<boost::json::array> list(std::string_view path, const Query& query, const Paging& paging);

  /// As HttpClient's.
  void end_when(const std::atomic<bool>& ended) noexcept { http_.end_when(ended); }
  [[nodiscard]] const std::string& url() const noexcept { return http_.url(); }
  [[nodiscard]] const std::string& ca_file() const noexcept { return http_.ca_file(); }
  [[nodiscard]] const std::string& access_token() const noexcept { return access_token_; }

 private:
  HttpClient http_;
  std::string access_token_;
};

/// An answer that is no success, as a sentence.
[[nodiscard]] Failure refusal_of(const HttpAnswer& answer, std::string_view url, bool signed_in);

}  // namespace muster::cli
