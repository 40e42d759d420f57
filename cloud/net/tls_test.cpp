// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "cloud/base/secure_file.hpp"
#include "cloud/base/worker_pool.hpp"
#include "cloud/net/error.hpp"
#include "cloud/net/openssl.hpp"
#include "cloud/net/server.hpp"
#include "cloud/net/test_support.hpp"
#include "cloud/net/tls_context.hpp"
#include "cloud/net/tls_identity.hpp"

namespace muster::net {
namespace {

using namespace test;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/muster-tls-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& file) { return read_file(file, 1u << 20).value(); }
unsigned mode_of(const std::filesystem::path& file) {
  struct stat facts{};
  return ::stat(file.c_str(), &facts) == 0 ? facts.st_mode & 0777u : 0;
}

/// Verifies as a client does: chain to the CA, purpose, time, name.
bool verifies(const TlsIdentity& identity, const std::string& name, std::int64_t at_ms) {
  const CertificatePtr server = certificate_from_pem(identity.certificate_chain_pem);
  const CertificatePtr ca = certificate_from_pem(text_of(identity.ca_file));
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, ca.get());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, server.get(), nullptr);
  X509_STORE_CTX_set_default(context, "ssl_server");
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(parameters, at_ms / 1000);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1) X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), 0);
  const bool good = X509_verify_cert(context) == 1;
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  ERR_clear_error();
  return good;
}

