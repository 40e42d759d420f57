// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/time_zone.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <mutex>

namespace muster::protocol {
namespace {

using wire::ByteView;

/// Walks big-endian numbers; `ok` turns false for good when the bytes end.
struct Reader {
  ByteView rest;
  bool ok = true;

  ByteView bytes(std::size_t count) {
    if (rest.size < count) {
      ok = false;
      return {};
    }
    const ByteView taken = rest.first(count);
    rest = rest.drop(count);
    return taken;
  }
  std::uint64_t number(std::size_t size_bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(size_bytes)) value = value << 8 | byte;
    return value;
  }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
};

struct Header {
  std::uint8_t version = 0;
  std::uint32_t isut = 0, isstd = 0, leap = 0, time = 0, type = 0, chars = 0;
  [[nodiscard]] std::uint64_t data_size(std::uint64_t time_size) const {
    return std::uint64_t{time} * (time_size + 1) + std::uint64_t{type} * 6 + chars + std::uint64_t{leap} * (time_size + 4) + isstd + isut;
  }
};

bool read_header(Reader& in, Header& header) {
  if (in.bytes(4).text() != "TZif") return false;
  header.version = static_cast<std::uint8_t>(in.number(1));
  in.bytes(15);
  header.isut = in.u32();
  header.isstd = in.u32();
  header.leap = in.u32();
  header.time = in.u32();
  header.type = in.u32();
  header.chars = in.u32();
  return in.ok;
}

std::int32_t year_of(std::int64_t unix_s) {
  const auto days = std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds{std::chrono::seconds{unix_s}});
  return static_cast<int>(std::chrono::year_month_day{days}.year());
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '/' || name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' || c == '+';
  });
}

}  // namespace

TimeZone TimeZone::utc() {
  TimeZone zone;
  zone.name_ = "UTC";
  zone.rule_text_ = "UTC0";
  zone.rule_ = Rule{};
  return zone;
}

/// The POSIX TZ grammar, with the extensions of RFC 8536 section 3.3.1.
struct TimeZone::Parser {
  std::string_view rest;

