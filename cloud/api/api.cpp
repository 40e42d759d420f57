// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/api.hpp"

#include <exception>
#include <new>

#include "cloud/api/account/account_pages.hpp"
#include "cloud/api/core.hpp"
#include "cloud/api/errors.hpp"
#include "cloud/api/external_routes.hpp"
#include "cloud/api/health_routes.hpp"
#include "cloud/api/router.hpp"
#include "cloud/base/log.hpp"

namespace muster::api {
namespace {
constexpr std::string_view stream_path = "/api/v1/stream";
constexpr std::string_view device_websocket_path = "/websockets";

std::string_view method_word(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::delete_: return "DELETE";
    default: return "";
  }
}
}  // namespace

struct Api::Impl {
  Impl(const Dependencies& dependencies, ApiOptions options) : core{dependencies, std::move(options)} {}
  Core core;
  Router router{core};
  ExternalApi external{core};
  AccountPages account{core};

  /// Counts what is refused; `response` is on its way out.
  void count(const Response& response) {
    if (response.status == 400) core.metrics.http_bad_requests_total.add();
  }
};

Api::Api(Dependencies dependencies, ApiOptions options) : impl_{std::make_unique<Impl>(dependencies, std::move(options))} {}
Api::~Api() = default;

bool Api::answer_from_memory(const Request& request, Response& response) {
  if (request.path.starts_with(ExternalApi::prefix)) {
    const bool answered = impl_->external.answer_from_memory(request, response);
    if (answered) impl_->count(response);
    return answered;
  }
  if (is_health_path(request.path)) {
    auto answer = health_from_memory(impl_->core, request);
    if (!answer) return false;
    response = std::move(*answer);
    return true;
  }
  if (AccountPages::owns(request.path)) {
    auto answer = impl_->account.answer_from_memory(request);
    if (!answer) return false;
    response = std::move(*answer);
    return true;
  }
  if (request.path == stream_path || request.path == device_websocket_path) {
    // An upgrade goes to open_stream or to the gateway, and never comes here.
    if (request.method == Method::get || request.method == Method::head) {
      const bool is_stream = request.path == stream_path;
      const std::string_view hint = is_stream ? "This is a WebSocket; see openapi.yaml, x-stream." : "This is a WebSocket for devices.";
      response = error_response(426, "upgrade_required", hint);
      response.headers.emplace_back("Upgrade", "websocket");
    } else {
      response = error_response(405, "method_not_allowed", "This path takes GET.");
      response.headers.emplace_back("Allow", "GET");
    }
    return true;
  }
  std::optional<Response> refusal;
  const Route* route = impl_->router.find(request, refusal);
  if (!refusal) refusal = impl_->router.refuse_early(*route, request);
  if (!refusal) return false;
  response = std::move(*refusal);
  impl_->count(response);
  return true;
}

Lane Api::lane(const Request& request) const noexcept {
  if (request.path.starts_with(ExternalApi::prefix)) return impl_->external.lane(request);
  if (AccountPages::owns(request.path)) return AccountPages::lane(request);
  for (const Route& route : route_table()) {
    if (route.lane == Lane::password && route.path == request.path && route.method == request.method) return Lane::password;
  }
  return Lane::api;
}

Response Api::handle(const Request& request) {
  try {
    Response response;
    if (answer_from_memory(request, response))
      return response;  // The state may have changed since the loop asked; also for callers without a loop.
    if (request.path.starts_with(ExternalApi::prefix)) {
      response = impl_->external.handle(request);
    } else if (AccountPages::owns(request.path)) {
      response = impl_->account.handle(request);
    } else if (is_health_path(request.path)) {
      return readiness(impl_->core);
    } else {
      std::optional<Response> refusal;
      const Route* route = impl_->router.find(request, refusal);
      response = route == nullptr ? std::move(*refusal) : impl_->router.run(*route, request);
      if (response.status == 503) {
        impl_->core.metrics.store_errors_total.add();
        impl_->core.metrics.http_unavailable_total.add();
      }
    }
    impl_->count(response);
    return response;
  } catch (const std::bad_alloc&) {
    log::error("out_of_memory", {{"path", request.path}});
    if (AccountPages::owns(request.path)) return impl_->account.unavailable();
    return request.path.starts_with(ExternalApi::prefix) ? ExternalApi::unavailable() : too_busy();
  } catch (const std::exception& exception) {
    // The path alone: a query can hold an AuthToken.
    log::error("handler_threw", {{"path", request.path}, {"what", std::string_view{exception.what()}}});
    if (request.path.starts_with(ExternalApi::prefix)) return external_error(500, "Internal error.");
    return error_response(500, "internal_error", "Something went wrong on the server.");
  }
}

