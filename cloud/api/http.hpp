// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/base/ip_address.hpp"

/// HTTP as handlers see it: plain data, no sockets and no parser. cloud/net translates.
namespace muster::api {

enum class Method : std::uint8_t { get, head, post, put, patch, delete_, options, other };

struct Header {
  std::string_view name, value;
};

/// One complete request. Everything borrows from the connection; on a worker, from a copy that outlives the call.
struct Request {
  Method method = Method::get;
  std::string_view target;  ///< As sent: path and query.
  std::string_view path;    ///< Before '?', not decoded.
  std::string_view query;   ///< After '?', not decoded.
  std::vector<Header> headers;
  std::string_view body;
  IpAddress peer;
  bool secure = false;             ///< Came over TLS.
  std::string_view local_address;  ///< "127.0.0.1:8080": what the request came in on.

  /// Case-insensitive; empty when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

struct Response {
  unsigned status = 200;
  std::string content_type;  ///< Empty: no Content-Type header.
  std::string body;
  std::vector<std::pair<std::string, std::string>>
      headers;         ///< Besides Content-Length, Content-Type, Connection and the security headers that net adds to all.
  bool close = false;  ///< Close the connection after it.
};

}  // namespace muster::api
