// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/webhook_notices.hpp"

#include <gtest/gtest.h>

#include "cloud/mail/message.hpp"

namespace muster::main {
namespace {

class WebhookNotices : public ::testing::Test {
 protected:
  WebhookNotices() {
    hook_.id = WebhookId{7};
    hook_.name = "Orders <b>";
    hook_.created_by = UserId{3};
    hook_.failure_receivers = "ops@example.org\nMaker@example.org\n";
  }
  std::vector<std::string> told() {
    mails_ = webhook_notices({}, directory_, *keys_, random_)(hook_, "The target answered 503.");
    std::vector<std::string> all;
    for (const auto& mail : mails_) all.push_back(mail.recipient);
    return all;
  }
  void maker_is(domain::UserStatus status) {
    domain::User user;
    user.id = UserId{3};
    user.organization_id = OrganizationId{1};
    user.role_id = domain::admin_role;
    user.status = status;
    user.email = "maker@example.org";
    directory_.put_user(user);
  }
  using Texts = std::vector<std::string>;
  SecureRandom random_;
  std::unique_ptr<KeyRing> keys_ = KeyRing::in_memory(random_);
  domain::Directory directory_;
  domain::Webhook hook_;
  std::vector<domain::NewMail> mails_;
};

TEST_F(WebhookNotices, GoToWhoMadeItAndToWhoWasNamedOnceEach) {
  maker_is(domain::UserStatus::active);
  EXPECT_EQ(told(), (Texts{"maker@example.org", "ops@example.org"}));
  const auto opened = keys_->open_sealed(mail::seal_context, mails_.at(0).sealed);
  ASSERT_TRUE(opened);
  const auto message = mail::unpack(*opened);
  ASSERT_TRUE(message);
  EXPECT_NE(message->subject.find("Orders <b>"), std::string::npos);
  EXPECT_NE(message->text.find("The target answered 503."), std::string::npos) << message->text;
  EXPECT_NE(message->text.find("muster webhook enable 7"), std::string::npos);
  EXPECT_EQ(message->html.find("<b>"), std::string::npos);
}

TEST_F(WebhookNotices, DoNotGoToWhoIsSuspendedOrGone) {
  hook_.failure_receivers = "ops@example.org\n";
  maker_is(domain::UserStatus::suspended);
  EXPECT_EQ(told(), Texts{"ops@example.org"});
  directory_.remove_user(UserId{3});
  EXPECT_EQ(told(), Texts{"ops@example.org"});
}

}  // namespace
}  // namespace muster::main
