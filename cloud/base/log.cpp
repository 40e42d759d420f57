// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>

namespace muster::log {
namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};
constexpr std::array<spdlog::level::level_enum, 4> spdlog_levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                                 spdlog::level::err};

struct Output {
  spdlog::logger logger;
  bool json;
};

/// Never destroyed: threads that outlive main's locals may still log.
Output& output() {
  static Output* const made = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto* result = new Output{spdlog::logger{"muster", std::move(sink)}, isatty(STDERR_FILENO) == 0};
    result->logger.set_pattern("%v");
    result->logger.set_level(spdlog::level::info);
    result->logger.flush_on(spdlog::level::trace);
    return result;
  }();
  return *made;
}

/// Bytes of the UTF-8 sequence at the start of `text`; 0 when it is none.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned code = 0;
  if ((lead & 0xe0) == 0xc0) {
    length = 2;
    code = lead & 0x1fu;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3;
    code = lead & 0x0fu;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4;
    code = lead & 0x07u;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  constexpr std::array<unsigned, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
  return length;
}

void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
      continue;
    }
    const auto c = static_cast<unsigned char>(text.front());
    // C1 controls (U+0080..U+009F) are escaped too: some terminals obey them.
    const bool c1_control = length == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text.front();
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c == 0x7f || c1_control) {
      std::array<char, 7> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", unsigned{c1_control ? static_cast<unsigned char>(text[1]) : c});
      out += escape.data();
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

void append_time(std::string& out, std::int64_t utc_ms) {
  const std::time_t seconds = static_cast<std::time_t>(utc_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  out.append(text.data(), length);
  std::snprintf(text.data(), text.size(), ".%03dZ", static_cast<int>(utc_ms % 1000));
  out += text.data();
}

void append_value(std::string& out, const Field& field, bool quote_always) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    const bool plain = !quote_always && !text->empty() && text->find_first_of(" \"\\=") == std::string_view::npos;
    if (plain) {
      append_escaped(out, *text);
    } else {
      append_quoted(out, *text);
    }
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    out += std::to_string(*number);
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

}  // namespace

std::string format_json(std::int64_t utc_ms, Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line = "{\"time\":\"";
  append_time(line, utc_ms);
  line += "\",\"level\":\"";
  line += level_names[static_cast<std::size_t>(level)];
  line += "\",\"event\":";
  append_quoted(line, event);
  for (const Field& field : fields) {
    line += ',';
    append_quoted(line, field.key);
    line += ':';
    append_value(line, field, true);
  }
  line += '}';
  return line;
}

std::string format_text(std::int64_t utc_ms, Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line;
  append_time(line, utc_ms);
  line += ' ';
  line += level_names[static_cast<std::size_t>(level)];
  line += ' ';
  append_escaped(line, event);
  for (const Field& field : fields) {
    line += ' ';
    append_escaped(line, field.key);
    line += '=';
    append_value(line, field, false);
  }
  return line;
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  Output& out = output();
  const auto spdlog_level = spdlog_levels[static_cast<std::size_t>(level)];
  if (!out.logger.should_log(spdlog_level)) return;
  using namespace std::chrono;
  const std::int64_t utc_ms = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  out.logger.log(spdlog_level,
                 spdlog::string_view_t{out.json ? format_json(utc_ms, level, event, fields) : format_text(utc_ms, level, event, fields)});
}

void set_level(Level level) noexcept { output().logger.set_level(spdlog_levels[static_cast<std::size_t>(level)]); }

}  // namespace muster::log