std::size_t Api::body_max_bytes(const Request& header) const noexcept {
  const std::size_t most = impl_->core.options.body_size_max_bytes;
  const bool vouched = !header.path.starts_with(ExternalApi::prefix) && looks_like_access_token(sent_access_token(header).token);
  return vouched ? most : std::min(most, public_body_size_max_bytes);
}

Response Api::unavailable(const Request& request) const {
  impl_->core.metrics.http_unavailable_total.add();
  if (request.path.starts_with(ExternalApi::prefix)) return ExternalApi::unavailable();
  if (AccountPages::owns(request.path)) return impl_->account.unavailable();
  Response response = error_response(503, "unavailable", "The server is busy or not ready; try again soon.");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

std::unique_ptr<StreamSession> Api::open_stream(const Request& request, Response& refusal) {
  if (request.path != stream_path) {
    refusal = not_found();
    return nullptr;
  }
  const SentAccessToken sent = sent_access_token(request);
  // Without the cookie a foreign page has nothing to use: it would have to know an access token.
  if (sent.by_cookie && !origin_is_ours(request, impl_->core.options.public_url)) {
    refusal = error_response(403, "origin_refused", "A request with the session cookie must come from a page of this server.");
    return nullptr;
  }
  auto session = impl_->core.stream.open(sent.token, request.peer);
  if (!session) {
    refusal = error_response(503, "unavailable", "Too many live streams are about to sign in; try again soon.");
    refusal.headers.emplace_back("Retry-After", "5");
  }
  return session;
}

domain::LiveFeed& Api::live_feed() noexcept { return impl_->core.stream; }
void Api::permissions_changed() noexcept { impl_->core.stream.permissions_changed(); }
void Api::access_tokens_changed(UserId user) {
  impl_->core.stream.access_tokens_changed(user);
  // Whoever signed in, or got a new password from an operator, is not held to what strangers guessed before.
  if (const auto row = impl_->core.views.directory.user(user)) impl_->core.sign_in_throttle.forget(account_key(impl_->core, row->email));
}
void Api::follow_timeline() { impl_->core.stream.follow_timeline(); }
void Api::provision_session_changed(const domain::ProvisionSession& session) { impl_->core.stream.provision_session_changed(session); }
void Api::write_key_uses() {
  auto uses = impl_->core.key_uses.take();
  if (uses.empty()) return;
  if (const auto written = impl_->core.store.note_api_key_uses(uses); !written) {
    impl_->core.metrics.store_errors_total.add();
    impl_->core.key_uses.retry(std::move(uses));
  }
}
void Api::device_gone(DeviceId device) noexcept { impl_->core.stream.device_gone(device); }

std::vector<Api::RouteInfo> Api::routes() {
  std::vector<RouteInfo> all = health_routes();
  for (const Route& route : route_table())
    all.push_back({std::string{method_word(route.method)}, std::string{route.path}, rule_text(route.rule)});
  all.push_back({"GET", std::string{stream_path}, "see on device, checked for every row"});
  all.push_back({"GET", std::string{device_websocket_path}, "device token"});
  for (auto& route : AccountPages::routes()) all.push_back(std::move(route));
  for (auto& route : ExternalApi::routes()) all.push_back(std::move(route));
  return all;
}

}  // namespace muster::api
