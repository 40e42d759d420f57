// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cloud/api/test_server.hpp"
#include "cloud/mail/message.hpp"

namespace muster::api {

/// A server that queues mail, and a look into its queue.
class PeopleServer : public ::testing::Test {
 protected:
  static ApiOptions options() {
    ApiOptions options;
    options.public_url = "https://muster.example";
    options.has_smtp = true;
    options.sign_up = SignUpMode::both;
    return options;
  }
  explicit PeopleServer(ApiOptions with = options()) : server_{std::move(with)} { server_.set_up(); }

  struct Mail {
    std::string to, kind;
    mail::Message message;
    std::string link;  ///< The first address in the text, without the server's; empty: none.
  };
  /// What waits, oldest first; it is taken out.
  std::vector<Mail> take_mail() {
    std::vector<Mail> all;
    for (const auto& each : server_.store->due_mail({server_.clock.utc_now().ms + 1}, 100).value()) {
      Mail mail{each.recipient, each.kind, mail::unpack(server_.keys->open_sealed("mail", each.sealed).value()).value(), {}};
      const std::string& text = mail.message.text;
      if (const auto at = text.find("https://muster.example"); at != std::string::npos)
        mail.link = text.substr(at + 22, text.find('\n', at) - at - 22);
      all.push_back(std::move(mail));
      EXPECT_TRUE(server_.store->mail_sent(each.id).has_value());
    }
    return all;
  }
  static std::string secret_of(const std::string& link) { return link.substr(link.find("link=") + 5); }
  Response post(std::string_view path, const std::string& body, std::string_view token = {}, const Headers& headers = {}) {
    server_.clock.advance(std::chrono::milliseconds{1});
    return server_.call(Method::post, path, body, token, headers);
  }
  Response sign_in(std::string_view email, std::string_view password, std::string_view totp = {}, const Headers& headers = {}) {
    std::string body = R"({"email":")" + std::string{email} + R"(","password":")" + std::string{password} + '"';
    if (!totp.empty()) body += R"(,"totp":")" + std::string{totp} + '"';
    return post("/api/v1/session", body + "}", {}, headers);
  }
  /// Invites, reads the mail and accepts.
  UserId accepted(const std::string& email, const std::string& password, OrganizationId organization = {},
                  const std::string& role = "User") {
    std::string body = R"({"email":")" + email + R"(","role":")" + role + '"';
    if (organization) body += R"(,"orgId":)" + str(organization);
    EXPECT_EQ(post("/api/v1/users/invite", body + "}", server_.admin_token).status, 201u);
    const auto mails = take_mail();
    if (mails.size() != 1) {
      ADD_FAILURE() << mails.size() << " mails";
      return {};
    }
    const Response made =
        post("/api/v1/users/invitation/accept", R"({"link":")" + secret_of(mails[0].link) + R"(","password":")" + password + R"("})");
    EXPECT_EQ(made.status, 201u) << made.body;
    server_.catch_up();
    return UserId{number_in(made, "id")};
  }

  TestServer server_;
};

}  // namespace muster::api
