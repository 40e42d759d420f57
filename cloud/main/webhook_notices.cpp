// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/webhook_notices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cloud/domain/rules.hpp"
#include "cloud/domain/webhook_text.hpp"

namespace muster::main {

webhook::Deliverer::Notices webhook_notices(mail::Brand brand, const domain::Directory& directory, const KeyRing& keys, Random& random) {
  return [brand = std::move(brand), &directory, &keys, &random](const domain::Webhook& hook, const std::string& problem) {
    std::vector<std::string> receivers = domain::split_lines(hook.failure_receivers);
    if (const auto maker = directory.user(hook.created_by); maker && maker->status == domain::UserStatus::active)
      receivers.push_back(maker->email);
    for (auto& receiver : receivers) receiver = domain::lower_ascii(receiver);
    std::sort(receivers.begin(), receivers.end());
    receivers.erase(std::unique(receivers.begin(), receivers.end()), receivers.end());
    const auto message = mail::note(
        brand, fmt::format("The webhook \u201c{}\u201d was disabled", hook.name),
        fmt::format("{} deliveries in a row could not be made within a day each. The last problem: {} No more is sent until somebody "
                    "enables it again: muster webhook enable {}",
                    hook.fail_after, problem, hook.id.value()));
    const std::string packed = mail::pack(message);
    std::vector<domain::NewMail> mails;
    for (const auto& receiver : receivers) mails.push_back({receiver, "webhook", keys.seal(mail::seal_context, packed, random)});
    return mails;
  };
}

}  // namespace muster::main
