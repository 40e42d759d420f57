// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "cloud/domain/device_life_cycle.hpp"
#include "cloud/domain/provision_session_life_cycle.hpp"
#include "cloud/domain/token_life_cycle.hpp"

namespace muster::domain {
namespace {

/// Written by hand from docs/protocol/cloud-model.md sections 5.1 and 6, not from the table: "-" = refused, "!" = refused as not found.
TEST(DeviceLifeCycle, EveryStateAndEvent) {
  const std::map<std::string_view, std::array<std::string_view, device_state_count>> expected = {
      {"login", {"ONLINE", "ONLINE", "ONLINE", "!"}},
      {"report", {"ONLINE", "ONLINE", "ONLINE", "!"}},
      {"session_ended", {"-", "ONLINE", "-", "!"}},
      {"wait_passed", {"-", "OFFLINE", "-", "!"}},
      {"server_started", {"CREATED", "ONLINE", "OFFLINE", "DELETED"}},
      {"rename", {"CREATED", "ONLINE", "OFFLINE", "!"}},
      {"transfer", {"CREATED", "ONLINE", "OFFLINE", "!"}},
      {"remove_owner", {"CREATED", "ONLINE", "OFFLINE", "!"}},
      {"erase_data", {"CREATED", "ONLINE", "OFFLINE", "!"}},
      {"replace_token", {"CREATED", "ONLINE", "OFFLINE", "!"}},
      {"remove", {"DELETED", "DELETED", "DELETED", "!"}},
  };
  ASSERT_EQ(expected.size(), device_event_count);
  for (std::size_t event = 0; event < device_event_count; ++event) {
    const auto name = device_event_name(static_cast<DeviceEvent>(event));
    ASSERT_TRUE(expected.contains(name)) << name;
    for (std::size_t state = 0; state < device_state_count; ++state) {
      const auto from = static_cast<DeviceState>(state);
      const auto got = next(from, static_cast<DeviceEvent>(event));
      const auto want = expected.at(name)[state];
      SCOPED_TRACE(std::string{name} + " in " + std::string{device_state_name(from)});
      EXPECT_EQ(got.allowed, want != "-" && want != "!");
      if (got.allowed) {
        EXPECT_EQ(device_state_name(got.next), want);
      } else {
        EXPECT_EQ(got.next, from);
        EXPECT_EQ(got.refusal, want == "!" ? DomainError::not_found : DomainError::wrong_state);
      }
    }
  }
}

TEST(DeviceLifeCycle, TheStateFollowsFromTheSessions) {
  EXPECT_EQ(device_state(false, Contact::none), DeviceState::created);
  EXPECT_EQ(device_state(true, Contact::none), DeviceState::offline);
  for (const bool was_connected : {false, true}) {
    EXPECT_EQ(device_state(was_connected, Contact::connected), DeviceState::online);
    EXPECT_EQ(device_state(was_connected, Contact::waiting), DeviceState::online);
  }
}

/// From section 3 and 5 of the same file.
TEST(TokenLifeCycle, EveryKindAndEvent) {
  const std::map<std::string_view, std::array<std::string_view, token_kind_count>> expected = {
      {"login", {"DEVICE", "PROVISION", "REPROVISION", "STATIC", "GRACE", "!"}},
      {"info_accepted", {"DEVICE", "DEVICE", "DEVICE", "STATIC", "GRACE", "!"}},
      {"info_refused", {"DEVICE", "REVOKED", "REPROVISION", "STATIC", "GRACE", "!"}},
      {"successor_logged_in", {"GRACE", "-", "-", "REVOKED", "GRACE", "!"}},
      {"successor_proved", {"-", "-", "-", "-", "REVOKED", "!"}},
      {"successor_dropped", {"-", "-", "-", "-", "DEVICE", "!"}},
      {"replaced", {"REVOKED", "-", "-", "REVOKED", "REVOKED", "!"}},
      {"replaced_with_grace", {"GRACE", "-", "-", "GRACE", "-", "!"}},
      {"expired", {"-", "REVOKED", "REVOKED", "REVOKED", "REVOKED", "!"}},
      {"unproved", {"REVOKED", "-", "-", "-", "-", "!"}},
      {"canceled", {"-", "REVOKED", "REVOKED", "-", "-", "!"}},
      {"device_removed", {"REVOKED", "-", "REVOKED", "STATIC", "REVOKED", "!"}},
      {"static_token_removed", {"-", "-", "-", "REVOKED", "REVOKED", "!"}},
      {"revealed", {"DEVICE", "PROVISION", "REPROVISION", "STATIC", "GRACE", "!"}},
      {"key_rotated", {"DEVICE", "PROVISION", "REPROVISION", "STATIC", "GRACE", "!"}},
  };
  ASSERT_EQ(expected.size(), token_event_count);
  for (std::size_t event = 0; event < token_event_count; ++event) {
    const auto name = token_event_name(static_cast<TokenEvent>(event));
    ASSERT_TRUE(expected.contains(name)) << name;
    for (std::size_t index = 0; index < token_kind_count; ++index) {
      const auto from = static_cast<TokenKind>(index + 1);
      const auto got = next(from, static_cast<TokenEvent>(event));
      const auto want = expected.at(name)[index];
      SCOPED_TRACE(std::string{name} + " on " + std::string{token_kind_name(from)});
      EXPECT_EQ(got.allowed, want != "-" && want != "!");
      if (got.allowed) {
        EXPECT_EQ(token_kind_name(got.next), want);
      } else {
        EXPECT_EQ(got.next, from);
        EXPECT_EQ(got.refusal, want == "!" ? DomainError::not_found : DomainError::wrong_state);
      }
    }
  }
}

TEST(TokenLifeCycle, NothingBringsARevokedTokenBack) {
  for (std::size_t event = 0; event < token_event_count; ++event)
    EXPECT_FALSE(next(TokenKind::revoked, static_cast<TokenEvent>(event)).allowed);
}

/// From section 5.2 of the same file.
TEST(ProvisionSessionLifeCycle, EveryStateAndEvent) {
  const std::map<std::string_view, std::array<std::string_view, provision_state_count>> expected = {
      {"step_posted",
       {"DELIVERING", "DELIVERING", "CONNECTED", "ACTIVE", "DONE", "FAILED", "CANCELED", "EXPIRED", "SUPERSEDED", "REPROVISIONING",
        "PROVING"}},
      {"login", {"CONNECTED", "CONNECTED", "CONNECTED", "ACTIVE", "DONE", "-", "-", "-", "-", "REPROVISIONING", "PROVING"}},
      {"info_accepted", {"ACTIVE", "ACTIVE", "ACTIVE", "ACTIVE", "DONE", "-", "-", "-", "-", "PROVING", "PROVING"}},
      {"info_refused", {"FAILED", "FAILED", "FAILED", "-", "-", "-", "-", "-", "-", "REPROVISIONING", "-"}},
      {"owner_gone", {"FAILED", "FAILED", "FAILED", "-", "-", "-", "-", "-", "-", "-", "-"}},
      {"proved", {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "ACTIVE"}},
      {"fell_back", {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "EXPIRED"}},
      {"finished", {"-", "-", "-", "DONE", "DONE", "-", "-", "-", "-", "-", "-"}},
      {"canceled", {"CANCELED", "CANCELED", "CANCELED", "-", "-", "-", "-", "-", "-", "CANCELED", "-"}},
      {"expired", {"EXPIRED", "EXPIRED", "EXPIRED", "DONE", "-", "-", "-", "-", "-", "EXPIRED", "-"}},
      {"superseded", {"SUPERSEDED", "SUPERSEDED", "SUPERSEDED", "-", "-", "-", "-", "-", "-", "SUPERSEDED", "SUPERSEDED"}},
      {"device_removed", {"-", "-", "-", "DONE", "-", "-", "-", "-", "-", "CANCELED", "CANCELED"}},
      {"given_up", {"FAILED", "FAILED", "FAILED", "-", "-", "-", "-", "-", "-", "FAILED", "-"}},
  };
  ASSERT_EQ(expected.size(), provision_event_count);
  for (std::size_t event = 0; event < provision_event_count; ++event) {
    const auto name = provision_event_name(static_cast<ProvisionEvent>(event));
    ASSERT_TRUE(expected.contains(name)) << name;
    for (std::size_t index = 0; index < provision_state_count; ++index) {
      const auto from = static_cast<ProvisionState>(index + 1);
      EXPECT_EQ(parse_provision_state(provision_state_name(from)), from);
      const auto got = next(from, static_cast<ProvisionEvent>(event));
      const auto want = expected.at(name)[index];
      SCOPED_TRACE(std::string{name} + " in " + std::string{provision_state_name(from)});
      EXPECT_EQ(got.allowed, want != "-");
      if (got.allowed) {
        EXPECT_EQ(provision_state_name(got.next), want);
      } else {
        EXPECT_EQ(got.next, from);
        EXPECT_EQ(got.refusal, DomainError::wrong_state);
      }
    }
  }
  EXPECT_FALSE(parse_provision_state("").has_value());
  EXPECT_FALSE(parse_provision_state("active").has_value());
}

TEST(ProvisionSessionLifeCycle, WhatHasEndedStaysEnded) {
  for (std::size_t index = 1; index <= provision_state_count; ++index) {
    const auto state = static_cast<ProvisionState>(index);
    for (std::size_t event = 0; event < provision_event_count; ++event) {
      const auto got = next(state, static_cast<ProvisionEvent>(event));
      const bool holds = !is_ended(state) || !got.allowed || got.next == state;
      EXPECT_TRUE(holds) << provision_state_name(state);
      EXPECT_FALSE(is_open(state) && is_ended(state));
    }
  }
}

/// docs/life-cycles.md is made from the tables: `./dev golden --update` writes it anew.
TEST(LifeCycles, TheGoldenDocumentIsCurrent) {
  const std::string path = std::string{MUSTER_SOURCE_DIR} + "/docs/life-cycles.md";
  const std::string wanted =
      "# Life cycles\n\n"
      "Made from the tables in `cloud/domain` by `./dev golden --update`; a test compares. *stays* means that the event is allowed and "
      "changes nothing,\n"
      "*refused* that it is answered with an error.\n\n"
      "## Device\n\nNo row holds the state: it follows from the device's sessions. ONLINE lasts from a login until the wait after the "
      "session's end has\npassed (docs/operating/README.md), over restarts of the server too.\n\n" +
      device_life_cycle_markdown() +
      "\n## AuthToken\n\nThe kinds of docs/protocol/cloud-model.md section 3. A refused login is answered \"invalid token\".\n\n" +
      token_life_cycle_markdown() +
      "\n## Provisioning session\n\ndocs/protocol/cloud-model.md section 5.2. While PROVING the device's old AuthToken and its new one "
      "both work: no time ends that,\nonly what the device does (a minute online or a second login with the new one; after the session's "
      "time a login with the old one).\nAn ACTIVE session counts as DONE when its time is over.\n\n" +
      provision_session_life_cycle_markdown();
  const char* const update = std::getenv("MUSTER_GOLDEN_UPDATE");
  if (update != nullptr && std::string_view{update} == "1") std::ofstream{path} << wanted;
  std::ifstream file{path};
  std::stringstream present;
  present << file.rdbuf();
  EXPECT_EQ(present.str(), wanted) << "docs/life-cycles.md is not what the tables say; write it anew with ./dev golden --update.";
}

}  // namespace
}  // namespace muster::domain
