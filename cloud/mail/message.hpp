// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cloud/base/clock.hpp"

namespace muster::mail {

/// What a person reads.
struct Message {
  std::string subject;
  std::string text, html;  ///< The same, for programs that show one or the other.
  friend bool operator==(const Message&, const Message&) = default;
};

inline constexpr std::string_view seal_context = "mail";  ///< Of KeyRing::seal, for the queue.

/// As bytes to be sealed, and back. nullopt: they are not such bytes.
[[nodiscard]] std::string pack(const Message& message);
[[nodiscard]] std::optional<Message> unpack(std::string_view bytes);

/// Who sends.
struct Sender {
  std::string address;  ///< "muster@example.org"
  std::string name;     ///< Shown before it; may be empty.
};

/// The whole mail (RFC 5322, MIME): ASCII, lines of at most 78 characters that end in CR LF. No value can add a header or end one.
/// `id` is unique for this mail and the same at every try.
[[nodiscard]] std::string compose(const Message& message, const Sender& from, std::string_view to, UtcTime date, std::string_view id);

}  // namespace muster::mail
