// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/agent_test_rig.hpp"

/// A small scripted server on loopback, and certificates for it. For tests.
namespace muster::agent::test {

// ---- certificates
// -----------------------------------------------------------------------------------------------------

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

struct Identified {
  Key key;
  Certificate certificate;
};

inline void extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// A certificate signed by `issuer`, or by itself; `names` as OpenSSL's subjectAltName text, empty for a CA.
inline Identified make_certificate(const Identified* issuer, const char* common_name, const std::string& names, long valid_s = 3600) {
  Identified made{Key{EVP_EC_gen("P-256")}, Certificate{X509_new()}};
  X509* const x = made.certificate.get();
  static long serial = 1;
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -7200);
  X509_gmtime_adj(X509_getm_notAfter(x), valid_s);
  X509_set_pubkey(x, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  X509* const signer = issuer == nullptr ? x : issuer->certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(signer));
  if (names.empty()) {
    extend(x, signer, NID_basic_constraints, "critical,CA:TRUE");
    extend(x, signer, NID_key_usage, "critical,keyCertSign");
  } else {
    extend(x, signer, NID_subject_alt_name, names.c_str());
  }
  X509_sign(x, issuer == nullptr ? made.key.get() : issuer->key.get(), EVP_sha256());
  return made;
}

inline std::string write_pem(const Identified& ca, const std::string& name) {
  std::string path = (std::filesystem::temp_directory_path() / ("muster-" + std::to_string(getpid()) + '-' + name)).string();
  FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) std::abort();
  PEM_write_X509(file, ca.certificate.get());
  std::fclose(file);
  return path;
}

// ---- the server
// -------------------------------------------------------------------------------------------------------

/// One accepted connection, blocking, with a time-out on each call.
class Peer {
 public:
  Peer(int fd, SSL* session) : fd_{fd}, session_{session} {}
  bool read(std::uint8_t* out, std::size_t size) {
    while (size != 0) {
      const auto got = session_ != nullptr ? SSL_read(session_, out, static_cast<int>(size)) : static_cast<int>(recv(fd_, out, size, 0));
      if (got <= 0) {
        return false;
      }
      out += got;
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }
  /// The next frame as command:id:body, "" when the connection ended.
  std::string read_frame() {
    std::uint8_t header[5];
    if (!read(header, sizeof header)) {
      return {};
    }
    const auto id = std::to_string(header[1] << 8 | header[2]);
    const std::size_t length = static_cast<std::size_t>(header[3] << 8 | header[4]);
    if (header[0] == 0) {
      return "0:" + id + ':' + std::to_string(length);
    }
    std::string body(length, 0);
    if (!read(reinterpret_cast<std::uint8_t*>(body.data()), length)) {
      return {};
    }
    return std::to_string(header[0]) + ':' + id + ':' + escaped(body);
  }
  void write(const Bytes& bytes) {
    const auto sent = session_ != nullptr ? SSL_write(session_, bytes.data(), static_cast<int>(bytes.size()))
                                          : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    EXPECT_EQ(sent, static_cast<int>(bytes.size()));
  }
  [[nodiscard]] std::string server_name() const {
    const char* const name = session_ == nullptr ? nullptr : SSL_get_servername(session_, TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "" : name;
  }

 private:
  int fd_;
  SSL* session_;
};

/// Listens on 127.0.0.1 and serves `connections` connections, one after another, on a thread of its own.
class Server {
 public:
  using Script = std::function<void(Peer&)>;

  explicit Server(Script script, const Identified* identity = nullptr, int connections = 1) : script_{std::move(script)} {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_timeout(listener_);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    socklen_t size = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (identity != nullptr) {
      context_ = SSL_CTX_new(TLS_server_method());
      SSL_CTX_use_certificate(context_, identity->certificate.get());
      SSL_CTX_use_PrivateKey(context_, identity->key.get());
    }
    thread_ = std::thread{[this, connections] {
      for (int i = 0; i < connections; ++i) {
        serve();
      }
    }};
  }
  ~Server() {
    thread_.join();
    close(listener_);
    SSL_CTX_free(context_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  static void set_timeout(int fd) {
    const timeval limit{10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  void serve() {
    const int fd = accept(listener_, nullptr, nullptr);
    if (fd < 0) {
      return;
    }
    set_timeout(fd);
    SSL* session = nullptr;
    bool good = true;
    if (context_ != nullptr) {
      session = SSL_new(context_);
      SSL_set_fd(session, fd);
      good = SSL_accept(session) == 1;
    }
    if (good) {
      Peer peer{fd, session};
      script_(peer);
    }
    SSL_free(session);
    close(fd);
  }

  Script script_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace muster::agent::test
