// SPDX-License-Identifier: Apache-2.0
#include "agent/app/vitals.hpp"

#include <charconv>
#include <fstream>

namespace muster::agent::app {

namespace {

std::optional<std::int64_t> leading_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value < 0) {
    return std::nullopt;
  }
  return value;
}

std::string read_start(const char* path) {
  constexpr std::size_t size_max_bytes = 4096;
  std::string text(size_max_bytes, '\0');
  std::ifstream in{path};
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

}  // namespace

std::optional<std::int64_t> parse_uptime_s(std::string_view text) { return leading_number(text); }

std::optional<std::string> parse_load(std::string_view text) {
  const std::string_view load = text.substr(0, text.find(' '));
  if (load.empty() || load.size() > 16 || load.find_first_not_of("0123456789.") != std::string_view::npos) {
    return std::nullopt;
  }
  return std::string{load};
}

std::optional<std::int64_t> parse_available_mb(std::string_view text) {
  constexpr std::string_view key = "MemAvailable:";
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view rest = text.substr(at + key.size());
  const std::size_t number = rest.find_first_not_of(' ');
  if (number == std::string_view::npos) {
    return std::nullopt;
  }
  const auto kib = leading_number(rest.substr(number));
  if (!kib || *kib > INT64_MAX / 1024) {
    return std::nullopt;
  }
  return *kib * 1024 / 1'000'000;
}

Vitals read_vitals() {
  return {parse_uptime_s(read_start("/proc/uptime")), parse_load(read_start("/proc/loadavg")),
          parse_available_mb(read_start("/proc/meminfo"))};
}

}  // namespace muster::agent::app
