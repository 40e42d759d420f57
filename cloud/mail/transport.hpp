// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::mail {

/// What came of one try.
struct Outcome {
  enum class Kind : std::uint8_t {
    sent,
    try_later,  ///< No connection, a refusal for now (4xx), or one that is about us and not about this mail.
    refused,    ///< This mail is not wanted (5xx).
  };
  Kind kind = Kind::sent;
  std::string reason;  ///< For people; holds nothing of the mail.
};

/// What takes mails away. Blocks; used by one thread at a time.
class Transport {
 public:
  virtual ~Transport() = default;
  /// `data`: as compose() makes it.
  [[nodiscard]] virtual Outcome send(std::string_view from, std::string_view to, std::string_view data) = 0;
  /// Ends a send that is under way, soon. From any thread; for good.
  virtual void interrupt() noexcept = 0;
};

}  // namespace muster::mail