TEST(TlsIdentity, IsMadeOnFirstStartAndKept) {
  Folder folder;
  ManualClock clock;
  const TlsIdentityOptions options{folder / "tls", {"muster.example", "192.0.2.7", "[2001:db8::1]"}, {}, {}};
  const auto first = open_tls_identity(options, clock);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_TRUE(first->renewed);
  EXPECT_EQ(mode_of(folder / "tls"), 0700u);
  EXPECT_EQ(mode_of(folder / "tls/ca.key"), 0600u);
  EXPECT_EQ(mode_of(folder / "tls/server.key"), 0600u);
  for (const std::string name : {"localhost", "127.0.0.1", "::1", "muster.example", "192.0.2.7", "2001:db8::1"}) {
    EXPECT_TRUE(verifies(*first, name, clock.utc_now().ms)) << name;
    EXPECT_TRUE(verifies(*first, name, clock.utc_now().ms - 86'400'000)) << "a client whose clock is a day late";
  }
  EXPECT_FALSE(verifies(*first, "other.example", clock.utc_now().ms));
  EXPECT_FALSE(verifies(*first, "localhost", first->not_after.ms + 1'000));
  const auto second = open_tls_identity(options, clock);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->renewed);
  EXPECT_EQ(second->certificate_chain_pem, first->certificate_chain_pem);
  EXPECT_EQ(second->not_after, first->not_after);
}

TEST(TlsIdentity, IsRenewedByTheSameCaWhenItEndsSoonOrNamesChange) {
  Folder folder;
  ManualClock clock;
  TlsIdentityOptions options{folder / "tls", {}, {}, {}};
  const auto first = open_tls_identity(options, clock);
  const std::string ca = text_of(folder / "tls/ca.crt");
  clock.advance(server_certificate_validity - server_certificate_renewal - 1h);
  EXPECT_FALSE(open_tls_identity(options, clock)->renewed);
  clock.advance(2h);
  const auto renewed = open_tls_identity(options, clock);
  EXPECT_TRUE(renewed->renewed);
  EXPECT_TRUE(verifies(*renewed, "localhost", renewed->not_after.ms - 1'000));
  options.extra_names = {"New.Example"};
  const auto named = open_tls_identity(options, clock);
  EXPECT_TRUE(named->renewed);
  EXPECT_TRUE(verifies(*named, "new.example", clock.utc_now().ms));
  EXPECT_EQ(text_of(folder / "tls/ca.crt"), ca);
  clock.advance(ca_validity -
                server_certificate_validity);  // Near the CA's end it lasts as long as the CA does, and is not made again each time.
  const auto last = open_tls_identity(options, clock);
  EXPECT_TRUE(last->renewed);
  EXPECT_TRUE(verifies(*last, "localhost", last->not_after.ms - 1'000));
}

TEST(TlsIdentity, DamagedServerFilesAreMadeAgainADamagedCaIsNot) {
  Folder folder;
  ManualClock clock;
  const TlsIdentityOptions options{folder / "tls", {}, {}, {}};
  ASSERT_TRUE(open_tls_identity(options, clock));
  std::ofstream{folder / "tls/server.crt"} << "nonsense";
  EXPECT_TRUE(open_tls_identity(options, clock)->renewed);
  std::filesystem::remove(folder / "tls/server.key");
  EXPECT_TRUE(open_tls_identity(options, clock)->renewed);
  std::ofstream{folder / "tls/ca.crt"} << "nonsense";
  EXPECT_EQ(open_tls_identity(options, clock).error(), NetError::certificate_malformed);
}

TEST(TlsIdentity, TheOperatorsOwnCertificateIsCheckedWhenLoaded) {
  Folder folder, made;
  ManualClock clock;
  ASSERT_TRUE(open_tls_identity({made / "a", {}, {}, {}}, clock));
  ASSERT_TRUE(open_tls_identity({made / "b", {}, {}, {}}, clock));
  TlsIdentityOptions own{folder / "tls", {}, made / "a/server.crt", made / "a/server.key"};
  const auto good = open_tls_identity(own, clock);
  ASSERT_TRUE(good);
  EXPECT_TRUE(good->ca_file.empty());
  own.key_file = made / "b/server.key";
  EXPECT_EQ(open_tls_identity(own, clock).error(), NetError::key_mismatch);
  own.key_file = made / "a/server.crt";
  std::filesystem::permissions(own.key_file, std::filesystem::perms::owner_read);
  EXPECT_EQ(open_tls_identity(own, clock).error(), NetError::key_malformed);
  own.key_file = made / "a/server.key";
  std::filesystem::permissions(own.key_file, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_EQ(open_tls_identity(own, clock).error(), NetError::key_readable_by_others);
  own.key_file = made / "nowhere";
  EXPECT_EQ(open_tls_identity(own, clock).error(), boost::system::errc::no_such_file_or_directory);
}

TEST(TicketKeys, SurviveARestartAndRotate) {
  Folder folder;
  ManualClock clock;
  SecureRandom random;
  const auto file = folder / "ticket.key";
  const TicketKeys::Key first = TicketKeys::open(file, random, clock).value()->newest();
  EXPECT_EQ(mode_of(file), 0600u);
  auto keys = TicketKeys::open(file, random, clock).value();
  EXPECT_EQ(keys->newest().name, first.name);
  TicketKeys::Key found;
  bool newest = false;
  for (int round = 0; round < 2; ++round) {
    clock.advance(TicketKeys::rotation_interval);
    ASSERT_TRUE(keys->rotate_if_due());
    EXPECT_NE(keys->newest().name, first.name);
    ASSERT_TRUE(keys->find(first.name.data(), found, newest));
    EXPECT_FALSE(newest);
    EXPECT_EQ(found.cipher_key, first.cipher_key);
  }
  keys = TicketKeys::open(file, random, clock).value();
  EXPECT_TRUE(keys->find(first.name.data(), found, newest));
  clock.advance(TicketKeys::rotation_interval);
  ASSERT_TRUE(keys->rotate_if_due());
  EXPECT_FALSE(keys->find(first.name.data(), found, newest));
}

TEST(TicketKeys, ADamagedFileIsReplaced) {
  Folder folder;
  ManualClock clock;
  SecureRandom random;
  ASSERT_TRUE(write_file_atomically(folder / "ticket.key", "MUSTERTKshort", 0600));
  ASSERT_TRUE(TicketKeys::open(folder / "ticket.key", random, clock));
  EXPECT_EQ(text_of(folder / "ticket.key").size(), 8u + 88u);
}

/// A blocking TLS client on top of a Client.
class TlsClient {
 public:
  struct Options {
    int version = 0;  ///< The only one offered; 0: all.
    SSL_SESSION* session = nullptr;
  };
  TlsClient(const SocketAddress& server, const std::filesystem::path& ca, Options options, int receive_buffer_bytes = 0)
      : tcp_{server, receive_buffer_bytes}, context_{SSL_CTX_new(TLS_client_method())} {
    SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
    SSL_CTX_load_verify_file(context_.get(), ca.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_.get(), options.version);
    SSL_CTX_set_max_proto_version(context_.get(), options.version);
    ssl_.reset(SSL_new(context_.get()));
    char name[] = "localhost";  // SSL_set_tlsext_host_name() is a macro with a cast of the old kind.
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name);
    SSL_set1_host(ssl_.get(), "localhost");
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
    SSL_set_fd(ssl_.get(), tcp_.fd());
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient() { SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN); }  // Else OpenSSL takes the session for a broken one.
  bool handshake() {
    const bool done = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
    return done;
  }
  bool send(std::string_view bytes) {
    return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  std::string read(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const int now = SSL_read(ssl_.get(), bytes.data() + got, static_cast<int>(size - got));
      if (now <= 0) break;
      got += static_cast<std::size_t>(now);
    }
    bytes.resize(got);
    return bytes;
  }
  /// All until the server says goodbye properly; false in `clean` when it does not.
  std::string read_to_end(bool& clean) {
    std::string bytes;
    char part[4'096];
    int got = 0;
    while ((got = SSL_read(ssl_.get(), part, sizeof part)) > 0) bytes.append(part, static_cast<std::size_t>(got));
    clean = SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
    ERR_clear_error();
    return bytes;
  }
  [[nodiscard]] SSL* ssl() { return ssl_.get(); }
  [[nodiscard]] Client& tcp() { return tcp_; }
  [[nodiscard]] std::string serial() {
    X509* certificate = SSL_get1_peer_certificate(ssl_.get());
    BIGNUM* number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
    char* hex = BN_bn2hex(number);
    std::string text{hex};
    OPENSSL_free(hex);
    BN_free(number);
    X509_free(certificate);
    return text;
  }

 private:
  Client tcp_;
  ContextPtr context_;
  SslPtr ssl_;
};

class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() {
    options_.listen = {"127.0.0.1:0"};
    options_.listen_tls = {"127.0.0.1:0"};
    options_.loops = 2;
    options_.runtime_directory = folder_ / "run";
    tickets_ = TicketKeys::open(folder_ / "ticket.key", random_, clock_).value();
    identity_ = open_tls_identity({folder_ / "tls", {}, {}, {}}, clock_).value();
    tls_ = TlsContext::make(identity_, tickets_).value();
  }
  ~TlsServerTest() override {
    http_.release();
    server_.reset();
    pool_.stop(WorkerPool::Waiting::drop);
  }
  void start() {
    server_ = std::make_unique<Server>(Server::Dependencies{pool_, clock_, metrics_, tls_.get()}, options_);
    ASSERT_TRUE(server_->bind()) << server_->problem();
    ASSERT_TRUE(server_->start(devices_, http_));
    mixed_ = server_->addresses().front();
    only_ = server_->tls_addresses().front();
  }
  TlsClient client(const SocketAddress& at, TlsClient::Options options = {}, int receive_buffer_bytes = 0) {
    return {at, identity_.ca_file, options, receive_buffer_bytes};
  }
  static void login(TlsClient& client) {
    ASSERT_TRUE(client.handshake());
    ASSERT_TRUE(client.send(login_frame()));
    EXPECT_EQ(client.read(5), status_frame(1, 200));
  }

  Folder folder_;
  SystemClock clock_;
  SecureRandom random_;
  Metrics metrics_;
  WorkerPool pool_;
  FakeDevices devices_;
  FakeHttp http_;
  TlsIdentity identity_;
  std::shared_ptr<TicketKeys> tickets_;
  std::unique_ptr<TlsContext> tls_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  SocketAddress mixed_, only_;
};

TEST_F(TlsServerTest, ServesDevicesWithBothVersionsOnBothKindsOfPort) {
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const SocketAddress& at : {mixed_, only_}) {
      TlsClient one = client(at, {version});
      login(one);
      ASSERT_TRUE(one.send(frame(6, 2, "")));
      EXPECT_EQ(one.read(5), status_frame(2, 200));
      EXPECT_EQ(devices_.last_peer().transport, protocol::Transport::tls);
      EXPECT_EQ(SSL_version(one.ssl()), version);
    }
  }
  EXPECT_EQ(metrics_.tls_handshakes_total.value(), 4u);
}

TEST_F(TlsServerTest, OldVersionsAreRefused) {
  start();
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) EXPECT_FALSE(client(only_, {version}).handshake());
  EXPECT_TRUE(eventually([this] { return metrics_.tls_handshakes_failed_total.value() == 2; }));
}

TEST_F(TlsServerTest, PlainTextOnATlsPortIsClosedAndCounted) {
  start();
  for (const std::string& hello : {login_frame(), std::string{"GET / HTTP/1.1\r\n\r\n"}}) {
    Client plain{only_};
    ASSERT_TRUE(plain.send(hello));
    EXPECT_EQ(plain.read_to_end(), "");
  }
  EXPECT_EQ(metrics_.sniff_unknown_total.value(), 2u);
  Client plain{mixed_};
  ASSERT_TRUE(plain.send(login_frame()));
  EXPECT_EQ(plain.read(5), status_frame(1, 200));
}

TEST_F(TlsServerTest, NonsenseInsideIsClosedAndCountedToo) {
  start();
  TlsClient one = client(mixed_);
  ASSERT_TRUE(one.handshake());
  ASSERT_TRUE(one.send("\x16\x03\x01"));
  bool clean = false;
  EXPECT_EQ(one.read_to_end(clean), "");
  EXPECT_TRUE(clean);
  EXPECT_EQ(metrics_.sniff_unknown_total.value(), 1u);
  Client broken{mixed_};
  ASSERT_TRUE(broken.send(std::string("\x16\x03\x01\x00\x05hello", 10)));
  EXPECT_TRUE(broken.closed_by_server());
  EXPECT_TRUE(eventually([this] { return metrics_.tls_handshakes_failed_total.value() == 1; }));
}

TEST_F(TlsServerTest, UnderstandsAHandshakeOfSingleBytes) {
  start();
  TlsClient one = client(mixed_);
  // The client writes into memory, and its bytes are sent one by one.
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(one.ssl(), in, out);
  std::string answer;
  SSL_set_connect_state(one.ssl());
  while (SSL_do_handshake(one.ssl()) != 1 || BIO_pending(out) > 0) {
    std::string bytes(static_cast<std::size_t>(BIO_pending(out)), '\0');
    if (!bytes.empty()) {
      BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
      ASSERT_TRUE(one.tcp().send_slowly(bytes));
    } else {
      const std::string byte = one.tcp().read(1);
      ASSERT_EQ(byte.size(), 1u);
      BIO_write(in, byte.data(), 1);
    }
  }
  ASSERT_TRUE(one.send(login_frame()));
  std::string bytes(static_cast<std::size_t>(BIO_pending(out)), '\0');
  BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
  ASSERT_TRUE(one.tcp().send_slowly(bytes));
  EXPECT_TRUE(eventually([this] { return devices_.logins == 1; }));
}

TEST_F(TlsServerTest, ReturningClientsResumeAlsoAfterARestart) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    start();
    const auto resumed_before = metrics_.tls_handshakes_resumed_total.value();
    SSL_SESSION* session = nullptr;
    {
      TlsClient first = client(only_, {version});
      login(first);  // A TLS 1.3 ticket comes with the first answer.
      EXPECT_FALSE(SSL_session_reused(first.ssl()));
      session = SSL_get1_session(first.ssl());
    }
    {
      TlsClient second = client(only_, {version, session});
      login(second);
      EXPECT_TRUE(SSL_session_reused(second.ssl()));
    }
    EXPECT_EQ(metrics_.tls_handshakes_resumed_total.value(), resumed_before + 1);

    server_.reset();
    tickets_ = TicketKeys::open(folder_ / "ticket.key", random_, clock_).value();
    tls_ = TlsContext::make(open_tls_identity({folder_ / "tls", {}, {}, {}}, clock_).value(), tickets_).value();
    start();
    {
      TlsClient third = client(only_, {version, session});
      login(third);
      EXPECT_TRUE(SSL_session_reused(third.ssl()));
    }
    server_.reset();
    std::filesystem::remove(folder_ / "ticket.key");
    tickets_ = TicketKeys::open(folder_ / "ticket.key", random_, clock_).value();
    tls_ = TlsContext::make(identity_, tickets_).value();
    start();
    {
      TlsClient stranger = client(only_, {version, session});
      login(stranger);  // An unknown ticket costs a full handshake, no more.
      EXPECT_FALSE(SSL_session_reused(stranger.ssl()));
    }
    SSL_SESSION_free(session);
    server_.reset();
  }
}

