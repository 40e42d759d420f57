// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/api/core.hpp"
#include "cloud/api/http.hpp"

namespace muster::api {

/// `/external/api/*`, what devices and scripts call with an AuthToken in the query. docs/protocol/http-api.md sections 1-3 and 5.
///
/// Where that document is silent: a request without token answers `No token provided.`; keys of a multi-pin answer are lower case; a pin that was
/// never written gives its datastream's default, else 400 `Requested pin doesn't exist in the app.`, and is left out of a multi-pin answer; several values of a
/// pin are a JSON array; an `update` of several pins sets all or none. The query is never logged: it holds the AuthToken.
class ExternalApi {
 public:
  explicit ExternalApi(Core& core) : core_{core} {}

  static constexpr std::string_view prefix = "/external/api/";

  /// On a loop. False: run `handle` on `lane`.
  [[nodiscard]] bool answer_from_memory(const Request& request, Response& response);
  [[nodiscard]] Lane lane(const Request& request) const noexcept;
  /// May ask the store.
  [[nodiscard]] Response handle(const Request& request);
  [[nodiscard]] static Response unavailable();
  [[nodiscard]] static std::vector<Api::RouteInfo> routes();

 private:
  enum class Call : std::uint8_t { get, update, is_hardware_connected, provision, log_event };
  [[nodiscard]] static std::optional<Call> call_of(std::string_view path) noexcept;

  struct Resolved {
    DeviceId device;                  ///< Set: live, and here.
    std::optional<Response> refusal;  ///< Set: say that.
    bool ask_store = false;           ///< Neither: the index does not know the token.
    /// With `device`: the token's entry. One of a provisioning token is good for `provision` alone.
    std::optional<domain::CredentialIndex::Entry> entry;
    [[nodiscard]] bool is_provisional() const noexcept {
      return entry && (entry->kind == domain::TokenKind::provision || entry->kind == domain::TokenKind::reprovision);
    }
  };
  [[nodiscard]] Resolved resolve(const Request& request) const;
  [[nodiscard]] Resolved resolve_with_store(const Request& request);
  /// "Invalid token.", or 503 while the fleet breaker keeps it back.
  [[nodiscard]] Response refuse_invalid(const Request& request) const;
  [[nodiscard]] bool home_elsewhere(const Request& request, DeviceId device, Response& redirect) const;

  /// nullopt: the store has to be asked for values first.
  [[nodiscard]] std::optional<Response> get(const Request& request, DeviceId device) const;
  [[nodiscard]] Response update(const Request& request, DeviceId device);
  /// Accepted is written behind.
  [[nodiscard]] Response log_event(const Request& request, DeviceId device);
  /// The session whose replacing of a token this use of the device's new or old one ends, if it is due.
  ///
  /// A device without a connection has proved its new token when it comes with it a minute or more after it was accepted: sooner it may be
  /// the same request once more. One that comes with the old token after the session's time has fallen back. No lock but for a device that is proving.
  [[nodiscard]] std::optional<domain::ProvisionSession> proof_due(const domain::CredentialIndex::Entry& entry) const;
  /// Ends it in the store, if one is due. Blocks. False: trouble with the store; a later use tries again.
  [[nodiscard]] bool end_proof(const Request& request, const domain::CredentialIndex::Entry& entry);
  /// Login and info in one call. Blocks.
  [[nodiscard]] Response provision(const Request& request, const domain::CredentialIndex::Entry& entry);

  Core& core_;
};

}  // namespace muster::api
