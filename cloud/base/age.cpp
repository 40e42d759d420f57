// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/age.hpp"

#include <sodium.h>

#include <algorithm>
#include <cerrno>
#include <istream>
#include <optional>
#include <ostream>
#include <utility>

#include "cloud/base/error.hpp"
#include "cloud/base/sodium.hpp"

namespace muster::age {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Key32 = std::array<std::uint8_t, 32>;

constexpr std::string_view version_line = "age-encryption.org/v1";
constexpr std::string_view x25519_info = "age-encryption.org/v1/X25519";
constexpr std::string_view scrypt_label = "age-encryption.org/v1/scrypt";
constexpr std::size_t file_key_bytes = 16;
constexpr std::size_t tag_bytes = crypto_aead_chacha20poly1305_ietf_ABYTES;
constexpr std::size_t wrapped_bytes = file_key_bytes + tag_bytes;
constexpr std::size_t payload_nonce_bytes = 16;
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t chunk_bytes = std::size_t{64} * 1024;
constexpr std::size_t sealed_chunk_bytes = chunk_bytes + tag_bytes;
constexpr std::size_t columns = 64;
constexpr std::size_t line_max_bytes = 4096;  // The longest known argument line (a post-quantum stanza) has some 1,600.
constexpr std::size_t identities_max = 64;
constexpr std::uint32_t scrypt_r = 8;
constexpr std::uint32_t scrypt_p = 1;

/// Never a null pointer, not even to no bytes: libsodium does not take one.
Bytes view(std::string_view text) noexcept {
  if (text.empty()) text = "";
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A secret on the stack, wiped when it goes.
template <std::size_t size>
struct Secret {
  std::array<std::uint8_t, size> bytes{};
  Secret() noexcept = default;
  Secret(const Secret&) noexcept = default;
  Secret& operator=(const Secret&) noexcept = default;
  ~Secret() { sodium_memzero(bytes.data(), size); }
};
using FileKey = Secret<file_key_bytes>;

// --- base64 without padding, canonical only ---

std::string to_base64(Bytes bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL_NO_PADDING), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
  text.pop_back();  // The terminating NUL.
  return text;
}

/// Exactly `size` bytes, or nothing.
template <std::size_t size>
std::optional<std::array<std::uint8_t, size>> from_base64(std::string_view text) {
  std::array<std::uint8_t, size> bytes{};
  std::size_t length = 0;
  if (sodium_base642bin(bytes.data(), size, text.data(), text.size(), nullptr, &length, nullptr,
                        sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 ||
      length != size || to_base64(bytes) != text) {
    return std::nullopt;
  }
  return bytes;
}

bool is_base64_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

// --- Bech32 (BIP 173, without its limit on length) ---

constexpr std::string_view bech32_alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr std::size_t bech32_checksum_chars = 6;

std::uint32_t bech32_step(std::uint32_t checksum, std::uint8_t value) noexcept {
  constexpr std::array<std::uint32_t, 5> generator{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  const std::uint32_t top = checksum >> 25;
  checksum = ((checksum & 0x1ffffff) << 5) ^ value;
  for (std::size_t bit = 0; bit < generator.size(); ++bit) {
    if (((top >> bit) & 1) != 0) checksum ^= generator[bit];
  }
  return checksum;
}

std::uint32_t bech32_start(std::string_view prefix) noexcept {
  std::uint32_t checksum = 1;
  for (const char c : prefix) checksum = bech32_step(checksum, static_cast<std::uint8_t>(static_cast<unsigned char>(c) >> 5));
  checksum = bech32_step(checksum, 0);
  for (const char c : prefix) checksum = bech32_step(checksum, static_cast<std::uint8_t>(c & 31));
  return checksum;
}

/// Lower case.
std::string to_bech32(std::string_view prefix, const Key32& key) {
  std::string text{prefix};
  text.reserve(128);
  text += '1';
  std::uint32_t checksum = bech32_start(prefix);
  const auto put = [&](std::uint8_t value) {
    checksum = bech32_step(checksum, value);
    text += bech32_alphabet[value];
  };
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : key) {
    bits = ((bits << 8) | byte) & 0xfff;
    count += 8;
    while (count >= 5) {
      count -= 5;
      put((bits >> count) & 31);
    }
  }
  if (count > 0) put((bits << (5 - count)) & 31);
  for (std::size_t i = 0; i < bech32_checksum_chars; ++i) checksum = bech32_step(checksum, 0);
  checksum ^= 1;
  for (std::size_t i = 0; i < bech32_checksum_chars; ++i) text += bech32_alphabet[(checksum >> (5 * (5 - i))) & 31];
  return text;
}

char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char to_upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// `prefix` in lower case; the text all lower or all upper case. Wipes what it read into.
std::optional<Secret<32>> from_bech32(std::string_view prefix, std::string_view text) {
  constexpr std::size_t data_chars = 52;  // 256 bits, five a character, and four bits of filling.
  if (text.size() != prefix.size() + 1 + data_chars + bech32_checksum_chars) return std::nullopt;
  const bool any_lower = std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  const bool any_upper = std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (any_lower && any_upper) return std::nullopt;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (to_lower(text[i]) != prefix[i]) return std::nullopt;
  }
  if (text[prefix.size()] != '1') return std::nullopt;

  Secret<32> key;
  std::uint32_t checksum = bech32_start(prefix);
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t filled = 0;
  const std::string_view data = text.substr(prefix.size() + 1);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t value = bech32_alphabet.find(to_lower(data[i]));
    if (value == std::string_view::npos) return std::nullopt;
    checksum = bech32_step(checksum, static_cast<std::uint8_t>(value));
    if (i >= data_chars) continue;
    bits = ((bits << 5) | static_cast<std::uint32_t>(value)) & 0xfff;
    count += 5;
    if (count >= 8) {
      count -= 8;
      key.bytes[filled++] = static_cast<std::uint8_t>(bits >> count);
    }
  }
  const bool filling_is_zero = (bits & ((1u << count) - 1)) == 0;
  if (checksum != 1 || filled != key.bytes.size() || !filling_is_zero) return std::nullopt;
  return key;
}

