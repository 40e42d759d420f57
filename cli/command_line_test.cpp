// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "cli/commands.hpp"
#include "cli/fake_input.hpp"
#include "cli/fake_server.hpp"
#include "cli/saved_login.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster::cli {
namespace {

class CommandLineTest : public testing::Test {
 protected:
  TemporaryFolder folder;
  std::string out, err;

  void SetUp() override {
    ::setenv("XDG_CONFIG_HOME", folder.path().c_str(), 1);
    for (const auto* name : {"MUSTER_URL", "MUSTER_TOKEN", "MUSTER_CA"}) ::unsetenv(name);
  }
  int run(const std::vector<std::string>& arguments, std::vector<std::string> lines = {}, bool terminal = false) {
    FakeInput input{std::move(lines), terminal};
    std::ostringstream to_out, to_err;
    const int code = cli::run(arguments, input, to_out, to_err);
    out = to_out.str();
    err = to_err.str();
    return code;
  }
  void sign_in(const FakeServer& server) {
    SavedLogins logins;
    logins.put(server.url(), {"a@b.c", "access-1", ""});
    ASSERT_TRUE(logins.save(folder.path() / "muster"));
  }
};

TEST_F(CommandLineTest, TheUsageLineCanBeTyped) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{}, {"serve"}, {"template"}, {"template", "create"}, {"template", "datastream", "add"}}) {
    std::string path = "muster";
    for (const std::string& word : words) path += " " + word;
    auto arguments = words;
    arguments.push_back("--help");
    run(arguments);
    EXPECT_NE(out.find("Usage: " + path + " "), std::string::npos) << out;
  }
}

TEST_F(CommandLineTest, WrongUsageEndsWithTwoAndAHint) {
  const std::vector<std::vector<std::string>> wrong{{},
                                                    {"nothing"},
                                                    {"device"},
                                                    {"device", "fly"},
                                                    {"--nothing"},
                                                    {"device", "show"},
                                                    {"device", "show", "x"},
                                                    {"device", "show", "-5"},
                                                    {"device", "show", "0"},
                                                    {"device", "show", "1", "2"},
                                                    {"device", "create", "--name", "x"},
                                                    {"device", "list", "--limit", "0"},
                                                    {"device", "list", "--limit", "x"},
                                                    {"device", "list", "--org", "x"},
                                                    {"template", "create"},
                                                    {"template", "datastream", "add", "TMPL1234", "--pin", "1", "--type", "FLOAT"},
                                                    {"login"},
                                                    {"setup", "--email", "a@b.c"},
                                                    {"backup"},
                                                    {"completion", "tcsh"},
                                                    {"key", "rotate"},
                                                    {"restore", "--data", "x"},
                                                    {"restore", "f", "--data", "x", "--complete"},
                                                    {"user", "disable"},
                                                    {"audit", "list", "--from", "yesterday"},
                                                    {"device", "rename", "1"},
                                                    {"provision"},
                                                    {"provision", "--radio", "magic"},
                                                    {"provision", "--radio", "sim", "--device-url", "http://x"},
                                                    {"provision", "--device-url", "ftp://x"},
                                                    {"provision", "--ble", "--radio", "sim"},
                                                    {"provision", "--reconfigure", "x"}};
  for (const auto& arguments : wrong) {
    std::string shown;
    for (const auto& argument : arguments) shown += argument + " ";
    EXPECT_EQ(run(arguments), exit_usage) << shown << err;
    EXPECT_FALSE(err.empty()) << shown;
    EXPECT_TRUE(out.empty()) << shown << out;
  }
  run({"devcie"});
  EXPECT_NE(err.find("did you mean device?"), std::string::npos) << err;
  run({"device", "lst"});
  EXPECT_NE(err.find("did you mean list?"), std::string::npos) << err;
  run({"device", "list", "--jsn"});
  EXPECT_NE(err.find("there is no option --jsn; did you mean --json?"), std::string::npos) << err;
  // A command that has commands beneath it, and one that wants something that is not there either.
  run({"provision", "--blu"});
  EXPECT_NE(err.find("muster provision: there is no option --blu; did you mean --ble?"), std::string::npos) << err;
  run({"provision", "--radio", "sim", "--quantum=3"});
  EXPECT_NE(err.find("there is no option --quantum."), std::string::npos) << err;
  run({"device", "create", "--nmae", "x"});
  EXPECT_NE(err.find("there is no option --nmae; did you mean --name?"), std::string::npos) << err;
  run({"provision", "--reconfigure"});
  EXPECT_NE(err.find("--reconfigure"), std::string::npos) << err;
  run({"provision", "sesions"});
  EXPECT_NE(err.find("did you mean sessions?"), std::string::npos) << err;
  run({"--json", "device", "list"});
  EXPECT_NE(err.find("write --json behind the command: muster device list --json"), std::string::npos) << err;
}

