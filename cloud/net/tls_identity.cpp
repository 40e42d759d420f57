// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/tls_identity.hpp"

#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <system_error>

#include "cloud/base/error.hpp"
#include "cloud/base/ip_address.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/net/error.hpp"
#include "cloud/net/openssl.hpp"

namespace muster::net {
namespace {

constexpr std::size_t pem_limit_bytes = 256 * 1024;

bool file_exists(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string{data, static_cast<std::size_t>(size)} : std::string{};
}

std::string to_pem(X509* certificate) {
  const BioPtr bio{BIO_new(BIO_s_mem())};
  return bio && PEM_write_bio_X509(bio.get(), certificate) == 1 ? bio_text(bio.get()) : std::string{};
}

std::string to_pem(EVP_PKEY* key) {
  const BioPtr bio{BIO_new(BIO_s_secmem())};
  return bio && PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1 ? bio_text(bio.get()) : std::string{};
}

bool is_dns_name(const std::string& name) {
  if (name.empty() || name.size() > 253) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '*';
  });
}

/// "DNS:..." and "IP:...", each once.
std::set<std::string> alternative_names(const std::vector<std::string>& extra) {
  std::set<std::string> names;
  const auto add = [&names](std::string name) {
    if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
    if (const auto ip = IpAddress::parse(name)) {
      names.insert("IP:" + ip->text());
    } else if (is_dns_name(name)) {
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      names.insert("DNS:" + name);
    }
  };
  add("localhost");
  add("127.0.0.1");
  add("::1");
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0 && host[0] != '\0') add(host.data());
  for (const std::string& name : extra) add(name);
  return names;
}

std::set<std::string> alternative_names(X509* certificate) {
  std::set<std::string> names;
  auto* list = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (list == nullptr) return names;
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
    if (name->type == GEN_DNS) {
      names.insert("DNS:" + std::string{reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                        static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))});
    } else if (name->type == GEN_IPADD) {
      const unsigned char* bytes = ASN1_STRING_get0_data(name->d.iPAddress);
      const int size = ASN1_STRING_length(name->d.iPAddress);
      IpAddress ip;
      if (size == 4)
        ip = IpAddress::from_v4(static_cast<std::uint32_t>(bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]));
      else if (size == 16)
        std::copy(bytes, bytes + 16, ip.bytes.begin());
      names.insert("IP:" + ip.text());
    }
  }
  GENERAL_NAMES_free(list);
  return names;
}

UtcTime not_after(X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
  return {std::int64_t{::timegm(&parts)} * 1000};
}

bool set_validity(X509* certificate, UtcTime from, UtcTime to) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), from.ms / 1000) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), to.ms / 1000) != nullptr;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension{X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_random_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7F) | 0x40);  // Positive, and always 16 bytes.
  BIGNUM* number = BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
  const bool done = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return done;
}

bool set_subject(X509* certificate, const std::string& common_name) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto add = [name](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0) == 1;
  };
  return add("O", "Muster") && add("CN", common_name);
}

/// An hour and a day back: clocks of devices and browsers are not ours.
UtcTime valid_from(UtcTime now) { return {now.ms - std::int64_t{25} * 3'600'000}; }

CertificatePtr make_ca(EVP_PKEY* key, UtcTime now) {
  CertificatePtr ca{X509_new()};
  std::array<unsigned char, 4> mark{};
  if (!ca || RAND_bytes(mark.data(), static_cast<int>(mark.size())) != 1) return nullptr;
  std::string name = "Muster private CA ";  // Two of them in one trust store can be told apart.
  for (const unsigned char byte : mark) {
    name += "0123456789abcdef"[byte >> 4];
    name += "0123456789abcdef"[byte & 15];
  }
  const bool done = X509_set_version(ca.get(), X509_VERSION_3) == 1 && set_random_serial(ca.get()) &&
                    set_validity(ca.get(), valid_from(now), {now.ms + std::chrono::milliseconds{ca_validity}.count()}) &&
                    set_subject(ca.get(), name) && X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) == 1 &&
                    X509_set_pubkey(ca.get(), key) == 1 &&
                    add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash") && X509_sign(ca.get(), key, EVP_sha256()) > 0;
  return done ? std::move(ca) : nullptr;
}

CertificatePtr make_server(EVP_PKEY* key, X509* ca, EVP_PKEY* ca_key, const std::set<std::string>& names, UtcTime now) {
  CertificatePtr server{X509_new()};
  if (!server) return nullptr;
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ",") + name;
  UtcTime until{now.ms + std::chrono::milliseconds{server_certificate_validity}.count()};
  until = std::min(until, not_after(ca));
  const bool done =
      X509_set_version(server.get(), X509_VERSION_3) == 1 && set_random_serial(server.get()) &&
      set_validity(server.get(), valid_from(now), until) && set_subject(server.get(), "Muster server") &&
      X509_set_issuer_name(server.get(), X509_get_subject_name(ca)) == 1 && X509_set_pubkey(server.get(), key) == 1 &&
      add_extension(server.get(), ca, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(server.get(), ca, NID_key_usage, "critical,digitalSignature") &&
      add_extension(server.get(), ca, NID_ext_key_usage, "serverAuth") && add_extension(server.get(), ca, NID_subject_alt_name, list) &&
      add_extension(server.get(), ca, NID_subject_key_identifier, "hash") &&
      add_extension(server.get(), ca, NID_authority_key_identifier, "keyid") && X509_sign(server.get(), ca_key, EVP_sha256()) > 0;
  return done ? std::move(server) : nullptr;
}