constexpr std::string_view recipient_prefix = "age";
constexpr std::string_view identity_prefix = "age-secret-key-";

// --- keys from keys ---

class Hmac {
 public:
  explicit Hmac(Bytes key) noexcept {
    constexpr std::uint8_t nothing = 0;  // libsodium wants a pointer even to no bytes.
    crypto_auth_hmacsha256_init(&state_, key.empty() ? &nothing : key.data(), key.size());
  }
  Hmac& add(Bytes bytes) noexcept {
    crypto_auth_hmacsha256_update(&state_, bytes.data(), bytes.size());
    return *this;
  }
  [[nodiscard]] Key32 finish() noexcept {
    Key32 mac{};
    crypto_auth_hmacsha256_final(&state_, mac.data());
    return mac;
  }

 private:
  crypto_auth_hmacsha256_state state_{};
};

/// HKDF-SHA-256 (RFC 5869) with 32 bytes of output, which is one block of its expansion.
Secret<32> hkdf(Bytes input_key, Bytes salt, std::string_view info) noexcept {
  Secret<32> extracted;
  extracted.bytes = Hmac{salt}.add(input_key).finish();
  constexpr std::uint8_t first_block = 1;
  Secret<32> key;
  key.bytes = Hmac{extracted.bytes}.add(view(info)).add({&first_block, 1}).finish();
  return key;
}

Key32 header_mac(const FileKey& file_key, std::string_view header) noexcept {
  const Secret<32> key = hkdf(file_key.bytes, {}, "header");
  return Hmac{key.bytes}.add(view(header)).finish();
}

using Wrapped = std::array<std::uint8_t, wrapped_bytes>;
constexpr std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> wrap_nonce{};  // Each wrap key is used once.

Wrapped wrap(const FileKey& file_key, const Secret<32>& wrap_key) noexcept {
  Wrapped wrapped{};
  unsigned long long length = 0;
  crypto_aead_chacha20poly1305_ietf_encrypt(wrapped.data(), &length, file_key.bytes.data(), file_key.bytes.size(), nullptr, 0, nullptr,
                                            wrap_nonce.data(), wrap_key.bytes.data());
  return wrapped;
}

