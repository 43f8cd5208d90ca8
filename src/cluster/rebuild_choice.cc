#include "cluster/rebuild_choice.h"

#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/recovery_way.h"

namespace pgrevive::cluster {
namespace {

constexpr std::uint64_t kTelling = std::uint64_t{64} << 20;
constexpr std::chrono::milliseconds kTellingTime{500};

double seconds(std::uint64_t bytes, const Rate& rate) {
  return static_cast<double>(bytes) / rate.bytes_per_second;
}

std::string time_text(double seconds) {
  return format_duration(
      std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000))));
}

std::string amount(std::uint64_t bytes, const char* what, const Rate& rate) {
  return fmt::format("{}{} at {}/s{}", format_bytes(bytes), what,
                     format_bytes(static_cast<std::uint64_t>(rate.bytes_per_second)),
                     rate.measured ? " as measured" : "");
}

}  // namespace

Rate rate_of(std::uint64_t bytes, std::chrono::milliseconds time, double usual) {
  if (bytes < kTelling || time < kTellingTime) return {.bytes_per_second = usual};
  return {
      .bytes_per_second = static_cast<double>(bytes) * 1000.0 / static_cast<double>(time.count()),
      .measured = true};
}

RebuildChoice choose_rebuild(ReplicaRebuild wish, const RebuildFacts& facts) {
  const std::string copied = "copied from the primary: ";
  if (wish == ReplicaRebuild::primary)
    return {.from_backup = false, .why = copied + "REPLICA_REBUILD=primary"};
  if (!facts.obstacle.empty())
    return {.from_backup = false,
            .why = copied + "not from the backup, because " + facts.obstacle,
            .obstacle = facts.obstacle};
  const auto from_backup = "restored from backup " + facts.backup + ": ";
  if (wish == ReplicaRebuild::backup)
    return {.from_backup = true, .why = from_backup + "REPLICA_REBUILD=backup"};
  const double backup = seconds(facts.files, facts.restore) + seconds(facts.wal, facts.replay);
  const double primary = seconds(facts.primary, facts.copy);
  const auto way = fmt::format("about {} ({}, {})", time_text(backup),
                               amount(facts.files, " to restore", facts.restore),
                               amount(facts.wal, " of WAL", facts.replay));
  const auto copy =
      fmt::format("about {} ({})", time_text(primary), amount(facts.primary, "", facts.copy));
  if (backup < primary)
    return {.from_backup = true,
            .why = from_backup + way + " against " + copy + " for a copy of the primary"};
  return {.from_backup = false,
          .why = copied + copy + " against " + way + " for backup " + facts.backup};
}

std::optional<std::string> missing_segment(const postgres::TimelineHistory& history,
                                           const postgres::WalSegment& first,
                                           const postgres::WalSegment& last,
                                           const WalStock& stock) {
  const auto size = first.segment_size();
  const auto fork = history.ancestors.empty() ? 0 : history.ancestors.back().ended.value() / size;
  for (auto number = first.number(); number <= last.number(); ++number) {
    const auto name = segment_on(history, number, size).name();
    const bool there = number < fork ? stock.source.contains(name)
                                     : stock.own.contains(name) || stock.primary.contains(name);
    if (!there) return name;
  }
  return {};
}

}  // namespace pgrevive::cluster
