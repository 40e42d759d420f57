// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/error.hpp"

#include <string>

namespace muster::net {
namespace {

// Boost's category has a protected destructor, which is safe but not virtual.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class NetCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "net"; }
  std::string message(int value) const override {
    switch (static_cast<NetError>(value)) {
      case NetError::address_malformed: return "the address is not of the form ADDR:PORT";
      case NetError::address_in_use: return "another program listens on this address";
      case NetError::address_locked: return "another muster serves this address";
      case NetError::lock_unusable: return "the runtime directory for lock files cannot be used";
      case NetError::certificate_malformed: return "the certificate is not readable PEM";
      case NetError::key_malformed: return "the private key is not readable PEM";
      case NetError::key_mismatch: return "the private key does not belong to the certificate";
      case NetError::key_readable_by_others: return "the private key is readable by other users";
      case NetError::ticket_keys_malformed: return "the file of ticket keys is damaged";
      case NetError::tls_failed: return "the TLS library refused";
    }
    return "unknown network error";
  }
};

}  // namespace

const boost::system::error_category& net_category() noexcept {
  static const NetCategory category;
  return category;
}

}  // namespace muster::net
