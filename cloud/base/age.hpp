// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/random.hpp"
#include "cloud/base/result.hpp"

/// Encrypted files for people, in the age v1 format (age-encryption.org/v1, C2SP), binary form: what is written here
/// opens with the `age` program and the other way round. X25519 recipients and passphrases (scrypt).
namespace muster::age {

/// A public key: `age1...`.
class Recipient {
 public:
  /// Errors: BaseError::recipient_malformed.
  [[nodiscard]] static Result<Recipient> parse(std::string_view text);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] const std::array<std::uint8_t, 32>& key() const noexcept { return key_; }
  friend bool operator==(const Recipient&, const Recipient&) noexcept = default;

 private:
  friend class Identity;
  std::array<std::uint8_t, 32> key_{};
};

/// A secret key: `AGE-SECRET-KEY-1...`. Wiped when destroyed.
class Identity {
 public:
  [[nodiscard]] static Identity generate(Random& random);
  /// Errors: BaseError::identity_malformed.
  [[nodiscard]] static Result<Identity> parse(std::string_view text);
  /// A key file as `age-keygen` writes it: one key a line, empty lines and lines with # ignored. At least one key, at
  /// most
  /// 64. Errors: BaseError::identity_malformed.
  [[nodiscard]] static Result<std::vector<Identity>> parse_file(std::string_view text);

  Identity(const Identity&) noexcept = default;
  Identity& operator=(const Identity&) noexcept = default;
  ~Identity();

  [[nodiscard]] Recipient recipient() const;
  /// The secret itself, as text: for the person who keeps it, never for a log.
  [[nodiscard]] std::string reveal() const;
  [[nodiscard]] const std::array<std::uint8_t, 32>& reveal_key() const noexcept { return secret_; }

 private:
  Identity() noexcept = default;
  std::array<std::uint8_t, 32> secret_{};
};

/// Gives up to `room` next bytes; 0 at the end. Called until then.
using Source = std::function<Result<std::size_t>(std::span<std::uint8_t> room)>;
/// Takes the next bytes, all of them. Its error ends the work and is handed back.
using Sink = std::function<Result<void>(std::span<const std::uint8_t> bytes)>;

inline constexpr int work_factor_default = 18;      ///< log2 of scrypt's N, as the age program has it: 256 MiB and about a second.
inline constexpr int work_factor_max = 20;          ///< More (1 GiB) is not read: a file must not be able to eat the machine.
inline constexpr std::size_t recipients_max = 128;  ///< Also the stanzas of a header that are read.
inline constexpr std::size_t header_max_bytes = std::size_t{64} * 1024;

/// Encrypts what is written to it, 64 KiB at a time, on the way to a sink. Without a successful `finish` the file does
/// not open: a backup that was cut off cannot pass for a whole one. Not thread-safe.
class Encryptor {
 public:
  /// Writes the header at once. 1 to `recipients_max` recipients. Errors: BaseError::recipient_malformed (none, or a
  /// key that shares no secret), BaseError::over_limit, the sink's.
  [[nodiscard]] static Result<Encryptor> to_recipients(std::span<const Recipient> recipients, Random& random, Sink sink);
  /// `work_factor` 1..work_factor_max. Takes about a second with the default. Errors: BaseError::over_limit (the work
  /// factor, or no memory for it), BaseError::passphrase_wrong (an empty one), the sink's.
  [[nodiscard]] static Result<Encryptor> to_passphrase(std::string_view passphrase, Random& random, Sink sink,
                                                       int work_factor = work_factor_default);
  Encryptor(Encryptor&&) noexcept;
  Encryptor& operator=(Encryptor&&) noexcept;
  ~Encryptor();

  /// Errors: the sink's.
  [[nodiscard]] Result<void> write(std::span<const std::uint8_t> plain);
  /// Once, after the last `write`. Errors: the sink's.
  [[nodiscard]] Result<void> finish();

 private:
  struct Impl;
  explicit Encryptor(std::unique_ptr<Impl> impl) noexcept;
  [[nodiscard]] static Result<Encryptor> begin(std::string header, std::span<const std::uint8_t> file_key, Random& random, Sink sink);
  std::unique_ptr<Impl> impl_;
};

/// Decrypts to the sink, a chunk at a time, each verified before it is handed on; a file that was cut off is only known
/// by the error at the end, so what the sink got counts only after success. Errors: BaseError::file_damaged (no age
/// file, cut off, changed), BaseError::identity_mismatch (to other keys, or to a passphrase), BaseError::over_limit
/// (header), the source's and the sink's.
[[nodiscard]] Result<void> decrypt(const Source& source, const Sink& sink, std::span<const Identity> identities);
/// The same for a passphrase. Errors also: BaseError::passphrase_wrong, BaseError::over_limit (a work factor above
/// `work_factor_limit`, or no memory for it); BaseError::identity_mismatch when the file is encrypted to keys.
[[nodiscard]] Result<void> decrypt_with_passphrase(const Source& source, const Sink& sink, std::string_view passphrase,
                                                   int work_factor_limit = work_factor_max);

/// How a file was encrypted, told by its header, which is not verified: to ask a person for the right thing.
enum class Kind { recipients, passphrase };
/// Errors: BaseError::{file_damaged, over_limit}.
[[nodiscard]] Result<Kind> inspect(std::string_view start_of_file);

/// Streams as source and sink; a stream that turns bad is the error EIO. They must outlive the function made.
[[nodiscard]] Source read_from(std::istream& in);
[[nodiscard]] Sink write_to(std::ostream& out);

/// The whole of `in`, encrypted.
[[nodiscard]] Result<void> encrypt(std::istream& in, std::ostream& out, std::span<const Recipient> recipients, Random& random);
[[nodiscard]] Result<void> encrypt_with_passphrase(std::istream& in, std::ostream& out, std::string_view passphrase, Random& random,
                                                   int work_factor = work_factor_default);

}  // namespace muster::age