  bool eat(char c) {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  bool name() {
    std::size_t size = 0;
    if (eat('<')) {
      while (size < rest.size() && rest[size] != '>') ++size;
      if (size == rest.size()) return false;
      rest.remove_prefix(size + 1);
      return size >= 3;
    }
    while (size < rest.size() && ((rest[size] >= 'a' && rest[size] <= 'z') || (rest[size] >= 'A' && rest[size] <= 'Z'))) ++size;
    rest.remove_prefix(size);
    return size >= 3;
  }
  bool number(std::int32_t& out, std::int32_t max) {
    std::size_t size = 0;
    std::int32_t value = 0;
    while (size < rest.size() && size < 4 && rest[size] >= '0' && rest[size] <= '9') value = value * 10 + (rest[size++] - '0');
    rest.remove_prefix(size);
    out = value;
    return size > 0 && value <= max;
  }
  /// [+-]hh[:mm[:ss]]
  bool time(std::int32_t& out) {
    const bool negative = eat('-');
    if (!negative) eat('+');
    std::int32_t hours = 0, minutes = 0, seconds = 0;
    if (!number(hours, 167)) return false;
    if (eat(':') && !number(minutes, 59)) return false;
    if (eat(':') && !number(seconds, 59)) return false;
    out = hours * 3'600 + minutes * 60 + seconds;
    if (negative) out = -out;
    return true;
  }
  bool day(Day& out) {
    if (!eat(',')) return false;
    if (eat('M')) {
      out.kind = Day::Kind::month_week_day;
      if (!number(out.month, 12) || out.month < 1 || !eat('.') || !number(out.week, 5) || out.week < 1 || !eat('.') || !number(out.day, 6))
        return false;
    } else if (eat('J')) {
      out.kind = Day::Kind::julian;
      if (!number(out.day, 365) || out.day < 1) return false;
    } else {
      out.kind = Day::Kind::zero_based;
      if (!number(out.day, 365)) return false;
    }
    return !eat('/') || time(out.time_s);
  }
};

std::optional<TimeZone::Rule> TimeZone::parse_rule(std::string_view text) {
  Parser in{text};
  Rule rule;
  std::int32_t west = 0;
  if (!in.name() || !in.time(west)) return std::nullopt;
  rule.standard_s = -west;
  if (in.rest.empty()) return rule;
  if (!in.name()) return std::nullopt;
  rule.has_summer = true;
  rule.summer_s = rule.standard_s + 3'600;
  if (!in.rest.empty() && in.rest.front() != ',') {
    if (!in.time(west)) return std::nullopt;
    rule.summer_s = -west;
  }
  if (!in.day(rule.start) || !in.day(rule.end) || !in.rest.empty()) return std::nullopt;
  return rule;
}

std::int64_t TimeZone::moment(const Day& day, std::int32_t year, std::int32_t offset_s) {
  using namespace std::chrono;
  const std::chrono::year y{year};
  sys_days date;
  switch (day.kind) {
    case Day::Kind::month_week_day: {
      const std::chrono::month m{static_cast<unsigned>(day.month)};
      const weekday w{static_cast<unsigned>(day.day)};
      date = day.week == 5 ? sys_days{y / m / w[last]} : sys_days{y / m / w[static_cast<unsigned>(day.week)]};
      break;
    }
    case Day::Kind::julian:  // 1..365, never the 29th of February.
      date = sys_days{y / January / 1} + days{day.day - 1 + (y.is_leap() && day.day >= 60 ? 1 : 0)};
      break;
    case Day::Kind::zero_based: date = sys_days{y / January / 1} + days{day.day}; break;
  }
  return duration_cast<seconds>(date.time_since_epoch()).count() + day.time_s - offset_s;
}

std::optional<TimeZone> TimeZone::parse(std::string_view name, ByteView file) {
  Reader in{file};
  Header header;
  if (!read_header(in, header)) return std::nullopt;
  std::size_t time_size = 4;
  if (header.version >= '2') {
    if (header.data_size(4) > in.rest.size) return std::nullopt;
    in.bytes(static_cast<std::size_t>(header.data_size(4)));
    if (!read_header(in, header)) return std::nullopt;
    time_size = 8;
  }
  if (header.type == 0 || header.type > 256 || header.data_size(time_size) > in.rest.size) return std::nullopt;

  TimeZone zone;
  zone.name_ = name;
  std::vector<std::int64_t> times(header.time);
  for (std::int64_t& time : times) {
    const std::uint64_t raw = in.number(time_size);
    time = time_size == 8 ? static_cast<std::int64_t>(raw) : std::int64_t{static_cast<std::int32_t>(raw)};
  }
  std::vector<std::uint8_t> kinds(header.time);
  for (std::uint8_t& kind : kinds) {
    kind = static_cast<std::uint8_t>(in.number(1));
    if (kind >= header.type) return std::nullopt;
  }
  struct Type {
    std::int32_t total_s;
    bool summer;
  };
  std::vector<Type> types(header.type);
  for (Type& type : types) {
    type.total_s = static_cast<std::int32_t>(in.u32());
    type.summer = in.number(1) != 0;
    in.number(1);
    if (type.total_s < -172'800 || type.total_s > 172'800) return std::nullopt;
  }
  in.bytes(header.chars);
  in.bytes(std::size_t{header.leap} * (time_size + 4));
  in.bytes(header.isstd);
  in.bytes(header.isut);
  if (!in.ok || !std::is_sorted(times.begin(), times.end())) return std::nullopt;

  // The file tells totals and "is summer", not how much of the total is summer: the standard time before it tells.
  std::int32_t standard_s = types[0].total_s;
  if (types[0].summer) {
    for (const Type& type : types) {
      if (!type.summer) {
        standard_s = type.total_s;
        break;
      }
    }
  }
  zone.first_ = {types[0].total_s, types[0].summer ? types[0].total_s - standard_s : 0};
  zone.transitions_.reserve(times.size());
  for (std::size_t i = 0; i < times.size(); ++i) {
    const Type& type = types[kinds[i]];
    if (!type.summer) standard_s = type.total_s;
    zone.transitions_.push_back({times[i], {type.total_s, type.summer ? type.total_s - standard_s : 0}});
  }
  if (time_size == 8 && in.bytes(1).text() == "\n") {
    const std::string_view footer = in.rest.text();
    zone.rule_text_ = footer.substr(0, footer.find('\n'));
    zone.rule_ = parse_rule(zone.rule_text_);
    if (!zone.rule_) zone.rule_text_.clear();
  }
  return zone;
}

TimeZone::Offset TimeZone::at(std::int64_t unix_s) const {
  if (transitions_.empty() || unix_s < transitions_.front().at_s) {
    if (!transitions_.empty() || !rule_) return first_;
  } else if (unix_s < transitions_.back().at_s || !rule_) {
    const auto after =
        std::upper_bound(transitions_.begin(), transitions_.end(), unix_s, [](std::int64_t t, const Transition& x) { return t < x.at_s; });
    return std::prev(after)->offset;
  }
  const Offset standard{rule_->standard_s, 0};
  if (!rule_->has_summer) return standard;
  const std::int32_t year = year_of(unix_s + rule_->standard_s);
  const std::int64_t start = moment(rule_->start, year, rule_->standard_s);
  const std::int64_t end = moment(rule_->end, year, rule_->summer_s);
  // South of the equator summer spans the turn of the year.
  const bool summer = start < end ? unix_s >= start && unix_s < end : unix_s >= start || unix_s < end;
  return summer ? Offset{rule_->summer_s, rule_->summer_s - rule_->standard_s} : standard;
}

std::optional<TimeZone::Transition> TimeZone::next_by_rule(std::int64_t unix_s) const {
  if (!rule_ || !rule_->has_summer) return std::nullopt;
  std::optional<Transition> next;
  const std::int32_t year = year_of(unix_s);
  for (std::int32_t y = year - 1; y <= year + 1; ++y) {
    const Transition both[] = {{moment(rule_->start, y, rule_->standard_s), {rule_->summer_s, rule_->summer_s - rule_->standard_s}},
                               {moment(rule_->end, y, rule_->summer_s), {rule_->standard_s, 0}}};
    for (const Transition& t : both) {
      if (t.at_s > unix_s && (!next || t.at_s < next->at_s)) next = t;
    }
  }
  return next;
}

std::optional<TimeZone::Transition> TimeZone::next_transition(std::int64_t unix_s) const {
  const auto after =
      std::upper_bound(transitions_.begin(), transitions_.end(), unix_s, [](std::int64_t t, const Transition& x) { return t < x.at_s; });
  if (after != transitions_.end()) return *after;
  return next_by_rule(unix_s);
}

TimeZones::TimeZones(std::string directory) : directory_{std::move(directory)}, utc_{TimeZone::utc()} {}

const TimeZone* TimeZones::cached(std::string_view name) const {
  if (!is_safe_name(name) || name == "UTC") return &utc_;
  const std::shared_lock lock{mutex_};
  const auto found = zones_.find(std::string{name});
  return found == zones_.end() ? nullptr : found->second.get();
}

std::optional<TimeZone> TimeZones::read(std::string_view name) const {
  std::ifstream in{directory_ + '/' + std::string{name}, std::ios::binary};
  if (!in) return std::nullopt;
  std::string bytes(file_size_max_bytes, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, in.gcount())));
  return TimeZone::parse(name, ByteView{bytes});
}

