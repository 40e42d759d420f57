// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/tls_context.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "cloud/base/log.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/net/error.hpp"
#include "cloud/net/openssl.hpp"

namespace muster::net {
namespace {

// --- ticket keys -----------------------------------------------------------------------------------------------------------
constexpr std::string_view ticket_file_mark = "MUSTERTK";
constexpr std::size_t ticket_record_bytes = 8 + 16 + 32 + 32;

std::string encode(const std::vector<TicketKeys::Key>& keys) {
  std::string bytes{ticket_file_mark};
  for (const TicketKeys::Key& key : keys) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(static_cast<std::uint64_t>(key.made_ms) >> shift);
    bytes.append(reinterpret_cast<const char*>(key.name.data()), key.name.size());
    bytes.append(reinterpret_cast<const char*>(key.cipher_key.data()), key.cipher_key.size());
    bytes.append(reinterpret_cast<const char*>(key.mac_key.data()), key.mac_key.size());
  }
  return bytes;
}

std::vector<TicketKeys::Key> decode(std::string_view bytes) {
  if (!bytes.starts_with(ticket_file_mark)) return {};
  bytes.remove_prefix(ticket_file_mark.size());
  if (bytes.empty() || bytes.size() % ticket_record_bytes != 0 || bytes.size() / ticket_record_bytes > TicketKeys::keys_max) return {};
  std::vector<TicketKeys::Key> keys;
  for (; !bytes.empty(); bytes.remove_prefix(ticket_record_bytes)) {
    TicketKeys::Key key;
    std::uint64_t made = 0;
    for (std::size_t i = 0; i < 8; ++i) made = made << 8 | static_cast<unsigned char>(bytes[i]);
    key.made_ms = static_cast<std::int64_t>(made);
    std::memcpy(key.name.data(), bytes.data() + 8, key.name.size());
    std::memcpy(key.cipher_key.data(), bytes.data() + 24, key.cipher_key.size());
    std::memcpy(key.mac_key.data(), bytes.data() + 56, key.mac_key.size());
    keys.push_back(key);
  }
  return keys;
}

/// Looked up once: OpenSSL 3 spends longer on finding an algorithm than on a ticket.
EVP_CIPHER* ticket_cipher() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

int context_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

/// Contract: SSL_CTX_set_tlsext_ticket_key_evp_cb(3).
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int encrypting) {
  const auto* tickets = static_cast<const TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index()));
  TicketKeys::Key key;
  bool is_newest = true;
  if (encrypting != 0) {
    key = tickets->newest();
    std::memcpy(name, key.name.data(), key.name.size());
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher())) != 1) return -1;
  } else if (!tickets->find(name, key, is_newest)) {
    return 0;  // An unknown ticket: a full handshake.
  }
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac_key.data(), key.mac_key.size()),
                             OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  const int made = encrypting != 0 ? EVP_EncryptInit_ex(cipher, ticket_cipher(), nullptr, key.cipher_key.data(), iv)
                                   : EVP_DecryptInit_ex(cipher, ticket_cipher(), nullptr, key.cipher_key.data(), iv);
  const bool done = made == 1 && EVP_MAC_CTX_set_params(mac, parameters) == 1;
  OPENSSL_cleanse(&key, sizeof key);
  if (!done) return -1;
  // TLS 1.3: a fresh ticket each time (RFC 8446 appendix C.4), so that nobody can follow a device by its ticket. It also spares
  // clients with Nagle's algorithm a delayed acknowledgement: their first bytes wait for ours.
  return is_newest && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

// --- the BIO that passes bytes through ---------------------------------------------------------------------------------------
TlsIo& io_of(BIO* bio) { return *static_cast<TlsIo*>(BIO_get_data(bio)); }

int bio_read(BIO* bio, char* out, std::size_t size, std::size_t* got) {
  TlsIo& io = io_of(bio);
  BIO_clear_retry_flags(bio);
  if (io.input.empty()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  const wire::ByteView taken = io.input.first(size);
  std::memcpy(out, taken.data, taken.size);
  io.input = io.input.drop(taken.size);
  *got = taken.size;
  return 1;
}

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* put) {
  TlsIo& io = io_of(bio);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
  io.output.insert(io.output.end(), bytes, bytes + size);
  *put = size;
  return 1;
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0; }

