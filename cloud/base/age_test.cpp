// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/age.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "cloud/base/error.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster::age {
namespace {

constexpr int quick = 4;  // A work factor for tests: 16 rounds of scrypt.
constexpr std::size_t chunk = 65536;

std::string of(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

std::string read(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write(const std::filesystem::path& path, std::string_view bytes) { std::ofstream{path, std::ios::binary} << bytes; }

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 131) ^ (i >> 7));
  return bytes;
}

/// What came out, and whether all went well.
struct Outcome {
  Error error;
  std::string plain;
};

Outcome open(const std::string& file, std::span<const Identity> identities) {
  std::istringstream in{file};
  Outcome outcome;
  const auto result = decrypt(read_from(in), [&](auto bytes) { return outcome.plain += of(bytes), Result<void>{}; }, identities);
  if (!result) outcome.error = result.error();
  return outcome;
}

Outcome open_with(const std::string& file, std::string_view passphrase, int limit = work_factor_max) {
  std::istringstream in{file};
  Outcome outcome;
  const auto result =
      decrypt_with_passphrase(read_from(in), [&](auto bytes) { return outcome.plain += of(bytes), Result<void>{}; }, passphrase, limit);
  if (!result) outcome.error = result.error();
  return outcome;
}

class Age : public testing::Test {
 protected:
  [[nodiscard]] std::string seal(const std::string& plain, std::span<const Recipient> recipients) {
    std::istringstream in{plain};
    std::ostringstream out;
    const auto result = encrypt(in, out, recipients, random_);
    EXPECT_TRUE(result) << result.error().message();
    return out.str();
  }
  [[nodiscard]] std::string seal(const std::string& plain) { return seal(plain, std::array{identity_.recipient()}); }
  [[nodiscard]] std::string seal_with(const std::string& plain, std::string_view passphrase, int work_factor = quick) {
    std::istringstream in{plain};
    std::ostringstream out;
    const auto result = encrypt_with_passphrase(in, out, passphrase, random_, work_factor);
    EXPECT_TRUE(result) << result.error().message();
    return out.str();
  }
  [[nodiscard]] Outcome open(const std::string& file) { return age::open(file, std::array{identity_}); }

  SecureRandom random_;
  Identity identity_ = Identity::generate(random_);
};

const std::filesystem::path data = std::filesystem::path{MUSTER_SOURCE_DIR} / "cloud/base/testdata";

// --- keys ---

TEST_F(Age, KeysGoThroughTextAndBack) {
  for (int i = 0; i < 50; ++i) {
    const Identity identity = Identity::generate(random_);
    const auto again = Identity::parse(identity.reveal());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->reveal_key(), identity.reveal_key());
    const auto recipient = Recipient::parse(identity.recipient().text());
    ASSERT_TRUE(recipient);
    EXPECT_EQ(*recipient, identity.recipient());
  }
}

TEST_F(Age, KnowsTheKeysOfTheFormatsDescription) {
  const auto identity = Identity::parse("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX");
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->recipient().text(), "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
}

TEST_F(Age, RefusesDamagedKeys) {
  const std::string recipient = identity_.recipient().text();
  const std::string secret = identity_.reveal();
  for (std::size_t i = 0; i < recipient.size(); ++i) {
    std::string bad = recipient;
    bad[i] = bad[i] == 'q' ? 'p' : 'q';
    EXPECT_EQ(Recipient::parse(bad).error(), BaseError::recipient_malformed) << bad;
  }
  for (std::size_t i = 0; i < secret.size(); ++i) {
    std::string bad = secret;
    bad[i] = bad[i] == 'Q' ? 'P' : 'Q';
    EXPECT_EQ(Identity::parse(bad).error(), BaseError::identity_malformed) << i;
  }
  std::string upper = recipient;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  std::string lower = secret;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string& bad :
       {std::string{}, std::string{"age1"}, recipient.substr(1), recipient + "q", secret, upper, " " + recipient}) {
    EXPECT_FALSE(Recipient::parse(bad)) << bad;
  }
  for (const std::string& bad : {std::string{}, secret.substr(1), secret + "Q", recipient, lower, secret + "\n"}) {
    EXPECT_FALSE(Identity::parse(bad));
  }
}

