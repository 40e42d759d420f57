// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/ip_address.hpp"
#include "cloud/domain/webhook.hpp"
#include "cloud/domain/webhook_target.hpp"

namespace muster::webhook {

struct Outgoing {
  domain::WebhookMethod method = domain::WebhookMethod::post;
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value".
  std::string body;
  std::string user, password;  ///< HTTP Basic when `user` is set.
};

struct Answer {
  std::uint16_t status = 0;  ///< 0: no answer came.
  std::string body;          ///< Its first 16 KB.
  std::string problem;       ///< Empty: an answer came. Else one sentence, without secrets.
};

/// The addresses of a host name, or of a text that stands for one; empty: there are none.
using Resolver = std::function<std::vector<IpAddress>(const std::string& host)>;
[[nodiscard]] std::vector<IpAddress> resolve_by_system(const std::string& host);

struct SenderOptions {
  domain::WebhookTargets targets;
  std::chrono::milliseconds timeout{5'000};  ///< Of a whole request, with the look-up of the name.
  std::string ca_file;                       ///< PEM; empty: the system's.
  Resolver resolver = resolve_by_system;     ///< Thread-safe; may still run after `send` gave up on it.
};

/// Sends one HTTP request to where people said, and nowhere else: the host is resolved once, every address it has must be one that may be
/// reached, and the connection goes to one of those, whatever the name says by then. No redirects, no proxies, no cookies.
/// Thread-safe; blocks.
class HttpSender {
 public:
  explicit HttpSender(SenderOptions options);
  [[nodiscard]] Answer send(const Outgoing& request) const;

 private:
  SenderOptions options_;
};

}  // namespace muster::webhook
