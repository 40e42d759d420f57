// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/token_request.hpp"

#include <gtest/gtest.h>

namespace muster::api {
namespace {

constexpr std::string_view form = "application/x-www-form-urlencoded";

std::string error_of(std::string_view query, std::string_view body, std::string_view authorization = "", std::string_view type = form) {
  const auto read = read_token_request(query, body, authorization, type);
  const auto* const error = std::get_if<TokenError>(&read);
  return error == nullptr ? std::string{} : std::string{error->code};
}

TokenRequest request_of(std::string_view query, std::string_view body, std::string_view authorization = "", std::string_view type = form) {
  const auto read = read_token_request(query, body, authorization, type);
  const auto* const request = std::get_if<TokenRequest>(&read);
  EXPECT_NE(request, nullptr) << (request == nullptr ? std::get<TokenError>(read).description : "");
  return request == nullptr ? TokenRequest{} : *request;
}

TEST(TokenRequest, TakesTheClientFromTheForm) {
  const auto request = request_of("", "grant_type=client_credentials&client_id=a&client_secret=b%2Bc+d&scope=X&unknown=1");
  EXPECT_EQ(request.grant_type, "client_credentials");
  EXPECT_EQ(request.client_id, "a");
  EXPECT_EQ(request.client_secret, "b+c d");
  EXPECT_FALSE(request.by_basic);
}

TEST(TokenRequest, TakesTheClientFromHttpBasicAndTheGrantFromTheQuery) {
  // a%3Ab:c%25 - both parts are form-encoded inside.
  const auto request = request_of("grant_type=client_credentials", "", "basic YSUzQWI6YyUyNQ==", "");
  EXPECT_EQ(request.client_id, "a:b");
  EXPECT_EQ(request.client_secret, "c%");
  EXPECT_TRUE(request.by_basic);
  EXPECT_EQ(request_of("", "grant_type=refresh_token&refresh_token=r", "Basic YTpi").refresh_token, "r");
  EXPECT_EQ(request_of("", "grant_type=x&client_id=a", "Basic YTpi").client_id, "a");
}

TEST(TokenRequest, RefusesSecretsInTheUrlAndSaysWhy) {
  EXPECT_EQ(error_of("client_secret=b", "grant_type=client_credentials&client_id=a"), "invalid_request");
  EXPECT_EQ(error_of("grant_type=refresh_token&refresh_token=r", "", "Basic YTpi"), "invalid_request");
  const auto read = read_token_request("grant_type=client_credentials&client_id=a&client_secret=b", "", "", "");
  EXPECT_NE(std::get<TokenError>(read).description.find("URL"), std::string_view::npos);
}

TEST(TokenRequest, RefusesWhatIsDoubtful) {
  EXPECT_EQ(error_of("", ""), "invalid_request");
  EXPECT_EQ(error_of("", "grant_type=x"), "invalid_client");
  EXPECT_EQ(error_of("", "grant_type=x&client_id=a"), "invalid_client");
  EXPECT_EQ(error_of("", "client_id=a&client_secret=b"), "invalid_request");
  EXPECT_EQ(error_of("grant_type=x", "grant_type=x&client_id=a&client_secret=b"), "invalid_request") << "twice";
  EXPECT_EQ(error_of("", "grant_type=x&client_id=a&client_id=a&client_secret=b"), "invalid_request");
  EXPECT_EQ(error_of("", "grant_type=x&client_secret=b", "Basic YTpi"), "invalid_request") << "two ways";
  EXPECT_EQ(error_of("", "grant_type=x&client_id=other", "Basic YTpi"), "invalid_request");
  EXPECT_EQ(error_of("", "grant_type=x", "Bearer abc"), "invalid_client");
  EXPECT_EQ(error_of("", "grant_type=x", "Basic"), "invalid_client");
  EXPECT_EQ(error_of("", "grant_type=x", "Basic YWI="), "invalid_client") << "no colon";
  EXPECT_EQ(error_of("", "grant_type=x", "Basic ?"), "invalid_client");
  EXPECT_EQ(error_of("", "{}", "Basic YTpi", "application/json"), "invalid_request");
  EXPECT_EQ(error_of("", "grant_type=x&client_id=a&client_secret=" + std::string(token_field_max_bytes + 1, 'b')), "invalid_request");
  EXPECT_EQ(error_of("", "grant_type=x&client_id=a&client_secret=" + std::string(token_field_max_bytes, 'b')), "");
}

TEST(TokenRequest, DecodesBase64Strictly) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("YQ=="), "a");
  EXPECT_EQ(decode_base64("YWI="), "ab");
  EXPECT_EQ(decode_base64("YWJj"), "abc");
  EXPECT_EQ(decode_base64("+/+/"), "\xfb\xff\xbf");
  for (const auto* text : {"YQ", "YQ=", "YR==", "Y===", "YQ==YQ==", "Y Q=", "-_-_", "===="}) EXPECT_FALSE(decode_base64(text)) << text;
}

}  // namespace
}  // namespace muster::api
