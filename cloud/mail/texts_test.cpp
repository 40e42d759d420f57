// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/texts.hpp"

#include <gtest/gtest.h>

#include "cloud/mail/template.hpp"

namespace muster::mail {
namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Template, FillsHolesAndEscapesOnlyInHtml) {
  EXPECT_EQ(fill_text("{a} and {b}{none}", {{"a", "<1>"}, {"b", "{a}"}}), "<1> and {a}");
  EXPECT_EQ(fill_html("<a href=\"{u}\">{t}</a>", {{"u", "\"><script>"}, {"t", "a & 'b'"}}),
            "<a href=\"&quot;&gt;&lt;script&gt;\">a &amp; &#39;b&#39;</a>");
  EXPECT_EQ(fill_text("open {", {}), "open ");
}

TEST(Template, NamesStayOnOneLineAndTurnNothing) {
  EXPECT_EQ(one_line("a\r\nb\tc\x7F"
                     "d"),
            "a  b c d");
  EXPECT_EQ(one_line("x\u202Ey\u2066z\u200F"), "xyz");
  EXPECT_EQ(one_line("line\u2028two\u0085three"), "line two three");
  EXPECT_EQ(one_line("bad\xFF\xC0\xAF"), "bad\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(one_line("שלום Zoë 🙂"), "שלום Zoë 🙂");
}

TEST(Texts, NamesWithMarkupAndRightToLeftAreShownAsTheyAre) {
  Brand brand;
  brand.name = "Pumps & Co";
  brand.support = "help@example.org";
  brand.terms_url = "https://example.org/terms";
  const std::string link = "https://m.example/account/invitation?link=abc";
  const Message mail = invitation(brand, {"<script>alert(1)</script>", "\u202Eשלום\r\nBcc: x"}, link);
  EXPECT_FALSE(has(mail.html, "<script>"));
  EXPECT_TRUE(has(mail.html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_TRUE(has(mail.text, "\u2068<script>alert(1)</script>\u2069"));
  EXPECT_TRUE(has(mail.subject, "\u2068שלום  Bcc: x\u2069"));
  EXPECT_FALSE(has(mail.html + mail.text + mail.subject, "\u202E"));
  EXPECT_TRUE(has(mail.text, link));
  EXPECT_TRUE(has(mail.html, "href=\"" + link + "\""));
  EXPECT_TRUE(has(mail.html, "Pumps &amp; Co"));
  EXPECT_TRUE(has(mail.html, "mailto:help@example.org"));
  EXPECT_TRUE(has(mail.text, "Terms: https://example.org/terms"));
}

TEST(Texts, EveryMailWithALinkShowsItInBothForms) {
  const Brand brand;
  const std::string link = "https://m.example/account/x?link=abc";
  for (const Message& mail : {invitation_to_move(brand, {"", "Works"}, link), sign_up(brand, link), sign_up_known(brand, link, "https://r"),
                              reset(brand, link), password_changed(brand, link), confirm_email(brand, link)}) {
    EXPECT_TRUE(has(mail.text, link)) << mail.subject;
    EXPECT_TRUE(has(mail.html, link)) << mail.subject;
    EXPECT_TRUE(has(mail.html, "Muster"));
  }
  EXPECT_FALSE(has(note(brand, "A thing", "It happened.").html, "href=\"\""));
}

TEST(Texts, ABrandCannotBringMarkupOrScript) {
  Brand brand;
  EXPECT_EQ(check_brand(brand), "");
  const auto refused = [&brand](auto change) {
    Brand changed = brand;
    change(changed);
    return !check_brand(changed).empty();
  };
  EXPECT_TRUE(refused([](Brand& b) { b.color = "red;background:url(x)"; }));
  EXPECT_TRUE(refused([](Brand& b) { b.logo_url = "javascript:alert(1)"; }));
  EXPECT_TRUE(refused([](Brand& b) { b.logo_url = "http://plain.example/logo.png"; }));
  EXPECT_TRUE(refused([](Brand& b) { b.terms_url = "data:text/html,x"; }));
  EXPECT_TRUE(refused([](Brand& b) { b.support = "javascript:x@y"; }));
  EXPECT_TRUE(refused([](Brand& b) { b.name = "two\nlines"; }));
  EXPECT_FALSE(refused([](Brand& b) { b.logo_url = "https://example.org/logo.png"; }));
}

}  // namespace
}  // namespace muster::mail