TEST_F(Age, ReadsKeyFiles) {
  const Identity other = Identity::generate(random_);
  const auto both = Identity::parse_file("# made today\n\n" + identity_.reveal() + "\r\n#x\n" + other.reveal());
  ASSERT_TRUE(both);
  ASSERT_EQ(both->size(), 2u);
  EXPECT_EQ((*both)[1].recipient(), other.recipient());
  EXPECT_FALSE(Identity::parse_file("# nothing\n"));
  EXPECT_FALSE(Identity::parse_file(identity_.reveal() + "\nwhat\n"));
  std::string many;
  for (int i = 0; i < 64; ++i) many += identity_.reveal() + '\n';
  EXPECT_TRUE(Identity::parse_file(many));
  EXPECT_FALSE(Identity::parse_file(many + identity_.reveal()));
}

TEST_F(Age, AnIdentityIsWipedWhenDestroyed) {
  alignas(Identity) std::array<unsigned char, sizeof(Identity)> memory{};
  auto* identity = new (memory.data()) Identity{identity_};
  identity->~Identity();
  const volatile unsigned char* bytes = memory.data();
  for (std::size_t i = 0; i < memory.size(); ++i) EXPECT_EQ(bytes[i], 0);
}

// --- there and back ---

TEST_F(Age, EverySizeAroundAChunkGoesThereAndBack) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1, 5 * chunk + 17}) {
    const std::string plain = pattern(size);
    const Outcome outcome = open(seal(plain));
    EXPECT_FALSE(outcome.error) << size << ' ' << outcome.error.message();
    EXPECT_TRUE(outcome.plain == plain) << size;
    const std::string file = seal(plain);
    const std::size_t chunks = std::max<std::size_t>(1, (size + chunk - 1) / chunk);
    EXPECT_EQ(file.size() - file.find("\n---") - 1 - 48, 16 + size + 16 * chunks) << "no empty chunk at the end";
  }
}

TEST_F(Age, PiecesOfAnySizeMakeTheSameFile) {
  const std::string plain = pattern(3 * chunk);
  const auto file_of = [&](std::size_t piece) {
    SeededRandom random{9};
    std::string file;
    auto encryptor =
        Encryptor::to_recipients(std::array{identity_.recipient()}, random, [&](auto bytes) { return file += of(bytes), Result<void>{}; });
    for (std::size_t at = 0; at < plain.size(); at += piece) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(plain.data()) + at;
      EXPECT_TRUE(encryptor->write({bytes, std::min(piece, plain.size() - at)}));
    }
    EXPECT_TRUE(encryptor->finish());
    return file;
  };
  const std::string whole = file_of(plain.size());
  EXPECT_TRUE(whole == file_of(1000));
  EXPECT_TRUE(whole == file_of(chunk));
  EXPECT_TRUE(whole == file_of(1));
}

TEST_F(Age, ReadsFromASourceThatGivesAByteAtATime) {
  const std::string plain = pattern(chunk + 5);
  const std::string file = seal(plain);
  std::size_t at = 0;
  const Source source = [&](std::span<std::uint8_t> room) -> Result<std::size_t> {
    if (at == file.size()) return std::size_t{0};
    room[0] = static_cast<std::uint8_t>(file[at++]);
    return std::size_t{1};
  };
  std::string out;
  ASSERT_TRUE(decrypt(source, [&](auto bytes) { return out += of(bytes), Result<void>{}; }, std::array{identity_}));
  EXPECT_TRUE(out == plain);
}

TEST_F(Age, EachOfSeveralRecipientsOpensTheFile) {
  std::vector<Identity> identities;
  std::vector<Recipient> recipients;
  for (std::size_t i = 0; i < recipients_max; ++i) {
    identities.push_back(Identity::generate(random_));
    recipients.push_back(identities.back().recipient());
  }
  const std::string file = seal("plain", recipients);
  EXPECT_EQ(age::open(file, std::array{identities.front()}).plain, "plain");
  EXPECT_EQ(age::open(file, std::array{identity_, identities.back()}).plain, "plain");
  EXPECT_EQ(open(file).error, BaseError::identity_mismatch);
  recipients.push_back(identity_.recipient());
  std::istringstream in{"x"};
  std::ostringstream out;
  EXPECT_EQ(encrypt(in, out, recipients, random_).error(), BaseError::over_limit);
  EXPECT_EQ(encrypt(in, out, {}, random_).error(), BaseError::recipient_malformed);
}

TEST_F(Age, PassphraseGoesThereAndBackAndAWrongOneIsTold) {
  const std::string file = seal_with("plain", "correct");
  EXPECT_EQ(open_with(file, "correct").plain, "plain");
  EXPECT_EQ(open_with(file, "Correct").error, BaseError::passphrase_wrong);
  EXPECT_EQ(open_with(file, "").error, BaseError::passphrase_wrong);
  EXPECT_EQ(open(file).error, BaseError::identity_mismatch);
  EXPECT_EQ(open_with(seal("plain"), "correct").error, BaseError::identity_mismatch);
  std::istringstream in{"x"};
  std::ostringstream out;
  EXPECT_EQ(encrypt_with_passphrase(in, out, "", random_, quick).error(), BaseError::passphrase_wrong);
}

