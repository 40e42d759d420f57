// SPDX-License-Identifier: Apache-2.0
#include "agent/core/config.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace muster::agent {
namespace {

using Bytes = std::vector<std::uint8_t>;

DeviceConfig full_config() {
  DeviceConfig config;
  EXPECT_TRUE(config.token.assign("0123456789abcdefghijklmnopqrstuv"));
  EXPECT_TRUE(config.host.assign("cloud.example"));
  config.port = 9443;
  config.security = Security::tls_pinned;
  EXPECT_TRUE(config.template_id.assign("TMPL2abcdefgh"));
  EXPECT_TRUE(config.template_name.assign("Wärmepumpe"));
  return config;
}

Bytes encoded(const DeviceConfig& config) {
  Bytes record(config_record_size_max_bytes);
  record.resize(encode_config(config, {record.data(), record.size()}));
  EXPECT_FALSE(record.empty());
  return record;
}

ConfigStatus decode(const Bytes& record, DeviceConfig& config) {
  const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[record.size()]};
  std::copy(record.begin(), record.end(), exact.get());
  return decode_config({exact.get(), record.size()}, config);
}

/// Puts the right checksum behind changed content.
Bytes sealed(Bytes record) {
  std::uint32_t crc = 0xffffffffU;
  for (std::size_t i = 0; i + 4 < record.size(); ++i) {
    crc ^= record[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0xedb88320U : crc >> 1;
    }
  }
  crc = ~crc;
  for (std::size_t i = 0; i < 4; ++i) {
    record[record.size() - 4 + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
  }
  return record;
}

TEST(Config, ReadsBackWhatWasWritten) {
  DeviceConfig read;
  ASSERT_EQ(decode(encoded(full_config()), read), ConfigStatus::ok);
  EXPECT_EQ(read.token.view(), "0123456789abcdefghijklmnopqrstuv");
  EXPECT_EQ(read.host.view(), "cloud.example");
  EXPECT_EQ(read.port, 9443);
  EXPECT_EQ(read.security, Security::tls_pinned);
  EXPECT_EQ(read.template_id.view(), "TMPL2abcdefgh");
  EXPECT_EQ(read.template_name.view(), "Wärmepumpe");
}

TEST(Config, KeepsTheNetwork) {
  DeviceConfig config = full_config();
  const std::string ssid(32, '\xfe'), key = std::string(32, 'a') + std::string(32, 'F');
  config.network.interface = Interface::wifi;
  ASSERT_TRUE(config.network.ssid.assign(ssid));
  ASSERT_TRUE(config.network.passphrase.assign(key));
  config.network.fixed = {0x0a000002, 0xffffff00, 0x0a000001, 0x01010101, 0x08080808};
  config.generation = 0xfedcba98;
  DeviceConfig read;
  ASSERT_EQ(decode(encoded(config), read), ConfigStatus::ok);
  EXPECT_EQ(read.network.interface, Interface::wifi);
  EXPECT_EQ(read.network.ssid.view(), ssid);
  EXPECT_EQ(read.network.passphrase.view(), key);
  EXPECT_EQ(read.network.fixed.address, 0x0a000002U);
  EXPECT_EQ(read.network.fixed.mask, 0xffffff00U);
  EXPECT_EQ(read.network.fixed.gateway, 0x0a000001U);
  EXPECT_EQ(read.network.fixed.dns, 0x01010101U);
  EXPECT_EQ(read.network.fixed.dns2, 0x08080808U);
  EXPECT_EQ(read.generation, 0xfedcba98U);
}

TEST(Config, ReadsARecordFromBeforeNetworksWereKept) {
  // As written by the first version: token, host, port, security, template id and name.
  Bytes record{'M', 'C', 'F', 'G', 1, 0, 0};
  const auto entry = [&](std::uint8_t key, std::string_view value) {
    record.push_back(key);
    record.push_back(static_cast<std::uint8_t>(value.size()));
    record.insert(record.end(), value.begin(), value.end());
  };
  entry(1, "0123456789abcdefghijklmnopqrstuv");
  entry(2, "cloud.example");
  entry(3, "\x24\xe3");
  entry(4, "\x02");
  entry(5, "TMPL2abcdefgh");
  entry(6, "Lamp");
  record[6] = static_cast<std::uint8_t>(record.size() - 7);
  record.resize(record.size() + 4);
  DeviceConfig read = full_config();
  read.generation = 9;
  ASSERT_EQ(decode(sealed(record), read), ConfigStatus::ok);
  EXPECT_EQ(read.port, 9443);
  EXPECT_EQ(read.network.interface, Interface::none);
  EXPECT_TRUE(read.network.ssid.empty());
  EXPECT_EQ(read.generation, 0U);
  EXPECT_EQ(encoded(read), sealed(record));  // And writes it as it was: an older agent can still read it.
}

TEST(Config, AnEmptyOneIsARecordToo) {
  DeviceConfig read = full_config();
  ASSERT_EQ(decode(encoded(DeviceConfig{}), read), ConfigStatus::ok);
  EXPECT_TRUE(read.token.empty());
  EXPECT_TRUE(read.host.empty());
  EXPECT_EQ(read.port, 0);
  EXPECT_EQ(read.security, Security::tls);
}

TEST(Config, TheLargestFitsTheNamedSizeAndNothingSmallerIsWrittenPartly) {
  DeviceConfig config = full_config();
  ASSERT_TRUE(config.host.assign(std::string(63, 'h')));
  ASSERT_TRUE(config.template_id.assign(std::string(32, 'T')));
  ASSERT_TRUE(config.template_name.assign(std::string(64, 'n')));
  config.network.interface = Interface::ethernet;
  ASSERT_TRUE(config.network.ssid.assign(std::string(32, 's')));
  ASSERT_TRUE(config.network.passphrase.assign(std::string(64, 'a')));
  config.network.fixed.address = config.generation = 1;
  const std::size_t size = encoded(config).size();
  EXPECT_LE(size, config_record_size_max_bytes);
  for (std::size_t room = 0; room < size; ++room) {
    const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[room]};
    EXPECT_EQ(encode_config(config, {exact.get(), room}), 0U) << room;
  }
}

