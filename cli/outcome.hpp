// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace muster::cli {

/// What `muster` ends with. Scripts rely on them.
inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;       ///< Something on this machine: a file, a damaged store.
inline constexpr int exit_usage = 2;        ///< Wrong arguments; nothing was done.
inline constexpr int exit_refused = 3;      ///< The server said no.
inline constexpr int exit_unreachable = 4;  ///< No server, or one that is not trusted.

/// Why a command ends early: one sentence for people that says what to do.
struct Failure {
  Failure() = default;
  Failure(int with_exit_code, std::string with_message, std::string with_code)
      : exit_code{with_exit_code}, message{std::move(with_message)}, code{std::move(with_code)} {}
  int exit_code = exit_failed;
  std::string message;
  std::string code;  ///< The server's stable code, when it gave one.
};

template <class T>
using Outcome = boost::system::result<T, Failure>;

/// Only reached by calling value() on a failure, which is a bug.
[[noreturn]] inline void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::logic_error{failure.message};
}

[[nodiscard]] inline Failure usage(std::string message) { return {exit_usage, std::move(message), {}}; }
[[nodiscard]] inline Failure failed(std::string message) { return {exit_failed, std::move(message), {}}; }
[[nodiscard]] inline Failure refused(std::string message, std::string code = {}) {
  return {exit_refused, std::move(message), std::move(code)};
}
[[nodiscard]] inline Failure unreachable(std::string message) { return {exit_unreachable, std::move(message), {}}; }

}  // namespace muster::cli