TEST_F(Age, AWorkFactorBeyondTheLimitIsNotEvenTried) {
  const std::string file = seal_with("plain", "correct", 5);
  EXPECT_EQ(open_with(file, "correct", 5).plain, "plain");
  EXPECT_EQ(open_with(file, "correct", 4).error, BaseError::over_limit);
  std::string huge = file;
  huge.replace(huge.find(" 5\n"), 3, " 63\n");
  EXPECT_EQ(open_with(huge, "correct").error, BaseError::over_limit);
  huge.replace(huge.find(" 63\n"), 4, " 99999999999999999999\n");
  EXPECT_EQ(open_with(huge, "correct").error, BaseError::over_limit);
  for (const char* bad : {" 0\n", " 05\n", " +5\n", " 5x\n", " -5\n"}) {
    std::string malformed = file;
    malformed.replace(malformed.find(" 5\n"), 3, bad);
    EXPECT_EQ(open_with(malformed, "correct").error, BaseError::file_damaged) << bad;
  }
  std::istringstream in{"x"};
  std::ostringstream out;
  EXPECT_EQ(encrypt_with_passphrase(in, out, "p", random_, work_factor_max + 1).error(), BaseError::over_limit);
  EXPECT_EQ(encrypt_with_passphrase(in, out, "p", random_, 0).error(), BaseError::over_limit);
}

TEST_F(Age, TellsHowAFileWasEncrypted) {
  EXPECT_EQ(inspect(seal("x")).value(), Kind::recipients);
  EXPECT_EQ(inspect(seal_with("x", "p")).value(), Kind::passphrase);
  EXPECT_EQ(inspect("PK\x03\x04").error(), BaseError::file_damaged);
}

// --- bad files ---

TEST_F(Age, EveryChangedByteIsNoticed) {
  const std::string file = seal("some plain text");
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const int bit : {1, 0x20, 0x80}) {
      std::string bad = file;
      bad[i] = static_cast<char>(bad[i] ^ bit);
      const Outcome outcome = open(bad);
      EXPECT_TRUE(outcome.error) << i;
      EXPECT_EQ(outcome.plain, "") << i;
    }
  }
}

TEST_F(Age, EveryTruncationIsNoticed) {
  const std::string plain = pattern(2 * chunk);
  const std::string file = seal(plain);
  const std::size_t payload = file.find("\n---") + 1 + 48;
  const auto cut = [&](std::size_t size) { EXPECT_EQ(open(file.substr(0, size)).error, BaseError::file_damaged) << size; };
  for (std::size_t size = 0; size < payload + 40; ++size) cut(size);
  for (const std::size_t end : {payload + 16 + chunk + 16, file.size()}) {
    for (std::size_t size = end - 20; size < std::min(end + 20, file.size()); ++size) cut(size);
  }
  EXPECT_EQ(open(file + "x").error, BaseError::file_damaged) << "and so is what follows the end";
  EXPECT_EQ(open(file + file.substr(file.size() - 16)).error, BaseError::file_damaged);
}

TEST_F(Age, SwappedAndRepeatedChunksAreNoticed) {
  const std::string file = seal(pattern(3 * chunk));
  const std::size_t payload = file.find("\n---") + 1 + 48 + 16;
  const std::size_t sealed = chunk + 16;
  const std::string head = file.substr(0, payload);
  const auto part = [&](std::size_t i) { return file.substr(payload + i * sealed, sealed); };
  ASSERT_FALSE(open(head + part(0) + part(1) + part(2)).error);
  EXPECT_TRUE(open(head + part(1) + part(0) + part(2)).error);
  EXPECT_TRUE(open(head + part(0) + part(0) + part(1) + part(2)).error);
  EXPECT_TRUE(open(head + part(0) + part(2)).error);
}

TEST_F(Age, AnEmptyLastChunkAfterOthersIsRefused) {
  // Sealed by hand: the Encryptor never writes it.
  const std::string one = seal(pattern(chunk));
  EXPECT_TRUE(open(one + std::string(16, '\0')).error);
}