TEST_F(TlsServerTest, ReloadChangesTheCertificateAndKeepsSessionsAndTickets) {
  start();
  TlsClient old = client(only_);
  login(old);
  SSL_SESSION* session = SSL_get1_session(old.ssl());
  const auto renewed = open_tls_identity({folder_ / "tls", {"added.example"}, {}, {}}, clock_).value();
  ASSERT_TRUE(renewed.renewed);
  ASSERT_TRUE(tls_->reload(renewed));
  TlsClient fresh = client(only_);
  login(fresh);
  EXPECT_NE(fresh.serial(), old.serial());
  ASSERT_TRUE(old.send(frame(6, 2, "")));
  EXPECT_EQ(old.read(5), status_frame(2, 200));
  TlsClient resumed = client(only_, {0, session});
  login(resumed);
  EXPECT_TRUE(SSL_session_reused(resumed.ssl()));
  SSL_SESSION_free(session);
  TlsIdentity broken = renewed;
  broken.private_key_pem = identity_.private_key_pem;
  EXPECT_EQ(tls_->reload(broken).error(), NetError::key_mismatch);
  TlsClient after = client(only_);
  login(after);  // Nothing changed.
}

TEST_F(TlsServerTest, ConcurrentHandshakesHaveALimitAndADeadline) {
  options_.limits.tls_handshakes_max = 2;
  options_.limits.opening_deadline = 600ms;
  start();
  std::vector<Client> halves;
  for (const char* from : {"127.0.0.2", "127.0.0.3"}) {
    halves.emplace_back(only_, 0, from);
    ASSERT_TRUE(halves.back().send(std::string("\x16\x03\x01\x02\x00\x01", 6)));
  }
  std::this_thread::sleep_for(100ms);
  Client refused{only_};
  ASSERT_TRUE(refused.send("\x16"));
  EXPECT_TRUE(refused.closed_by_server());
  EXPECT_EQ(metrics_.tls_handshakes_refused_total.value(), 1u);
  for (Client& half : halves) EXPECT_TRUE(half.closed_by_server());
  EXPECT_EQ(metrics_.login_timeouts_total.value(), 2u);
  for (int i = 0; i < 5; ++i) {  // Done handshakes do not count.
    TlsClient one = client(only_);
    login(one);
  }
}

