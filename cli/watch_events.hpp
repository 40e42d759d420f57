// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/outcome.hpp"

namespace muster::cli {

/// The client's side of the live stream (x-stream in cloud/api/openapi.yaml) without its connection: messages in, lines to print and
/// messages to send out.
class WatchEvents {
 public:
  struct Scope {
    std::vector<std::int64_t> devices;  ///< Empty: all of `organization`.
    std::int64_t organization = 0;
    bool with_sub_organizations = false;
  };
  WatchEvents(Scope scope, bool as_json) : scope_{std::move(scope)}, as_json_{as_json} {}

  /// What to send at once on a new connection: subscriptions, and after a loss the wish to resume. The server looks at the access token of
  /// the request when the first message comes.
  [[nodiscard]] std::vector<std::string> hello() const;

  using Lines = std::vector<std::string>;  ///< One event each, without a line end.
  /// Errors: what the server refused (exit_refused), or a message that is none (exit_unreachable).
  [[nodiscard]] Outcome<Lines> on_message(std::string_view message);
  [[nodiscard]] static std::string ping();

 private:
  void add_row(std::string_view subscription, const boost::json::value& row, Lines& lines);

  Scope scope_;
  bool as_json_;
  std::optional<std::string> cursor_;
  std::map<std::int64_t, std::string> names_;
  std::map<std::int64_t, bool> online_;
};

}  // namespace muster::cli