TEST(Config, EveryTruncationIsTold) {
  const Bytes record = encoded(full_config());
  for (std::size_t size = 0; size < record.size(); ++size) {
    DeviceConfig read;
    EXPECT_EQ(decode(Bytes{record.begin(), record.begin() + static_cast<std::ptrdiff_t>(size)}, read), ConfigStatus::truncated) << size;
    EXPECT_TRUE(read.token.empty());
  }
}

TEST(Config, EveryFlippedBitIsFound) {
  const Bytes record = encoded(full_config());
  for (std::size_t at = 0; at < record.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = record;
      changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 << bit));
      DeviceConfig read;
      EXPECT_NE(decode(changed, read), ConfigStatus::ok) << at << '.' << bit;
      EXPECT_TRUE(read.token.empty());
    }
  }
}

TEST(Config, BytesBehindTheRecordAreCorrupt) {
  Bytes record = encoded(full_config());
  record.push_back(0);
  DeviceConfig read;
  EXPECT_EQ(decode(record, read), ConfigStatus::corrupt);
}

TEST(Config, ANewerVersionIsToldApartFromDamage) {
  Bytes record = encoded(full_config());
  DeviceConfig read;
  record[4] = 2;
  EXPECT_EQ(decode(record, read), ConfigStatus::corrupt);  // Wrong checksum: it only looks newer.
  EXPECT_EQ(decode(sealed(record), read), ConfigStatus::newer_version);
  record[4] = 0;
  EXPECT_EQ(decode(sealed(record), read), ConfigStatus::corrupt);
}

Bytes with_payload(const Bytes& payload) {
  Bytes record{'M', 'C', 'F', 'G', 1, 0, static_cast<std::uint8_t>(payload.size())};
  record.insert(record.end(), payload.begin(), payload.end());
  record.resize(record.size() + 4);
  return sealed(record);
}

