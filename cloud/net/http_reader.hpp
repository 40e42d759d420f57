// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cloud/api/http.hpp"

/// Requests out of bytes, no sockets. The only file that sees Boost.Beast's parser is http_reader.cpp.
namespace muster::net {

/// What a request says about its connection; handlers do not need it.
struct HttpHead {
  bool version_1_1 = false;
  bool keep_alive = false;         ///< The client wants to go on after the answer.
  bool websocket_upgrade = false;  ///< GET, HTTP/1.1, Upgrade: websocket, Connection: upgrade, version 13, a well-formed key.
  std::string_view host;
  std::string_view websocket_key;  ///< Only with websocket_upgrade.
};

/// Reads one request after the other. A request that lies whole in the input is not copied: its views borrow from there. One
/// that does not: while the header is unfinished nothing is consumed (the caller keeps the bytes and gives them again with
/// more); from then on the reader owns a copy of the header and gathers the body.
///
/// Strict, because a proxy in front may read a request differently: both Content-Length and Transfer-Encoding, more than one of
/// either, codings other than chunked, folded lines, bare LF or CR, NUL, no Host or two of them are refused with 400.
class HttpReader {
 public:
  /// Asked once the header of a request with a body is known, before the body is kept.
  class BodyRule {
   public:
    [[nodiscard]] virtual std::size_t body_max_bytes(const api::Request& header) const noexcept = 0;

   protected:
    ~BodyRule() = default;
  };
  struct Limits {
    std::size_t header_max_bytes;
    std::size_t body_max_bytes;
    const BodyRule* body_rule = nullptr;  ///< May lower the limit of one request.
  };
  enum class Status : std::uint8_t { need_more, complete, failed };
  struct Outcome {
    Status status = Status::need_more;
    std::size_t consumed_bytes = 0;
    unsigned error_status = 0;   ///< With failed: what to answer before the connection is closed.
    bool body_begins = false;    ///< The header is complete, the body is not.
    bool send_continue = false;  ///< The client waits for 100 Continue; said once.
  };

  HttpReader();
  ~HttpReader();

  /// With `complete`, `request` and head() are filled in; they stay valid until the next call, as long as `input` does.
  /// `request.headers` keeps its capacity. Fields that a reader does not know (peer, ...) are left alone.
  [[nodiscard]] Outcome read(std::string_view input, const Limits& limits, api::Request& request);
  [[nodiscard]] const HttpHead& head() const noexcept { return head_; }
  [[nodiscard]] bool in_body() const noexcept { return body_ != nullptr && !body_done_; }
  /// Lets go of what the last complete request took; its views are no longer valid.
  void forget() noexcept;
  /// Memory taken by an unfinished body.
  [[nodiscard]] std::size_t body_memory_bytes() const noexcept;

 private:
  class Parser;
  struct Body;
  [[nodiscard]] Outcome read_body(std::string_view input, api::Request& request, Outcome outcome);

  HttpHead head_;
  std::unique_ptr<Body> body_;
  bool body_done_ = false;
  bool empty_line_forgiven_ = false;
};

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace muster::net
