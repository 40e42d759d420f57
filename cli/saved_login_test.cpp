// SPDX-License-Identifier: Apache-2.0
#include "cli/saved_login.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cloud/base/temporary_folder.hpp"

namespace muster::cli {
namespace {

TEST(SavedLogin, UrlsAreBroughtToOneForm) {
  EXPECT_EQ(normalize_url("https://Muster.Example.com/").value(), "https://muster.example.com");
  EXPECT_EQ(normalize_url("HTTP://127.0.0.1:8080").value(), "http://127.0.0.1:8080");
  EXPECT_EQ(normalize_url("https://[::1]:9443//").value(), "https://[::1]:9443");
  for (const auto* wrong :
       {"", "localhost:8080", "ftp://a", "https://", "http:///x", "https://a/b", "https://a?x", "https://u@a", "http://a b", "http://a:0",
        "http://a:65536", "http://a:x", "http://a:", "http://:80", "http://[::1", "http://[::1]x", "http://a\nb"}) {
    const auto result = normalize_url(wrong);
    ASSERT_FALSE(result) << wrong;
    EXPECT_EQ(result.error().exit_code, exit_usage);
  }
}

TEST(SavedLogin, UrlsHaveParts) {
  EXPECT_EQ(parse_url("https://a.example").port, 443);
  EXPECT_EQ(parse_url("http://a.example").port, 80);
  EXPECT_TRUE(parse_url("https://a.example").tls);
  const auto v6 = parse_url("http://[fe80::1]:8080");
  EXPECT_EQ(v6.host, "fe80::1");
  EXPECT_EQ(v6.port, 8080);
  EXPECT_FALSE(v6.tls);
}

class SavedLoginFile : public testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path directory = folder.path() / "config" / "muster";
  std::filesystem::path file = directory / "login.json";
};

TEST_F(SavedLoginFile, WhatIsSavedIsLoadedAndPrivate) {
  EXPECT_EQ(SavedLogins::load(directory).value().current_url(), std::nullopt);
  SavedLogins logins;
  logins.put("https://a.example", {"a@b.c", "secret-a", "/ca.crt"});
  logins.put("http://127.0.0.1:8080", {"d@e.f", "secret-d", ""});
  ASSERT_TRUE(logins.save(directory));
  struct stat facts{};
  ASSERT_EQ(::stat(file.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0600u);
  ASSERT_EQ(::stat(directory.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0700u);

  std::ifstream stream{file};
  std::stringstream text;
  text << stream.rdbuf();
  EXPECT_EQ(text.str(),
            "{\"https://a.example\":{\"email\":\"a@b.c\",\"accessToken\":\"secret-a\",\"ca\":\"/ca.crt\"},"
            "\"http://127.0.0.1:8080\":{\"email\":\"d@e.f\",\"accessToken\":\"secret-d\"}}\n");

  auto loaded = SavedLogins::load(directory).value();
  ASSERT_NE(loaded.find("https://a.example"), nullptr);
  EXPECT_EQ(*loaded.find("https://a.example"), (Login{"a@b.c", "secret-a", "/ca.crt"}));
  EXPECT_EQ(loaded.current_url(), "http://127.0.0.1:8080");
  loaded.put("https://a.example", {"a@b.c", "newer", ""});  // The last sign-in is the present one.
  EXPECT_EQ(loaded.current_url(), "https://a.example");
  EXPECT_TRUE(loaded.remove("https://a.example"));
  EXPECT_FALSE(loaded.remove("https://a.example"));
  EXPECT_EQ(loaded.current_url(), "http://127.0.0.1:8080");
}

TEST_F(SavedLoginFile, AFileOfOthersOrADamagedOneIsRefused) {
  std::filesystem::create_directories(directory);
  std::ofstream{file} << "{}";
  ::chmod(file.c_str(), 0644);
  const auto open_to_all = SavedLogins::load(directory);
  ASSERT_FALSE(open_to_all);
  EXPECT_NE(open_to_all.error().message.find("chmod 600"), std::string::npos);
  ::chmod(file.c_str(), 0600);
  EXPECT_TRUE(SavedLogins::load(directory));
  for (const auto* text : {"", "[]", "{", "{\"u\":1}", "{\"u\":{}} x"}) {
    std::ofstream{file} << text;
    EXPECT_FALSE(SavedLogins::load(directory)) << text;
  }
}

TEST(SavedLogin, LiesWhereTheEnvironmentSays) {
  ::setenv("XDG_CONFIG_HOME", "/x", 1);
  EXPECT_EQ(SavedLogins::directory().value(), "/x/muster");
  ::unsetenv("XDG_CONFIG_HOME");
  ::setenv("HOME", "/h", 1);
  EXPECT_EQ(SavedLogins::directory().value(), "/h/.config/muster");
  ::unsetenv("HOME");
  EXPECT_FALSE(SavedLogins::directory());
}

}  // namespace
}  // namespace muster::cli
