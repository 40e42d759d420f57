// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/random.hpp"
#include "cloud/base/result.hpp"
#include "cloud/net/tls_identity.hpp"
#include "wire/bytes.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace muster::net {

/// Keys of session tickets: with them a returning device resumes (a handshake without a signature), also after a restart, and
/// the server keeps nothing for it. The newest key seals, the two before it still open. Thread-safe.
class TicketKeys {
 public:
  static constexpr std::size_t keys_max = 3;
  static constexpr std::chrono::hours rotation_interval{24};

  /// Loads `file`, or makes it (0600); empty: in memory only. A damaged file is replaced: it costs full handshakes, no more.
  [[nodiscard]] static Result<std::unique_ptr<TicketKeys>> open(const std::filesystem::path& file, Random& random, const Clock& clock);
  /// Makes a new key when the newest is older than the interval. Call at least hourly.
  Result<void> rotate_if_due();

  struct Key {
    std::int64_t made_ms = 0;
    std::array<std::uint8_t, 16> name{};
    std::array<std::uint8_t, 32> cipher_key{}, mac_key{};
  };
  [[nodiscard]] Key newest() const;
  /// False: no such key. `is_newest`: the ticket need not be renewed.
  [[nodiscard]] bool find(const unsigned char* name, Key& key, bool& is_newest) const;
  ~TicketKeys();

 private:
  TicketKeys(std::filesystem::path file, Random& random, const Clock& clock) : file_{std::move(file)}, random_{random}, clock_{clock} {}
  Result<void> save_locked() const;
  void add_locked();

  const std::filesystem::path file_;
  Random& random_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Key> keys_;  ///< Newest first.
};

/// What new TLS connections are made from. Thread-safe.
class TlsContext {
 public:
  /// Errors: NetError::{certificate_malformed, key_malformed, key_mismatch, tls_failed}.
  [[nodiscard]] static Result<std::unique_ptr<TlsContext>> make(const TlsIdentity& identity, std::shared_ptr<TicketKeys> tickets);
  /// New handshakes use `identity` from now on; established connections go on undisturbed, and their tickets stay good.
  /// On error everything stays as it was. Errors: as make.
  [[nodiscard]] Result<void> reload(const TlsIdentity& identity);
  ~TlsContext();

 private:
  friend class TlsStream;
  using Native = std::shared_ptr<ssl_ctx_st>;
  TlsContext() = default;
  [[nodiscard]] static Result<Native> build(const TlsIdentity& identity, TicketKeys* tickets);
  [[nodiscard]] Native current() const;

  std::shared_ptr<TicketKeys> tickets_;  ///< Shared by all contexts, old and new.
  mutable std::mutex mutex_;
  Native native_;
};

/// Where a loop's TLS connections read and write: one for all of them, filled in before each call.
struct TlsIo {
  wire::ByteView input;              ///< Ciphertext that has arrived; shrinks as it is taken.
  std::vector<std::uint8_t> output;  ///< Ciphertext to send.
};

/// The TLS state of one connection: ciphertext in, plaintext out, and back. Performs no I/O of its own: a BIO without a buffer
/// passes the loop's bytes through, so that a readiness event costs one read and one write, as it does without TLS.
/// All input given is consumed by the time `read` answers need_more.
class TlsStream {
 public:
  TlsStream() noexcept = default;
  TlsStream(TlsStream&& other) noexcept : ssl_{std::exchange(other.ssl_, nullptr)} {}
  TlsStream& operator=(TlsStream&& other) noexcept {
    std::swap(ssl_, other.ssl_);
    return *this;
  }
  ~TlsStream();

  /// A server's side of a new connection; `io` must outlive it. Empty when out of memory.
  [[nodiscard]] static TlsStream accept(const TlsContext& context, TlsIo& io);
  [[nodiscard]] explicit operator bool() const noexcept { return ssl_ != nullptr; }

  enum class Status : std::uint8_t {
    ok,         ///< read: bytes were given. handshake: it is done.
    need_more,  ///< More ciphertext must come first.
    closed,     ///< The peer said goodbye.
    failed,     ///< Broken; an alert may be in the output.
  };
  [[nodiscard]] Status handshake();
  /// Decrypts up to `room.size` bytes.
  [[nodiscard]] Status read(wire::ByteSpan room, std::size_t& got_bytes);
  /// Encrypts all of `plain` into the output. False: broken.
  [[nodiscard]] bool write(wire::ByteView plain);
  /// Says goodbye into the output.
  void close_notify();
  [[nodiscard]] bool resumed() const noexcept;

 private:
  ssl_st* ssl_ = nullptr;
};

}  // namespace muster::net