std::optional<FileKey> unwrap(const Wrapped& wrapped, const Secret<32>& wrap_key) noexcept {
  FileKey file_key;
  unsigned long long length = 0;
  if (crypto_aead_chacha20poly1305_ietf_decrypt(file_key.bytes.data(), &length, nullptr, wrapped.data(), wrapped.size(), nullptr, 0,
                                                wrap_nonce.data(), wrap_key.bytes.data()) != 0) {
    return std::nullopt;
  }
  return file_key;
}

Secret<32> x25519_wrap_key(const Secret<32>& shared, const Key32& share, const Key32& recipient) noexcept {
  std::array<std::uint8_t, 64> salt{};
  std::copy(share.begin(), share.end(), salt.begin());
  std::copy(recipient.begin(), recipient.end(), salt.begin() + 32);
  return hkdf(shared.bytes, salt, x25519_info);
}

Result<Secret<32>> scrypt_wrap_key(std::string_view passphrase, const std::array<std::uint8_t, salt_bytes>& salt, int work_factor) {
  std::array<std::uint8_t, scrypt_label.size() + salt_bytes> labelled{};
  std::copy(scrypt_label.begin(), scrypt_label.end(), labelled.begin());
  std::copy(salt.begin(), salt.end(), labelled.begin() + scrypt_label.size());
  Secret<32> key;
  if (crypto_pwhash_scryptsalsa208sha256_ll(view(passphrase).data(), passphrase.size(), labelled.data(), labelled.size(),
                                            std::uint64_t{1} << work_factor, scrypt_r, scrypt_p, key.bytes.data(), key.bytes.size()) != 0) {
    return BaseError::over_limit;  // No memory: 128 * r * 2^work_factor bytes.
  }
  return key;
}

void append_stanza(std::string& header, std::string_view arguments, const Wrapped& body) {
  header += "-> ";
  header += arguments;
  header += '\n';
  header += to_base64(body);  // 43 characters: one short line, which also ends the stanza.
  header += '\n';
}

// --- reading a header ---

/// Buffers a source, so that lines and chunks of exact size can be taken from it.
class Input {
 public:
  explicit Input(const Source& source) : source_{source}, buffer_(sealed_chunk_bytes + 1) {}

  /// Fills up to `count` bytes (less only at the end of the source) and shows them; they stay until `drop`.
  [[nodiscard]] Result<Bytes> peek(std::size_t count) {
    if (buffer_.size() - begin_ < count) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), buffer_.begin() + static_cast<std::ptrdiff_t>(end_),
                buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    while (end_ - begin_ < count && !ended_) {
      MUSTER_TRY(const std::size_t got, source_(std::span{buffer_}.subspan(end_)));
      ended_ = got == 0;
      end_ += std::min(got, buffer_.size() - end_);
    }
    return Bytes{buffer_.data() + begin_, std::min(count, end_ - begin_)};
  }
  void drop(std::size_t count) noexcept { begin_ += count; }

  /// The next line without its line feed. Errors: file_damaged (the source ends first), over_limit (longer than a line
  /// may be).
  [[nodiscard]] Result<std::string> line() {
    std::size_t searched = 0;
    for (std::size_t want = 128;; want = std::min(want * 2, line_max_bytes + 1)) {
      MUSTER_TRY(const Bytes bytes, peek(want));
      const auto found = std::find(bytes.begin() + static_cast<std::ptrdiff_t>(searched), bytes.end(), std::uint8_t{'\n'});
      if (found != bytes.end()) {
        std::string text{bytes.begin(), found};
        drop(text.size() + 1);
        return text;
      }
      if (bytes.size() < want) return BaseError::file_damaged;
      if (want > line_max_bytes) return BaseError::over_limit;
      searched = bytes.size();
    }
  }

 private:
  const Source& source_;
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool ended_ = false;
};

struct Stanza {
  std::vector<std::string> arguments;
  std::string body;  ///< Base64, all lines together.
};

struct Header {
  std::vector<Stanza> stanzas;
  std::string authenticated;  ///< All that the MAC covers.
  Key32 mac{};

  [[nodiscard]] bool is_for_passphrase() const noexcept {
    return std::any_of(stanzas.begin(), stanzas.end(), [](const Stanza& stanza) { return stanza.arguments[0] == "scrypt"; });
  }
};