/// Replaces the header of a good file; whatever its MAC, these are refused earlier.
TEST_F(Age, RefusesMalformedHeaders) {
  const std::string stanza = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n";
  const std::string mac = "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
  const std::string v1 = "age-encryption.org/v1\n";
  const std::string full = std::string(64, 'A') + '\n';
  const std::string rest(100, 'x');
  ASSERT_EQ(open(v1 + stanza + mac + rest).error, BaseError::identity_mismatch) << "the parts themselves are good";
  ASSERT_EQ(open(v1 + "-> other a b\n\n" + stanza + mac + rest).error, BaseError::identity_mismatch);
  ASSERT_EQ(open(v1 + "-> other\n" + full + full + "AAAA\n" + stanza + mac + rest).error, BaseError::identity_mismatch);
  for (const std::string& bad : {
           std::string{},
           std::string{"\n"},
           rest,
           v1,
           v1 + mac,
           v1 + stanza,
           "age-encryption.org/v2\n" + stanza + mac,
           "age-encryption.org/v1\r\n" + stanza + mac,
           v1 + "\n" + stanza + mac,
           v1 + "->\n\n" + mac,
           v1 + "-> \n\n" + mac,
           v1 + "-> a  b\n\n" + mac,
           v1 + "-> a \n\n" + mac,
           v1 + "-> a\tb\n\n" + mac,
           v1 + "-> \xc3\xbc\n\n" + mac,
           v1 + "-> other\n" + full + mac,
           v1 + "-> other\n" + std::string(65, 'A') + "\n\n" + mac,
           v1 + "-> other\nAAA=\n" + mac,
           v1 + "-> other\nAAB\n" + mac,
           v1 + "-> other\nA\n" + mac,
           v1 + "-> other\nAA AA\n" + mac,
           v1 + stanza + "---\n",
           v1 + stanza + "--- AAAA\n",
           v1 + stanza + "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n",
           v1 + stanza + "---  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
           v1 + "-> X25519\n\n" + mac,
           v1 + "-> X25519 AAAA\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n" + mac,
           v1 +
               "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc "
               "x\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n" +
               mac,
           v1 + "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nAAAA\n" + mac,
           v1 + "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n" + mac,
           v1 + stanza + "-> scrypt 3d9y0G+8q1ffPQ0xJJatIQ 10\nfoZolxuhRSL7IG7oaR+456IzkHtvue7j4mUjh3DB6EI\n" + mac,
       }) {
    EXPECT_EQ(open(bad + rest).error, BaseError::file_damaged) << bad;
    EXPECT_TRUE(open_with(bad + rest, "p").error) << bad;
  }
}

TEST_F(Age, BoundsTheHeader) {
  const std::string v1 = "age-encryption.org/v1\n";
  EXPECT_EQ(open(v1 + "-> " + std::string(100'000, 'a')).error, BaseError::over_limit) << "a line without an end";
  std::string many = v1;
  for (std::size_t i = 0; i <= recipients_max; ++i) many += "-> a\n\n";
  EXPECT_EQ(open(many).error, BaseError::over_limit);
  std::string long_body = v1 + "-> a\n";
  while (long_body.size() < 2 * header_max_bytes) long_body += std::string(64, 'A') + '\n';
  EXPECT_EQ(open(long_body).error, BaseError::over_limit);
}

// --- trouble at both ends ---

TEST_F(Age, HandsBackTheErrorsOfSourceAndSink) {
  const Error planted{ENOSPC, boost::system::generic_category()};
  const std::string file = seal(pattern(chunk * 2));
  for (std::size_t good = 0; good < 3; ++good) {
    std::size_t calls = 0;
    const Sink sink = [&](auto) -> Result<void> {
      if (calls++ == good) return planted;
      return {};
    };
    auto encryptor = Encryptor::to_recipients(std::array{identity_.recipient()}, random_, sink);
    Error error = encryptor ? Error{} : encryptor.error();
    const std::vector<std::uint8_t> plain(chunk + 1);
    if (!error) {
      if (const auto written = encryptor->write(plain); !written) error = written.error();
    }
    if (!error) {
      if (const auto finished = encryptor->finish(); !finished) error = finished.error();
    }
    EXPECT_EQ(error, planted) << good;
  }
  for (std::size_t good = 0; good < 2; ++good) {
    std::istringstream in{file};
    std::size_t calls = 0;
    const Sink sink = [&](auto) -> Result<void> {
      if (calls++ == good) return planted;
      return {};
    };
    EXPECT_EQ(decrypt(read_from(in), sink, std::array{identity_}).error(), planted);
  }
  for (const std::size_t good : {std::size_t{0}, std::size_t{30}, file.size() - 1}) {
    std::size_t at = 0;
    const Source source = [&](std::span<std::uint8_t> room) -> Result<std::size_t> {
      if (at >= good) return planted;
      const std::size_t count = std::min(room.size(), good - at);
      std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), count, room.begin());
      at += count;
      return count;
    };
    EXPECT_EQ(decrypt(source, [](auto) { return Result<void>{}; }, std::array{identity_}).error(), planted) << good;
  }
  std::ostringstream full;
  full.setstate(std::ios::badbit);
  std::istringstream in{"x"};
  EXPECT_EQ(encrypt(in, full, std::array{identity_.recipient()}, random_).error().value(), EIO);
}

// --- against the age program (Debian's package `age`) ---

/// Runs a program on a terminal of its own and answers each prompt that ends in ": ". -1: it could not run or took too
/// long.
int run(const std::vector<std::string>& arguments, const std::string& answer = {}) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child < 0) return -1;
  if (child == 0) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  std::string shown;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  for (;;) {
    pollfd waiting{terminal, POLLIN, 0};
    if (::poll(&waiting, 1, 1000) < 0 || std::chrono::steady_clock::now() > deadline) {
      ::kill(child, SIGKILL);
      break;
    }
    if (waiting.revents == 0) continue;
    std::array<char, 1024> text{};
    const ssize_t count = ::read(terminal, text.data(), text.size());
    if (count <= 0) break;  // The terminal's last user is gone.
    shown.append(text.data(), static_cast<std::size_t>(count));
    if (shown.ends_with(": ")) {
      shown.clear();
      const std::string line = answer + '\n';
      if (::write(terminal, line.data(), line.size()) < 0) break;
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(terminal);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code != 0) std::cerr << arguments[0] << " said: " << shown << '\n';
  return code;
}