TEST(Config, SkipsUnknownKeysAndRefusesImpossibleContent) {
  DeviceConfig read;
  EXPECT_EQ(decode(with_payload({200, 3, 1, 2, 3, 2, 1, 'h'}), read), ConfigStatus::ok);
  EXPECT_EQ(read.host.view(), "h");
  EXPECT_EQ(decode(with_payload({}), read), ConfigStatus::ok);
  EXPECT_EQ(decode(with_payload({2}), read), ConfigStatus::corrupt);                    // key without size
  EXPECT_EQ(decode(with_payload({2, 2, 'h'}), read), ConfigStatus::corrupt);            // value cut
  EXPECT_EQ(decode(with_payload({2, 0}), read), ConfigStatus::corrupt);                 // empty host
  EXPECT_EQ(decode(with_payload({2, 2, 'h', '/'}), read), ConfigStatus::corrupt);       // no host
  EXPECT_EQ(decode(with_payload({1, 2, 'a', 'b'}), read), ConfigStatus::corrupt);       // short token
  EXPECT_EQ(decode(with_payload({3, 1, 1}), read), ConfigStatus::corrupt);              // port of one byte
  EXPECT_EQ(decode(with_payload({4, 1, 3}), read), ConfigStatus::corrupt);              // unknown security: not to be guessed
  EXPECT_EQ(decode(with_payload({6, 2, 'a', 0}), read), ConfigStatus::corrupt);         // NUL in the name
  EXPECT_EQ(decode(with_payload({7, 1, 3}), read), ConfigStatus::corrupt);              // unknown interface
  EXPECT_EQ(decode(with_payload({8, 0}), read), ConfigStatus::corrupt);                 // empty network name
  EXPECT_EQ(decode(with_payload({9, 3, 'a', 'b', 'c'}), read), ConfigStatus::corrupt);  // short password
  EXPECT_EQ(decode(with_payload({10, 4, 1, 2, 3, 4}), read), ConfigStatus::corrupt);    // half an address
  EXPECT_EQ(decode(with_payload({11, 1, 1}), read), ConfigStatus::corrupt);             // generation of one byte
  Bytes long_name{6, 65};
  long_name.resize(67, 'x');
  EXPECT_EQ(decode(with_payload(long_name), read), ConfigStatus::corrupt);
}

TEST(Config, DoesNotWriteWhatItWouldNotRead) {
  std::uint8_t room[config_record_size_max_bytes];
  DeviceConfig config = full_config();
  ASSERT_TRUE(config.token.assign("short"));
  EXPECT_EQ(encode_config(config, {room, sizeof room}), 0U);
  config = full_config();
  ASSERT_TRUE(config.host.assign("a b"));
  EXPECT_EQ(encode_config(config, {room, sizeof room}), 0U);
  config = full_config();
  ASSERT_TRUE(config.template_id.assign("x y"));
  EXPECT_EQ(encode_config(config, {room, sizeof room}), 0U);
  config = full_config();
  ASSERT_TRUE(config.network.passphrase.assign("short"));
  EXPECT_EQ(encode_config(config, {room, sizeof room}), 0U);
  config = full_config();
  ASSERT_TRUE(config.template_name.assign(std::string_view{"a\0b", 3}));
  EXPECT_EQ(encode_config(config, {room, sizeof room}), 0U);
}

TEST(FixedText, RefusesWhatIsTooLongAndKeepsWhatWasThere) {
  FixedText<4> text;
  EXPECT_TRUE(text.assign("abcd"));
  EXPECT_FALSE(text.assign("abcde"));
  EXPECT_EQ(text.view(), "abcd");
  EXPECT_TRUE(text.assign(text.view().substr(1)));  // Overlapping.
  EXPECT_EQ(text.view(), "bcd");
  text.clear();
  EXPECT_TRUE(text.empty());
}

TEST(Validity, OfTokensAndHosts) {
  EXPECT_TRUE(is_valid_token("abcdefghijklmnopqrstuvwxyz-_0123"));
  EXPECT_FALSE(is_valid_token("abcdefghijklmnopqrstuvwxyz-_012"));
  EXPECT_FALSE(is_valid_token("abcdefghijklmnopqrstuvwxyz-_01234"));
  EXPECT_FALSE(is_valid_token("abcdefghijklmnopqrstuvwxyz-_012+"));
  for (const char* good : {"localhost", "127.0.0.1", "::1", "fe80::1", "a.example", "my_host"}) {
    EXPECT_TRUE(is_valid_host(good)) << good;
  }
  for (const char* bad : {"", "-h", "a b", "http://x", "a/b", "ü", "a\n"}) {
    EXPECT_FALSE(is_valid_host(bad)) << bad;
  }
  EXPECT_TRUE(is_valid_host(std::string(63, 'a')));
  EXPECT_FALSE(is_valid_host(std::string(64, 'a')));
}

}  // namespace
}  // namespace muster::agent