/// Nothing when an argument is empty or has a character outside VCHAR.
std::optional<std::vector<std::string>> split_arguments(std::string_view line) {
  std::vector<std::string> arguments;
  for (;;) {
    const std::size_t end = line.find(' ');
    const std::string_view argument = line.substr(0, end);
    if (argument.empty() || !std::all_of(argument.begin(), argument.end(), [](char c) { return c >= '!' && c <= '~'; })) {
      return std::nullopt;
    }
    arguments.emplace_back(argument);
    if (end == std::string_view::npos) return arguments;
    line.remove_prefix(end + 1);
  }
}

/// A body is read as text; what its bits may be is up to the kind of stanza, but for what base64 itself forbids.
bool is_canonical_base64(std::string_view text) {
  if (text.empty()) return true;
  std::vector<std::uint8_t> bytes(text.size());
  std::size_t length = 0;
  return sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &length, nullptr,
                           sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
         to_base64(Bytes{bytes}.first(length)) == text;
}

Result<Header> read_header(Input& input) {
  Header header;
  const auto next_line = [&]() -> Result<std::string> {
    MUSTER_TRY(std::string line, input.line());
    if (header.authenticated.size() + line.size() + 1 > header_max_bytes) return BaseError::over_limit;
    header.authenticated += line;
    header.authenticated += '\n';
    return line;
  };
  {
    // No line feed is looked for in what may be no age file at all.
    MUSTER_TRY(const Bytes start, input.peek(version_line.size() + 1));
    const std::string_view text{reinterpret_cast<const char*>(start.data()), start.size()};
    if (!text.starts_with(version_line) || !text.ends_with('\n')) return BaseError::file_damaged;
  }
  MUSTER_TRY_VOID(next_line());
  for (;;) {
    MUSTER_TRY(std::string line, next_line());
    if (line.starts_with("--- ")) {
      const auto mac = from_base64<32>(std::string_view{line}.substr(4));
      if (!mac || header.stanzas.empty()) return BaseError::file_damaged;
      header.mac = *mac;
      header.authenticated.resize(header.authenticated.size() - (line.size() + 1) + 3);
      return header;
    }
    if (!line.starts_with("-> ")) return BaseError::file_damaged;
    if (header.stanzas.size() == recipients_max) return BaseError::over_limit;
    auto arguments = split_arguments(std::string_view{line}.substr(3));
    if (!arguments) return BaseError::file_damaged;
    Stanza stanza{std::move(*arguments), {}};
    do {
      MUSTER_TRY(line, next_line());
      if (line.size() > columns || !std::all_of(line.begin(), line.end(), is_base64_char)) return BaseError::file_damaged;
      stanza.body += line;
    } while (line.size() == columns);
    if (!is_canonical_base64(stanza.body)) return BaseError::file_damaged;
    header.stanzas.push_back(std::move(stanza));
  }
}

// --- opening the file key ---

Result<FileKey> find_file_key(const Header& header, std::span<const Identity> identities) {
  if (header.is_for_passphrase()) return header.stanzas.size() == 1 ? BaseError::identity_mismatch : BaseError::file_damaged;
  std::optional<FileKey> found;
  for (const Stanza& stanza : header.stanzas) {
    if (stanza.arguments[0] != "X25519") continue;
    const auto share = stanza.arguments.size() == 2 ? from_base64<32>(stanza.arguments[1]) : std::nullopt;
    const auto wrapped = from_base64<wrapped_bytes>(stanza.body);
    if (!share || !wrapped) return BaseError::file_damaged;
    for (const Identity& identity : identities) {
      if (found) break;
      Secret<32> shared;
      if (crypto_scalarmult(shared.bytes.data(), identity.reveal_key().data(), share->data()) != 0) return BaseError::file_damaged;
      found = unwrap(*wrapped, x25519_wrap_key(shared, *share, identity.recipient().key()));
    }
  }
  if (!found) return BaseError::identity_mismatch;
  return *found;
}

/// log2 N as the header has it: digits without a leading zero. Nothing when malformed; a number of many digits is
/// large.
std::optional<int> parse_work_factor(std::string_view text) {
  if (text.empty() || text[0] < '1' || text[0] > '9') return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min(value * 10 + (c - '0'), 1000);
  }
  return value;
}