TEST_F(CommandLineTest, AnEmptyValueIsRefusedBeforeAnythingIsDone) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"provision", "--radio", "sim", "--reconfigure", ""},
                                                    {"provision", "--radio", "sim", "--ssid", ""},
                                                    {"provision", "--radio", ""},
                                                    {"user", "passwd", ""},
                                                    {"device", "rename", "1", ""}}) {
    EXPECT_EQ(run(arguments), exit_usage) << arguments.back();
    EXPECT_NE(err.find("leave it out"), std::string::npos) << arguments.front() << err;
  }
  run({"provision", "--radio", "sim", "--reconfigure", ""});
  EXPECT_NE(err.find("--reconfigure"), std::string::npos) << err;
}

TEST_F(CommandLineTest, HelpNeedsNoManual) {
  EXPECT_EQ(run({"--help"}), exit_ok);
  for (const auto* word : {"serve", "setup", "login", "logout", "template", "device", "org", "role", "job", "user", "audit", "webhook", "backup",
                           "restore", "key", "admin", "version", "completion", "Exit codes"}) {
    EXPECT_NE(out.find(word), std::string::npos) << word;
  }
  EXPECT_EQ(run({"device", "create", "--help"}), exit_ok);
  EXPECT_NE(out.find("muster device create"), std::string::npos) << out;
  EXPECT_NE(out.find("--template"), std::string::npos);
  EXPECT_EQ(run({"device", "--help"}), exit_ok);
  EXPECT_NE(out.find("watch"), std::string::npos);
}

TEST_F(CommandLineTest, VersionAndCompletion) {
  EXPECT_EQ(run({"version"}), exit_ok);
  EXPECT_TRUE(out.starts_with("muster ")) << out;
  EXPECT_EQ(run({"version", "--json"}), exit_ok);
  EXPECT_TRUE(out.starts_with("{\"version\":\"")) << out;
  EXPECT_EQ(run({"--version"}), exit_ok);
  EXPECT_EQ(run({"completion", "bash"}), exit_ok);
  EXPECT_NE(out.find("'template datastream'"), std::string::npos);
}

TEST_F(CommandLineTest, WithoutAServerOrALoginItSaysWhatToDo) {
  EXPECT_EQ(run({"device", "list"}), exit_usage);
  EXPECT_NE(err.find("muster login --url"), std::string::npos);
  EXPECT_EQ(run({"device", "list", "--url", "http://127.0.0.1:1"}), exit_refused);
  EXPECT_NE(err.find("not signed in"), std::string::npos) << err;
  EXPECT_EQ(run({"device", "list", "--url", "localhost:8080"}), exit_usage);
  ::setenv("MUSTER_TOKEN", "x", 1);
  EXPECT_EQ(run({"device", "list", "--url", "http://127.0.0.1:1"}), exit_unreachable);
  EXPECT_NE(err.find("Nothing answers at http://127.0.0.1:1. Is the server running?"), std::string::npos) << err;
  EXPECT_EQ(run({"device", "watch", "--url", "http://127.0.0.1:1"}), exit_unreachable);
  EXPECT_EQ(run({"device", "list", "--url", "http://name.invalid"}), exit_unreachable);
  EXPECT_NE(err.find("name.invalid"), std::string::npos);
}

TEST_F(CommandLineTest, WhatIsNoMusterServerIsUnreachable) {
  ::setenv("MUSTER_TOKEN", "x", 1);
  FakeServer page{[](const auto&) { return FakeServer::Answer{404, "<html>"}; }};
  EXPECT_EQ(run({"device", "list", "--url", page.url()}), exit_unreachable);
  EXPECT_NE(err.find("not a muster server"), std::string::npos);
  FakeServer mute{[](const auto&) { return FakeServer::Answer{0, ""}; }};
  EXPECT_EQ(run({"device", "list", "--url", mute.url()}), exit_unreachable);
  EXPECT_NE(err.find("https://"), std::string::npos) << err;
  auto https = page.url();
  https.replace(0, 4, "https");
  EXPECT_EQ(run({"device", "list", "--url", https}), exit_unreachable);
  EXPECT_NE(err.find("does not speak TLS"), std::string::npos) << err;
  EXPECT_EQ(run({"device", "list", "--url", https, "--ca", "/nonexistent.crt"}), exit_unreachable);
  EXPECT_NE(err.find("/nonexistent.crt"), std::string::npos) << err;
}