const BIO_METHOD* pass_through() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "muster loop");
    BIO_meth_set_read_ex(made, &bio_read);
    BIO_meth_set_write_ex(made, &bio_write);
    BIO_meth_set_ctrl(made, &bio_control);
    BIO_meth_set_create(made, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return made;
  }();
  return method;
}

}  // namespace

// --- TicketKeys --------------------------------------------------------------------------------------------------------------
Result<std::unique_ptr<TicketKeys>> TicketKeys::open(const std::filesystem::path& file, Random& random, const Clock& clock) {
  std::unique_ptr<TicketKeys> made{new TicketKeys{file, random, clock}};
  std::error_code ignored;
  if (!file.empty() && std::filesystem::exists(file, ignored)) {
    auto bytes = read_file(file, 4'096, FileAccess::owner_only);
    if (!bytes) return bytes.error();
    made->keys_ = decode(bytes.value());
    OPENSSL_cleanse(bytes.value().data(), bytes.value().size());
    if (made->keys_.empty()) log::warning("tls_ticket_keys_damaged", {{"file", file.string()}});
  }
  if (made->keys_.empty()) {
    made->add_locked();
    MUSTER_TRY_VOID(made->save_locked());
  }
  MUSTER_TRY_VOID(made->rotate_if_due());
  return made;
}

TicketKeys::~TicketKeys() {
  for (Key& key : keys_) OPENSSL_cleanse(&key, sizeof key);
}

void TicketKeys::add_locked() {
  Key key;
  key.made_ms = clock_.utc_now().ms;
  random_.fill(key.name);
  random_.fill(key.cipher_key);
  random_.fill(key.mac_key);
  keys_.insert(keys_.begin(), key);
  OPENSSL_cleanse(&key, sizeof key);
  while (keys_.size() > keys_max) {
    OPENSSL_cleanse(&keys_.back(), sizeof(Key));
    keys_.pop_back();
  }
}

Result<void> TicketKeys::save_locked() const {
  if (file_.empty()) return {};
  std::string bytes = encode(keys_);
  auto saved = write_file_atomically(file_, bytes, 0600);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return saved;
}

Result<void> TicketKeys::rotate_if_due() {
  const std::lock_guard lock{mutex_};
  const std::int64_t age_ms = clock_.utc_now().ms - keys_.front().made_ms;
  // A clock that went back must not keep a key alive for ever.
  if (age_ms >= 0 && age_ms < std::chrono::milliseconds{rotation_interval}.count()) return {};
  add_locked();
  return save_locked();
}

TicketKeys::Key TicketKeys::newest() const {
  const std::lock_guard lock{mutex_};
  return keys_.front();
}

bool TicketKeys::find(const unsigned char* name, Key& key, bool& is_newest) const {
  const std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (std::memcmp(keys_[i].name.data(), name, keys_[i].name.size()) == 0) {
      key = keys_[i];
      is_newest = i == 0;
      return true;
    }
  }
  return false;
}

// --- TlsContext --------------------------------------------------------------------------------------------------------------
TlsContext::~TlsContext() = default;

