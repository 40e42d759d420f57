// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/signature.hpp"

#include <gtest/gtest.h>

#include "cloud/webhook/facts.hpp"

namespace muster::webhook {
namespace {

TEST(Signature, IsTheHmacOfIdTimeAndBody) {
  // python3: base64(hmac(bytes(range(32)), b"msg_1.1700000000.{}", sha256))
  EXPECT_EQ(sign("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "msg_1", "1700000000", "{}"),
            "v1,fhksJF5ElKjlPoT/jtefCO5XjQPvhf7Dhf/8R1ad9yU=");
}

TEST(Signature, EachPartCounts) {
  const std::string secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  const auto one = sign(secret, "a", "1", "b");
  EXPECT_NE(sign(secret, "b", "1", "b"), one);
  EXPECT_NE(sign(secret, "a", "2", "b"), one);
  EXPECT_NE(sign(secret, "a", "1", "c"), one);
  EXPECT_NE(sign("whsec_BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "a", "1", "b"), one);
}

TEST(Facts, AreTheTextsAndNumbersOfAnObject) {
  const Facts facts = parse_facts(R"({"a":"x","b":7,"c":true,"d":null,"e":{"f":1}})");
  EXPECT_EQ(facts, (Facts{{"a", "x"}, {"b", "7"}, {"c", "true"}}));
  EXPECT_TRUE(parse_facts("[1]").empty());
  EXPECT_TRUE(parse_facts("{").empty());
}

TEST(Facts, AWholeEventHoldsThem) {
  EXPECT_EQ(whole_event("msg_1", "DEVICE_ADDED", {1'700'000'000'123}, R"({"device_id":1})"),
            R"({"id":"msg_1","type":"DEVICE_ADDED","timestamp":"2023-11-14T22:13:20.123Z","data":{"device_id":1}})");
}

TEST(Facts, AGrantedTokenMustFitAHeader) {
  const auto granted = parse_granted_token(R"({"access_token":"abc","token_type":"Bearer","expires_in":60})");
  ASSERT_TRUE(granted);
  EXPECT_EQ(granted->token, "abc");
  EXPECT_EQ(granted->expires_in_s, 60);
  EXPECT_FALSE(parse_granted_token(R"({"access_token":"a\r\nX: y"})"));
  EXPECT_FALSE(parse_granted_token(R"({"access_token":7})"));
  EXPECT_FALSE(parse_granted_token("nonsense"));
}

}  // namespace
}  // namespace muster::webhook
