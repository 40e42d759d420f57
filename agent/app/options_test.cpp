// SPDX-License-Identifier: Apache-2.0
#include "agent/app/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster::agent::app {
namespace {

using ::testing::HasSubstr;

constexpr const char* token = "0123456789abcdefghijklmnopqrstuv";

struct Parsed {
  Options options;
  std::string problem;
  std::vector<std::string> arguments;  ///< As they are afterwards.
};

Parsed parse(std::vector<std::string> arguments) {
  Parsed parsed;
  parsed.arguments = std::move(arguments);
  std::vector<char*> pointers;
  for (std::string& argument : parsed.arguments) {
    pointers.push_back(argument.data());
  }
  parsed.problem = parse_options(static_cast<int>(pointers.size()), pointers.data(), parsed.options);
  return parsed;
}

TEST(ParseOptions, TakesEverything) {
  const Parsed p = parse({"--store", "/d", "--template", "TMPL2abcdefgh", "--template-name", "Lamp", "--token", token, "--host=c.example",
                          "--port=8443", "--ca", "/ca.pem", "--report-interval-s", "60", "--json"});
  EXPECT_EQ(p.problem, "");
  EXPECT_EQ(p.options.store, "/d");
  EXPECT_EQ(p.options.template_id, "TMPL2abcdefgh");
  EXPECT_EQ(p.options.template_name, "Lamp");
  EXPECT_EQ(p.options.token, token);
  EXPECT_EQ(p.options.host, "c.example");
  EXPECT_EQ(p.options.port, 8443);
  EXPECT_EQ(p.options.ca_file, "/ca.pem");
  EXPECT_EQ(p.options.tls, true);
  EXPECT_EQ(p.options.report_interval_s, 60U);
  EXPECT_TRUE(p.options.json);
}

TEST(ParseOptions, TakesAConsole) {
  EXPECT_EQ(parse({"--store", "/d", "--console", "/dev/ttyUSB0"}).options.console, "/dev/ttyUSB0");
  EXPECT_EQ(parse({"--store", "/d", "--console", "-"}).problem, "");
  EXPECT_THAT(parse({"--store", "/d", "--console="}).problem, HasSubstr("needs a terminal"));
  EXPECT_THAT(parse({"--store", "/d", "--console", "-", "--json"}).problem, HasSubstr("--json"));
  EXPECT_THAT(parse({"--store", "/d", "--console", "-", "--token", "-"}).problem, HasSubstr("--token -"));
}

TEST(ParseOptions, TakesARadio) {
  const Parsed p = parse({"--store", "/d", "--radio", "sim:/tmp/air", "--vendor", "Acme 2", "--portal", "off"});
  EXPECT_EQ(p.problem, "");
  EXPECT_EQ(p.options.radio, "sim:/tmp/air");
  EXPECT_EQ(p.options.vendor, "Acme 2");
  EXPECT_FALSE(p.options.portal);
  EXPECT_TRUE(parse({"--store", "/d", "--radio", "wpa"}).options.portal);
  EXPECT_THAT(parse({"--store", "/d", "--radio", "sim", "--token", token}).problem, HasSubstr("--token goes without --radio"));
  EXPECT_THAT(parse({"--store", "/d", "--radio="}).problem, HasSubstr("nm[:INTERFACE], wpa[:INTERFACE] or sim[:PATH]"));
  EXPECT_THAT(parse({"--store", "/d", "--vendor", "Acme"}).problem, HasSubstr("--vendor goes with --radio"));
  EXPECT_THAT(parse({"--store", "/d", "--radio", "sim", "--vendor", "Acme_2"}).problem, HasSubstr("letters, digits and spaces"));
  EXPECT_EQ(parse({"--store", "/d", "--radio", "sim"}).options.ble, "");
  EXPECT_EQ(parse({"--store", "/d", "--ble", "--radio", "sim"}).options.ble, "hci0");
  EXPECT_EQ(parse({"--store", "/d", "--radio", "sim", "--ble", "hci1"}).options.ble, "hci1");
  EXPECT_EQ(parse({"--store", "/d", "--radio", "sim", "--ble=hci12"}).options.ble, "hci12");
  EXPECT_THAT(parse({"--store", "/d", "--radio", "sim", "--ble", "../hci0"}).problem, HasSubstr("such as hci0"));
  EXPECT_THAT(parse({"--store", "/d", "--radio", "sim", "--ble="}).problem, HasSubstr("such as hci0"));
  EXPECT_THAT(parse({"--store", "/d", "--ble"}).problem, HasSubstr("--ble goes with --radio"));
  EXPECT_EQ(parse({"--store", "/d", "--radio", "sim", "--setup-page", "127.0.0.1:8181"}).options.setup_page, "127.0.0.1:8181");
  for (const char* wrong : {"8181", "localhost:8181", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:81x"})
    EXPECT_THAT(parse({"--store", "/d", "--radio", "sim", "--setup-page", wrong}).problem, HasSubstr("such as 127.0.0.1:8181")) << wrong;
  EXPECT_THAT(parse({"--store", "/d", "--radio", "wpa", "--setup-page", "127.0.0.1:8181"}).problem, HasSubstr("goes with --radio sim"));
  EXPECT_THAT(parse({"--store", "/d", "--radio", "sim", "--portal", "yes"}).problem, HasSubstr("--portal is on or off"));
}

TEST(ApplyOptions, WithARadioNeedsATemplateOnly) {
  DeviceConfig config;
  EXPECT_THAT(apply_options(parse({"--store", "/d", "--radio", "sim"}).options, config), HasSubstr("give --template ID"));
  EXPECT_EQ(apply_options(parse({"--store", "/d", "--radio", "sim", "--template", "TMPL2abcdefgh"}).options, config), "");
  EXPECT_THAT(apply_options(parse({"--store", "/d"}).options, config), HasSubstr("no auth token yet"));
}

TEST(ParseOptions, BlanksTheTokenWhereverItStands) {
  const std::string stars(32, '*');
  EXPECT_EQ(parse({"--store", "/d", "--token", token}).arguments[3], stars);
  EXPECT_EQ(parse({"--store", "/d", std::string{"--token="} + token}).arguments[2], "--token=" + stars);
  EXPECT_EQ(parse({"--bad", "--store", "/d", "--token", token}).arguments[4],
            stars);                                                          // Also when we are going to complain.
  EXPECT_EQ(parse({"--token", "not a token"}).arguments[1], "***********");  // It may be one with a typing error.
  EXPECT_EQ(parse({"--token", "-"}).arguments[1], "-");
}

TEST(ParseOptions, ComplainsInSentences) {
  const auto problem = [](std::vector<std::string> arguments) { return parse(std::move(arguments)).problem; };
  EXPECT_THAT(problem({}), HasSubstr("--store is missing"));
  EXPECT_THAT(problem({"--store", "/d", "--prot", "1"}), HasSubstr("Unknown argument \"--prot\""));
  EXPECT_THAT(problem({"--store", "/d", "run"}), HasSubstr("Unknown argument \"run\""));
  EXPECT_THAT(problem({"--store"}), HasSubstr("--store needs a value"));
  EXPECT_THAT(problem({"--store="}), HasSubstr("--store needs a directory"));
  for (const char* port : {"0", "65536", "-1", "80x", "", "http"}) {
    EXPECT_THAT(problem({"--store", "/d", "--port", port}), HasSubstr("--port needs a number from 1 to 65535")) << port;
  }
  EXPECT_THAT(problem({"--store", "/d", "--host", "https://c.example"}), HasSubstr("no https:// in front"));
  EXPECT_THAT(problem({"--store", "/d", "--template", "a b"}), HasSubstr("--template needs a template id"));
  EXPECT_THAT(problem({"--store", "/d", "--token", "short"}), HasSubstr("32 characters"));
  EXPECT_THAT(problem({"--store", "/d", "--report-interval-s", "0"}), HasSubstr("1 to 86400"));
  EXPECT_THAT(problem({"--store", "/d", "--plain", "--tls"}), HasSubstr("--plain goes with neither"));
  EXPECT_THAT(problem({"--store", "/d", "--plain", "--ca", "x"}), HasSubstr("--plain goes with neither"));
  EXPECT_THAT(problem({"--store", "/d", "--token", "secret-with-a-typing-error"}), ::testing::Not(HasSubstr("secret")));
}

TEST(ParseOptions, HelpAndVersionNeedNothingElse) {
  EXPECT_EQ(parse({"--help"}).problem, "");
  EXPECT_TRUE(parse({"-h"}).options.help);
  EXPECT_EQ(parse({"--version"}).problem, "");
}

DeviceConfig stored(Security security = Security::tls_pinned) {
  DeviceConfig config;
  EXPECT_TRUE(config.token.assign(token));
  EXPECT_TRUE(config.host.assign("c.example"));
  EXPECT_TRUE(config.template_id.assign("TMPL2abcdefgh"));
  config.port = 8443;
  config.security = security;
  return config;
}

TEST(ApplyOptions, KeepsWhatIsNotGiven) {
  DeviceConfig config = stored();
  EXPECT_EQ(apply_options(Options{}, config), "");
  EXPECT_EQ(config.token.view(), token);
  EXPECT_EQ(config.host.view(), "c.example");
  EXPECT_EQ(config.port, 8443);
  EXPECT_EQ(config.security, Security::tls_pinned);
}

TEST(ApplyOptions, AnotherHostForgetsThePortTheSameKeepsIt) {
  Options options;
  options.host = "c.example";
  DeviceConfig config = stored();
  EXPECT_EQ(apply_options(options, config), "");
  EXPECT_EQ(config.port, 8443);
  options.host = "d.example";
  EXPECT_EQ(apply_options(options, config), "");
  EXPECT_EQ(config.port, 0);
  options.port = 99;
  EXPECT_EQ(apply_options(options, config), "");
  EXPECT_EQ(config.port, 99);
}

TEST(ApplyOptions, SecurityFollowsWhatWasAskedFor) {
  const auto result = [](Security before, std::optional<bool> tls, std::optional<std::string> ca) {
    Options options;
    options.tls = tls;
    options.ca_file = std::move(ca);
    DeviceConfig config = stored(before);
    EXPECT_EQ(apply_options(options, config), "");
    return config.security;
  };
  EXPECT_EQ(result(Security::tls, true, "/ca"), Security::tls_pinned);
  EXPECT_EQ(result(Security::tls, false, {}), Security::plain);
  EXPECT_EQ(result(Security::plain, true, {}), Security::tls);
  EXPECT_EQ(result(Security::tls_pinned, true, {}), Security::tls_pinned);
  EXPECT_EQ(result(Security::plain, {}, {}), Security::plain);
  EXPECT_EQ(DeviceConfig{}.security, Security::tls);
}

TEST(ApplyOptions, SaysWhatIsMissing) {
  DeviceConfig config;
  EXPECT_THAT(apply_options(Options{}, config), HasSubstr("--template"));
  Options options;
  options.template_id = "TMPL2abcdefgh";
  EXPECT_THAT(apply_options(options, config), HasSubstr("--token"));
  options.token = token;
  EXPECT_THAT(apply_options(options, config), HasSubstr("--host"));
  options.host = "c.example";
  EXPECT_EQ(apply_options(options, config), "");
  options.token = "";  // What stdin gave.
  EXPECT_THAT(apply_options(options, config), HasSubstr("32 characters"));
}

TEST(TokenInLine, IsTheLineOrTheDefine) {
  const std::string text{token};
  EXPECT_EQ(token_in_line(text), text);
  EXPECT_EQ(token_in_line(" \t" + text + " \r"), text);
  EXPECT_EQ(token_in_line("#define BLYNK_AUTH_TOKEN    \"" + text + "\"\r"), text);
  EXPECT_EQ(token_in_line("wrong"), "wrong");  // To be complained of.
  for (const char* other :
       {"", "  ", "#define BLYNK_TEMPLATE_ID   \"TMPL2abcdefgh\"", "#define", "#define BLYNK_AUTH_TOKEN", "#define BLYNK_AUTH_TOKEN \""}) {
    EXPECT_EQ(token_in_line(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace muster::agent::app