TEST_F(TlsServerTest, OneAddressCannotTakeAllHandshakes) {
  options_.limits.tls_handshakes_max = 16;
  start();
  std::vector<Client> halves;
  for (int i = 0; i < 2; ++i) {
    halves.emplace_back(only_, 0, "127.0.0.2");
    ASSERT_TRUE(halves.back().send("\x16"));
  }
  std::this_thread::sleep_for(100ms);
  Client refused{only_, 0, "127.0.0.2"};
  ASSERT_TRUE(refused.send("\x16"));
  EXPECT_TRUE(refused.closed_by_server());
  EXPECT_EQ(metrics_.tls_handshakes_refused_total.value(), 1u);
  TlsClient other = client(only_);
  login(other);
  halves.clear();
  EXPECT_TRUE(eventually([this] { return metrics_.connections_open.value() == 1; }));
  Client again{only_, 0, "127.0.0.2"};  // What was given up is free again.
  ASSERT_TRUE(again.send("\x16"));
  EXPECT_TRUE(again.quiet_for(200ms));
}

TEST_F(TlsServerTest, HttpKnowsThatItIsSecure) {
  start();
  TlsClient one = client(mixed_);
  ASSERT_TRUE(one.handshake());
  ASSERT_TRUE(one.send("GET /memory HTTP/1.1\r\nHost: muster.example:9443\r\n\r\n"));
  ASSERT_TRUE(
      one.send("POST /w HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\nConnection: close\r\n\r\n" + std::string(50'000, 'p')));
  bool clean = false;
  const std::string all = one.read_to_end(clean);
  EXPECT_TRUE(clean);
  EXPECT_THAT(all, HasSubstr("|secure|"));
  EXPECT_THAT(all, HasSubstr("Strict-Transport-Security: max-age="));
  EXPECT_EQ(all.find("Strict-Transport-Security"), all.rfind("Strict-Transport-Security")) << "not for localhost";
  EXPECT_THAT(all, EndsWith("worker:/w:" + std::string(50'000, 'p')));
}

TEST_F(TlsServerTest, BigAnswersWaitForTheReader) {
  start();
  TlsClient one = client(only_, {}, 4'096);
  ASSERT_TRUE(one.handshake());
  ASSERT_TRUE(one.send("GET /big?3000000 HTTP/1.1\r\nHost: h\r\n\r\nGET /big?1000000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  std::this_thread::sleep_for(50ms);
  bool clean = false;
  EXPECT_GT(one.read_to_end(clean).size(), 4'000'000u);
  EXPECT_TRUE(clean);
}

TEST_F(TlsServerTest, AHeldLoginKeepsWhatWasDecrypted) {
  start();
  TlsClient one = client(only_);
  ASSERT_TRUE(one.handshake());
  ASSERT_TRUE(one.send(frame(29, 1, "hold") + frame(6, 2, "")));
  ASSERT_TRUE(eventually([this] { return devices_.addresses().size() == 1; }));
  ASSERT_TRUE(one.send(frame(6, 3, "")));
  std::this_thread::sleep_for(30ms);
  ASSERT_TRUE(server_->post(devices_.addresses()[0], protocol::TokenResolved{}));
  EXPECT_EQ(one.read(15), status_frame(1, 200) + status_frame(2, 200) + status_frame(3, 200));
}

TEST_F(TlsServerTest, TheLastAnswerArrivesBeforeAProperGoodbye) {
  start();
  TlsClient one = client(only_);
  ASSERT_TRUE(one.handshake());
  ASSERT_TRUE(one.send(frame(29, 1, "invalid")));
  bool clean = false;
  EXPECT_EQ(one.read_to_end(clean), status_frame(1, 9));
  EXPECT_TRUE(clean);
}

TEST_F(TlsServerTest, RenegotiationIsRefused) {
  start();
  TlsClient one = client(only_, {TLS1_2_VERSION});
  login(one);
  SSL_renegotiate(one.ssl());
  EXPECT_NE(SSL_do_handshake(one.ssl()), 1);
  ERR_clear_error();
}

}  // namespace
}  // namespace muster::net
