// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/public_url.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

namespace muster::main {

std::string host_of(std::string_view url) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!url.starts_with(scheme)) continue;
    const auto authority = url.substr(scheme.size(), url.find_first_of("/?#", scheme.size()) - scheme.size());
    if (authority.find('@') != std::string_view::npos) return {};
    if (authority.starts_with('[')) {
      const auto end = authority.find(']');
      return end == std::string_view::npos ? std::string{} : std::string{authority.substr(1, end - 1)};
    }
    return std::string{authority.substr(0, authority.find(':'))};
  }
  return {};
}

std::vector<std::string> own_hosts(std::string_view public_url) {
  std::vector<std::string> hosts;
  if (auto host = host_of(public_url); !host.empty()) hosts.push_back(std::move(host));
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return hosts;
  const std::string full{name.data()}, label = full.substr(0, full.find('.'));
  hosts.push_back(full);
  if (label != full) hosts.push_back(label);
  hosts.push_back(label + ".local");
  return hosts;
}

std::string check_public_url(std::string_view url) {
  const auto host = host_of(url);
  const bool good = !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == ':';
  });
  return good ? std::string{} : fmt::format("--public-url {} is no URL; it looks like https://iot.example.com", url);
}

}  // namespace muster::main