Result<FileKey> find_file_key(const Header& header, std::string_view passphrase, int work_factor_limit) {
  if (!header.is_for_passphrase()) return BaseError::identity_mismatch;
  if (header.stanzas.size() != 1) return BaseError::file_damaged;
  const Stanza& stanza = header.stanzas[0];
  if (stanza.arguments.size() != 3) return BaseError::file_damaged;
  const auto salt = from_base64<salt_bytes>(stanza.arguments[1]);
  const auto work_factor = parse_work_factor(stanza.arguments[2]);
  const auto wrapped = from_base64<wrapped_bytes>(stanza.body);
  if (!salt || !work_factor || !wrapped) return BaseError::file_damaged;
  if (*work_factor > work_factor_limit) return BaseError::over_limit;
  MUSTER_TRY(const Secret<32> wrap_key, scrypt_wrap_key(passphrase, *salt, *work_factor));
  const auto file_key = unwrap(*wrapped, wrap_key);
  if (!file_key) return BaseError::passphrase_wrong;
  return *file_key;
}

// --- payload ---

class ChunkNonce {
 public:
  [[nodiscard]] const std::uint8_t* take(bool last) noexcept {
    for (std::size_t i = 0; i < 8; ++i) bytes_[10 - i] = static_cast<std::uint8_t>(counter_ >> (8 * i));
    bytes_[11] = last ? 1 : 0;
    ++counter_;
    return bytes_.data();
  }

 private:
  std::uint64_t counter_ = 0;  // Of the format's 88 bits; 2^64 chunks are more than any disk holds.
  std::array<std::uint8_t, 12> bytes_{};
};

Result<void> decrypt_payload(Input& input, const Sink& sink, const FileKey& file_key) {
  MUSTER_TRY(const Bytes nonce, input.peek(payload_nonce_bytes));
  if (nonce.size() != payload_nonce_bytes) return BaseError::file_damaged;
  const Secret<32> key = hkdf(file_key.bytes, nonce, "payload");
  input.drop(payload_nonce_bytes);

  std::vector<std::uint8_t> plain(chunk_bytes);
  ChunkNonce chunk_nonce;
  for (bool first = true;; first = false) {
    // One byte beyond a full chunk tells whether another follows.
    MUSTER_TRY(const Bytes ahead, input.peek(sealed_chunk_bytes + 1));
    const bool last = ahead.size() <= sealed_chunk_bytes;
    const Bytes sealed = ahead.first(std::min(ahead.size(), sealed_chunk_bytes));
    if (sealed.size() < tag_bytes || (sealed.size() == tag_bytes && !first)) return BaseError::file_damaged;
    unsigned long long length = 0;
    if (crypto_aead_chacha20poly1305_ietf_decrypt(plain.data(), &length, nullptr, sealed.data(), sealed.size(), nullptr, 0,
                                                  chunk_nonce.take(last), key.bytes.data()) != 0) {
      return BaseError::file_damaged;
    }
    const std::size_t sealed_size = sealed.size();
    if (length > 0) MUSTER_TRY_VOID(sink(Bytes{plain}.first(length)));
    input.drop(sealed_size);
    if (last) return {};
  }
}

Result<void> decrypt_rest(Input& input, const Sink& sink, const Header& header, const FileKey& file_key) {
  const Key32 mac = header_mac(file_key, header.authenticated);
  if (sodium_memcmp(mac.data(), header.mac.data(), mac.size()) != 0) return BaseError::file_damaged;
  return decrypt_payload(input, sink, file_key);
}

}  // namespace

Result<Recipient> Recipient::parse(std::string_view text) {
  require_sodium();
  const auto key = from_bech32(recipient_prefix, text);
  // A recipient is written in lower case only (an identity in upper case only), so that the two are told apart at a
  // glance.
  if (!key || text[0] != recipient_prefix[0]) return BaseError::recipient_malformed;
  Recipient recipient;
  recipient.key_ = key->bytes;
  return recipient;
}

std::string Recipient::text() const { return to_bech32(recipient_prefix, key_); }

Identity Identity::generate(Random& random) {
  require_sodium();
  Identity identity;
  random.fill(identity.secret_);
  return identity;
}

