// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/account/account_pages.hpp"

#include <gtest/gtest.h>

#include "cloud/api/account/forms.hpp"
#include "cloud/api/people/totp.hpp"
#include "cloud/api/test_people.hpp"

namespace muster::api {
namespace {

bool has(const Response& response, std::string_view part) { return response.body.find(part) != std::string::npos; }

TEST(Form, IsReadAsBrowsersWriteIt) {
  const auto form = Form::parse("a=1+2&b=%C3%A9&c=&a=3&d");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->value("a"), "1 2");
  EXPECT_EQ(form->value("b"), "é");
  EXPECT_EQ(form->value("c"), "");
  EXPECT_EQ(form->value("none"), "");
  EXPECT_FALSE(Form::parse("a=%FF"));
  EXPECT_FALSE(Form::parse("a=%00"));
  std::string many = "a=1";
  for (int i = 0; i < 40; ++i) many += "&a=1";
  EXPECT_FALSE(Form::parse(many));
}

/// A browser without script: keeps cookies, follows no redirect.
class Pages : public PeopleServer {
 protected:
  using PeopleServer::PeopleServer;
  Response open(const std::string& target) { return keep(server_.call(Method::get, target, {}, {}, headers({}))); }
  /// Fills in the form of the page that was opened at `target`.
  Response submit(const std::string& target, const std::string& fields, const Headers& extra = {{"Origin", "http://muster.example:8080"}}) {
    const Response page = open(target);
    std::string body = "csrf=" + value_of(page, "csrf");
    if (const auto link = value_of(page, "link"); !link.empty()) body += "&link=" + link;
    Headers all = headers(extra);
    all.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    server_.clock.advance(std::chrono::milliseconds{1});
    return keep(server_.call(Method::post, target.substr(0, target.find('?')), body + "&" + fields, {}, all));
  }
  static std::string value_of(const Response& page, const std::string& name) {
    const std::string before = "name=\"" + name + "\" value=\"";
    const auto at = page.body.find(before);
    if (at == std::string::npos) return {};
    const auto start = at + before.size();
    return page.body.substr(start, page.body.find('"', start) - start);
  }
  Headers headers(const Headers& extra) const {
    Headers all = extra;
    std::string cookie;
    for (const auto& [name, value] : cookies_) cookie += name + "=" + value + "; ";
    all.emplace_back("Cookie", cookie);
    return all;
  }
  Response keep(Response response) {
    for (const auto& [name, value] : response.headers) {
      if (name != "Set-Cookie") continue;
      const auto equals = value.find('=');
      cookies_[value.substr(0, equals)] = value.substr(equals + 1, value.find(';') - equals - 1);
      EXPECT_NE(value.find("HttpOnly"), std::string::npos) << value;
      EXPECT_NE(value.find("SameSite=Strict"), std::string::npos) << value;
    }
    return response;
  }
  std::map<std::string, std::string> cookies_;
};

TEST_F(Pages, EveryPageHasItsHeadersAndNoScript) {
  for (const std::string target :
       {"/account/sign-in", "/account/sign-up", "/account/reset", "/account/reset?link=x", "/account/invitation?link=x",
        "/account/create-password?link=x", "/account/confirm-email?link=x", "/account/nothing"}) {
    const Response page = open(target);
    EXPECT_EQ(page.content_type, "text/html; charset=utf-8") << target;
    EXPECT_EQ(header_of(page, "Cache-Control"), "no-store") << target;
    EXPECT_EQ(header_of(page, "Referrer-Policy"), "same-origin") << target;
    EXPECT_NE(header_of(page, "Content-Security-Policy").find("default-src 'none'"), std::string::npos) << target;
    EXPECT_NE(header_of(page, "Content-Security-Policy").find("frame-ancestors 'none'"), std::string::npos) << target;
    EXPECT_FALSE(has(page, "<script")) << target;
    EXPECT_TRUE(has(page, "name=\"viewport\"")) << target;
  }
  EXPECT_EQ(open("/account/nothing").status, 404u);
}

TEST_F(Pages, SigningInGivesTheCookieAndLeadsNowhereElse) {
  accepted("u@example.org", "his password");
  const Response wrong = submit("/account/sign-in", "email=u%40example.org&password=wrong+one");
  EXPECT_EQ(wrong.status, 400u);
  EXPECT_TRUE(has(wrong, "The email or the password is wrong."));
  EXPECT_TRUE(has(wrong, "value=\"u@example.org\""));
  EXPECT_FALSE(has(wrong, "wrong one"));
  for (const auto& [next, to] : {std::pair{"%2Fc%2Fabc", "/c/abc"},
                                 {"https%3A%2F%2Fevil.example", "/account"},
                                 {"%2F%2Fevil.example", "/account"},
                                 {"%2F%5Cevil.example", "/account"}}) {
    const Response in = submit("/account/sign-in", std::string{"email=u%40example.org&password=his+password&next="} + next);
    EXPECT_EQ(in.status, 303u) << in.body;
    EXPECT_EQ(header_of(in, "Location"), to);
  }
  EXPECT_TRUE(has(open("/account"), "u@example.org"));
  EXPECT_EQ(submit("/account", "").status, 303u);
  EXPECT_EQ(header_of(open("/account"), "Location"), "/account/sign-in");
}

TEST_F(Pages, AFormNeedsItsTokenItsCookieAndItsOrigin) {
  accepted("u@example.org", "his password");
  const std::string fields = "email=u%40example.org&password=his+password";
  EXPECT_EQ(submit("/account/sign-in", fields, {{"Origin", "https://muster.example"}}).status, 303u);
  EXPECT_EQ(submit("/account/sign-in", fields, {{"Origin", "https://muster.example"}, {"Sec-Fetch-Site", "same-origin"}}).status, 303u);
  EXPECT_EQ(submit("/account/sign-in", fields, {}).status, 303u) << "a text browser";
  EXPECT_EQ(submit("/account/sign-in", fields, {{"Origin", "null"}}).status, 403u) << "a sandboxed page";
  EXPECT_EQ(submit("/account/sign-in", fields, {{"Sec-Fetch-Site", "cross-site"}}).status, 403u);
  EXPECT_EQ(submit("/account/sign-in", fields, {{"Origin", "https://evil.example"}}).status, 403u);

  const Headers form{{"Content-Type", "application/x-www-form-urlencoded"}, {"Origin", "https://muster.example"}};
  const std::string token = value_of(open("/account/sign-in"), "csrf");
  EXPECT_EQ(server_.call(Method::post, "/account/sign-in", "csrf=" + token + "&" + fields, {}, form).status, 403u) << "no cookie";
  EXPECT_EQ(server_.call(Method::post, "/account/sign-in", fields, {}, headers(form)).status, 403u) << "no token";
  cookies_["muster_form"] = std::string(43, 'a');
  EXPECT_EQ(server_.call(Method::post, "/account/sign-in", "csrf=" + token + "&" + fields, {}, headers(form)).status, 403u) << "another's";
  EXPECT_EQ(server_.call(Method::post, "/account/sign-in", fields, {}, {{"Content-Type", "application/json"}}).status, 415u);
  EXPECT_EQ(server_.call(Method::post, "/account/sign-in", std::string(9'000, 'x'), {}, form).status, 413u);
}

TEST_F(Pages, AnInvitationIsAcceptedWithoutScript) {
  const OrganizationId works = server_.organization(server_.root, "Pumps '26");
  const Response invited =
      post("/api/v1/users/invite", R"({"email":"z@example.org","name":"Zoë","orgId":)" + str(works) + "}", server_.admin_token);
  ASSERT_EQ(invited.status, 201u) << invited.body;
  const std::string link = take_mail().at(0).link;
  const Response page = open(link);
  EXPECT_EQ(page.status, 200u);
  EXPECT_TRUE(has(page, "Pumps &#39;26"));
  EXPECT_TRUE(has(page, "value=\"Zoë\""));
  EXPECT_EQ(submit(link, "name=Zo%C3%AB&password=new+password&again=another").status, 400u);
  EXPECT_EQ(submit(link, "name=Zo%C3%AB&password=short&again=short").status, 400u);
  EXPECT_EQ(open(link).status, 200u) << "looking changes nothing";
  EXPECT_EQ(submit(link, "name=Zo%C3%AB&password=new+password&again=new+password").status, 200u);
  EXPECT_EQ(submit("/account/sign-in", "email=z%40example.org&password=new+password").status, 303u);
  EXPECT_EQ(open(link).status, 404u);
}

TEST_F(Pages, WhatPeopleCallThemselvesIsNeverMarkup) {
  ASSERT_EQ(post("/api/v1/users/register", R"({"email":"c@example.org"})").status, 202u);
  const std::string link = take_mail().at(0).link;
  const Response page = submit(link, "name=%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22&password=a&again=a");
  EXPECT_EQ(page.status, 400u);
  EXPECT_FALSE(has(page, "<script>alert"));
  EXPECT_TRUE(has(page, "&lt;script&gt;alert(1)"));
}

TEST_F(Pages, SigningUpAndResettingByPages) {
  EXPECT_EQ(submit("/account/sign-up", "email=c%40example.org&kind=client").status, 200u);
  const std::string link = take_mail().at(0).link;
  EXPECT_EQ(submit(link, "name=Cleo&organization=&password=new+password&again=new+password").status, 200u);
  EXPECT_EQ(submit("/account/reset", "email=c%40example.org").status, 429u) << "a mailbox gets one a minute";
  server_.clock.advance(std::chrono::minutes{1});
  const Response known = submit("/account/reset", "email=c%40example.org");
  const Response unknown = submit("/account/reset", "email=nobody%40example.org");
  EXPECT_EQ(known.status, 200u);
  EXPECT_EQ(known.body, unknown.body);
  const auto mails = take_mail();
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_EQ(submit(mails[0].link, "password=newer+password&again=newer+password").status, 200u);
  EXPECT_EQ(submit("/account/sign-in", "email=c%40example.org&password=newer+password").status, 303u);
}

TEST_F(Pages, TheSecondFactorIsAskedForHere) {
  const UserId user = accepted("u@example.org", "his password");
  const std::string secret(20, 's');
  ASSERT_TRUE(server_.store->begin_second_factor(user, server_.keys->seal("totp", secret, server_.random)));
  ASSERT_TRUE(server_.store->enable_second_factor(user, 1, {}, std::nullopt, server_.actor()));
  const Response asked = submit("/account/sign-in", "email=u%40example.org&password=his+password");
  EXPECT_EQ(asked.status, 400u);
  EXPECT_TRUE(has(asked, "name=\"totp\""));
  const std::string code = totp::code(secret, totp::step_of(server_.clock.utc_now()));
  EXPECT_EQ(submit("/account/sign-in", "email=u%40example.org&password=his+password&totp=" + code).status, 303u);
}

TEST_F(Pages, AnEmailIsConfirmedByAButtonAndNotByLooking) {
  const UserId user = server_.user(server_.root, domain::user_role, "u@example.org");
  ASSERT_EQ(post("/api/v1/user/confirm-email", "", server_.access_token(user)).status, 202u);
  const std::string link = take_mail().at(0).link;
  EXPECT_EQ(open(link).status, 200u);
  EXPECT_EQ(server_.store->email_confirmed_at(user).value().ms, 0);
  EXPECT_EQ(submit(link, "").status, 200u);
  EXPECT_GT(server_.store->email_confirmed_at(user).value().ms, 0);
}

class ClosedPages : public Pages {
 protected:
  static ApiOptions closed() {
    ApiOptions options = PeopleServer::options();
    options.sign_up = SignUpMode::closed;
    options.brand.name = "Pumps <& Co>";
    options.brand.logo_url = "https://cdn.example/logo.png?x=\"1\"";
    return options;
  }
  ClosedPages() : Pages{closed()} {}
};

TEST_F(ClosedPages, ShowTheBrandAndNoSignUp) {
  EXPECT_EQ(open("/account/sign-up").status, 403u);
  const Response page = open("/account/sign-in");
  EXPECT_FALSE(has(page, "/account/sign-up"));
  EXPECT_TRUE(has(page, "Pumps &lt;&amp; Co&gt;"));
  EXPECT_TRUE(has(page, "src=\"https://cdn.example/logo.png?x=&quot;1&quot;\""));
  EXPECT_NE(header_of(page, "Content-Security-Policy").find("img-src https://cdn.example;"), std::string::npos);
}

}  // namespace
}  // namespace muster::api
