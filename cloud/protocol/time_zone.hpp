// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wire/bytes.hpp"

namespace muster::protocol {

/// One time zone of the system's database (TZif, RFC 8536), with the rule that goes on after its table. Immutable.
class TimeZone {
 public:
  struct Offset {
    std::int32_t total_s = 0;   ///< East of UTC.
    std::int32_t saving_s = 0;  ///< Part of it that is summer time; negative where winter is the exception (Ireland).
    friend bool operator==(const Offset&, const Offset&) noexcept = default;
  };
  struct Transition {
    std::int64_t at_s = 0;  ///< Unix seconds.
    Offset offset;          ///< From then on.
  };

  [[nodiscard]] static TimeZone utc();
  /// nullopt: not a TZif file, or one that contradicts itself. Reads only inside `file`.
  [[nodiscard]] static std::optional<TimeZone> parse(std::string_view name, wire::ByteView file);

  [[nodiscard]] Offset at(std::int64_t unix_s) const;
  /// The next change of the offset after that moment.
  [[nodiscard]] std::optional<Transition> next_transition(std::int64_t unix_s) const;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// POSIX TZ text, as "EET-2EEST,M3.5.0/3,M10.5.0/4"; may be empty.
  [[nodiscard]] const std::string& rule() const noexcept { return rule_text_; }

 private:
  struct Day {
    enum class Kind : std::uint8_t { month_week_day, julian, zero_based } kind = Kind::month_week_day;
    std::int32_t month = 0, week = 0, day = 0;
    std::int32_t time_s = 7'200;  ///< Local time of the day; may be negative or past a day.
  };
  struct Rule {
    std::int32_t standard_s = 0, summer_s = 0;
    bool has_summer = false;
    Day start, end;
  };
  struct Parser;
  [[nodiscard]] static std::optional<Rule> parse_rule(std::string_view text);
  [[nodiscard]] static std::int64_t moment(const Day& day, std::int32_t year, std::int32_t offset_s);
  [[nodiscard]] std::optional<Transition> next_by_rule(std::int64_t unix_s) const;

  std::string name_, rule_text_;
  Offset first_;                         ///< Before the table.
  std::vector<Transition> transitions_;  ///< Ascending.
  std::optional<Rule> rule_;             ///< After the table.
};

/// The time zones met so far. Thread-safe; what was found once stays as long as this object.
class TimeZones {
 public:
  static constexpr std::size_t zones_max = 1'024;
  static constexpr std::size_t file_size_max_bytes = 64 * 1024;

  explicit TimeZones(std::string directory = "/usr/share/zoneinfo");
  /// nullptr: not read yet (call load, away from the network loops). "UTC" is always there.
  [[nodiscard]] const TimeZone* cached(std::string_view name) const;
  /// Blocks: reads a file. nullptr: there is no such zone. For names from devices: what does not exist is not remembered either.
  const TimeZone* find(std::string_view name);
  /// Blocks: reads a file. An unknown or damaged zone is UTC.
  const TimeZone& load(std::string_view name);

 private:
  [[nodiscard]] std::optional<TimeZone> read(std::string_view name) const;
  const TimeZone& keep(std::string_view name, TimeZone zone);

  const std::string directory_;
  TimeZone utc_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<const TimeZone>> zones_;
};

/// `2020-10-06T10:16:26+03:00`.
[[nodiscard]] std::string iso_8601(std::int64_t unix_s, std::int32_t offset_s);

}  // namespace muster::protocol