TEST_F(CommandLineTest, RefusalsCarryTheServersSentence) {
  FakeServer server{[](const auto&) {
    return FakeServer::Answer{
        400,
        R"({"error":{"code":"invalid_value","message":"The name is too long.","details":[{"field":"name","message":"At most 60 characters."}]}})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"device", "rename", "1", "x"}), exit_refused);
  EXPECT_NE(err.find("The name is too long."), std::string::npos);
  EXPECT_NE(err.find("name: At most 60 characters."), std::string::npos);
  FakeServer expired{[](const auto&) { return FakeServer::Answer{401, R"({"error":{"code":"access_token_invalid","message":"No."}})"}; }};
  sign_in(expired);
  EXPECT_EQ(run({"device", "list"}), exit_refused);
  EXPECT_NE(err.find("Sign in again"), std::string::npos);
  FakeServer starting{[](const auto&) { return FakeServer::Answer{503, ""}; }};
  sign_in(starting);
  EXPECT_EQ(run({"device", "list"}), exit_refused);
}

TEST_F(CommandLineTest, LoginSendsThePasswordAndSavesTheAccessToken) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.body.find("totp") == std::string::npos)
      return FakeServer::Answer{401, R"({"error":{"code":"totp_required","message":"Code?"}})"};
    return FakeServer::Answer{201, R"({"accessToken":"access-2","expiresAt":5,"userId":1,"organizationId":1})"};
  }};
  EXPECT_EQ(run({"login", "--url", server.url() + "/", "--email", "a@b.c", "--json"}, {"the password", "123456"}), exit_ok) << err;
  EXPECT_EQ(out, "{\"url\":\"" + server.url() + "\",\"email\":\"a@b.c\",\"userId\":1,\"organizationId\":1,\"expiresAt\":5}\n");
  EXPECT_EQ(out.find("access-2"), std::string::npos);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].method + " " + requests[0].target, "POST /api/v1/session");
  EXPECT_EQ(requests[1].body, R"({"email":"a@b.c","password":"the password","totp":"123456"})");
  EXPECT_EQ(SavedLogins::load(folder.path() / "muster")->find(server.url())->access_token, "access-2");
  // Without a password on stdin nothing is sent.
  EXPECT_EQ(run({"login", "--url", server.url(), "--email", "a@b.c"}), exit_usage);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(CommandLineTest, LoginShowsTheMarkOfAnEarlierSignInToItsOwnServerAndAccountOnly) {
  const auto answering = [](const std::string& mark) {
    return [mark](const FakeServer::Request& request) {
      if (request.method == "DELETE") return FakeServer::Answer{204, ""};
      return FakeServer::Answer{201,
                                R"({"accessToken":"access-2","expiresAt":5,"userId":1,"organizationId":1,"knownDevice":")" + mark + "\"}"};
    };
  };
  FakeServer server{answering("mark-1")}, other{answering("mark-2")};
  const auto mark_of = [](const FakeServer::Request& request) {
    const auto at = request.head.find("Muster-Device: ");
    return at == std::string::npos ? std::string{} : request.head.substr(at + 15, request.head.find('\r', at) - at - 15);
  };
  for (const auto* url : {&server, &other})
    EXPECT_EQ(run({"login", "--url", url->url(), "--email", "a@b.c"}, {"the password"}), exit_ok) << err;
  EXPECT_EQ(mark_of(server.requests()[0]), "");
  EXPECT_EQ(run({"logout", "--url", server.url()}), exit_ok) << err;
  EXPECT_EQ(run({"login", "--url", server.url(), "--email", "A@b.c"}, {"the password"}), exit_ok) << err;
  EXPECT_EQ(mark_of(server.requests()[1]), "") << "signing out is no sign-in";
  EXPECT_EQ(mark_of(server.requests()[2]), "mark-1");
  EXPECT_EQ(run({"login", "--url", server.url(), "--email", "d@e.f"}, {"the password"}), exit_ok) << err;
  EXPECT_EQ(mark_of(server.requests()[3]), "");
  EXPECT_EQ(err, "");
}

