// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/account/account_pages.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "cloud/api/account/forms.hpp"
#include "cloud/api/account/html.hpp"
#include "cloud/api/people/known_device.hpp"
#include "cloud/api/people/links.hpp"
#include "cloud/api/people/secret_text.hpp"
#include "cloud/api/people/sign_in.hpp"
#include "cloud/api/query.hpp"
#include "cloud/mail/template.hpp"

namespace muster::api {
namespace {

using domain::Link;
using domain::LinkKind;
using mail::fill_html;

constexpr std::string_view form_cookie = "muster_form", csrf_domain = "csrf";

/// One page's request, with what its parts need.
struct Visit {
  Core& core;
  const Request& request;
  Form form;         ///< Of a POST.
  std::string link;  ///< The secret in the address or in the form.
  bool posted = false;

  [[nodiscard]] const mail::Brand& brand() const { return core.options.brand; }
};

std::string query_value(std::string_view query, std::string_view name) {
  QueryReader reader{query};
  QueryReader::Pair pair;
  while (reader.next(pair)) {
    if (percent_decoded(pair.name) == name) return percent_decoded(pair.value);
  }
  return {};
}

std::string csrf_token(const Core& core, std::string_view cookie) {
  const auto mac = core.keys.digest(csrf_domain, cookie).newest().mac;
  return base64url(mac);
}

bool csrf_fits(const Core& core, std::string_view cookie, std::string_view token) {
  if (!looks_like_access_token(cookie)) return false;
  bool fits = false;
  const TokenDigests digests = core.keys.digest(csrf_domain, cookie);
  for (const TokenDigest& digest : digests.all()) {
    const std::string expected = base64url(digest.mac);
    if (expected.size() == token.size() && CRYPTO_memcmp(expected.data(), token.data(), token.size()) == 0) fits = true;
  }
  return fits;
}

bool comes_from_elsewhere(const Core& core, const Request& request) {
  const std::string_view site = request.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string_view origin = request.header("Origin");
  // A text browser says no origin: then its token and cookie decide. "null" is a page that hides where it comes from; ours do not.
  return !origin.empty() && !origin_is_ours(request, core.options.public_url);
}

/// A form to this page's own path, with its CSRF token; gives the browser its cookie when it has none.
Response form_page(Visit& visit, unsigned status, std::string_view title, std::string_view before, std::string_view fields,
                   std::string_view after = {}) {
  std::string cookie{cookie_of(visit.request, form_cookie)};
  const bool fresh = !looks_like_access_token(cookie);
  if (fresh) cookie = random_secret(visit.core.random);
  std::string body{before};
  body += "<form method=\"post\">" + hidden_field("csrf", csrf_token(visit.core, cookie));
  if (!visit.link.empty()) body += hidden_field("link", visit.link);
  body.append(fields).append("</form>\n").append(after);
  Response response = account_page(status, visit.brand(), title, body);
  if (fresh) {
    std::string header{form_cookie};
    header.append("=").append(cookie).append("; Path=/account; HttpOnly; SameSite=Strict");
    if (visit.request.secure) header += "; Secure";
    response.headers.emplace_back("Set-Cookie", std::move(header));
  }
  return response;
}

Response said(const Visit& visit, unsigned status, std::string_view title, std::string_view sentence, std::string_view link = {},
              std::string_view word = {}) {
  std::string body = fill_html("<p>{sentence}</p>", {{"sentence", sentence}});
  if (!link.empty()) body += fill_html("<p><a href=\"{link}\">{word}</a></p>", {{"link", link}, {"word", word}});
  return account_page(status, visit.brand(), title, body);
}

/// A page that says why not, for refusals that no new try in the form would mend.
Response refused_page(const Visit& visit, const Refusal& refusal) {
  Response response = said(visit, refusal.status, "That did not work", refusal.message, "/account/sign-in", "Sign in");
  if (refusal.status == 429) response.headers.emplace_back("Retry-After", std::to_string(std::max(1LL, refusal.retry_after_s)));
  return response;
}

/// Whether the form can be shown again: the person may have mistyped something.
bool is_about_a_value(const Refusal& refusal) { return refusal.status == 400 || refusal.status == 401 || refusal.status == 429; }

Response again(Response response, const Refusal& refusal) {
  response.status = refusal.status == 401 ? 400 : refusal.status;
  if (refusal.status == 429) response.headers.emplace_back("Retry-After", std::to_string(std::max(1LL, refusal.retry_after_s)));
  return response;
}

Response redirect(std::string to) {
  Response response;
  response.status = 303;
  response.headers.emplace_back("Location", std::move(to));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

/// Where to after signing in: a path of this server, never another place.
std::string safe_next(std::string_view next) {
  const bool path = next.size() > 1 && next.size() <= 200 && next[0] == '/' && next[1] != '/' && next[1] != '\\';
  const bool plain = std::all_of(next.begin(), next.end(), [](char c) { return c > ' ' && c < 0x7F && c != '\\' && c != '"'; });
  return path && plain ? std::string{next} : std::string{"/account"};
}

// --- the pages -------------------------------------------------------------------------------------------------------------------

Response home_page(Visit& visit) {
  const SentAccessToken sent = sent_access_token(visit.request);
  if (looks_like_access_token(sent.token)) {
    const auto digests = visit.core.keys.digest(access_token_domain, sent.token);
    const auto found = visit.core.store.find_access_token(digests.all());
    if (!found) return refused_page(visit, refusal_of(found.error()));
    if (*found) {
      if (const auto user = visit.core.views.directory.user((*found)->user_id)) {
        if (visit.posted) {
          const domain::Actor actor{user->id, user->organization_id, "Web", visit.request.peer.text(), visit.core.clock.utc_now()};
          const auto ended = visit.core.store.delete_access_token(digests.all(), actor);
          if (!ended) return refused_page(visit, refusal_of(ended.error()));
          visit.core.stream.access_tokens_changed(user->id);
          Response response = redirect("/account/sign-in");
          response.headers.emplace_back("Set-Cookie", session_cookie_header("", std::chrono::seconds{0}, visit.request.secure));
          return response;
        }
        return form_page(visit, 200, "You are signed in",
                         fill_html("<p>As <bdi>{who}</bdi>.</p>", {{"who", user->name.empty() ? user->email : user->name}}),
                         submit_button("Sign out"));
      }
    }
  }
  return redirect("/account/sign-in");
}

Response sign_in_page(Visit& visit) {
  const std::string next = visit.posted ? std::string{visit.form.value("next")} : query_value(visit.request.query, "next");
  const auto show = [&](std::string_view complaint, bool with_code) {
    std::string fields = form_field("email", "email", "Email", "username", visit.form.value("email")) +
                         form_field("password", "password", "Password", "current-password");
    if (with_code) fields += form_field("text", "totp", "Code of your authenticator app, or a recovery code", "one-time-code");
    fields += hidden_field("next", next) + submit_button("Sign in");
    std::string after = "<p><a href=\"/account/reset\">Forgotten the password?</a></p>";
    if (visit.core.options.sign_up != SignUpMode::closed) after += "<p><a href=\"/account/sign-up\">Create an account</a></p>";
    return form_page(visit, 200, "Sign in", alert(complaint), fields, after);
  };
  if (!visit.posted) return show({}, false);
  const SignInAttempt attempt{std::string{visit.form.value("email")}, std::string{visit.form.value("password")}, std::nullopt,
                              std::string{visit.form.value("totp")}};
  auto outcome = sign_in(visit.core, visit.request, attempt);
  if (const auto* refusal = std::get_if<Refusal>(&outcome)) {
    const bool code = refusal->code == "totp_required" || refusal->code == "totp_wrong" || !attempt.totp.empty();
    return again(show(refusal->message, code), *refusal);
  }
  const auto& signed_in = std::get<SignedIn>(outcome);
  Response response = redirect(safe_next(next));
  response.headers.emplace_back("Set-Cookie",
                                session_cookie_header(signed_in.access.token, visit.core.options.access_token_life, visit.request.secure));
  response.headers.emplace_back("Set-Cookie", known_device_cookie_header(signed_in.known_device, visit.request.secure));
  return response;
}

Response sign_up_page(Visit& visit) {
  const bool clients = may_sign_up(visit.core, domain::SignUpKind::client), partners = may_sign_up(visit.core, domain::SignUpKind::partner);
  if (!clients && !partners)
    return said(visit, 403, "No sign-up here", "This server takes no sign-ups; ask an administrator for an invitation.", "/account/sign-in",
                "Sign in");
  const bool as_partner = !clients || visit.form.value("kind") == "partner";
  const auto show = [&](std::string_view complaint) {
    std::string fields = form_field("email", "email", "Email", "email", visit.form.value("email"));
    if (clients && partners) {
      fields +=
          "<label><input type=\"radio\" name=\"kind\" value=\"client\" checked> For my own devices</label>"
          "<label><input type=\"radio\" name=\"kind\" value=\"partner\"> As a business, for customers of mine</label>";
    }
    if (!visit.brand().terms_url.empty()) {
      fields += fill_html(
          "<label><input type=\"checkbox\" name=\"terms\" value=\"yes\" required> I accept the <a href=\"{url}\">terms</a></label>",
          {{"url", visit.brand().terms_url}});
    }
    return form_page(visit, 200, "Create an account", alert(complaint), fields + submit_button("Send me a link"));
  };
  if (!visit.posted) return show({});
  if (!visit.brand().terms_url.empty() && visit.form.value("terms") != "yes")
    return again(show("Please accept the terms."), wrong_value("terms", ""));
  const auto outcome = request_sign_up(visit.core, visit.request, visit.form.value("email"),
                                       as_partner ? domain::SignUpKind::partner : domain::SignUpKind::client);
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return is_about_a_value(*refusal) ? again(show(refusal->message), *refusal) : refused_page(visit, *refusal);
  return said(visit, 200, "Look into your mail", "A link is on its way to that address. It works for 24 hours.");
}

/// The link of the visit; `page` shows its form with a complaint.
template <class Page>
Response with_link(Visit& visit, LinkKind kind, Page&& page) {
  if (visit.link.empty()) return said(visit, 400, "That did not work", "A part of the link is missing; copy it whole from the mail.");
  auto looked = look_at_link(visit.core, visit.request, kind, visit.link);
  if (const auto* refusal = std::get_if<Refusal>(&looked)) return refused_page(visit, *refusal);
  return page(std::get<Link>(looked));
}

/// Both passwords of a form, or why not.
std::optional<std::string> differing_passwords(const Form& form) {
  if (form.value("password") == form.value("again")) return std::nullopt;
  return "The two passwords differ.";
}

std::string password_fields() {
  return form_field("password", "password", "New password (at least 8 characters)", "new-password") +
         form_field("password", "again", "The same once more", "new-password");
}

Response create_password_page(Visit& visit) {
  return with_link(visit, LinkKind::sign_up, [&](const Link& link) {
    const auto show = [&](std::string_view complaint) {
      return form_page(visit, 200, "Create your password",
                       fill_html("<p>For <bdi>{email}</bdi>.</p>", {{"email", link.email}}) + alert(complaint),
                       form_field("text", "name", "Your name", "name", visit.form.value("name"), false) +
                           form_field("text", "organization",
                                      link.sign_up == domain::SignUpKind::partner ? "Your company" : "A name for your devices' home",
                                      "organization", visit.form.value("organization"), false) +
                           password_fields() + submit_button("Create account"));
    };
    if (!visit.posted) return show({});
    if (const auto complaint = differing_passwords(visit.form)) return again(show(*complaint), wrong_value("again", ""));
    const auto outcome = complete_sign_up(visit.core, visit.request, visit.link, visit.form.value("password"), visit.form.value("name"),
                                          visit.form.value("organization"));
    if (const auto* refusal = std::get_if<Refusal>(&outcome))
      return is_about_a_value(*refusal) ? again(show(refusal->message), *refusal) : refused_page(visit, *refusal);
    return said(visit, 200, "Your account is ready", "Sign in with your email and the new password.", "/account/sign-in", "Sign in");
  });
}

Response invitation_page(Visit& visit) {
  return with_link(visit, LinkKind::invite, [&](const Link& link) {
    const auto organization = visit.core.views.directory.organization(link.organization_id);
    const std::string where = mail::one_line(organization ? organization->name : std::string{});
    const auto known = has_account(visit.core, link);
    if (!known) return refused_page(visit, refusal_of(known.error()));
    const std::string to = fill_html("<p>You are invited to <bdi><strong>{where}</strong></bdi>, as <bdi>{email}</bdi>.</p>",
                                     {{"where", where}, {"email", link.email}});
    const auto show = [&](std::string_view complaint, bool with_code) {
      if (!*known) {
        return form_page(
            visit, 200, "Accept the invitation", to + alert(complaint),
            form_field("text", "name", "Your name", "name", visit.posted ? visit.form.value("name") : std::string_view{link.name}, false) +
                password_fields() + submit_button("Create account"));
      }
      return form_page(
          visit, 200, "Accept the invitation",
          to +
              "<p>You have an account already. It belongs to one organization: accepting moves it there, and you leave the present one. "
              "If you want to stay, close this page.</p>" +
              alert(complaint),
          form_field("password", "password", "Your password", "current-password") +
              (with_code ? form_field("text", "totp", "Code of your authenticator app, or a recovery code", "one-time-code")
                         : std::string{}) +
              "<label><input type=\"radio\" name=\"devices\" value=\"move\" checked> Take my devices along</label>"
              "<label><input type=\"radio\" name=\"devices\" value=\"release\"> Leave them where they are, without an owner</label>" +
              submit_button("Move my account"));
    };
    if (!visit.posted) return show({}, false);
    if (!*known) {
      if (const auto complaint = differing_passwords(visit.form)) return again(show(*complaint, false), wrong_value("again", ""));
    }
    const std::string_view password = visit.form.value("password");
    const auto outcome = *known ? accept_invitation_and_move(
                                      visit.core, visit.request, visit.link, password, visit.form.value("totp"),
                                      visit.form.value("devices") == "release" ? domain::OwnedDevices::release : domain::OwnedDevices::move)
                                : accept_invitation(visit.core, visit.request, visit.link, password, visit.form.value("name"));
    if (const auto* refusal = std::get_if<Refusal>(&outcome))
      return is_about_a_value(*refusal) ? again(show(refusal->message, refusal->code.starts_with("totp_")), *refusal)
                                        : refused_page(visit, *refusal);
    return said(visit, 200, "Welcome",
                *known ? "Your account has moved. Sign in again." : "Your account is ready. Sign in with your email and the new password.",
                "/account/sign-in", "Sign in");
  });
}

Response request_reset_page(Visit& visit) {
  const auto show = [&](std::string_view complaint) {
    return form_page(
        visit, 200, "Choose a new password", alert(complaint),
        form_field("email", "email", "Email of your account", "username", visit.form.value("email")) + submit_button("Send me a link"));
  };
  if (!visit.posted) return show({});
  const auto outcome = request_reset(visit.core, visit.request, visit.form.value("email"));
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return is_about_a_value(*refusal) ? again(show(refusal->message), *refusal) : refused_page(visit, *refusal);
  if (!why_no_mail(visit.core).empty())
    return said(visit, 200, "Ask your administrator", "This server sends no mail. An administrator can give you a new password.");
  return said(visit, 200, "Look into your mail", "If there is an account with that address, a link is on its way. It works for one hour.");
}

Response reset_page(Visit& visit) {
  if (visit.link.empty()) return request_reset_page(visit);
  return with_link(visit, LinkKind::reset, [&](const Link&) {
    const auto show = [&](std::string_view complaint) {
      return form_page(visit, 200, "Choose a new password", alert(complaint), password_fields() + submit_button("Set password"));
    };
    if (!visit.posted) return show({});
    if (const auto complaint = differing_passwords(visit.form)) return again(show(*complaint), wrong_value("again", ""));
    const auto outcome = complete_reset(visit.core, visit.request, visit.link, visit.form.value("password"));
    if (const auto* refusal = std::get_if<Refusal>(&outcome))
      return is_about_a_value(*refusal) ? again(show(refusal->message), *refusal) : refused_page(visit, *refusal);
    return said(visit, 200, "Your password is set", "Every session of yours was ended. Sign in with the new password.", "/account/sign-in",
                "Sign in");
  });
}

/// A GET changes nothing: programs that look at links in mails open them, too.
Response confirm_email_page(Visit& visit) {
  return with_link(visit, LinkKind::confirm_email, [&](const Link& link) {
    if (!visit.posted)
      return form_page(visit, 200, "Confirm your email", fill_html("<p><bdi>{email}</bdi></p>", {{"email", link.email}}),
                       submit_button("This is my address"));
    const auto outcome = confirm_email(visit.core, visit.request, visit.link);
    if (const auto* refusal = std::get_if<Refusal>(&outcome)) return refused_page(visit, *refusal);
    return said(visit, 200, "Thank you", "Your email is confirmed.");
  });
}

struct Page {
  std::string_view path;
  Response (*show)(Visit&);
};
constexpr Page pages[] = {
    {"/account", home_page},
    {"/account/sign-in", sign_in_page},
    {"/account/sign-up", sign_up_page},
    {"/account/create-password", create_password_page},
    {"/account/invitation", invitation_page},
    {"/account/reset", reset_page},
    {"/account/confirm-email", confirm_email_page},
};

const Page* find_page(std::string_view path) noexcept {
  const auto found = std::find_if(std::begin(pages), std::end(pages), [&](const Page& page) { return page.path == path; });
  return found == std::end(pages) ? nullptr : found;
}

Response plain_page(const Core& core, unsigned status, std::string_view title, std::string_view sentence) {
  return account_page(status, core.options.brand, title, fill_html("<p>{sentence}</p>", {{"sentence", sentence}}));
}

}  // namespace

std::vector<Api::RouteInfo> AccountPages::routes() {
  std::vector<Api::RouteInfo> all;
  for (const Page& page : pages) {
    for (const std::string_view method : {"GET", "POST"}) all.push_back({std::string{method}, std::string{page.path}, "public"});
  }
  return all;
}

Lane AccountPages::lane(const Request& request) noexcept { return request.method == Method::post ? Lane::password : Lane::api; }

std::optional<Response> AccountPages::answer_from_memory(const Request& request) const {
  if (find_page(request.path) == nullptr) return plain_page(core_, 404, "No such page", "There is nothing at this address.");
  if (request.method == Method::get || request.method == Method::head) return std::nullopt;
  if (request.method != Method::post) {
    Response response = plain_page(core_, 405, "That did not work", "This page takes GET and POST.");
    response.headers.emplace_back("Allow", "GET, HEAD, POST");
    return response;
  }
  if (request.body.size() > public_body_size_max_bytes) return plain_page(core_, 413, "That did not work", "The form is too large.");
  if (!request.header("Content-Type").starts_with("application/x-www-form-urlencoded"))
    return plain_page(core_, 415, "That did not work", "The form must be application/x-www-form-urlencoded.");
  if (comes_from_elsewhere(core_, request))
    return plain_page(core_, 403, "That did not work", "The form came from a page of another server.");
  const auto wait = core_.sign_in_throttle.address_blocked(request.peer.limit_key(), core_.clock.now());
  if (wait && !is_known_device(core_, sent_known_device(request))) {
    core_.metrics.http_throttled_total.add();
    Response response = plain_page(core_, 429, "Please wait", "Too many failed attempts from your address; try again in some minutes.");
    response.headers.emplace_back("Retry-After", std::to_string(wait->count()));
    return response;
  }
  return std::nullopt;
}

Response AccountPages::handle(const Request& request) {
  const Page* page = find_page(request.path);
  if (page == nullptr || !core_.views.ready()) return unavailable();
  Visit visit{core_, request, {}, {}, request.method == Method::post};
  if (visit.posted) {
    auto form = Form::parse(request.body);
    if (!form) return plain_page(core_, 400, "That did not work", "The form cannot be read.");
    visit.form = std::move(*form);
    if (!csrf_fits(core_, cookie_of(request, form_cookie), visit.form.value("csrf")))
      return plain_page(core_, 403, "Please try again",
                        "This form is too old, or your browser refuses cookies. Go back and load the page anew.");
    visit.link = visit.form.value("link");
  } else {
    visit.link = query_value(request.query, "link").substr(0, 200);
  }
  Response response = page->show(visit);
  if (visit.posted) (void)core_.views.catch_up();  // The next page must see what this one did.
  return response;
}

Response AccountPages::unavailable() const {
  Response response = plain_page(core_, 503, "One moment", "The server is busy or not ready; try again soon.");
  response.headers.emplace_back("Retry-After", "2");
  return response;
}

}  // namespace muster::api
