// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <utility>

namespace muster {

/// A value or an error_code: what a peer, a disk or a user can cause. One error enum and one category per module.
template <class T>
using Result = boost::system::result<T>;

using Error = boost::system::error_code;

}  // namespace muster

#define MUSTER_CONCAT_INNER(a, b) a##b
#define MUSTER_CONCAT(a, b) MUSTER_CONCAT_INNER(a, b)

/// MUSTER_TRY(declaration, expression): leaves the function with the error, or binds the value.
#define MUSTER_TRY(declaration, ...) MUSTER_TRY_INNER(MUSTER_CONCAT(muster_result_, __COUNTER__), declaration, __VA_ARGS__)
#define MUSTER_TRY_INNER(name, declaration, ...) \
  auto&& name = __VA_ARGS__;                     \
  if (!name) return name.error();                \
  declaration = std::move(name).value()

/// MUSTER_TRY_VOID(expression): for Result<void>, or a value nobody wants.
#define MUSTER_TRY_VOID(...)                                                              \
  do {                                                                                    \
    if (auto&& muster_result = __VA_ARGS__; !muster_result) return muster_result.error(); \
  } while (false)