Result<std::string> read_key(const std::filesystem::path& path) {
  auto pem = read_file(path, pem_limit_bytes, FileAccess::owner_only);
  if (!pem && pem.error() == BaseError::key_unreadable) return Error{NetError::key_readable_by_others};
  return pem;
}

Result<TlsIdentity> open_own(const TlsIdentityOptions& options) {
  TlsIdentity identity;
  MUSTER_TRY(identity.certificate_chain_pem, read_file(options.certificate_file, pem_limit_bytes));
  MUSTER_TRY(identity.private_key_pem, read_key(options.key_file));
  const CertificatePtr certificate = certificate_from_pem(identity.certificate_chain_pem);
  if (!certificate) return NetError::certificate_malformed;
  const KeyPtr key = key_from_pem(identity.private_key_pem);
  if (!key) return NetError::key_malformed;
  if (X509_check_private_key(certificate.get(), key.get()) != 1) return NetError::key_mismatch;
  identity.not_after = not_after(certificate.get());
  return identity;
}

}  // namespace

Result<TlsIdentity> open_tls_identity(const TlsIdentityOptions& options, const Clock& clock) {
  // Also beside the operator's own certificate: ticket keys lie in it.
  if (!options.directory.empty()) {
    std::error_code problem;
    if (std::filesystem::create_directories(options.directory, problem)) {
      std::filesystem::permissions(options.directory, std::filesystem::perms::owner_all, problem);
    }
    if (problem) return Error{problem.value(), boost::system::generic_category()};
  }
  if (!options.certificate_file.empty()) return open_own(options);
  const UtcTime now = clock.utc_now();

  const auto ca_file = options.directory / "ca.crt", ca_key_file = options.directory / "ca.key";
  const auto server_file = options.directory / "server.crt", server_key_file = options.directory / "server.key";
  TlsIdentity identity;
  identity.ca_file = ca_file;
  CertificatePtr ca;
  KeyPtr ca_key;
  if (!file_exists(ca_file)) {
    // The key goes first: a crash in between leaves a key without certificate, which is made new as a pair.
    ca_key.reset(EVP_EC_gen("P-256"));
    if (ca_key) ca = make_ca(ca_key.get(), now);
    if (!ca) return NetError::tls_failed;
    MUSTER_TRY_VOID(write_file_atomically(ca_key_file, to_pem(ca_key.get()), 0600));
    MUSTER_TRY_VOID(write_file_atomically(ca_file, to_pem(ca.get()), 0644));
    log::info("tls_ca_made", {{"file", ca_file.string()}});
  } else {
    MUSTER_TRY(const std::string pem, read_file(ca_file, pem_limit_bytes));
    ca = certificate_from_pem(pem);
    if (!ca) return NetError::certificate_malformed;
  }

  const std::set<std::string> names = alternative_names(options.extra_names);
  if (file_exists(server_file) && file_exists(server_key_file)) {
    MUSTER_TRY(identity.certificate_chain_pem, read_file(server_file, pem_limit_bytes));
    MUSTER_TRY(identity.private_key_pem, read_key(server_key_file));
    const CertificatePtr server = certificate_from_pem(identity.certificate_chain_pem);
    const KeyPtr key = key_from_pem(identity.private_key_pem);
    if (server && key && X509_check_private_key(server.get(), key.get()) == 1 &&
        X509_verify(server.get(), X509_get0_pubkey(ca.get())) == 1 && alternative_names(server.get()) == names) {
      identity.not_after = not_after(server.get());
      const std::int64_t left_ms = identity.not_after.ms - now.ms;
      // A certificate of the CA's last days cannot be made to last longer.
      const bool last_possible = identity.not_after == not_after(ca.get());
      if (left_ms > std::chrono::milliseconds{server_certificate_renewal}.count() || (last_possible && left_ms > 0)) return identity;
    }
    ERR_clear_error();
  }

  if (!ca_key) {
    MUSTER_TRY(const std::string pem, read_key(ca_key_file));
    ca_key = key_from_pem(pem);
    if (!ca_key) return NetError::key_malformed;
    if (X509_check_private_key(ca.get(), ca_key.get()) != 1) return NetError::key_mismatch;
  }
  const KeyPtr key{EVP_EC_gen("P-256")};
  const CertificatePtr server = key ? make_server(key.get(), ca.get(), ca_key.get(), names, now) : nullptr;
  if (!server) {
    log::error("tls_certificate_failed", {{"openssl", openssl_complaint()}});
    return NetError::tls_failed;
  }
  identity.certificate_chain_pem = to_pem(server.get()) + to_pem(ca.get());
  identity.private_key_pem = to_pem(key.get());
  // A crash between the two leaves a pair that does not match: made again by the next start.
  MUSTER_TRY_VOID(write_file_atomically(server_key_file, identity.private_key_pem, 0600));
  MUSTER_TRY_VOID(write_file_atomically(server_file, identity.certificate_chain_pem, 0644));
  identity.not_after = not_after(server.get());
  identity.renewed = true;
  return identity;
}

}  // namespace muster::net