class RealAge : public Age {
 protected:
  void SetUp() override { ASSERT_EQ(run({"age", "--version"}), 0) << "the package `age` is needed: ./dev setup"; }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  TemporaryFolder folder_;
};

TEST_F(RealAge, OpensOurFilesWithAKey) {
  write(path("key"), identity_.reveal() + "\n");
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, chunk, 2 * chunk, 3 * chunk + 1}) {
    write(path("in"), seal(pattern(size), std::array{Identity::generate(random_).recipient(), identity_.recipient()}));
    ASSERT_EQ(run({"age", "-d", "-i", path("key"), "-o", path("out"), path("in")}), 0) << size;
    EXPECT_TRUE(read(path("out")) == pattern(size)) << size;
  }
}

TEST_F(RealAge, WritesFilesThatWeOpenWithAKey) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, chunk, 2 * chunk, 3 * chunk + 1}) {
    write(path("in"), pattern(size));
    ASSERT_EQ(run({"age", "-r", identity_.recipient().text(), "-o", path("out"), path("in")}), 0) << size;
    const Outcome outcome = open(read(path("out")));
    EXPECT_FALSE(outcome.error) << outcome.error.message();
    EXPECT_TRUE(outcome.plain == pattern(size)) << size;
  }
}

TEST_F(RealAge, OpensOurFilesWithAPassphrase) {
  write(path("in"), seal_with("plain text", "correct horse", 10));
  ASSERT_EQ(run({"age", "-d", "-o", path("out"), path("in")}, "correct horse"), 0);
  EXPECT_EQ(read(path("out")), "plain text");
}

TEST_F(RealAge, WritesFilesThatWeOpenWithAPassphrase) {
  write(path("in"), pattern(chunk + 1));
  ASSERT_EQ(run({"age", "-p", "-o", path("out"), path("in")}, "correct horse"), 0);
  EXPECT_TRUE(open_with(read(path("out")), "correct horse").plain == pattern(chunk + 1));
}

TEST_F(RealAge, MakesKeysThatWeRead) {
  ASSERT_EQ(run({"age-keygen", "-o", path("key")}), 0);
  const auto identities = Identity::parse_file(read(path("key")));
  ASSERT_TRUE(identities);
  EXPECT_NE(read(path("key")).find(identities->front().recipient().text()), std::string::npos);
}

TEST(AgeFiles, FilesMadeOnceByTheProgramStillOpen) {
  const std::string plain = read(data / "plain.txt");
  ASSERT_FALSE(plain.empty());
  const auto identities = Identity::parse_file(read(data / "identity.txt"));
  ASSERT_TRUE(identities);
  EXPECT_EQ(open(read(data / "recipient.age"), *identities).plain, plain);
  EXPECT_EQ(open_with(read(data / "passphrase.age"), "correct horse battery staple").plain, plain);
}

}  // namespace
}  // namespace muster::age
