// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace muster::main {

inline constexpr const char* version = MUSTER_VERSION;

}  // namespace muster::main
