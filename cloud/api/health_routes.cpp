// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/health_routes.hpp"

#include <string>

#include "cloud/api/errors.hpp"
#include "cloud/api/json.hpp"

namespace muster::api {
namespace {

Response text(unsigned status, std::string_view type, std::string body) {
  Response response;
  response.status = status;
  response.content_type = type;
  response.body = std::move(body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

void line(std::string& out, std::string_view name, std::string_view type, std::uint64_t value) {
  out.append("# TYPE muster_")
      .append(name)
      .append(" ")
      .append(type)
      .append("\nmuster_")
      .append(name)
      .append(" ")
      .append(std::to_string(value))
      .append("\n");
}

std::string metrics_text(Core& core) {
  std::string out;
  out.reserve(8'192);
  const Metrics& m = core.metrics;
#define MUSTER_TOTAL(name) line(out, #name, "counter", m.name.value())
#define MUSTER_GAUGE(name) line(out, #name, "gauge", m.name.value())
  MUSTER_GAUGE(connections_open);
  MUSTER_TOTAL(connections_accepted_total);
  MUSTER_TOTAL(connections_refused_address_limit_total);
  MUSTER_TOTAL(connections_refused_full_total);
  MUSTER_TOTAL(sniff_unknown_total);
  MUSTER_TOTAL(tls_handshakes_total);
  MUSTER_TOTAL(tls_handshakes_failed_total);
  MUSTER_TOTAL(tls_handshakes_resumed_total);
  MUSTER_TOTAL(tls_handshakes_refused_total);
  MUSTER_GAUGE(sessions_open);
  MUSTER_TOTAL(logins_ok_total);
  MUSTER_TOTAL(logins_invalid_total);
  MUSTER_TOTAL(logins_held_total);
  MUSTER_TOTAL(logins_redirected_total);
  MUSTER_TOTAL(login_timeouts_total);
  MUSTER_TOTAL(logins_malformed_total);
  MUSTER_TOTAL(invalid_suppressed_by_breaker_total);
  MUSTER_TOTAL(sessions_replaced_total);
  MUSTER_TOTAL(token_conflicts_total);
  MUSTER_TOTAL(unknown_token_holds_total);
  MUSTER_TOTAL(frames_in_total);
  MUSTER_TOTAL(frames_malformed_total);
  MUSTER_TOTAL(flood_limited_total);
  MUSTER_TOTAL(flood_closed_total);
  MUSTER_TOTAL(heartbeat_lost_total);
  MUSTER_TOTAL(slow_readers_closed_total);
  MUSTER_TOTAL(plain_refused_total);
  MUSTER_TOTAL(values_written_total);
  MUSTER_TOTAL(values_undefined_pin_total);
  MUSTER_TOTAL(values_dropped_total);
  MUSTER_TOTAL(pushes_total);
  MUSTER_TOTAL(http_requests_total);
  MUSTER_TOTAL(http_bad_requests_total);
  MUSTER_TOTAL(http_throttled_total);
  MUSTER_TOTAL(http_unavailable_total);
  MUSTER_TOTAL(store_errors_total);
  MUSTER_TOTAL(queue_full_total);
  MUSTER_TOTAL(provision_sessions_created_total);
  MUSTER_TOTAL(provision_logins_total);
  MUSTER_TOTAL(provision_accepted_total);
  MUSTER_TOTAL(provision_refused_total);
  MUSTER_TOTAL(provision_info_missing_total);
  MUSTER_TOTAL(provision_expired_total);
  MUSTER_TOTAL(provision_canceled_total);
  MUSTER_TOTAL(reprovision_proved_total);
  MUSTER_TOTAL(reprovision_fell_back_total);
  MUSTER_TOTAL(events_dropped_total);
  MUSTER_TOTAL(webhook_attempts_total);
  MUSTER_TOTAL(webhook_attempts_failed_total);
  MUSTER_TOTAL(webhook_delivered_total);
  MUSTER_TOTAL(webhook_given_up_total);
  MUSTER_TOTAL(webhook_dropped_total);
  MUSTER_GAUGE(stream_clients);
  MUSTER_TOTAL(stream_slow_closed_total);
  MUSTER_TOTAL(write_behind_rows_total);
  MUSTER_TOTAL(write_behind_errors_total);
#undef MUSTER_TOTAL
#undef MUSTER_GAUGE
  line(out, "views_ready", "gauge", core.views.ready() ? 1 : 0);
  line(out, "unknown_tokens_held", "gauge", core.views.hold_unknown_tokens() ? 1 : 0);
  line(out, "applied_change", "gauge", static_cast<std::uint64_t>(core.views.applied_change()));
  line(out, "devices", "gauge", core.views.directory.device_count());
  line(out, "devices_online", "gauge", core.sessions.size());
  line(out, "provision_sessions_live", "gauge", core.views.provisioning.size());
  line(out, "auth_tokens", "gauge", core.views.credentials.size());
  line(out, "credential_index_bytes", "gauge", core.views.credentials.memory_bytes());
  line(out, "directory_bytes", "gauge", core.views.directory.memory_bytes());
  line(out, "value_cache_bytes", "gauge", core.values.memory_bytes());
  line(out, "values_unwritten_devices", "gauge", core.values.dirty_devices());
  line(out, "sign_in_throttle_entries", "gauge", core.sign_in_throttle.size());
  return out;
}

constexpr std::string_view start_page =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>Muster</title></head>"
    "<body><h1>Muster</h1><p>This is a Muster server: it makes devices active. It has no console yet.</p>"
    "<p>Operators use the <code>muster</code> command (<code>muster login --url &hellip;</code>); devices connect to this same address. "
    "<a href=\"/readyz\">Is it ready?</a></p></body></html>\n";

Response readiness_response(unsigned status, std::string_view word, std::string_view reason) {
  JsonWriter json;
  json.object().add("status", word);
  if (!reason.empty()) json.add("reason", reason);
  json.end_object();
  return json_response(status, json.take());
}

}  // namespace

bool is_health_path(std::string_view path) noexcept { return path == "/" || path == "/healthz" || path == "/readyz" || path == "/metrics"; }

std::vector<Api::RouteInfo> health_routes() {
  return {{"GET", "/", "public"}, {"GET", "/healthz", "public"}, {"GET", "/readyz", "public"}, {"GET", "/metrics", "public"}};
}

std::optional<Response> health_from_memory(Core& core, const Request& request) {
  if (request.method != Method::get && request.method != Method::head) {
    Response response = error_response(405, "method_not_allowed", "This path takes GET, HEAD.");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (request.path == "/") return text(200, "text/html; charset=utf-8", std::string{start_page});
  if (request.path == "/healthz") return text(200, "text/plain; charset=utf-8", "ok\n");
  if (request.path == "/metrics") {
    // Sizes of a fleet are nobody else's business.
    if (!request.peer.is_private()) return not_found();
    return text(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(core));
  }
  if (!core.views.ready()) return readiness_response(503, "unavailable", "The views are not built yet.");
  return std::nullopt;
}

Response readiness(Core& core) {
  if (!core.views.ready()) return readiness_response(503, "unavailable", "The views are not built yet.");
  if (const auto checked = core.store.check(); !checked)
    return readiness_response(503, "unavailable", "The store: " + checked.error().message());
  return readiness_response(200, "ready", {});
}

}  // namespace muster::api
