// SPDX-License-Identifier: Apache-2.0
#include "bench/target.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <utility>

namespace muster::bench {
namespace {

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_address(std::string_view text, sockaddr_in& address) {
  const std::size_t colon = text.rfind(':');
  std::uint16_t port = 0;
  if (colon == std::string_view::npos || !parse_number(text.substr(colon + 1), port)) return false;
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  return inet_pton(AF_INET, std::string{text.substr(0, colon)}.c_str(), &address.sin_addr) == 1;
}

}  // namespace

Tokens Tokens::made_up(std::size_t count) {
  Tokens tokens;
  for (std::size_t i = 0; i < count; ++i) {
    char token[token_size_chars + 1];
    std::snprintf(token, sizeof token, "reference-made-up-token-%08zu", i % 100'000'000);
    tokens.text_.append(token, token_size_chars);
  }
  return tokens;
}

std::optional<Tokens> Tokens::load(const std::string& path) {
  std::ifstream file{path};
  Tokens tokens;
  for (std::string line; std::getline(file, line);) {
    if (line.size() != token_size_chars) return std::nullopt;
    tokens.text_ += line;
  }
  if (tokens.text_.empty()) return std::nullopt;
  return tokens;
}

std::optional<Target> parse_target(std::string_view text, std::string& problem) {
  Target target;
  target.tokens = Tokens::made_up(1000);
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(part.size() == text.size() ? text.size() : part.size() + 1);
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1);
    bool understood = true;
    if (key == "name") {
      target.name = value;
    } else if (key == "addr") {
      understood = parse_address(value, target.address);
    } else if (key == "pid") {
      understood = parse_number(value, target.pid);
    } else if (key == "tokens") {
      auto tokens = Tokens::load(std::string{value});
      understood = tokens.has_value();
      if (tokens) target.tokens = std::move(*tokens);
    } else {
      understood = false;
    }
    if (!understood) {
      problem = "--target: cannot use '" + std::string{part} + "'";
      return std::nullopt;
    }
  }
  if (target.name.empty() || target.address.sin_port == 0 || target.pid <= 0) {
    problem = "--target needs name=, addr=ADDRESS:PORT and pid=";
    return std::nullopt;
  }
  return target;
}

}  // namespace muster::bench
