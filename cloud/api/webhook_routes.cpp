// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "cloud/api/router.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/domain/webhook_text.hpp"

namespace muster::api {

namespace {

using domain::Permission;
using domain::Webhook;
using namespace fields;

// As cloud/webhook/deliverer.hpp opens them.
constexpr std::string_view secret_context = "webhook-secret", headers_context = "webhook-headers", auth_context = "webhook-auth",
                           request_context = "webhook-request", response_context = "webhook-response";
constexpr std::size_t receivers_max = 10;
constexpr std::int64_t fail_after_max = 1'000;

/// A new signing secret: 32 random bytes, as the tools that verify such signatures expect it.
std::string make_secret(Random& random) {
  std::array<std::uint8_t, 32> bytes{};
  random.fill(bytes);
  std::array<unsigned char, 48> text{};
  const int size = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  return "whsec_" + std::string{text.begin(), text.begin() + size};
}

std::string seal(const Core& core, std::string_view context, std::string_view plain) {
  return plain.empty() ? std::string{} : core.keys.seal(context, plain, core.random);
}
std::string opened(const Core& core, std::string_view context, const std::string& sealed) {
  if (sealed.empty()) return {};
  const auto plain = core.keys.open_sealed(context, sealed);
  return plain ? *plain : std::string{};
}

void write_webhook(JsonWriter& json, const Core& core, const Webhook& hook, std::string_view secret = {}) {
  json.object()
      .add("id", hook.id.value())
      .add("orgId", hook.organization_id.value())
      .add("name", hook.name)
      .add("trigger", domain::trigger_name(hook.trigger))
      .add("deviceId", hook.device_id.value())
      .add("templateId", hook.template_id.value());
  if (hook.pin >= 0) {
    json.add("pin", hook.pin);
  } else {
    json.add_null("pin");
  }
  json.add("eventCode", hook.event_code)
      .add("includeSubOrgs", hook.include_sub_organizations)
      .add("url", hook.url)
      .add("method", domain::webhook_method_name(hook.method))
      .add("contentType", hook.content_type)
      .add("body", hook.body)
      .array("headers");
  // Values may be secrets: their names have to do.
  for (const auto& line : domain::split_lines(opened(core, headers_context, hook.sealed_headers)))
    json.item(line.substr(0, line.find(':')));
  json.end_array().object("auth").add("type", domain::webhook_auth_name(hook.auth));
  auto lines = domain::split_lines(opened(core, auth_context, hook.sealed_auth));
  lines.resize(4);
  if (hook.auth == domain::WebhookAuth::basic) json.add("user", lines[0]);
  if (hook.auth == domain::WebhookAuth::oauth2) json.add("tokenUrl", lines[0]).add("clientId", lines[1]).add("scope", lines[3]);
  json.end_object().array("failureReceivers");
  for (const auto& receiver : domain::split_lines(hook.failure_receivers)) json.item(receiver);
  json.end_array()
      .add("failAfter", hook.fail_after)
      .add("enabled", hook.enabled)
      .add("failures", hook.failures)
      .add("disabledAt", hook.disabled_at.ms)
      .add("createdBy", hook.created_by.value())
      .add("createdAt", hook.created_at.ms)
      .add("updatedAt", hook.updated_at.ms);
  if (!secret.empty()) json.add("secret", secret);
  json.end_object();
}

Response webhook_response(unsigned status, const Core& core, const Webhook& hook, std::string_view secret = {}) {
  JsonWriter json;
  write_webhook(json, core, hook, secret);
  return json_response(status, json.take());
}

/// The webhook that the request names, if it is the organization's.
std::optional<Response> find(Context& context, Webhook& out) {
  const auto id = context.arguments.integer("webhookId").value_or(0);
  if (id <= 0 || id > INT32_MAX) return not_found();
  const auto found = context.core.store.find_webhook(WebhookId{static_cast<std::int32_t>(id)});
  if (!found) return error_response(found.error());
  if (!*found || (*found)->organization_id != context.organization) return not_found();
  out = **found;
  return std::nullopt;
}

// --- what people give ------------------------------------------------------------------------------------------------------------

std::optional<Response> read_target(Context& context, Webhook& hook) {
  const auto& directory = context.core.views.directory;
  const auto scope = domain::scope_of(hook.trigger);
  if (const auto device = context.arguments.integer("deviceId")) {
    hook.device_id = {};
    if (*device != 0) {
      const DeviceId id{*device > 0 && *device <= INT32_MAX ? static_cast<std::int32_t>(*device) : 0};
      const auto access = directory.device_access(context.caller, id);
      if (!access.see || !directory.in_subtree(access.place.organization_id, context.organization))
        return invalid_value("deviceId", "There is no such device in this organization.");
      hook.device_id = id;
    }
  }
  if (const Json* given = context.arguments.find("templateId")) {
    hook.template_id = {};
    if (given->kind == Json::Kind::text || given->integer != 0) {
      const auto published = usable_template(context.core, *given, context.organization);
      if (!published) return invalid_value("templateId", "There is no such template, or the organization cannot use it.");
      hook.template_id = published->id;
    }
  }
  if (const Json* pin = context.arguments.find("pin")) {
    if (pin->kind == Json::Kind::null) {
      hook.pin = -1;
    } else {
      if (pin->kind != Json::Kind::integer || pin->integer < 0 || pin->integer > 255) return invalid_value("pin", "A pin is 0 to 255.");
      hook.pin = static_cast<std::int16_t>(pin->integer);
    }
  }
  if (const auto code = context.arguments.text("eventCode")) {
    if (code->size() > domain::event_code_max_bytes) return invalid_value("eventCode", "A code has at most 50 bytes.");
    hook.event_code = *code;
  }
  if (context.arguments.find("includeSubOrgs") != nullptr) hook.include_sub_organizations = context.arguments.flag("includeSubOrgs");
  if (scope == domain::TriggerScope::device && !hook.device_id) return invalid_value("deviceId", "This trigger needs a device.");
  if (scope == domain::TriggerScope::product && !hook.template_id) return invalid_value("templateId", "This trigger needs a template.");
  return std::nullopt;
}

std::optional<Response> read_headers(Context& context, Webhook& hook) {
  const Json* given = context.arguments.find("headers");
  if (given == nullptr) return std::nullopt;
  if (given->items.size() > domain::webhook_headers_max) return invalid_value("headers", "A webhook has at most 20 headers.");
  std::vector<std::string> lines;
  for (const Json& item : given->items) {
    const Json* name = item.find("name");
    const Json* value = item.find("value");
    if (name == nullptr || value == nullptr || name->kind != Json::Kind::text || value->kind != Json::Kind::text)
      return invalid_value("headers", "Each header is an object with name and value.");
    if (const auto complaint = domain::check_webhook_header(name->text, value->text)) return invalid_value("headers", *complaint);
    lines.push_back(name->text + ": " + value->text);
  }
  hook.sealed_headers = seal(context.core, headers_context, domain::join_lines(lines));
  return std::nullopt;
}

std::optional<Response> read_auth(Context& context, Webhook& hook) {
  const Json* given = context.arguments.find("auth");
  if (given == nullptr) return std::nullopt;
  static constexpr Field members[] = {{"type", FieldType::text, Field::Place::body, true},
                                      text("user"),
                                      text("password"),
                                      text("tokenUrl"),
                                      text("clientId"),
                                      text("clientSecret"),
                                      text("scope")};
  std::vector<Detail> details;
  check_members(*given, members, "auth", details);
  if (!details.empty()) return error_response(400, "invalid_request", "Something in auth is wrong.", details);
  const auto word = [&](std::string_view name) {
    const Json* found = given->find(name);
    return found == nullptr ? std::string{} : found->text;
  };
  const auto type = domain::parse_webhook_auth(word("type"));
  if (!type) return invalid_value("auth.type", "Auth is NONE, BASIC or OAUTH2.");
  hook.auth = *type;
  std::vector<std::string> lines;
  if (*type == domain::WebhookAuth::basic) {
    lines = {word("user"), word("password")};
    if (lines[0].empty() || lines[0].find(':') != std::string::npos)
      return invalid_value("auth.user", "BASIC needs a user without a colon.");
  }
  if (*type == domain::WebhookAuth::oauth2) {
    lines = {word("tokenUrl"), word("clientId"), word("clientSecret"), word("scope")};
    if (const auto complaint = domain::check_webhook_url(lines[0])) return invalid_value("auth.tokenUrl", *complaint);
    if (lines[1].empty()) return invalid_value("auth.clientId", "OAUTH2 needs clientId and clientSecret.");
  }
  for (const auto& line : lines) {
    const bool plain =
        line.size() <= 1'024 && std::none_of(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (!plain) return invalid_value("auth", "Credentials have at most 1024 bytes and no control characters.");
  }
  hook.sealed_auth = lines.empty() ? std::string{} : seal(context.core, auth_context, domain::join_lines(lines));
  return std::nullopt;
}

std::optional<Response> read_request(Context& context, Webhook& hook) {
  const auto& arguments = context.arguments;
  if (const auto url = arguments.text("url")) {
    if (const auto complaint = domain::check_webhook_url(*url)) return invalid_value("url", *complaint);
    hook.url = *url;
  }
  if (const auto name = arguments.text("method")) {
    const auto method = domain::parse_webhook_method(*name);
    if (!method) return invalid_value("method", "A method is GET, POST, PUT, PATCH or DELETE.");
    hook.method = *method;
  }
  if (const auto type = arguments.text("contentType")) {
    if (const auto complaint = domain::check_content_type(*type)) return invalid_value("contentType", *complaint);
    hook.content_type = *type;
  }
  if (const auto body = arguments.text("body")) hook.body = *body;
  if (const Json* form = arguments.find("form")) {
    if (arguments.find("body") != nullptr)
      return error_response(400, "conflicting_field", "Give either body or form.", {{"form", "Give either body or form."}});
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const Json& item : form->items) {
      const Json* name = item.find("name");
      const Json* value = item.find("value");
      if (name == nullptr || value == nullptr || name->kind != Json::Kind::text || value->kind != Json::Kind::text)
        return invalid_value("form", "Each field is an object with name and value.");
      pairs.emplace_back(name->text, value->text);
    }
    hook.body = domain::form_body(pairs);
    hook.content_type = "application/x-www-form-urlencoded";
  }
  if (hook.body.size() > domain::webhook_body_max_bytes) return invalid_value("body", "A body has at most 5120 bytes.");
  if (auto refused = read_headers(context, hook)) return refused;
  return read_auth(context, hook);
}

/// Only what the request names is changed.
std::optional<Response> read_webhook(Context& context, Webhook& hook) {
  const auto& arguments = context.arguments;
  if (const auto given = arguments.text("name")) {
    hook.name = domain::trim(*given);
    if (const auto complaint = domain::check_webhook_name(hook.name)) return invalid_value("name", *complaint);
  }
  if (const auto name = arguments.text("trigger")) {
    const auto trigger = domain::parse_trigger(*name);
    if (!trigger || *trigger == domain::Trigger::test) return invalid_value("trigger", "There is no such trigger.");
    hook.trigger = *trigger;
  }
  if (auto refused = read_target(context, hook)) return refused;
  if (auto refused = read_request(context, hook)) return refused;
  if (const Json* given = arguments.find("failureReceivers")) {
    if (given->items.size() > receivers_max) return invalid_value("failureReceivers", "At most 10 people are told.");
    std::vector<std::string> receivers;
    for (const Json& item : given->items) {
      if (item.kind != Json::Kind::text) return invalid_value("failureReceivers", "These are mail addresses.");
      if (const auto complaint = domain::check_email(item.text)) return invalid_value("failureReceivers", *complaint);
      receivers.push_back(item.text);
    }
    hook.failure_receivers = domain::join_lines(receivers);
  }
  if (const auto count = arguments.integer("failAfter")) {
    if (*count < 1 || *count > fail_after_max) return invalid_value("failAfter", "This is 1 to 1000 deliveries.");
    hook.fail_after = static_cast<std::uint16_t>(*count);
  }
  if (arguments.find("enabled") != nullptr) hook.enabled = arguments.flag("enabled");
  const bool shows_token = domain::has_placeholder(hook.body, domain::auth_token_placeholder) ||
                           domain::has_placeholder(hook.url, domain::auth_token_placeholder);
  if (shows_token && !context.permissions.has(Permission::auth_token_view))
    return error_response(403, "forbidden", "{device_authToken} needs AUTH_TOKEN_VIEW.");
  return std::nullopt;
}

// --- handlers --------------------------------------------------------------------------------------------------------------------

Response create_webhook(Context& context) {
  Core& core = context.core;
  Webhook hook;
  hook.organization_id = context.organization;
  hook.created_by = context.caller.user_id;
  if (auto refused = read_webhook(context, hook)) return std::move(*refused);
  const std::string secret = make_secret(core.random);
  hook.sealed_secret = seal(core, secret_context, secret);
  const auto made = core.store.create_webhook(hook, context.actor());
  if (!made) return error_response(made.error());
  context.secret_shown = true;
  return webhook_response(201, core, *made, secret);
}

Response get_webhooks(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  const auto found = context.core.store.webhooks(context.organization, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& hook : found->rows) write_webhook(json, context.core, hook);
  json.end_array().add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

Response get_webhook(Context& context) {
  Webhook hook;
  if (auto refused = find(context, hook)) return std::move(*refused);
  return webhook_response(200, context.core, hook);
}

Response put_webhook(Context& context) {
  Core& core = context.core;
  Webhook hook;
  if (auto refused = find(context, hook)) return std::move(*refused);
  if (auto refused = read_webhook(context, hook)) return std::move(*refused);
  std::string secret;
  if (context.arguments.flag("newSecret")) {
    secret = make_secret(core.random);
    hook.sealed_secret = seal(core, secret_context, secret);
  }
  const auto changed = core.store.update_webhook(hook, context.actor());
  return changed ? webhook_response(200, core, *changed, secret) : error_response(changed.error());
}

Response delete_webhook(Context& context) {
  Webhook hook;
  if (auto refused = find(context, hook)) return std::move(*refused);
  const auto deleted = context.core.store.delete_webhook(hook.id, context.actor());
  return deleted ? no_content() : error_response(deleted.error());
}

void write_delivery(JsonWriter& json, const Core& core, const domain::Delivery& delivery, bool whole) {
  json.object()
      .add("id", delivery.id.value())
      .add("webhookId", delivery.webhook_id.value())
      .add("messageId", delivery.message_id)
      .add("event", domain::trigger_name(delivery.event))
      .add("deviceId", delivery.device_id.value())
      .add("state", domain::delivery_state_name(delivery.state))
      .add("replayOf", delivery.replay_of.value())
      .add("attempts", delivery.attempts)
      .add("createdAt", delivery.created_at.ms)
      .add("nextAt", delivery.state == domain::DeliveryState::waiting ? delivery.next_at.ms : 0)
      .add("lastAttemptAt", delivery.last_attempt_at.ms)
      .add("lastStatus", delivery.last_status)
      .add("lastProblem", delivery.last_problem);
  if (whole) {
    const std::string request = opened(core, request_context, delivery.sealed_request);
    const auto end = std::min(request.find('\n'), request.size());
    json.add("url", std::string_view{request}.substr(0, end))
        .add("body", std::string_view{request}.substr(std::min(end + 1, request.size())))
        .add("response", opened(core, response_context, delivery.sealed_response));
  }
  json.end_object();
}

/// A delivery of one of the organization's webhooks.
std::optional<Response> find_delivery(Context& context, domain::Delivery& out) {
  const auto found = context.core.store.find_delivery(DeliveryId{context.arguments.integer("deliveryId").value_or(0)});
  if (!found) return error_response(found.error());
  if (!*found) return not_found();
  const auto hook = context.core.store.find_webhook((*found)->webhook_id);
  if (!hook) return error_response(hook.error());
  if (!*hook || (*hook)->organization_id != context.organization) return not_found();
  out = **found;
  return std::nullopt;
}

/// One that was just made, as a list shows it: what it sends may be a secret, and this answer may be kept to be given again.
Response made_delivery(const Context& context, const domain::Delivery& delivery) {
  JsonWriter json;
  write_delivery(json, context.core, delivery, false);
  return json_response(201, json.take());
}

Response test_webhook(Context& context) {
  Webhook hook;
  if (auto refused = find(context, hook)) return std::move(*refused);
  const auto made = context.core.store.create_test_delivery(hook.id, context.actor());
  return made ? made_delivery(context, *made) : error_response(made.error());
}

Response get_deliveries(Context& context) {
  Webhook hook;
  if (auto refused = find(context, hook)) return std::move(*refused);
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  std::optional<domain::DeliveryState> state;
  if (const auto name = context.arguments.text("state")) {
    state = domain::parse_delivery_state(*name);
    if (!state) return invalid_value("state", "A state is WAITING, DELIVERED or GIVEN_UP.");
  }
  const auto found = context.core.store.deliveries(hook.id, state, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& delivery : found->rows) write_delivery(json, context.core, delivery, false);
  json.end_array().add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

Response get_delivery(Context& context) {
  domain::Delivery delivery;
  if (auto refused = find_delivery(context, delivery)) return std::move(*refused);
  // Whoever may not see AuthTokens may not see a body that holds one either; after an edit nobody knows any more which ones do.
  const auto hook = context.core.store.find_webhook(delivery.webhook_id);
  const bool secret = !hook || !*hook || (*hook)->updated_at > delivery.created_at ||
                      domain::has_placeholder((*hook)->body, domain::auth_token_placeholder) ||
                      domain::has_placeholder((*hook)->url, domain::auth_token_placeholder);
  JsonWriter json;
  write_delivery(json, context.core, delivery, !secret || context.permissions.has(Permission::auth_token_view));
  return json_response(200, json.take());
}

Response replay_delivery(Context& context) {
  domain::Delivery delivery;
  if (auto refused = find_delivery(context, delivery)) return std::move(*refused);
  const auto made = context.core.store.replay_delivery(delivery.id, context.actor());
  return made ? made_delivery(context, *made) : error_response(made.error());
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field webhook_id{"webhookId", FieldType::integer, Field::Place::both, true};
constexpr Field delivery_id{"deliveryId", FieldType::integer, Field::Place::both, true};
constexpr Field template_given{"templateId", FieldType::integer_or_text, Field::Place::body};
constexpr Field auth_given{"auth", FieldType::object, Field::Place::body};

constexpr Field list_fields[] = {org_id, page, size};
constexpr Field create_fields[] = {org_id,
                                   text("name", true),
                                   text("trigger", true),
                                   integer("deviceId"),
                                   template_given,
                                   number("pin"),
                                   text("eventCode"),
                                   flag("includeSubOrgs"),
                                   text("url", true),
                                   text("method"),
                                   text("contentType"),
                                   text("body"),
                                   list("form"),
                                   list("headers"),
                                   auth_given,
                                   list("failureReceivers"),
                                   integer("failAfter"),
                                   flag("enabled")};
constexpr Field put_fields[] = {
    org_id,          webhook_id,        text("name"),           text("trigger"), integer("deviceId"),      template_given,
    number("pin"),   text("eventCode"), flag("includeSubOrgs"), text("url"),     text("method"),           text("contentType"),
    text("body"),    list("form"),      list("headers"),        auth_given,      list("failureReceivers"), integer("failAfter"),
    flag("enabled"), flag("newSecret")};
constexpr Field webhook_fields[] = {org_id, webhook_id};
constexpr Field deliveries_fields[] = {org_id, webhook_id, query_text("state"), page, size};
constexpr Field delivery_fields[] = {org_id, delivery_id};

constexpr Route routes[] = {
    {Method::get, "/api/v1/webhooks", on_organization(Permission::manage_web_hook), Lane::api, list_fields, get_webhooks},
    {Method::post, "/api/v1/webhook/create", on_organization(Permission::manage_web_hook), Lane::api, create_fields, create_webhook},
    {Method::get, "/api/v1/webhook", on_organization(Permission::manage_web_hook), Lane::api, webhook_fields, get_webhook},
    {Method::put, "/api/v1/webhook", on_organization(Permission::manage_web_hook), Lane::api, put_fields, put_webhook},
    {Method::delete_, "/api/v1/webhook", on_organization(Permission::manage_web_hook), Lane::api, webhook_fields, delete_webhook},
    {Method::post, "/api/v1/webhook/test", on_organization(Permission::manage_web_hook), Lane::api, webhook_fields, test_webhook},
    {Method::get, "/api/v1/webhook/deliveries", on_organization(Permission::manage_web_hook), Lane::api, deliveries_fields, get_deliveries},
    {Method::get, "/api/v1/webhook/delivery", on_organization(Permission::manage_web_hook), Lane::api, delivery_fields, get_delivery},
    {Method::post, "/api/v1/webhook/replay", on_organization(Permission::manage_web_hook), Lane::api, delivery_fields, replay_delivery},
};

}  // namespace

std::span<const Route> webhook_routes() noexcept { return routes; }

}  // namespace muster::api
