// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/base/key_ring.hpp"
#include "cloud/base/random.hpp"
#include "cloud/domain/directory.hpp"
#include "cloud/mail/texts.hpp"
#include "cloud/webhook/deliverer.hpp"

namespace muster::main {

/// Writes the mails that tell a webhook's people that it was disabled: to who made it, while that account is active, and to its
/// failure receivers, once to each address. Thread-safe; borrows everything but the brand.
[[nodiscard]] webhook::Deliverer::Notices webhook_notices(mail::Brand brand, const domain::Directory& directory, const KeyRing& keys,
                                                          Random& random);

}  // namespace muster::main
