// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/http_reader.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>

namespace muster::net {
namespace {

namespace beast_http = boost::beast::http;
using BeastView = boost::beast::string_view;
using BeastError = boost::beast::error_code;

constexpr std::size_t fields_max = 100;
constexpr std::size_t chunk_header_max_bytes = 4'096;  ///< Size line, extensions and trailers that wait for their end.

std::string_view plain(BeastView view) noexcept { return {view.data(), view.size()}; }

api::Method method_of(beast_http::verb verb) noexcept {
  switch (verb) {
    case beast_http::verb::get: return api::Method::get;
    case beast_http::verb::head: return api::Method::head;
    case beast_http::verb::post: return api::Method::post;
    case beast_http::verb::put: return api::Method::put;
    case beast_http::verb::patch: return api::Method::patch;
    case beast_http::verb::delete_: return api::Method::delete_;
    case beast_http::verb::options: return api::Method::options;
    default: return api::Method::other;
  }
}

/// True when one of the words of a comma-separated list is `word`.
bool list_holds(std::string_view list, std::string_view word) noexcept {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (equal_ignoring_case(item, word)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool is_websocket_key(std::string_view key) noexcept {  // 16 bytes as base64: 22 characters and "==".
  if (key.size() != 24 || key.substr(22) != "==") return false;
  return std::all_of(key.begin(), key.begin() + 22, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

/// A line that begins with white space continues the one before (obs-fold): Beast unfolds it, we refuse it.
bool has_folded_line(std::string_view header) noexcept {
  for (std::size_t at = header.find('\n'); at != std::string_view::npos && at + 1 < header.size(); at = header.find('\n', at + 1)) {
    if (header[at + 1] == ' ' || header[at + 1] == '\t') return true;
  }
  return false;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

class HttpReader::Parser final : public beast_http::basic_parser<true> {
 public:
  Parser(api::Request& request, HttpHead& head) noexcept : request_{request}, head_{head} {}

  std::string* body = nullptr;  ///< Where body bytes go.
  bool bad = false;             ///< A rule of ours was broken.
  bool expects_continue = false;
  bool expects_something_else = false;
  bool has_length = false;
  bool is_chunked = false;
  std::uint64_t length = 0;

  /// What can only be judged with the whole header at hand.
  void judge() noexcept {
    if (has_length && is_chunked) bad = true;
    if (is_chunked && !head_.version_1_1) bad = true;
    if (head_.version_1_1 && hosts_ != 1) bad = true;
    if (hosts_ > 1) bad = true;
    if (!split_target()) bad = true;
    head_.keep_alive = head_.version_1_1 ? !connection_close_ : connection_keep_alive_ && !connection_close_;
    head_.websocket_upgrade = head_.version_1_1 && request_.method == api::Method::get && upgrade_websocket_ && connection_upgrade_ &&
                              websocket_version_ == "13" && is_websocket_key(head_.websocket_key) && !is_chunked && length == 0;
  }

 private:
  bool split_target() noexcept {
    std::string_view rest = request_.target;
    if (rest == "*") {
      request_.path = rest;
      request_.query = {};
      return request_.method == api::Method::options;
    }
    if (!rest.empty() && rest.front() != '/') {  // absolute-form, which a server must take: the authority is skipped.
      const std::size_t scheme = rest.find("://");
      if (scheme == std::string_view::npos) return false;
      const std::size_t path = rest.find('/', scheme + 3);
      if (path == std::string_view::npos) return false;
      rest.remove_prefix(path);
    }
    const std::size_t mark = std::min(rest.find('?'), rest.size());
    request_.path = rest.substr(0, mark);
    request_.query = rest.substr(std::min(mark + 1, rest.size()));
    return !rest.empty();
  }

  void on_request_impl(beast_http::verb verb, BeastView, BeastView target, int version, BeastError& error) override {
    error = {};
    request_.method = method_of(verb);
    request_.target = plain(target);
    head_.version_1_1 = version == 11;
  }
  void on_response_impl(int, BeastView, int, BeastError& error) override { error = {}; }

  void on_field_impl(beast_http::field field, BeastView name_view, BeastView value_view, BeastError& error) override {
    error = {};
    if (in_trailer_) return;  // Trailers say nothing that we would act on.
    const std::string_view value = plain(value_view);
    if (request_.headers.size() >= fields_max) {
      error = beast_http::error::header_limit;
      return;
    }
    request_.headers.push_back({plain(name_view), value});
    switch (field) {
      case beast_http::field::content_length:
        if (has_length || value.empty() || value.size() > 18) bad = true;
        has_length = true;
        length = 0;
        for (const char c : value) {
          if (c < '0' || c > '9')
            bad = true;
          else
            length = length * 10 + static_cast<std::uint64_t>(c - '0');
        }
        break;
      case beast_http::field::transfer_encoding:
        if (is_chunked || !equal_ignoring_case(value, "chunked")) bad = true;
        is_chunked = true;
        break;
      case beast_http::field::host:
        ++hosts_;
        head_.host = value;
        break;
      case beast_http::field::connection:
        connection_close_ = connection_close_ || list_holds(value, "close");
        connection_keep_alive_ = connection_keep_alive_ || list_holds(value, "keep-alive");
        connection_upgrade_ = connection_upgrade_ || list_holds(value, "upgrade");
        break;
      case beast_http::field::upgrade: upgrade_websocket_ = list_holds(value, "websocket"); break;
      case beast_http::field::sec_websocket_key: head_.websocket_key = value; break;
      case beast_http::field::sec_websocket_version: websocket_version_ = value; break;
      case beast_http::field::expect:
        if (equal_ignoring_case(value, "100-continue"))
          expects_continue = true;
        else
          expects_something_else = true;
        break;
      default: break;
    }
  }
  void on_header_impl(BeastError& error) override {
    error = {};
    in_trailer_ = true;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError& error) override { error = {}; }
  std::size_t on_body_impl(BeastView bytes, BeastError& error) override {
    error = {};
    body->append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, BeastView extension, BeastError& error) override {
    error = {};
    // Beast lets a line end stand in a quoted value; a proxy may take it for the end of the line.
    const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; };
    if (std::any_of(extension.begin(), extension.end(), is_control)) error = beast_http::error::bad_chunk_extension;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, BeastError& error) override { return on_body_impl(bytes, error); }
  void on_finish_impl(BeastError& error) override { error = {}; }

  api::Request& request_;
  HttpHead& head_;
  std::string_view websocket_version_;
  unsigned hosts_ = 0;
  bool connection_close_ = false, connection_keep_alive_ = false, connection_upgrade_ = false, upgrade_websocket_ = false;
  bool in_trailer_ = false;
};

/// A request whose body is still on its way.
struct HttpReader::Body {
  std::string header;
  api::Request request;  ///< Its views point into `header`; the parser writes here.
  HttpHead head;
  Parser parser{request, head};
  std::string bytes;
  std::size_t max_bytes = 0;
  std::string carry;  ///< The beginning of a chunk's size line or trailer.
};

HttpReader::HttpReader() = default;
HttpReader::~HttpReader() = default;

std::size_t HttpReader::body_memory_bytes() const noexcept {
  return in_body() ? body_->bytes.capacity() + body_->header.capacity() + body_->carry.capacity() : 0;
}

void HttpReader::forget() noexcept {
  if (!body_done_) return;
  body_.reset();
  body_done_ = false;
}

HttpReader::Outcome HttpReader::read(std::string_view input, const Limits& limits, api::Request& request) {
  forget();
  if (body_) return read_body(input, request, {});

  Outcome outcome;
  // One empty line before a request is forgiven (RFC 9112 section 2.2): some clients end a body with one too many.
  if (!empty_line_forgiven_ && input.starts_with("\r\n")) {
    empty_line_forgiven_ = true;
    outcome.consumed_bytes = 2;
    input.remove_prefix(2);
  }
  if (input.empty() || (!empty_line_forgiven_ && input == "\r")) return outcome;

  const auto fail = [&outcome](unsigned status) {
    outcome.status = Status::failed;
    outcome.error_status = status;
    return outcome;
  };
  request.headers.clear();
  request.body = {};
  request.path = request.query = {};
  head_ = HttpHead{};
  Parser parser{request, head_};
  parser.eager(false);
  parser.header_limit(static_cast<std::uint32_t>(limits.header_max_bytes));
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // Judged below, where it can be answered properly.
  BeastError error;
  const std::size_t header_size = parser.put(boost::asio::const_buffer{input.data(), input.size()}, error);
  if (error == beast_http::error::need_more && !parser.bad) {
    return input.size() >= limits.header_max_bytes ? fail(431) : outcome;
  }
  if (error == beast_http::error::header_limit) return fail(431);
  if (error) return fail(400);
  if (header_size > limits.header_max_bytes) return fail(431);  // Beast counts the request line apart.
  empty_line_forgiven_ = false;
  const std::string_view header = input.substr(0, header_size);
  parser.judge();
  if (parser.bad || has_folded_line(header)) return fail(400);
  std::size_t body_max_bytes = limits.body_max_bytes;
  if (limits.body_rule != nullptr && (parser.length != 0 || parser.is_chunked))
    body_max_bytes = std::min(body_max_bytes, limits.body_rule->body_max_bytes(request));
  if (parser.length > body_max_bytes) return fail(413);
  if (parser.expects_something_else) return fail(417);

  if (!parser.is_chunked && input.size() - header_size >= parser.length) {
    request.body = input.substr(header_size, static_cast<std::size_t>(parser.length));
    outcome.consumed_bytes += header_size + request.body.size();
    outcome.status = Status::complete;
    return outcome;
  }

  // The body is not all here: keep the header, parse it once more from where it stays.
  body_ = std::make_unique<Body>();
  body_->header.assign(header);
  body_->parser.eager(false);
  body_->parser.header_limit(static_cast<std::uint32_t>(limits.header_max_bytes));
  body_->parser.body_limit(body_max_bytes);
  body_->max_bytes = body_max_bytes;
  body_->parser.body = &body_->bytes;
  (void)body_->parser.put(boost::asio::const_buffer{body_->header.data(), body_->header.size()}, error);
  body_->parser.judge();
  body_->parser.eager(true);
  if (error) return fail(400);
  outcome.consumed_bytes += header_size;
  outcome.body_begins = true;
  outcome.send_continue = parser.expects_continue && head_.version_1_1 && input.size() == header_size;
  return read_body(input.substr(header_size), request, outcome);
}

HttpReader::Outcome HttpReader::read_body(std::string_view input, api::Request& request, Outcome outcome) {
  Body& body = *body_;
  const auto fail = [&outcome, this](unsigned status) {
    body_.reset();
    outcome.status = Status::failed;
    outcome.error_status = status;
    return outcome;
  };
  const std::size_t carried = body.carry.size();
  std::string joined;
  std::string_view rest = input;
  if (carried != 0) {
    joined.swap(body.carry);
    joined.append(input);
    rest = joined;
  }
  std::size_t used = 0;
  // A chunked body that is not done has at least 5 bytes to come ("0", CRLF, CRLF). Beast asserts that it sees them together.
  const std::size_t fewest = body.parser.is_chunked ? 5 : 1;
  while (!body.parser.is_done() && rest.size() - used >= fewest) {
    BeastError error;
    const std::size_t taken = body.parser.put(boost::asio::const_buffer{rest.data() + used, rest.size() - used}, error);
    used += taken;
    if (error == beast_http::error::need_more) {
      if (rest.size() - used > chunk_header_max_bytes) return fail(400);
      break;
    }
    if (error == beast_http::error::body_limit) return fail(413);
    if (error) return fail(400);
    if (body.bytes.size() > body.max_bytes) return fail(413);
    if (taken == 0) break;
  }
  if (!body.parser.is_done()) {
    body.carry.assign(rest.substr(used));
    outcome.consumed_bytes += input.size();
    return outcome;
  }
  outcome.consumed_bytes += used - std::min(used, carried);
  outcome.status = Status::complete;
  request.method = body.request.method;
  request.target = body.request.target;
  request.path = body.request.path;
  request.query = body.request.query;
  request.headers.assign(body.request.headers.begin(), body.request.headers.end());
  request.body = body.bytes;
  head_ = body.head;
  body_done_ = true;
  return outcome;
}

}  // namespace muster::net
