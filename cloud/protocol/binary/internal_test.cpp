// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using wire::Command;
using wire::Status;

Seen internal(std::uint16_t id, std::initializer_list<std::string_view> words) { return {Command::internal, id, 0, fields(words)}; }

class Internal : public ::testing::Test {
 protected:
  Internal() {
    organization = rig.store.add_organization("Kyiv", "Europe/Kyiv");
    domain::Template value;
    value.name = "T";
    value.tmpl_ids = {"TMPLmain00001"};
    for (const char* name : {"Serial Number", "Device Name", "Hotspot Name"}) {
      domain::MetaField field;
      field.name = name;
      if (field.name == "Serial Number") field.default_value = "none yet";
      value.meta_fields.push_back(field);
    }
    published = rig.store.add_template(value);
    made.emplace(rig.make_device(published, organization.id));
    rig.load();
    connection = &rig.connect();
    connection->feed(frame(29, 1, made->token.reveal()));
    connection->take();
    rig.presence.take(10);
  }
  std::vector<Seen> say(std::uint16_t id, std::initializer_list<std::string_view> words) {
    connection->feed(frame(17, id, fields(words)));
    rig.settle();
    return connection->take();
  }
  Rig rig;
  domain::Organization organization;
  domain::Template published;
  std::optional<Rig::Made> made;
  Connection* connection = nullptr;
};

TEST_F(Internal, TheInfoIsAnsweredAndItsFactsAreQueued) {
  EXPECT_EQ(say(2, {"mcu", "1.2.3", "fw-type", "TMPLmain00001", "build", "Nov 24 2026 03:16:37", "blynk", "1.4.0", "h-beat", "40",
                    "buff-in", "1024", "dev", "ESP32", "tmpl", "TMPLmain00001", "agent", "muster"}),
            (std::vector{response(2, Status::success)}));
  const auto waiting = rig.presence.take(10);
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting[0].reported_at, rig.clock.utc_now());
  const domain::HardwareInfo expected{"1.2.3",         "TMPLmain00001", "1.4.0", "ESP32", "Nov 24 2026 03:16:37",
                                      "TMPLmain00001", "muster",        40,      1024};
  EXPECT_EQ(waiting[0].hardware, expected);
}

TEST_F(Internal, TheInfoMayComeAfterOtherFramesAndInAnyOrder) {
  connection->feed(frame(0, 7) + frame(6, 2) +
                   frame(17, 3, fields({"tmpl", "TMPLmain00001", "h-beat", "20", "future-key", "x", "ver", "9", ""})));
  EXPECT_EQ(connection->take(), (std::vector{response(2, Status::success), response(3, Status::success)}));
  EXPECT_EQ(connection->step.deadline, rig.clock.now() + 30s);
}

TEST_F(Internal, AnotherTemplateThanItsOwnIsStillAnswered) {
  EXPECT_EQ(say(2, {"ver", "1", "tmpl", "TMPLother0001"}), (std::vector{response(2, Status::success)}));
  EXPECT_EQ(rig.presence.take(10).at(0).hardware->template_id, "TMPLother0001");
}

TEST_F(Internal, WhatADeviceSaysOfItselfIsCutAndCleaned) {
  say(2, {"ver",
          "a\nb\x01"
          "c",
          "dev", std::string(500, 'x'), "build", "\xff\xfe"});
  const auto hardware = rig.presence.take(10).at(0).hardware;
  EXPECT_EQ(hardware->library_version, "a b c");
  EXPECT_EQ(hardware->board_type.size(), 128u);
  EXPECT_EQ(hardware->build, "");
}

// --- time of day -------------------------------------------------------------------------------------------------------------------

TEST_F(Internal, TellsTheTimeInTheOrganizationsZone) {
  // 2026-01-01T00:00:00Z, two hours later in Kyiv.
  EXPECT_EQ(say(3, {"utc", "time"}), (std::vector{internal(3, {"utc", "time", "1767225600000"})}));
  EXPECT_EQ(say(4, {"rtc", "sync"}), (std::vector{internal(4, {"rtc", "1767232800"})}));
  EXPECT_EQ(say(5, {"utc", "iso"}), (std::vector{internal(5, {"utc", "iso", "2026-01-01T02:00:00+02:00"})}));
  EXPECT_EQ(say(6, {"utc", "tz"}), (std::vector{internal(6, {"utc", "tz", "120", "0"})}));
  EXPECT_EQ(say(7, {"utc", "tz_name"}), (std::vector{internal(7, {"utc", "tz_name", "Europe/Kyiv"})}));
  EXPECT_EQ(say(8, {"utc", "tz_rule"}), (std::vector{internal(8, {"utc", "tz_rule", "EET-2EEST,M3.5.0/3,M10.5.0/4"})}));
  EXPECT_EQ(say(9, {"utc", "dst_next"}), (std::vector{internal(9, {"utc", "dst_next", "1774746000", "180", "1792890000", "120"})}));
  rig.clock.set_utc({1'785'542'400'123});  // 2026-08-01
  EXPECT_EQ(say(10, {"utc", "tz"}), (std::vector{internal(10, {"utc", "tz", "120", "60"})}));
  EXPECT_EQ(say(11, {"utc", "time"}), (std::vector{internal(11, {"utc", "time", "1785542400123"})}));
}