TEST_F(CommandLineTest, SetupTakesCodeAndPasswordFromStdin) {
  FakeServer server{
      [](const auto&) { return FakeServer::Answer{201, R"({"accessToken":"access-3","expiresAt":5,"userId":1,"organizationId":1})"}; }};
  EXPECT_EQ(run({"setup", "--url", server.url(), "--code", "-", "--email", "a@b.c"}, {"CODE-1", "long enough"}), exit_ok) << err;
  EXPECT_EQ(server.requests()[0].body, R"({"code":"CODE-1","email":"a@b.c","password":"long enough"})");
  EXPECT_EQ(server.requests()[0].target, "/api/v1/setup");
  EXPECT_EQ(run({"setup", "--url", server.url(), "--code", "x", "--email", "a@b.c"}, {"short"}), exit_usage);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(CommandLineTest, LoginEndsTheSignInThatItReplaces) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.method == "DELETE") return FakeServer::Answer{204, ""};
    return FakeServer::Answer{201, R"({"accessToken":"access-2","expiresAt":5,"userId":1,"organizationId":1})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"login", "--url", server.url(), "--email", "a@b.c"}, {"the password"}), exit_ok) << err;
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].method + " " + requests[1].target, "DELETE /api/v1/session");
  EXPECT_NE(requests[1].head.find("Authorization: Bearer access-1\r\n"), std::string::npos);
  EXPECT_EQ(SavedLogins::load(folder.path() / "muster")->find(server.url())->access_token, "access-2");
  EXPECT_EQ(err, "");
  // One that had ended already is no trouble; one that cannot be ended is said.
  for (const auto& [code, warns] : {std::pair{"access_token_invalid", false}, {"unavailable", true}}) {
    FakeServer refusing{[code = std::string{code}](const FakeServer::Request& request) {
      if (request.method == "DELETE") return FakeServer::Answer{401, R"({"error":{"code":")" + code + R"(","message":"No."}})"};
      return FakeServer::Answer{201, R"({"accessToken":"access-2","expiresAt":5,"userId":1,"organizationId":1})"};
    }};
    sign_in(refusing);
    EXPECT_EQ(run({"login", "--url", refusing.url(), "--email", "a@b.c"}, {"the password"}), exit_ok) << err;
    EXPECT_EQ(!err.empty(), warns) << err;
  }
}

TEST_F(CommandLineTest, LogoutOfMusterTokenLeavesTheSavedLogin) {
  FakeServer server{[](const auto&) { return FakeServer::Answer{204, ""}; }};
  sign_in(server);
  ::setenv("MUSTER_TOKEN", "from-environment", 1);
  EXPECT_EQ(run({"logout"}), exit_ok) << err;
  EXPECT_NE(server.requests()[0].head.find("Bearer from-environment"), std::string::npos);
  EXPECT_NE(out.find("the saved login goes on"), std::string::npos) << out;
  EXPECT_EQ(SavedLogins::load(folder.path() / "muster")->find(server.url())->access_token, "access-1");
  ::setenv("MUSTER_TOKEN", "access-1", 1);
  EXPECT_EQ(run({"logout"}), exit_ok) << err;
  EXPECT_FALSE(SavedLogins::load(folder.path() / "muster")->current_url());
  ::unsetenv("MUSTER_TOKEN");
}

TEST_F(CommandLineTest, NumbersThatDoNotFitAreRefusedInOneSentence) {
  for (const std::string number : {"0", "-5", "x", "1.5", "9223372036854775808", "1e3", ""}) {
    EXPECT_EQ(run({"device", "show", "--device", number}), exit_usage) << number;
    EXPECT_NE(err.find("\"" + number + "\" is not a whole number from 1 on."), std::string::npos) << err;
    EXPECT_LT(err.size(), 200u) << err;
  }
  EXPECT_EQ(run({"device", "show", "0"}), exit_usage);
  EXPECT_NE(err.find("\"0\" is not a whole number from 1 on."), std::string::npos) << err;
  EXPECT_EQ(run({"device", "list", "--page", "-1"}), exit_usage);
  EXPECT_NE(err.find("\"-1\" is not a whole number from 0 on."), std::string::npos) << err;
}