Result<TlsContext::Native> TlsContext::build(const TlsIdentity& identity, TicketKeys* tickets) {
  Native native{SSL_CTX_new(TLS_server_method()), [](SSL_CTX* context) { SSL_CTX_free(context); }};
  SSL_CTX* context = native.get();
  if (context == nullptr || ticket_cipher() == nullptr) return NetError::tls_failed;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // Tickets only: nothing is kept for a client.
  SSL_CTX_set_num_tickets(context, 1);                          // A device keeps one; a second costs bytes and time.
  SSL_CTX_set_timeout(context, static_cast<long>(std::chrono::seconds{TicketKeys::rotation_interval * 2}.count()));
  SSL_CTX_set_dh_auto(context, 0);
  // TLS 1.2 for old firmware: only suites with forward secrecy and authenticated encryption, and the CBC ones that mbedTLS
  // builds without GCM still offer.
  if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:ECDHE+AES+SHA256:!aNULL:!MD5:!RC4") != 1) {
    return NetError::tls_failed;
  }
  SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
  static constexpr unsigned char session_context[] = "muster";
  SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1);
  SSL_CTX_set_ex_data(context, context_index(), tickets);
  if (tickets == nullptr || SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &on_ticket) != 1) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);

  const BioPtr chain{BIO_new_mem_buf(identity.certificate_chain_pem.data(), static_cast<int>(identity.certificate_chain_pem.size()))};
  const CertificatePtr server{chain ? PEM_read_bio_X509_AUX(chain.get(), nullptr, nullptr, nullptr) : nullptr};
  if (!server || SSL_CTX_use_certificate(context, server.get()) != 1) return NetError::certificate_malformed;
  while (X509* next = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    // Our own CA need not travel: who trusts it has it. An intermediate must.
    const bool self_signed = X509_NAME_cmp(X509_get_subject_name(next), X509_get_issuer_name(next)) == 0;
    if (self_signed || SSL_CTX_add0_chain_cert(context, next) != 1) X509_free(next);
  }
  ERR_clear_error();  // The end of the chain is an "error" too.
  const KeyPtr key = key_from_pem(identity.private_key_pem);
  if (!key) return NetError::key_malformed;
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return NetError::key_mismatch;
  }
  return native;
}

Result<std::unique_ptr<TlsContext>> TlsContext::make(const TlsIdentity& identity, std::shared_ptr<TicketKeys> tickets) {
  std::unique_ptr<TlsContext> made{new TlsContext};
  made->tickets_ = std::move(tickets);
  MUSTER_TRY(made->native_, build(identity, made->tickets_.get()));
  return made;
}

Result<void> TlsContext::reload(const TlsIdentity& identity) {
  MUSTER_TRY(Native fresh, build(identity, tickets_.get()));
  const std::lock_guard lock{mutex_};
  native_.swap(fresh);
  return {};
}

TlsContext::Native TlsContext::current() const {
  const std::lock_guard lock{mutex_};
  return native_;
}

// --- TlsStream ---------------------------------------------------------------------------------------------------------------
TlsStream::~TlsStream() {
  if (ssl_ != nullptr) SSL_free(ssl_);
}

TlsStream TlsStream::accept(const TlsContext& context, TlsIo& io) {
  TlsStream stream;
  const TlsContext::Native native = context.current();
  SslPtr ssl{SSL_new(native.get())};  // Holds a reference of its own: a reload may let go of the context.
  BIO* bio = BIO_new(pass_through());
  if (!ssl || bio == nullptr) {
    BIO_free(bio);
    return stream;
  }
  BIO_set_data(bio, &io);
  SSL_set_bio(ssl.get(), bio, bio);
  SSL_set_accept_state(ssl.get());
  stream.ssl_ = ssl.release();
  return stream;
}

TlsStream::Status TlsStream::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) return Status::ok;
  const bool waits = SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ;
  ERR_clear_error();
  return waits ? Status::need_more : Status::failed;
}

TlsStream::Status TlsStream::read(wire::ByteSpan room, std::size_t& got_bytes) {
  got_bytes = 0;
  ERR_clear_error();
  const int done = SSL_read_ex(ssl_, room.data, room.size, &got_bytes);
  if (done == 1) return Status::ok;
  const int error = SSL_get_error(ssl_, done);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ) return Status::need_more;
  return error == SSL_ERROR_ZERO_RETURN ? Status::closed : Status::failed;
}

bool TlsStream::write(wire::ByteView plain) {
  ERR_clear_error();
  std::size_t written = 0;
  // Never partial: the BIO takes everything, and the caller bounds what it gives.
  const bool done = plain.empty() || SSL_write_ex(ssl_, plain.data, plain.size, &written) == 1;
  ERR_clear_error();
  return done;
}

void TlsStream::close_notify() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_) == 1) (void)SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool TlsStream::resumed() const noexcept { return SSL_session_reused(ssl_) == 1; }

}  // namespace muster::net