TEST_F(Internal, AZoneIsReadAwayFromTheLoop) {
  connection->feed(frame(17, 4, fields({"rtc", "sync"})));
  EXPECT_TRUE(connection->take().empty());
  EXPECT_EQ(rig.executor.jobs.size(), 1u);
  rig.settle();
  EXPECT_EQ(connection->take().size(), 1u);
  // The same everywhere, and so it needs neither store nor file.
  connection->feed(frame(17, 5, fields({"utc", "time"})));
  EXPECT_EQ(connection->take().size(), 1u);
}

TEST_F(Internal, TheDevicesOwnZoneComesBeforeTheOrganizations) {
  published.meta_fields.push_back({.id = MetaFieldId{9}, .name = "Device Timezone", .type = domain::MetaFieldType::time_zone});
  ASSERT_TRUE(rig.store.update_template(published, published.version, {}));
  rig.load();
  EXPECT_TRUE(say(3, {"meta", "set", "Time Zone", "Asia/Tokyo"}).empty());
  EXPECT_EQ(rig.store.device_metadata(connection->session.device(), "Device Timezone").value(), "Asia/Tokyo");
  EXPECT_EQ(say(4, {"utc", "tz_name"}), (std::vector{internal(4, {"utc", "tz_name", "Asia/Tokyo"})}));
  EXPECT_EQ(say(5, {"rtc", "sync"}), (std::vector{internal(5, {"rtc", "1767258000"})}));
  EXPECT_EQ(say(6, {"meta", "get", "Time Zone"}), (std::vector{internal(6, {"meta", "Time Zone", "Asia/Tokyo"})}));
  // What is no zone is not kept, and nothing that looks like a path is opened.
  for (const char* name : {"Mars/Olympus", "../../etc/passwd", "/etc/passwd", ""}) {
    EXPECT_TRUE(say(7, {"meta", "set", "Time Zone", name}).empty());
    EXPECT_EQ(rig.store.device_metadata(connection->session.device(), "Device Timezone").value(), "Asia/Tokyo") << name;
  }
  // A store in trouble: the organization's.
  rig.store.before = [](std::string_view operation) {
    return operation == "device_metadata" ? Error{domain::StoreError::unavailable} : Error{};
  };
  EXPECT_EQ(say(8, {"utc", "tz_name"}), (std::vector{internal(8, {"utc", "tz_name", "Europe/Kyiv"})}));
}

TEST_F(Internal, WithoutAZoneItIsUtcAndTheFrameStillHasAField) {
  ASSERT_TRUE(rig.store.update_organization(organization.id, {.name = {}, .description = {}, .time_zone = "UTC", .home = {}}, {}));
  rig.load();
  connection->feed(frame(17, 4, fields({"rtc", "sync"})) + frame(17, 5, fields({"utc", "dst_next"})) +
                   frame(17, 6, fields({"utc", "tz_rule"})));
  rig.settle();
  EXPECT_EQ(connection->take(), (std::vector{internal(4, {"rtc", "1767225600"}), internal(5, {"utc", "dst_next", ""}),
                                             internal(6, {"utc", "tz_rule", "UTC0"})}));
}

TEST_F(Internal, UnknownWordsAreIgnored) {
  for (const std::string& body : {fields({"loc"}), fields({"utc"}), fields({"utc", "moon"}), fields({"dbg", "x"}), fields({"ota", "x"}),
                                  std::string{}, std::string(3, '\0')}) {
    connection->feed(frame(17, 4, body));
    rig.settle();
    EXPECT_TRUE(connection->take().empty());
    EXPECT_TRUE(connection->open());
  }
}

// --- metadata ----------------------------------------------------------------------------------------------------------------------

