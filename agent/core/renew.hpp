// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <type_traits>

namespace muster::agent {

/// Makes an object anew where it is. `object = T{}` would first build another one on the stack, of which a small board has little.
template <typename T>
void renew(T& object) noexcept {
  static_assert(std::is_trivially_destructible_v<T> && std::is_nothrow_default_constructible_v<T>);
  ::new (static_cast<void*>(&object)) T{};
}

}  // namespace muster::agent
