// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace muster {

/// Makes libsodium ready, once for the process; cheap to call again, from any thread. Ends the process when the kernel
/// has no randomness to give: going on would mean guessable secrets.
void require_sodium() noexcept;

}  // namespace muster