TEST_F(Internal, MetadataIsKeptAndGivenBackWithoutTheWordGet) {
  EXPECT_EQ(say(3, {"meta", "get", "Serial Number"}), (std::vector{internal(3, {"meta", "Serial Number", "none yet"})}))
      << "the field's default";
  EXPECT_TRUE(say(4, {"meta", "set", "Serial Number", "SN-1"}).empty());
  EXPECT_EQ(say(5, {"meta", "get", "Serial Number"}), (std::vector{internal(5, {"meta", "Serial Number", "SN-1"})}));
  ASSERT_FALSE(rig.store.audit_entries.empty());
  EXPECT_EQ(rig.store.audit_entries.back().client, "Device");
  EXPECT_EQ(rig.store.audit_entries.back().organization_id, organization.id);
}

TEST_F(Internal, SayingTheSameAgainWritesNothing) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(say(4, {"meta", "set", "Hotspot Name", "Muster 1"}).empty());
  EXPECT_EQ(rig.store.calls["set_device_metadata"], 1u);
}

TEST_F(Internal, ReservedNamesAreAnsweredFromTheRow) {
  EXPECT_EQ(say(3, {"meta", "get", "Device Name"}), (std::vector{internal(3, {"meta", "Device Name", made->device.name})}));
  EXPECT_EQ(say(3, {"meta", "get", "Time Zone"}), (std::vector{internal(3, {"meta", "Time Zone", "Europe/Kyiv"})}));
  EXPECT_TRUE(say(3, {"meta", "get", "Device Owner"}).empty()) << "it has none";
}

TEST_F(Internal, UnknownNamesAndTheTokenAreMetWithSilence) {
  EXPECT_TRUE(say(3, {"meta", "get", "Nothing"}).empty());
  EXPECT_TRUE(say(3, {"meta", "get", "Auth Token"}).empty());
  EXPECT_TRUE(say(3, {"meta", "get"}).empty());
  EXPECT_EQ(rig.store.calls["reveal_token"], 0u);
}

TEST_F(Internal, ADeviceSetsOnlyWhatItMay) {
  for (const auto& words :
       {fields({"meta", "set", "Auth Token", std::string(32, 'a')}), fields({"meta", "set", "Device Name", "x"}),
        fields({"meta", "set", "Device Owner", "x"}), fields({"meta", "set", "Something", "x"}),
        fields({"meta", "set", "Serial Number", std::string(256, 'x')}), fields({"meta", "set", "Serial Number", "\xff"})}) {
    connection->feed(frame(17, 4, words));
    rig.settle();
    EXPECT_EQ(connection->take(), (std::vector{response(4, Status::illegal_command_body)}));
  }
  for (const auto& words : {fields({"meta", "set"}), fields({"meta", "set", ""}), fields({"meta", "put", "a", "b"}), fields({"meta"})}) {
    connection->feed(frame(17, 4, words));
    EXPECT_EQ(connection->take(), (std::vector{response(4, Status::illegal_command)}));
  }
  EXPECT_EQ(rig.store.calls["set_device_metadata"], 0u);
  EXPECT_TRUE(say(4, {"meta", "set", "Serial Number", std::string(255, 'x')}).empty());
  EXPECT_TRUE(say(4, {"meta", "set", "Device UID", "aa:bb"}).empty()) << "stock firmware says it at each start";
  EXPECT_EQ(rig.store.calls["set_device_metadata"], 1u) << "no field of the template keeps it";
  EXPECT_EQ(rig.metrics.store_errors_total.value(), 0u);
  unsigned refused = 0;
  for (int i = 0; i < 20; ++i) {
    const auto answer = say(5, {"meta", "set", "Serial Number", std::to_string(i)});
    if (answer == std::vector{response(5, Status::quota_limit)}) ++refused;
  }
  EXPECT_GT(refused, 0u) << "each is a commit and an audit entry";
}

TEST_F(Internal, WithTheStoreDownMetadataIsSilentAndTheSessionGoesOn) {
  rig.store.before = [](std::string_view) -> Error { return domain::StoreError::unavailable; };
  EXPECT_TRUE(say(3, {"meta", "get", "Serial Number"}).empty());
  EXPECT_TRUE(say(3, {"meta", "set", "Serial Number", "x"}).empty());
  EXPECT_TRUE(connection->open());
  EXPECT_EQ(rig.metrics.store_errors_total.value(), 2u);
}

}  // namespace
}  // namespace muster::protocol::testing
