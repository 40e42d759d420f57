// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/config.hpp"

#include <gtest/gtest.h>

#include <array>
#include <sstream>

#include "cloud/base/age.hpp"
#include "cloud/base/random.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/temporary_folder.hpp"
#include "cloud/main/mail_parts.hpp"

namespace muster::main {
namespace {

std::string complaint(std::string_view text) {
  const auto result = parse_config(text, "muster.toml");
  const auto* error = std::get_if<ConfigError>(&result);
  return error ? error->message : "";
}

TEST(Config, AnEmptyFileGivesTheDefaults) {
  const auto result = parse_config("", "muster.toml");
  ASSERT_TRUE(std::holds_alternative<Config>(result));
  EXPECT_EQ(std::get<Config>(result).network.connections_per_address_max, 4'096u);
}

TEST(Config, TakesEveryKindOfValue) {
  const auto result = parse_config(R"(
[gateway]
flood_rate_per_s = 1000
heartbeat_factor = 2.3
login_hold_ms = 3000
own_hosts = ["a.example", "b.example"]
allow_plain_from_public = true
[log]
level = "debug"
)",
                                   "muster.toml");
  ASSERT_TRUE(std::holds_alternative<Config>(result)) << std::get<ConfigError>(result).message;
  const auto& config = std::get<Config>(result);
  EXPECT_EQ(config.gateway.flood_rate_per_s, 1000);
  EXPECT_EQ(config.gateway.heartbeat_factor, 2.3);
  EXPECT_EQ(config.gateway.login_hold, std::chrono::milliseconds{3000});
  EXPECT_EQ(config.gateway.own_hosts.size(), 2u);
  EXPECT_TRUE(config.gateway.allow_plain_from_public);
  EXPECT_EQ(config.log_level, "debug");
}

TEST(Config, NamesTheLineAndTheNearestKeyForATypo) {
  EXPECT_EQ(complaint("[gateway]\nflood_rate = 5\n"), "muster.toml:2: unknown key gateway.flood_rate; did you mean gateway.flood_burst?");
}

TEST(Config, RefusesWrongTypesAndNumbersOutOfRange) {
  EXPECT_EQ(complaint("[network]\nloops = \"two\"\n"), "muster.toml:2: network.loops must be a whole number");
  EXPECT_EQ(complaint("[network]\nloops = 257\n"), "muster.toml:2: network.loops must be 0..256");
  EXPECT_EQ(complaint("[network]\nloops = -1\n"), "muster.toml:2: network.loops must be 0..256");
  EXPECT_EQ(complaint("[tls]\nextra_names = [1]\n"), "muster.toml:2: tls.extra_names must be a list of texts");
  EXPECT_NE(complaint("loops = 1\n").find("must stand in a section"), std::string::npos);
  EXPECT_NE(complaint("[network\n").find("muster.toml:1"), std::string::npos);
  EXPECT_NE(complaint("[tls]\nkey_file = \"k\"\n").find("go together"), std::string::npos);
  EXPECT_NE(complaint("[network]\ntrusted_proxies = [\"10.0.0.0/8\", \"10.0.0.5/8\"]\n").find("\"10.0.0.5/8\" is no address or network"),
            std::string::npos);
  EXPECT_EQ(complaint("[network]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n"), "");
  EXPECT_NE(complaint("[log]\nlevel = \"loud\"\n").find("log.level"), std::string::npos);
}

TEST(Config, AnEmptyFileOnDiskIsFine) {
  const TemporaryFolder folder;
  const auto file = folder / "muster.toml";
  ASSERT_TRUE(write_file_atomically(file, "", 0600));
  EXPECT_TRUE(std::holds_alternative<Config>(read_config(file.string())));
}

TEST(Config, AMissingFileSaysWhatToCheck) {
  const auto result = read_config("/nonexistent/muster.toml");
  EXPECT_NE(std::get<ConfigError>(result).message.find("check the path"), std::string::npos);
}

TEST(Config, ItsOwnDescriptionWithTheCommentMarksTakenOffIsValid) {
  std::string text;
  std::istringstream in{describe_config()};
  for (std::string line; std::getline(in, line);)
    text += line.starts_with("# ") && line.find(" = ") != std::string::npos ? line.substr(2) + "\n" : line + "\n";
  const auto result = parse_config(text, "described");
  EXPECT_TRUE(std::holds_alternative<Config>(result)) << std::get<ConfigError>(result).message << text;
}

TEST(Config, MailAndBrandAreJudgedAsAWhole) {
  const std::string mail = "[mail]\nurl = \"smtp://mail.example.org\"\nfrom = \"muster@example.org\"\n";
  EXPECT_EQ(complaint(mail), "");
  EXPECT_TRUE(std::get<Config>(parse_config(mail, "muster.toml")).api.has_smtp);
  EXPECT_FALSE(std::get<Config>(parse_config("", "muster.toml")).api.has_smtp);
  const auto refused = [](std::string_view text, std::string_view word) { return complaint(text).find(word) != std::string::npos; };
  EXPECT_TRUE(refused("[mail]\nurl = \"smtp://mail.example.org\"\n", "mail.from"));
  EXPECT_TRUE(refused("[mail]\nurl = \"http://mail.example.org\"\nfrom = \"m@example.org\"\n", "mail.url"));
  EXPECT_TRUE(refused(mail + "user = \"m\"\n", "go together"));
  EXPECT_TRUE(refused(mail + "tls = \"maybe\"\n", "mail.tls"));
  EXPECT_TRUE(refused("[people]\nsign_up = \"open\"\n", "closed, clients, partners or both"));
  EXPECT_TRUE(refused("[brand]\nlogo_url = \"javascript:x\"\n", "logo_url"));
  EXPECT_EQ(std::get<Config>(parse_config("[people]\nsign_up = \"both\"\n", "muster.toml")).api.sign_up, api::SignUpMode::both);
}

TEST(MailUrl, HasAHostAPortAndAKind) {
  const auto plain = parse_mail_url("smtp://mail.example.org");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "mail.example.org");
  EXPECT_EQ(plain->port, 587);
  EXPECT_EQ(plain->security, mail::SmtpSecurity::starttls);
  const auto tls = parse_mail_url("smtps://[::1]:4465/");
  ASSERT_TRUE(tls);
  EXPECT_EQ(tls->host, "::1");
  EXPECT_EQ(tls->port, 4465);
  EXPECT_EQ(parse_mail_url("smtps://m.example")->port, 465);
  for (const std::string_view wrong : {"", "smtp://", "mail.example.org", "smtp://u@m.example", "smtp://m.example:0",
                                       "smtp://m.example:70000", "smtp://m.example/x", "smtp://[::1", "smtp://m.example:25x"})
    EXPECT_FALSE(parse_mail_url(wrong)) << wrong;
}

TEST(MailTransport, ReadsItsPasswordFromAFileForItsOwnerOnly) {
  const TemporaryFolder folder;
  Config config;
  config.mail.url = "smtp://mail.example.org";
  config.mail.user = "m";
  config.mail.password_file = folder / "password";
  const auto made = [&config] { return std::holds_alternative<std::unique_ptr<mail::Transport>>(make_mail_transport(config, "")); };
  EXPECT_FALSE(made()) << "it is not there";
  ASSERT_TRUE(write_file_atomically(folder / "password", "secret\n", 0644));
  EXPECT_FALSE(made()) << "others may read it";
  ASSERT_TRUE(write_file_atomically(folder / "password", "secret\n", 0600));
  EXPECT_TRUE(made());
  // As an age file.
  SecureRandom random;
  const age::Identity identity = age::Identity::generate(random);
  std::istringstream plain{"secret\n"};
  std::ostringstream sealed;
  const std::array recipients{identity.recipient()};
  ASSERT_TRUE(age::encrypt(plain, sealed, recipients, random));
  ASSERT_TRUE(write_file_atomically(folder / "password", sealed.str(), 0600));
  EXPECT_FALSE(made()) << "nobody said with which key";
  ASSERT_TRUE(write_file_atomically(folder / "identity", identity.reveal() + "\n", 0600));
  config.mail.identity_file = folder / "identity";
  EXPECT_TRUE(made());
}

TEST(Config, KnowsWhichChangesNeedARestart) {
  const auto of = [](std::string_view text) { return std::get<Config>(parse_config(text, "muster.toml")); };
  const auto changes = [&](std::string_view text) { return changes_that_need_a_restart(of(""), of(text)); };
  EXPECT_TRUE(changes("").empty());
  EXPECT_TRUE(changes("[log]\nlevel = \"debug\"\n[gateway]\nflood_burst = 7\n[network]\nshutdown_spread_ms = 0\n").empty());
  EXPECT_EQ(changes("[api]\nsign_in_block_s = 7\nstream_rows_max = 8\n[values]\nmemory_mib = 9\n"),
            (std::vector<std::string>{"api.sign_in_block_s", "api.stream_rows_max", "values.memory_mib"}));
  EXPECT_EQ(changes("[network]\nloops = 3\n[gateway]\nbody_size_max_bytes = 300\n"),
            (std::vector<std::string>{"network.loops", "gateway.body_size_max_bytes"}));
  EXPECT_NE(describe_config().find("largest HTTP body (restart)"), std::string::npos);
  EXPECT_EQ(describe_config().find("debug, info, warning or error (restart)"), std::string::npos);
}

}  // namespace
}  // namespace muster::main
