#include "cluster/target_preview.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cluster/recovery_end.h"
#include "cluster/throughput.h"
#include "repository/info_report.h"

namespace pgrevive::cluster {
namespace {

constexpr std::uint64_t kSampleBytes = 32u << 20;
constexpr std::chrono::seconds kSampleLimit{3};

std::optional<double> sample(const repository::RepositoryOptions& repository,
                             const repository::Backup& backup) {
  try {
    const auto storage = repository::open_storage(repository);
    const auto found =
        measure_throughput(*storage, repository.stanza, backup, kSampleBytes, kSampleLimit);
    if (found && found->bytes_per_second() > 0) return found->bytes_per_second();
  } catch (const Error&) {
  }
  return {};
}

std::chrono::seconds seconds_for(double bytes, double rate) {
  return std::chrono::seconds(static_cast<std::int64_t>(bytes / rate + 0.999));
}

double wal_bytes(const Outlook& outlook) {
  return static_cast<double>(outlook.segments) * outlook.segment_size;
}

// WAL that compresses badly, from a storage that is slower than the replay.
bool waits_for_wal(const TargetPreview& preview) {
  return preview.bytes_per_second && preview.wal_fetch_bytes &&
         static_cast<double>(*preview.wal_fetch_bytes) / *preview.bytes_per_second >
             wal_bytes(preview.outlook) / kReplayRate;
}

std::string time_text(std::int64_t seconds) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
}

template <typename Value>
nlohmann::ordered_json or_null(const std::optional<Value>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json or_null(const std::optional<std::chrono::seconds>& value) {
  return value ? nlohmann::ordered_json(value->count()) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json point_value(const TargetPoint& point) {
  return {{"what", point.what},
          {"begin_lsn", point.begin.text()},
          {"end_lsn", point.end.text()},
          {"time_us", point.time},
          {"timeline", point.timeline},
          {"again_lsn", point.again ? nlohmann::ordered_json(point.again->text())
                                    : nlohmann::ordered_json(nullptr)}};
}

nlohmann::ordered_json wal_value(const TargetPreview& preview) {
  const auto& outlook = preview.outlook;
  nlohmann::ordered_json wal = {{"first", outlook.first_segment},
                                {"last", outlook.last_segment},
                                {"segments", outlook.segments},
                                {"segment_size", outlook.segment_size},
                                {"fetch_bytes", or_null(preview.wal_fetch_bytes)},
                                {"end_lsn", outlook.end.text()}};
  wal["gaps"] = repository::gaps_json(outlook.gaps);
  return wal;
}

nlohmann::ordered_json beside_value(const std::vector<LineBeside>& lines) {
  auto values = nlohmann::ordered_json::array();
  for (const auto& line : lines)
    values.push_back({{"timeline", line.timeline.value()},
                      {"parts_at_lsn", line.parting.text()},
                      {"end_lsn", line.end.text()},
                      {"newest_transaction_us", or_null(line.newest)}});
  return values;
}

}  // namespace

TargetPreview preview_target(const repository::RepositoryOptions& repository,
                             const repository::Backup& backup,
                             const restore::RecoveryTarget& target, Outlook outlook,
                             std::optional<TargetPoint> point,
                             std::optional<std::uint64_t> wal_fetch_bytes) {
  TargetPreview preview{.backup = backup,
                        .repository = repository.describe(),
                        .target = describe(target),
                        .node_bytes = backup.size,
                        .fetch_bytes = backup.repository_size.value_or(backup.size),
                        .wal_fetch_bytes = wal_fetch_bytes,
                        .outlook = std::move(outlook),
                        .point = std::move(point)};
  if (preview.point) preview.point_text = describe(*preview.point, target);
  return preview;
}

void narrow(TargetPreview& preview, std::uint64_t bytes, std::uint64_t stored_bytes) {
  preview.fetch_bytes = stored_bytes;
  preview.node_bytes = bytes;
}

void estimate(TargetPreview& preview, const repository::RepositoryOptions& repository) {
  const auto& outlook = preview.outlook;
  if (outlook.problem) return;
  preview.bytes_per_second = sample(repository, preview.backup);
  if (preview.bytes_per_second)
    preview.fetch_time =
        seconds_for(static_cast<double>(preview.fetch_bytes), *preview.bytes_per_second);
  if (outlook.segments == 0) return;
  preview.replay_time =
      waits_for_wal(preview)
          ? seconds_for(static_cast<double>(*preview.wal_fetch_bytes), *preview.bytes_per_second)
          : seconds_for(wal_bytes(outlook), kReplayRate);
}

std::string to_text(const TargetPreview& preview, std::string_view write) {
  std::string text;
  const auto line = [&](const char* name, std::string_view value) {
    text += fmt::format("  {:<10} {}\n", name, value);
  };
  const auto& backup = preview.backup;
  const auto& outlook = preview.outlook;
  line("backup", fmt::format("{} ({}, ended {})", backup.label.text(),
                             repository::name(backup.type()), time_text(backup.timestamp_stop)));
  line("from", preview.repository);
  line("target", preview.target);
  line("fetch",
       format_bytes(preview.fetch_bytes) +
           (preview.wal_fetch_bytes ? ", and " + format_bytes(*preview.wal_fetch_bytes) + " of WAL"
                                    : ""));
  line("write", write);
  if (preview.point) line("point", preview.point_text);
  if (outlook.problem) {
    line("problem", outlook.problem->what());
    return text;
  }
  for (const auto& beside : outlook.beside) line("beside", beside_text(beside, outlook.timeline));
  if (outlook.first_segment.empty()) {
    line("WAL", outlook.certain && !preview.point
                    ? "none: the backup is whole in itself"
                    : "what the archive has from the backup's checkpoint on");
  } else {
    line("WAL", fmt::format("{} segments of {}, {} to {}", outlook.segments,
                            format_bytes(outlook.segment_size), outlook.first_segment,
                            outlook.last_segment));
    line("timeline", std::to_string(outlook.timeline.value()));
  }
  if (outlook.newest_transaction)
    line("newest", fmt::format("transaction in the archive: {}",
                               time_text(*outlook.newest_transaction / 1'000'000)));
  if (preview.fetch_time)
    line("time", fmt::format("about {} to fetch, at the {}/s of a sample just now",
                             format_duration(*preview.fetch_time),
                             format_bytes(static_cast<std::uint64_t>(*preview.bytes_per_second))));
  if (preview.replay_time)
    line(preview.fetch_time ? "" : "time",
         fmt::format("about {} to replay, {}", format_duration(*preview.replay_time),
                     waits_for_wal(preview)
                         ? "which is how long its WAL takes to fetch"
                         : fmt::format("if it goes at {}/s",
                                       format_bytes(static_cast<std::uint64_t>(kReplayRate)))));
  line("missing", outlook.gaps.empty()
                      ? "nothing"
                      : fmt::format("{} to {}, behind the target", outlook.gaps.front().first,
                                    outlook.gaps.front().last));
  if (preview.point && preview.point->again)
    text += fmt::format(
        "Another restore point of that name is at {}; only a backup made between both leads to "
        "it.\n",
        preview.point->again->text());
  if (!outlook.certain)
    text += "Whether the archive holds the target is only known once it was replayed.\n";
  return text;
}

nlohmann::ordered_json problem_value(const Error& problem) {
  return {
      {"message", problem.what()}, {"hint", problem.hint()}, {"exit_code", problem.exit_code()}};
}

nlohmann::ordered_json to_value(const TargetPreview& preview) {
  const auto& outlook = preview.outlook;
  nlohmann::ordered_json json;
  json["backup"] = {{"label", preview.backup.label.text()},
                    {"type", repository::name(preview.backup.type())},
                    {"stopped", preview.backup.timestamp_stop},
                    {"size", preview.backup.size}};
  json["repository"] = preview.repository;
  json["target"] = preview.target;
  json["node_bytes"] = preview.node_bytes;
  json["fetch_bytes"] = preview.fetch_bytes;
  json["reachable"] = outlook.problem   ? nlohmann::ordered_json(false)
                      : outlook.certain ? nlohmann::ordered_json(true)
                                        : nlohmann::ordered_json(nullptr);
  if (outlook.problem) json["problem"] = problem_value(*outlook.problem);
  json["point"] = preview.point ? point_value(*preview.point) : nlohmann::ordered_json(nullptr);
  // Of a backup whose WAL nobody has looked at nothing is known of both.
  const bool known = !outlook.first_segment.empty() || outlook.problem;
  json["timeline"] = known ? nlohmann::ordered_json(outlook.timeline.value()) : nullptr;
  json["wal"] = known ? wal_value(preview) : nullptr;
  json["beside"] = beside_value(outlook.beside);
  json["newest_transaction_us"] = or_null(outlook.newest_transaction);
  json["sampled_bytes_per_second"] = or_null(preview.bytes_per_second);
  json["fetch_seconds"] = or_null(preview.fetch_time);
  json["replay_seconds"] = or_null(preview.replay_time);
  return json;
}

}  // namespace pgrevive::cluster