Result<Identity> Identity::parse(std::string_view text) {
  require_sodium();
  const auto key = from_bech32(identity_prefix, text);
  if (!key || text[0] != to_upper(identity_prefix[0])) return BaseError::identity_malformed;
  Identity identity;
  identity.secret_ = key->bytes;
  return identity;
}

Result<std::vector<Identity>> Identity::parse_file(std::string_view text) {
  std::vector<Identity> identities;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    if (identities.size() == identities_max) return BaseError::identity_malformed;
    MUSTER_TRY(const Identity identity, parse(line));
    identities.push_back(identity);
  }
  if (identities.empty()) return BaseError::identity_malformed;
  return identities;
}

Identity::~Identity() { sodium_memzero(secret_.data(), secret_.size()); }

Recipient Identity::recipient() const {
  Recipient recipient;
  crypto_scalarmult_base(recipient.key_.data(), secret_.data());
  return recipient;
}

std::string Identity::reveal() const {
  std::string text = to_bech32(identity_prefix, secret_);
  std::transform(text.begin(), text.end(), text.begin(), to_upper);
  return text;
}

struct Encryptor::Impl {
  Sink sink;
  Secret<32> key;
  ChunkNonce nonce;
  std::vector<std::uint8_t> plain = std::vector<std::uint8_t>(chunk_bytes);
  std::vector<std::uint8_t> sealed = std::vector<std::uint8_t>(sealed_chunk_bytes);
  std::size_t filled = 0;

  ~Impl() { sodium_memzero(plain.data(), plain.size()); }

  Result<void> seal_chunk(bool last) {
    unsigned long long length = 0;
    crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data(), &length, plain.data(), filled, nullptr, 0, nullptr, nonce.take(last),
                                              key.bytes.data());
    filled = 0;
    return sink(Bytes{sealed}.first(length));
  }
};

Encryptor::Encryptor(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}
Encryptor::Encryptor(Encryptor&&) noexcept = default;
Encryptor& Encryptor::operator=(Encryptor&&) noexcept = default;
Encryptor::~Encryptor() = default;

Result<Encryptor> Encryptor::begin(std::string header, Bytes file_key_view, Random& random, Sink sink) {
  FileKey file_key;
  std::copy(file_key_view.begin(), file_key_view.end(), file_key.bytes.begin());
  header += "---";
  const Key32 mac = header_mac(file_key, header);
  header += ' ';
  header += to_base64(mac);
  header += '\n';
  std::array<std::uint8_t, payload_nonce_bytes> nonce{};
  random.fill(nonce);
  header.append(nonce.begin(), nonce.end());
  MUSTER_TRY_VOID(sink(view(header)));
  auto impl = std::make_unique<Impl>();
  impl->sink = std::move(sink);
  impl->key = hkdf(file_key.bytes, nonce, "payload");
  return Encryptor{std::move(impl)};
}

Result<Encryptor> Encryptor::to_recipients(std::span<const Recipient> recipients, Random& random, Sink sink) {
  require_sodium();
  if (recipients.empty()) return BaseError::recipient_malformed;
  if (recipients.size() > recipients_max) return BaseError::over_limit;
  FileKey file_key;
  random.fill(file_key.bytes);
  std::string header{version_line};
  header += '\n';
  for (const Recipient& recipient : recipients) {
    Secret<32> ephemeral;
    random.fill(ephemeral.bytes);
    Key32 share{};
    crypto_scalarmult_base(share.data(), ephemeral.bytes.data());
    Secret<32> shared;
    if (crypto_scalarmult(shared.bytes.data(), ephemeral.bytes.data(), recipient.key().data()) != 0) return BaseError::recipient_malformed;
    append_stanza(header, "X25519 " + to_base64(share), wrap(file_key, x25519_wrap_key(shared, share, recipient.key())));
  }
  return begin(std::move(header), file_key.bytes, random, std::move(sink));
}