TEST_F(CommandLineTest, LogoutForgetsEvenWhenTheServerIsGone) {
  {
    FakeServer server{[](const auto&) { return FakeServer::Answer{204, ""}; }};
    sign_in(server);
    EXPECT_EQ(run({"logout"}), exit_ok);
    EXPECT_EQ(server.requests()[0].method + " " + server.requests()[0].target, "DELETE /api/v1/session");
    EXPECT_NE(server.requests()[0].head.find("Authorization: Bearer access-1\r\n"), std::string::npos);
    EXPECT_FALSE(SavedLogins::load(folder.path() / "muster")->current_url());
    sign_in(server);
  }
  EXPECT_EQ(run({"logout"}), exit_unreachable);
  EXPECT_FALSE(SavedLogins::load(folder.path() / "muster")->current_url());
}

TEST_F(CommandLineTest, TheEnvironmentOverridesTheSavedLogin) {
  FakeServer saved{[](const auto&) { return FakeServer::Answer{200, R"({"content":[],"totalElements":0})"}; }};
  FakeServer other{[](const auto&) { return FakeServer::Answer{200, R"({"content":[],"totalElements":0})"}; }};
  sign_in(saved);
  ::setenv("MUSTER_URL", other.url().c_str(), 1);
  EXPECT_EQ(run({"device", "list"}), exit_refused);  // Signed in elsewhere: that login must not leak to another server.
  ::setenv("MUSTER_TOKEN", "from-environment", 1);
  EXPECT_EQ(run({"device", "list"}), exit_ok) << err;
  EXPECT_NE(other.requests()[0].head.find("Bearer from-environment"), std::string::npos);
  ::setenv("MUSTER_URL", saved.url().c_str(), 1);
  ::unsetenv("MUSTER_TOKEN");
  EXPECT_EQ(run({"device", "list"}), exit_ok);
  EXPECT_NE(saved.requests()[0].head.find("Bearer access-1"), std::string::npos);
}

TEST_F(CommandLineTest, ListsFetchEveryRow) {
  FakeServer server{[](const FakeServer::Request& request) {
    const auto page = std::atoi(request.target.c_str() + request.target.find("page=") + 5);
    const auto size = std::atoi(request.target.c_str() + request.target.find("size=") + 5);
    std::string rows;
    for (int id = page * size + 1; id <= std::min(2500, (page + 1) * size); ++id)
      rows += (rows.empty() ? "{\"id\":" : ",{\"id\":") + std::to_string(id) + "}";
    return FakeServer::Answer{200, "{\"content\":[" + rows + "],\"totalElements\":2500}"};
  }};
  sign_in(server);
  const auto count = [&] { return std::count(out.begin(), out.end(), '{'); };
  EXPECT_EQ(run({"device", "list", "--json"}), exit_ok);
  EXPECT_EQ(count(), 2500);
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(run({"device", "list", "--json", "--limit", "7"}), exit_ok);
  EXPECT_EQ(count(), 7);
  EXPECT_EQ(run({"device", "list", "--json", "--limit", "1500"}), exit_ok);
  EXPECT_EQ(count(), 1500);
  EXPECT_EQ(run({"device", "list", "--json", "--page", "2", "--limit", "10"}), exit_ok);
  EXPECT_TRUE(out.starts_with("[{\"id\":21}")) << out;
  EXPECT_EQ(count(), 10);
  EXPECT_EQ(run({"device", "list", "--json", "--page", "0"}), exit_ok);
  EXPECT_EQ(count(), 50);
  EXPECT_EQ(run({"device", "list", "--query", "La mp&x", "--org", "5", "--sub-orgs", "--json", "--limit", "1"}), exit_ok);
  EXPECT_EQ(server.requests().back().target,
            "/api/v1/organization/search/devices?orgId=5&query=La%20mp%26x&includeSubOrgDevices=true&page=0&size=1");
}

