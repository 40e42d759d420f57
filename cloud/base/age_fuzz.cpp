// SPDX-License-Identifier: Apache-2.0
// The age reader on any bytes; then the same bytes as plain text: sealed, they come back, and one changed bit is
// noticed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloud/base/age.hpp"
#include "cloud/base/error.hpp"

namespace {

using namespace muster;
using namespace muster::age;

/// Opens the seeds of the corpus (testdata/identity.txt).
constexpr std::string_view identity_text = "AGE-SECRET-KEY-1P69FPT0G7W0JLGAXTNGQ38U8ZG7HMESP2SNWAS6SUNCXSFZY8ZDQTJLJ32";
constexpr int work_factor = 2;

void require(bool condition) {
  if (!condition) std::abort();
}

Source source_of(std::string_view bytes, std::size_t piece) {
  return [bytes, piece](std::span<std::uint8_t> room) mutable -> Result<std::size_t> {
    const std::size_t count = std::min({room.size(), bytes.size(), piece});
    std::copy_n(bytes.begin(), count, room.begin());
    bytes.remove_prefix(count);
    return count;
  };
}

Sink sink_to(std::string& out) {
  return [&out](std::span<const std::uint8_t> bytes) -> Result<void> {
    out.append(bytes.begin(), bytes.end());
    return {};
  };
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Identity identity = Identity::parse(identity_text).value();
  const std::string_view input{reinterpret_cast<const char*>(data), size};

  // Any bytes: the same answer whatever the pieces they come in.
  std::string whole;
  std::string pieces;
  const auto opened = decrypt(source_of(input, size + 1), sink_to(whole), {&identity, 1});
  const auto again = decrypt(source_of(input, 7), sink_to(pieces), {&identity, 1});
  require(opened.has_value() == again.has_value() && whole == pieces);
  if (!opened) require(opened.error() == again.error());
  std::string ignored;
  const auto with_passphrase = decrypt_with_passphrase(source_of(input, 1000), sink_to(ignored), "passphrase", work_factor);
  require(!(opened && with_passphrase));
  const auto kind = inspect(input);
  if (opened) require(kind && *kind == Kind::recipients);
  if (with_passphrase) require(kind && *kind == Kind::passphrase);

  // Keys: what parses, prints the same.
  if (const auto recipient = Recipient::parse(input)) require(recipient->text() == input);
  if (const auto parsed = Identity::parse(input)) require(parsed->reveal() == input);
  static_cast<void>(Identity::parse_file(input));

  // As plain text.
  SeededRandom random{size};
  std::string sealed;
  const Recipient recipient = identity.recipient();
  auto encryptor = Encryptor::to_recipients({&recipient, 1}, random, sink_to(sealed));
  require(encryptor && encryptor->write({data, size}) && encryptor->finish());
  std::string plain;
  require(decrypt(source_of(sealed, 4096), sink_to(plain), {&identity, 1}).has_value() && plain == input);
  const std::size_t victim = size == 0 ? 0 : (data[0] * std::size_t{257} + size) % sealed.size();
  sealed[victim] = static_cast<char>(sealed[victim] ^ 1);
  require(!decrypt(source_of(sealed, 4096), sink_to(plain), {&identity, 1}));
  return 0;
}