Result<Encryptor> Encryptor::to_passphrase(std::string_view passphrase, Random& random, Sink sink, int work_factor) {
  require_sodium();
  if (passphrase.empty()) return BaseError::passphrase_wrong;
  if (work_factor < 1 || work_factor > work_factor_max) return BaseError::over_limit;
  FileKey file_key;
  random.fill(file_key.bytes);
  std::array<std::uint8_t, salt_bytes> salt{};
  random.fill(salt);
  MUSTER_TRY(const Secret<32> wrap_key, scrypt_wrap_key(passphrase, salt, work_factor));
  std::string header{version_line};
  header += '\n';
  append_stanza(header, "scrypt " + to_base64(salt) + ' ' + std::to_string(work_factor), wrap(file_key, wrap_key));
  return begin(std::move(header), file_key.bytes, random, std::move(sink));
}

Result<void> Encryptor::write(Bytes plain) {
  while (!plain.empty()) {
    // A full chunk waits for the byte after it: the last one, which may be full, is sealed as the last.
    if (impl_->filled == chunk_bytes) MUSTER_TRY_VOID(impl_->seal_chunk(false));
    const std::size_t count = std::min(plain.size(), chunk_bytes - impl_->filled);
    std::copy_n(plain.begin(), count, impl_->plain.begin() + static_cast<std::ptrdiff_t>(impl_->filled));
    impl_->filled += count;
    plain = plain.subspan(count);
  }
  return {};
}

Result<void> Encryptor::finish() { return impl_->seal_chunk(true); }

Result<void> decrypt(const Source& source, const Sink& sink, std::span<const Identity> identities) {
  require_sodium();
  Input input{source};
  MUSTER_TRY(const Header header, read_header(input));
  MUSTER_TRY(const FileKey file_key, find_file_key(header, identities));
  return decrypt_rest(input, sink, header, file_key);
}

Result<void> decrypt_with_passphrase(const Source& source, const Sink& sink, std::string_view passphrase, int work_factor_limit) {
  require_sodium();
  Input input{source};
  MUSTER_TRY(const Header header, read_header(input));
  MUSTER_TRY(const FileKey file_key, find_file_key(header, passphrase, work_factor_limit));
  return decrypt_rest(input, sink, header, file_key);
}

Result<Kind> inspect(std::string_view start_of_file) {
  require_sodium();
  const Source source = [rest = view(start_of_file)](std::span<std::uint8_t> room) mutable -> Result<std::size_t> {
    const std::size_t count = std::min(room.size(), rest.size());
    std::copy_n(rest.begin(), count, room.begin());
    rest = rest.subspan(count);
    return count;
  };
  Input input{source};
  MUSTER_TRY(const Header header, read_header(input));
  return header.is_for_passphrase() ? Kind::passphrase : Kind::recipients;
}

Source read_from(std::istream& in) {
  return [&in](std::span<std::uint8_t> room) -> Result<std::size_t> {
    in.read(reinterpret_cast<char*>(room.data()), static_cast<std::streamsize>(room.size()));
    if (in.bad()) return Error{EIO, boost::system::generic_category()};
    return static_cast<std::size_t>(in.gcount());
  };
}

Sink write_to(std::ostream& out) {
  return [&out](Bytes bytes) -> Result<void> {
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!out) return Error{EIO, boost::system::generic_category()};
    return {};
  };
}

namespace {

Result<void> encrypt_all(std::istream& in, Encryptor encryptor) {
  const Source source = read_from(in);
  std::vector<std::uint8_t> buffer(chunk_bytes);
  for (;;) {
    MUSTER_TRY(const std::size_t count, source(buffer));
    if (count == 0) break;
    MUSTER_TRY_VOID(encryptor.write(Bytes{buffer}.first(count)));
  }
  sodium_memzero(buffer.data(), buffer.size());
  return encryptor.finish();
}

}  // namespace

Result<void> encrypt(std::istream& in, std::ostream& out, std::span<const Recipient> recipients, Random& random) {
  MUSTER_TRY(Encryptor encryptor, Encryptor::to_recipients(recipients, random, write_to(out)));
  return encrypt_all(in, std::move(encryptor));
}

Result<void> encrypt_with_passphrase(std::istream& in, std::ostream& out, std::string_view passphrase, Random& random, int work_factor) {
  MUSTER_TRY(Encryptor encryptor, Encryptor::to_passphrase(passphrase, random, write_to(out), work_factor));
  return encrypt_all(in, std::move(encryptor));
}

}  // namespace muster::age
