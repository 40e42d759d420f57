// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cli/known_device.hpp"
#include "cli/saved_login.hpp"
#include "cloud/base/ip_address.hpp"

namespace muster::cli {

namespace {

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

/// The saved logins; a damaged file is only a failure for those who need it.
Outcome<SavedLogins> saved_logins() {
  const auto directory = SavedLogins::directory();
  return directory ? SavedLogins::load(*directory) : Outcome<SavedLogins>{SavedLogins{}};
}

struct Target {
  std::string url, ca, access_token;
  std::string saved_access_token;  ///< Of that URL, whichever is used.
};

Outcome<Target> find_target(const Globals& globals) {
  Target target;
  target.access_token = environment("MUSTER_TOKEN");
  auto saved = saved_logins();
  std::string url = globals.url.empty() ? environment("MUSTER_URL") : globals.url;
  if (url.empty()) {
    if (!saved) return saved.error();
    const auto current = saved->current_url();
    if (!current) return usage("No server is known yet. Sign in first: muster login --url URL --email EMAIL");
    url = *current;
  }
  auto normal = normalize_url(url);
  if (!normal) return normal.error();
  target.url = *normal;
  const Login* const login = saved ? saved->find(target.url) : nullptr;
  target.ca = !globals.ca.empty() ? globals.ca : environment("MUSTER_CA");
  if (target.ca.empty() && login != nullptr) target.ca = login->ca;
  if (login != nullptr) target.saved_access_token = login->access_token;
  if (target.access_token.empty()) {
    if (!saved) return saved.error();
    target.access_token = target.saved_access_token;
  }
  return target;
}

void warn_plain_text(const Context& context, const std::string& url) {
  const auto parts = parse_url(url);
  if (parts.tls || parts.host == "localhost") return;
  const auto address = IpAddress::parse(parts.host);
  if (address && (address->is_loopback() || address->is_private())) return;
  context.err << "Warning: " << url << " is not encrypted: whoever is on the way can read your password. Use https:// where you can.\n";
}

std::string absolute(const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  const auto full = std::filesystem::absolute(path, error);
  return error ? path : full.string();
}

Outcome<void> remember(const std::string& url, Login login) {
  const auto directory = SavedLogins::directory();
  if (!directory) return directory.error();
  auto saved = SavedLogins::load(*directory);
  if (!saved) return saved.error();
  saved->put(url, std::move(login));
  return saved->save(*directory);
}

/// So that the next sign-in from this machine is let in, whatever strangers try meanwhile. Without it that sign-in may have to wait.
void remember_device(const Context& context, const std::string& url, const std::string& email, const json::value& answer) {
  const auto directory = SavedLogins::directory();
  const std::string mark = text_of(answer, "knownDevice");
  if (!directory || mark.empty()) return;
  KnownDevices known = KnownDevices::load(*directory);
  known.put(url, email, mark);
  if (const auto saved = known.save(*directory); !saved) context.err << "Warning: " << saved.error().message << "\n";
}

/// An access token that nobody holds any more should not be left alive.
void end_former(const Context& context, const Target& target) {
  if (target.saved_access_token.empty()) return;
  ApiClient former{HttpClient{target.url, target.ca}, target.saved_access_token};
  const auto ended = former.call("DELETE", "/api/v1/session", {});
  if (!ended && ended.error().code != "access_token_invalid")
    context.err << "Warning: the server could not end your former sign-in: it ends by itself after 30 days without use.\n";
}

void print_signed_in(const Context& context, const std::string& url, const std::string& email, const json::value& answer) {
  if (context.globals.json) {
    print_json(context.out, json::object{{"url", url},
                                         {"email", email},
                                         {"userId", number_of(answer, "userId")},
                                         {"organizationId", number_of(answer, "organizationId")},
                                         {"expiresAt", number_of(answer, "expiresAt")}});
  } else {
    context.out << "Signed in at " << url << " as " << printable(email) << ".\n";
  }
}

}  // namespace

Outcome<ApiClient> Context::connect() const {
  auto target = find_target(globals);
  if (!target) return target.error();
  if (target->access_token.empty())
    return refused("You are not signed in at " + target->url + ". Sign in first: muster login --url " + target->url + " --email EMAIL");
  return ApiClient{HttpClient{target->url, target->ca}, target->access_token};
}

Outcome<ApiClient> Context::connect_anonymously() const {
  auto target = find_target(globals);
  if (!target) return target.error();
  return ApiClient{HttpClient{target->url, target->ca}, {}};
}

Outcome<void> set_up(Context& context, const SetupOptions& options) {
  auto client = context.connect_anonymously();
  if (!client) return client.error();
  std::string code = options.code;
  if (code == "-") {
    auto line = context.input.line("Setup code: ", false);
    if (!line) return line.error();
    code = *line;
  }
  auto password = ask_new_password(context.input, "Password for " + printable(options.email) + ": ");
  if (!password) return password.error();
  warn_plain_text(context, client->url());
  json::object body{{"code", code}, {"email", options.email}, {"password", *password}};
  put_given(body, "organizationName", options.organization_name);
  const auto answer = client->call("POST", "/api/v1/setup", {}, &body);
  if (!answer) return answer.error();
  if (auto done = remember(client->url(), {options.email, text_of(*answer, "accessToken"), absolute(client->ca_file())}); !done)
    return done;
  remember_device(context, client->url(), options.email, *answer);
  print_signed_in(context, client->url(), options.email, *answer);
  if (!context.globals.json) context.out << "Next: muster template create --name \"My product\"\n";
  return {};
}

Outcome<void> log_in(Context& context, const std::string& email) {
  const auto target = find_target(context.globals);
  if (!target) return target.error();
  HttpClient http{target->url, target->ca};
  if (const auto directory = SavedLogins::directory()) http.set_known_device(KnownDevices::load(*directory).find(target->url, email));
  ApiClient client{std::move(http), {}};
  auto password = ask_password(context.input, "Password for " + printable(email) + ": ");
  if (!password) return password.error();
  warn_plain_text(context, client.url());
  json::object body{{"email", email}, {"password", *password}};
  auto answer = client.call("POST", "/api/v1/session", {}, &body);
  if (!answer && answer.error().code == "totp_required") {
    const auto totp = context.input.line("Code of your authenticator app: ", false);
    if (!totp) return totp.error();
    body["totp"] = *totp;
    answer = client.call("POST", "/api/v1/session", {}, &body);
  }
  if (!answer) return answer.error();
  if (auto done = remember(client.url(), {email, text_of(*answer, "accessToken"), absolute(client.ca_file())}); !done) return done;
  remember_device(context, client.url(), email, *answer);
  end_former(context, *target);
  print_signed_in(context, client.url(), email, *answer);
  return {};
}

Outcome<void> log_out(Context& context) {
  const auto target = find_target(context.globals);
  if (!target) return target.error();
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("DELETE", "/api/v1/session", {});
  // MUSTER_TOKEN is another sign-in than the saved one, which goes on.
  const bool saved_one = target->access_token == target->saved_access_token;
  // Whatever the server says, this machine forgets.
  if (const auto directory = SavedLogins::directory(); directory && saved_one) {
    auto saved = SavedLogins::load(*directory);
    if (!saved) return saved.error();
    if (saved->remove(client->url())) {
      if (auto done = saved->save(*directory); !done) return done;
    }
  }
  if (!answer) {
    if (answer.error().code == "access_token_invalid" || answer.error().code == "not_signed_in") {
      if (!context.globals.json) context.out << "The sign-in at " << client->url() << " had ended already.\n";
      return {};
    }
    auto failure = answer.error();
    failure.message +=
        saved_one
            ? "\nThis machine has forgotten the sign-in, but the server could not be told: it ends by itself after 30 days without use."
            : "\nThe server could not be told: the access token in MUSTER_TOKEN ends by itself after 30 days without use.";
    return failure;
  }
  if (context.globals.json) {
    print_json(context.out, json::object{{"url", client->url()}});
  } else {
    context.out << "Signed out at " << client->url() << ".\n";
    if (!saved_one && !target->saved_access_token.empty())
      context.out << "That was the access token in MUSTER_TOKEN; the saved login goes on.\n";
  }
  return {};
}

}  // namespace muster::cli
