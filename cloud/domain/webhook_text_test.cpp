// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/webhook_text.hpp"

#include <gtest/gtest.h>

namespace muster::domain {
namespace {

std::optional<std::string> value(std::string_view name) {
  if (name == "device_id") return "7";
  if (name == "device_name") return "Pump \"A\"\n& co";
  if (name == "device_metadata_Serial No") return "S/1";
  return std::nullopt;
}

TEST(WebhookText, PlaceholdersBecomeValuesAndOtherBracesStay) {
  EXPECT_EQ(render(R"({"d":{device_id},"x":{"y":1},"u":"{user_name}","z":"{unknown}"})", Escape::json, value),
            R"({"d":7,"x":{"y":1},"u":"","z":"{unknown}"})");
  EXPECT_EQ(render("{{device_id}}", Escape::none, value), "{7}");
  EXPECT_EQ(render("{device_metadata_Serial No}", Escape::none, value), "S/1");
  EXPECT_EQ(render("{device_id", Escape::none, value), "{device_id");
}

TEST(WebhookText, AValueStaysAValueWhereverItStands) {
  EXPECT_EQ(render(R"("{device_name}")", Escape::json, value), R"("Pump \"A\"\n& co")");
  EXPECT_EQ(render("n={device_name}", Escape::percent, value), "n=Pump%20%22A%22%0A%26%20co");
  // What a value holds is not read for placeholders again.
  EXPECT_EQ(render("{device_name}", Escape::none, [](std::string_view) { return std::optional<std::string>{"{device_id}"}; }),
            "{device_id}");
}

TEST(WebhookText, AFormKeepsItsPlaceholdersAndEncodesTheRest) {
  EXPECT_EQ(form_body({{"a b", "x&{device_id}="}, {"c", ""}}), "a%20b=x%26{device_id}%3D&c=");
}

TEST(WebhookText, TheAuthTokenIsFoundWhereverItIsAskedFor) {
  EXPECT_TRUE(has_placeholder("x{device_authToken}y", auth_token_placeholder));
  EXPECT_TRUE(has_placeholder("{{device_authToken}", auth_token_placeholder));
  EXPECT_FALSE(has_placeholder("device_authToken", auth_token_placeholder));
}

TEST(WebhookText, UrlsAreHttpWithAFixedHost) {
  for (const auto* url : {"https://example.org", "http://example.org:8080/a?b={device_id}#c", "https://[2001:db8::1]:443/",
                          "https://0x7f.1/", "https://example.org/{device_metadata_Serial No}"})
    EXPECT_FALSE(check_webhook_url(url)) << url;
  for (const auto* url :
       {"", "ftp://example.org", "file:///etc/passwd", "gopher://example.org", "https://", "https:///x", "https://{device_name}/",
        "https://a.{device_name}.org/", "https://user:pass@example.org/", "https://example.org:0/", "https://example.org:65536/",
        "https://example.org:x/", "https://exa mple.org/", "https://example.org/a b", "https://example.org/\r\nX: y",
        "https://example.org\\@evil.org/", "https://b\xc3\xbc.org/"})
    EXPECT_TRUE(check_webhook_url(url)) << url;
  EXPECT_FALSE(check_webhook_url("https://e.org/" + std::string(1024 - 14, 'x')));
  EXPECT_TRUE(check_webhook_url("https://e.org/" + std::string(1024 - 13, 'x')));
}

TEST(WebhookText, HeadersCannotEndTheirLineNorBeTheServers) {
  EXPECT_FALSE(check_webhook_header("X-Key", "a b"));
  EXPECT_FALSE(check_webhook_header("Authorization", "Bearer x"));
  for (const auto* name : {"", "a b", "a:b", "Host", "content-LENGTH", "Transfer-Encoding", "webhook-id", "Webhook-Signature", "a\r\nb"})
    EXPECT_TRUE(check_webhook_header(name, "v")) << name;
  EXPECT_TRUE(check_webhook_header("X", "a\r\nY: b"));
  EXPECT_TRUE(check_webhook_header("X", std::string(1025, 'a')));
}

TEST(WebhookText, LinesComeBackAsTheyWentIn) {
  const std::vector<std::string> lines{"", "a", "", "b: c", ""};
  EXPECT_EQ(split_lines(join_lines(lines)), lines);
  EXPECT_TRUE(split_lines("").empty());
}

TEST(WebhookText, RetriesGoOnForADayAndAtLeast15Times) {
  constexpr std::int64_t first = 5'000;
  std::int64_t age = 0;
  std::uint32_t attempts = 1;
  while (!is_given_up(attempts, age)) {
    age += retry_delay_ms(attempts, first);
    ++attempts;
  }
  EXPECT_GE(age, delivery_life_ms);
  EXPECT_LT(age, delivery_life_ms + 3 * 3'600'000);
  EXPECT_GE(attempts, delivery_attempts_min);
  EXPECT_LE(attempts, 30u);
  // After a long absence of the server too.
  EXPECT_FALSE(is_given_up(14, 10 * delivery_life_ms));
  EXPECT_FALSE(is_given_up(1'000, delivery_life_ms - 1));
  EXPECT_EQ(retry_delay_ms(1, first), first);
  EXPECT_EQ(retry_delay_ms(3, first), 4 * first);
  EXPECT_EQ(retry_delay_ms(4'000'000'000u, first), 2 * 3'600'000);
}

TEST(WebhookText, TriggersAreNamedAsTheyAreParsed) {
  for (int i = 1; i <= trigger_count; ++i) {
    const auto trigger = static_cast<Trigger>(i);
    EXPECT_EQ(parse_trigger(trigger_name(trigger)), trigger);
  }
  EXPECT_FALSE(parse_trigger(""));
  EXPECT_EQ(event_of(Trigger::global_product_log_event), Trigger::device_log_event);
}

}  // namespace
}  // namespace muster::domain