const TimeZone& TimeZones::keep(std::string_view name, TimeZone zone) {
  const std::unique_lock lock{mutex_};
  if (zones_.size() >= zones_max) return utc_;
  const auto [place, is_new] = zones_.try_emplace(std::string{name});
  if (is_new) place->second = std::make_unique<const TimeZone>(std::move(zone));
  return *place->second;
}

const TimeZone* TimeZones::find(std::string_view name) {
  if (const TimeZone* known = cached(name)) return known->name() == name ? known : nullptr;  // Also what cannot be a name.
  auto zone = read(name);
  return zone ? &keep(name, std::move(*zone)) : nullptr;
}

const TimeZone& TimeZones::load(std::string_view name) {
  if (const TimeZone* known = cached(name)) return *known;
  auto zone = read(name);
  return keep(name, zone ? std::move(*zone) : TimeZone::utc());
}

std::string iso_8601(std::int64_t unix_s, std::int32_t offset_s) {
  using namespace std::chrono;
  const sys_seconds local{seconds{unix_s + offset_s}};
  const sys_days day = floor<days>(local);
  const year_month_day date{day};
  const hh_mm_ss time{local - day};
  const std::int32_t minutes_east = offset_s / 60;
  const std::int32_t distance = minutes_east < 0 ? -minutes_east : minutes_east;
  char text[64];
  const int size = std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d%c%02d:%02d", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                                 static_cast<int>(time.seconds().count()), minutes_east < 0 ? '-' : '+', distance / 60, distance % 60);
  return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace muster::protocol