TEST_F(CommandLineTest, RolesAreNamedByIdOrNameAndChangedInOneOrganization) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.target.starts_with("/api/v1/roles"))
      return FakeServer::Answer{
          200, R"({"content":[{"id":2,"name":"Staff","isBuiltin":true,"orgId":5,"isInherited":true,"permissions":["OTA_VIEW"]},
        {"id":7,"name":"Fitter","isBuiltin":false,"orgId":5,"isInherited":false,"permissions":[]}],"totalElements":2})"};
    return FakeServer::Answer{200,
                              R"({"id":7,"name":"Fitter","isBuiltin":false,"orgId":5,"isInherited":false,"permissions":["OTA_VIEW"]})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"role", "list", "--org", "5"}), exit_ok) << err;
  EXPECT_NE(out.find("from above"), std::string::npos) << out;
  EXPECT_EQ(run({"role", "grant", "FITTER", "OTA_VIEW", "AUDIT_VIEW", "--org", "5"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"roleId":7,"grant":["OTA_VIEW","AUDIT_VIEW"],"orgId":5})");
  EXPECT_NE(out.find("OTA_VIEW"), std::string::npos) << out;
  EXPECT_EQ(run({"role", "revoke", "7", "OTA_VIEW", "--sub-orgs", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"roleId":7,"revoke":["OTA_VIEW"],"applyToSubOrgs":true})");
  EXPECT_EQ(run({"role", "set", "7", "OTA_VIEW", "--sub-orgs"}, {"no"}, true), exit_failed);
  EXPECT_EQ(run({"role", "delete", "Fitter", "--replacement", "staff", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().target, "/api/v1/role?roleId=7&replacementRoleId=2");
  EXPECT_EQ(run({"role", "show", "Nobody"}), exit_refused);
  EXPECT_EQ(run({"role", "delete", "Fitter"}), exit_usage);
}

TEST_F(CommandLineTest, DevicesChangeHandsAndOrganizationsTheirPlaceOnlyWhenSure) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.target.starts_with("/api/v1/search/users"))
      return FakeServer::Answer{200, R"({"content":[{"id":9,"email":"bob@example.org"}],"totalElements":1})"};
    if (request.target.starts_with("/api/v1/organization/device")) return FakeServer::Answer{204, ""};
    return FakeServer::Answer{200, R"({"id":4,"parentId":6,"name":"Customer","type":"BUSINESS"})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"device", "transfer", "3", "--to-owner", "Bob@example.org", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().target, "/api/v1/organization/device/transfer/to-owner");
  EXPECT_EQ(server.requests().back().body, R"({"deviceId":3,"ownerId":9})");
  EXPECT_EQ(run({"device", "transfer", "3", "--to-org", "4", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"deviceId":3,"orgId":4})");
  EXPECT_EQ(run({"device", "transfer", "3"}), exit_usage);
  EXPECT_EQ(run({"device", "transfer", "3", "--to-org", "4", "--to-owner", "9"}), exit_usage);
  EXPECT_EQ(run({"device", "remove-owner", "3", "--yes", "--json"}), exit_ok);
  EXPECT_EQ(out, "{\"id\":3}\n");
  EXPECT_EQ(server.requests().back().target, "/api/v1/organization/device/owner?deviceId=3");
  EXPECT_EQ(run({"device", "erase", "3", "--yes"}), exit_ok);
  EXPECT_EQ(server.requests().back().target, "/api/v1/organization/device/clear?deviceId=3");
  const auto before = server.requests().size();
  EXPECT_NE(run({"device", "erase", "3"}, {"no"}, true), exit_ok);
  EXPECT_EQ(server.requests().size(), before);
  EXPECT_EQ(run({"org", "move", "4", "--under", "6", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"orgId":4,"parentId":6})");
  EXPECT_EQ(run({"org", "edit", "4", "--device-limit", "0", "--may-divide", "no", "--type", "branch"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"orgId":4,"type":"BRANCH","deviceLimit":0,"canCreateSubOrgs":false})");
  EXPECT_EQ(run({"org", "edit", "4"}), exit_usage);
  EXPECT_EQ(run({"job", "start", "transfer", "--query", "lamp", "--to-org", "4", "--sub-orgs", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"action":"transfer","includeSubOrgDevices":true,"query":"lamp","toOrgId":4})");
  EXPECT_EQ(run({"job", "start", "erase", "3", "5", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"action":"erase","deviceIds":[3,5]})");
  EXPECT_EQ(run({"job", "start", "fly", "3"}), exit_usage);
  EXPECT_EQ(run({"org", "show"}), exit_ok);
  EXPECT_NE(out.find("Customer"), std::string::npos) << out;
}

TEST_F(CommandLineTest, DeviceCreatePrintsWhatGoesIntoTheSketch) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.target.starts_with("/api/v1/template?"))
      return FakeServer::Answer{200, R"({"id":4,"templateId":"TMPLabcdefghi","name":"My \"best\" lamp"})"};
    return FakeServer::Answer{201, R"({"id":7,"name":"Lamp","templateId":"TMPLabcdefghi","token":"0123456789abcdefABCDEF_-01234567"})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"device", "create", "--template", "TMPLabcdefghi", "--name", "Lamp"}), exit_ok) << err;
  EXPECT_NE(out.find("#define BLYNK_TEMPLATE_ID   \"TMPLabcdefghi\"\n#define BLYNK_TEMPLATE_NAME \"My \\\"best\\\" lamp\"\n#define "
                     "BLYNK_AUTH_TOKEN    \"0123456789abcdefABCDEF_-01234567\"\n"),
            std::string::npos)
      << out;
  EXPECT_NE(out.find("\"127.0.0.1\", " + server.url().substr(17) + ");  // plain text"), std::string::npos) << out;
  EXPECT_NE(err.find("this machine only"), std::string::npos);
  EXPECT_EQ(server.requests()[0].body, R"({"templateId":"TMPLabcdefghi","name":"Lamp"})");
  EXPECT_EQ(run({"device", "create", "--template", "4", "--name", "Lamp", "--owner", "0", "--org", "2", "--json"}), exit_ok);
  EXPECT_EQ(out, "{\"id\":7,\"name\":\"Lamp\",\"templateId\":\"TMPLabcdefghi\",\"token\":\"0123456789abcdefABCDEF_-01234567\"}\n");
  EXPECT_EQ(server.requests().back().body, R"({"templateId":4,"name":"Lamp","orgId":2,"ownerId":0})");
}

TEST_F(CommandLineTest, DestructiveCommandsAskFirst) {
  FakeServer server{[](const FakeServer::Request& request) {
    return request.method == "GET" ? FakeServer::Answer{200, R"({"id":7,"name":"Lamp","templateId":"TMPLabcdefghi"})"}
                                   : FakeServer::Answer{204, ""};
  }};
  sign_in(server);
  const auto changes = [&] {
    int count = 0;
    for (const auto& request : server.requests()) count += request.method == "GET" ? 0 : 1;
    return count;
  };
  EXPECT_EQ(run({"device", "delete", "7"}), exit_usage);
  EXPECT_EQ(run({"device", "delete", "7"}, {"no"}, true), exit_failed);
  EXPECT_EQ(run({"device", "token", "7", "--regenerate"}), exit_usage);
  EXPECT_EQ(run({"template", "delete", "4"}), exit_usage);
  EXPECT_EQ(run({"user", "disable", "7"}), exit_usage);
  EXPECT_EQ(changes(), 0);
  EXPECT_EQ(run({"device", "delete", "7"}, {"yes"}, true), exit_ok);
  EXPECT_EQ(run({"device", "delete", "7", "--yes", "--json"}), exit_ok);
  EXPECT_EQ(out, "{\"id\":7}\n");
  EXPECT_EQ(changes(), 2);
  EXPECT_EQ(server.requests().back().target, "/api/v1/organization/device?deviceId=7");
}

TEST_F(CommandLineTest, UsersAreNamedByIdOrEmail) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.target.starts_with("/api/v1/search/users"))
      return FakeServer::Answer{200, R"({"content":[{"id":8,"email":"xa@b.c"},{"id":9,"email":"a@b.c"}],"totalElements":2})"};
    if (request.target == "/api/v1/session") return FakeServer::Answer{200, R"({"userId":1,"email":"me@b.c","organizationId":1})"};
    if (request.target.starts_with("/api/v1/user?")) return FakeServer::Answer{200, R"({"id":5,"email":"five@b.c"})"};
    if (request.method == "PUT") return FakeServer::Answer{204, ""};
    return FakeServer::Answer{200, R"({"id":9,"email":"a@b.c","status":"Suspended"})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"user", "disable", "A@B.c", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().target + server.requests().back().body, R"(/api/v1/user/suspend{"userId":9})");
  EXPECT_EQ(run({"user", "disable", "nobody@b.c", "--yes"}), exit_refused);
  EXPECT_EQ(run({"user", "disable", "nobody", "--yes"}), exit_usage);
  EXPECT_EQ(run({"user", "passwd"}, {"present one", "the new one"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"userId":1,"currentPassword":"present one","password":"the new one"})");
  EXPECT_EQ(run({"user", "passwd", "5"}, {"the new one"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().body, R"({"userId":5,"password":"the new one"})");
}

TEST_F(CommandLineTest, DatastreamsAreAddedAndFoundByPin) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.method == "GET")
      return FakeServer::Answer{200, R"({"content":[{"id":3,"pin":7,"name":"Level","type":"INTEGER"}],"totalElements":1})"};
    return request.method == "DELETE" ? FakeServer::Answer{204, ""}
                                      : FakeServer::Answer{201, R"({"id":3,"pin":7,"name":"Level","type":"INTEGER","min":0,"max":100})"};
  }};
  sign_in(server);
  EXPECT_EQ(run({"template", "datastream", "add", "TMPLabcdefghi", "--pin", "v7", "--name", "Level", "--type", "integer", "--min", "0",
                 "--max", "100"}),
            exit_ok)
      << err;
  EXPECT_EQ(server.requests().back().body, R"({"templateId":"TMPLabcdefghi","pin":7,"name":"Level","type":"INTEGER","min":0E0,"max":1E2})");
  EXPECT_NE(out.find("V7"), std::string::npos);
  EXPECT_EQ(run({"template", "datastream", "add", "--template", "4", "--pin", "256"}), exit_usage);
  EXPECT_EQ(run({"template", "datastream", "list", "4"}), exit_ok);
  EXPECT_EQ(run({"template", "datastream", "delete", "4", "--pin", "V7", "--yes"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().target, "/api/v1/template/datastream?templateId=4&dataStreamId=3");
  EXPECT_EQ(run({"template", "datastream", "delete", "4", "--pin", "V8", "--yes"}), exit_refused);
}

TEST(CommandLine, TimesOfTheAuditLog) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(parse_time("2026-01-01").value(), 1'767'225'600'000);
  EXPECT_EQ(parse_time("2026-01-01 00:01").value(), 1'767'225'660'000);
  EXPECT_EQ(parse_time("2026-01-01T00:00:01").value(), 1'767'225'601'000);
  EXPECT_EQ(parse_time("1767225600000").value(), 1'767'225'600'000);
  for (const auto* wrong : {"", "yesterday", "2026-13-01", "2026-01-01 x", "-5", "2026"}) EXPECT_FALSE(parse_time(wrong)) << wrong;
}

TEST_F(CommandLineTest, AnInvitationWithoutMailPrintsTheLink) {
  FakeServer server{[](const FakeServer::Request&) {
    return FakeServer::Answer{201, R"({"invitationId":7,"email":"ada@example.org","expiresAt":1767225600000,"mailed":false,)"
                                   R"("link":"/account/invitation?link=abc","reason":"No mail server is configured."})"};
  }};
  sign_in(server);
  ASSERT_EQ(run({"user", "invite", "--email", "ada@example.org", "--role", "Staff"}), exit_ok) << err;
  EXPECT_NE(out.find("No mail server is configured."), std::string::npos);
  EXPECT_NE(out.find("\n/account/invitation?link=abc\n"), std::string::npos);
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].target, "/api/v1/users/invite");
  EXPECT_NE(server.requests()[0].body.find(R"("role":"Staff")"), std::string::npos);
}

TEST_F(CommandLineTest, SessionsAreListedAndEnded) {
  FakeServer server{[](const FakeServer::Request& request) {
    if (request.target == "/api/v1/session")
      return FakeServer::Answer{200, R"({"userId":3,"email":"a@b.c","role":"Admin","organizationId":1})"};
    if (request.method == "GET" && request.target.starts_with("/api/v1/user/sessions"))
      return FakeServer::Answer{200,
                                R"({"sessions":[{"id":9,"client":"Web\u001b","ip":"::1","createdAt":1,"lastUsedAt":1,"current":true}]})"};
    if (request.target.starts_with("/api/v1/user?")) return FakeServer::Answer{200, R"({"id":3,"email":"a@b.c"})"};
    return FakeServer::Answer{204, ""};
  }};
  sign_in(server);
  ASSERT_EQ(run({"user", "sessions", "list"}), exit_ok) << err;
  EXPECT_NE(out.find("this one"), std::string::npos);
  EXPECT_EQ(out.find('\x1b'), std::string::npos);
  ASSERT_EQ(run({"user", "sessions", "end", "3", "--session", "9"}), exit_ok) << err;
  EXPECT_EQ(server.requests().back().method, "DELETE");
  EXPECT_NE(server.requests().back().target.find("sessionId=9"), std::string::npos);
  ASSERT_EQ(run({"whoami"}), exit_ok) << err;
  EXPECT_NE(out.find("a@b.c, user 3, Admin of organization 1"), std::string::npos);
}

}  // namespace
}  // namespace muster::cli
