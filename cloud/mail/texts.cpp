// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/texts.hpp"

#include <algorithm>

#include "cloud/mail/template.hpp"

namespace muster::mail {
namespace {

constexpr std::string_view text_frame =
    "{title}\n"
    "\n"
    "{lead}\n"
    "{action}{after}\n"
    "-- \n"
    "{brand}{footer}\n";

constexpr std::string_view html_frame =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n"
    "<body style=\"margin:0;background:#f3f4f6;font-family:system-ui,sans-serif;color:#1f2937\">\n"
    "<table role=\"presentation\" width=\"100%\"><tr><td align=\"center\" style=\"padding:24px 12px\">\n"
    "<table role=\"presentation\" width=\"100%\" style=\"max-width:520px;background:#ffffff;border-radius:8px\"><tr><td "
    "style=\"padding:28px\">\n";

struct Piece {
  std::string title, lead, button, after;
};

/// An address that people see as such: nothing but http(s) becomes a link.
bool is_web_address(std::string_view url) { return url.starts_with("https://") || url.starts_with("http://"); }

std::string footer_text(const Brand& brand) {
  std::string out;
  if (!brand.support.empty()) out += "\nHelp: " + brand.support;
  if (!brand.terms_url.empty()) out += "\nTerms: " + brand.terms_url;
  if (!brand.privacy_url.empty()) out += "\nPrivacy: " + brand.privacy_url;
  return out;
}

std::string footer_html(const Brand& brand) {
  std::string out = "<p style=\"font-size:13px;color:#6b7280;margin:24px 0 0\">" + escape_html(brand.name);
  const auto link = [&out](std::string_view url, std::string_view word) {
    if (url.empty()) return;
    const bool web = is_web_address(url);
    out += fill_html(web ? " &middot; <a style=\"color:#6b7280\" href=\"{url}\">{word}</a>"
                         : " &middot; <a style=\"color:#6b7280\" href=\"mailto:{url}\">{word}</a>",
                     {{"url", url}, {"word", word}});
  };
  link(brand.support, "Help");
  link(brand.terms_url, "Terms");
  link(brand.privacy_url, "Privacy");
  return out + "</p>";
}

Message build(const Brand& brand, const Piece& piece, std::string_view link) {
  Message message;
  message.subject = piece.title;
  const std::string action = link.empty() ? std::string{} : "\n" + std::string{link} + "\n\n";
  message.text = fill_text(text_frame, {{"title", piece.title},
                                        {"lead", piece.lead},
                                        {"action", action},
                                        {"after", piece.after},
                                        {"brand", brand.name},
                                        {"footer", footer_text(brand)}});
  message.html = fill_html(html_frame, {{"title", piece.title}});
  message.html += brand.logo_url.empty()
                      ? fill_html("<p style=\"font-weight:600;margin:0 0 16px\">{name}</p>\n", {{"name", brand.name}})
                      : fill_html("<img src=\"{logo}\" alt=\"{name}\" height=\"40\" style=\"display:block;margin:0 0 16px\">\n",
                                  {{"logo", brand.logo_url}, {"name", brand.name}});
  message.html +=
      fill_html("<h1 style=\"font-size:20px;margin:0 0 12px\"><bdi>{title}</bdi></h1>\n<p style=\"margin:0 0 20px\">{lead}</p>\n",
                {{"title", piece.title}, {"lead", piece.lead}});
  if (!link.empty()) {
    message.html += fill_html(
        "<p style=\"margin:0 0 20px\"><a href=\"{link}\" style=\"display:inline-block;background:{color};color:#ffffff;"
        "padding:12px 20px;border-radius:6px;text-decoration:none\">{button}</a></p>\n"
        "<p style=\"font-size:13px;word-break:break-all\">Or copy this address into a browser:<br>{link}</p>\n",
        {{"link", link}, {"color", brand.color}, {"button", piece.button}});
  }
  message.html += fill_html("<p style=\"font-size:14px;color:#374151\">{after}</p>\n", {{"after", piece.after}}) + footer_html(brand) +
                  "\n</td></tr></table>\n</td></tr></table></body></html>\n";
  return message;
}

/// A name between marks that keep its direction to itself: a right-to-left name turns nothing around it.
std::string isolated(std::string_view name) { return "\u2068" + one_line(name) + "\u2069"; }

bool is_color(std::string_view text) {
  return text.size() == 7 && text[0] == '#' && std::all_of(text.begin() + 1, text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

bool is_clean(std::string_view text) { return one_line(text) == text && text.size() <= 500; }

}  // namespace

std::string check_brand(const Brand& brand) {
  if (brand.name.empty() || brand.name.size() > 60 || !is_clean(brand.name)) return "name must be 1 to 60 characters on one line";
  if (!is_color(brand.color)) return "color must be like \"#0b57d0\"";
  if (!brand.logo_url.empty() && (!brand.logo_url.starts_with("https://") || !is_clean(brand.logo_url)))
    return "logo_url must begin with https://";
  for (const std::string* url : {&brand.terms_url, &brand.privacy_url}) {
    if (!url->empty() && (!is_web_address(*url) || !is_clean(*url))) return "terms_url and privacy_url must begin with https:// or http://";
  }
  const bool mail = brand.support.find('@') != std::string::npos && brand.support.find(':') == std::string::npos;
  if (!brand.support.empty() && ((!is_web_address(brand.support) && !mail) || !is_clean(brand.support)))
    return "support must be an email address or begin with https://";
  return {};
}

Message invitation(const Brand& brand, const InvitationNames& names, std::string_view link) {
  const std::string who = names.inviter.empty() ? "An administrator" : isolated(names.inviter);
  return build(
      brand,
      {"Invitation to " + isolated(names.organization),
       who + " invites you to join " + isolated(names.organization) + " on " + brand.name + ".", "Accept invitation",
       "The link works once, for 30 days. If you do not know who sent it, do nothing: no account is made until you choose a password."},
      link);
}

Message invitation_to_move(const Brand& brand, const InvitationNames& names, std::string_view link) {
  const std::string who = names.inviter.empty() ? "An administrator" : isolated(names.inviter);
  return build(brand,
               {"Invitation to " + isolated(names.organization),
                who + " invites you to join " + isolated(names.organization) + " on " + brand.name +
                    ". You have an account already; an account belongs to one organization, so accepting moves it there.",
                "Look at the invitation",
                "The link works once, for 30 days, and asks for your password. If you want to stay where you are, do nothing."},
               link);
}

Message sign_up(const Brand& brand, std::string_view link) {
  return build(brand,
               {"Create your password", "Somebody, probably you, asked for an account on " + brand.name + " with this email address.",
                "Create password", "The link works once, for 24 hours. If it was not you, do nothing: no account is made."},
               link);
}

Message sign_up_known(const Brand& brand, std::string_view sign_in_link, std::string_view reset_link) {
  return build(
      brand,
      {"You have an account already",
       "Somebody, probably you, asked for an account on " + brand.name + " with this email address. There is one: sign in with it.",
       "Sign in", "If you have forgotten the password, ask for a new one: " + std::string{reset_link}},
      sign_in_link);
}

Message reset(const Brand& brand, std::string_view link) {
  return build(brand,
               {"Choose a new password", "Somebody, probably you, asked for a new password for " + brand.name + ".", "Choose a password",
                "The link works once, for one hour. If it was not you, do nothing: your password stays as it is."},
               link);
}

Message password_changed(const Brand& brand, std::string_view sign_in_link) {
  return build(
      brand,
      {"Your password was changed",
       "The password of your account on " + brand.name + " was changed by a link from a mail to this address. Every session was ended.",
       "Sign in", "If it was not you, somebody reads your mail: secure it, then choose a new password here and tell your administrator."},
      sign_in_link);
}

Message confirm_email(const Brand& brand, std::string_view link) {
  return build(brand,
               {"Confirm your email", "Please confirm that this address belongs to your account on " + brand.name + ".", "Confirm",
                "The link works once, for 24 hours. If you have no account there, do nothing."},
               link);
}

Message note(const Brand& brand, std::string_view subject, std::string_view sentence) {
  return build(brand, {one_line(subject), one_line(sentence), "", ""}, {});
}

}  // namespace muster::mail
