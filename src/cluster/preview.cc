#include "cluster/preview.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cluster/lost_primary.h"
#include "cluster/partial.h"
#include "cluster/recovery_end.h"
#include "cluster/throughput.h"
#include "repository/open.h"
#include "restore/restore.h"

namespace pgrevive::cluster {
namespace {

constexpr std::uint64_t kSampleBytes = 32u << 20;
constexpr std::chrono::seconds kSampleLimit{3};

// How fast the backup comes; empty where a sample does not tell. What reads in earnest will say
// why.
std::optional<double> sample(const Settings& settings, const repository::Backup& backup) {
  try {
    const auto storage = repository::open_storage(settings.repository);
    const auto found = measure_throughput(*storage, settings.repository.stanza, backup,
                                          kSampleBytes, kSampleLimit);
    if (found && found->bytes_per_second() > 0) return found->bytes_per_second();
  } catch (const Error&) {
  }
  return {};
}

std::chrono::seconds seconds_for(double bytes, double rate) {
  return std::chrono::seconds(static_cast<std::int64_t>(bytes / rate + 0.999));
}

std::string time_text(std::int64_t seconds) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
}

double wal_bytes(const Outlook& outlook) {
  return static_cast<double>(outlook.segments) * outlook.segment_size;
}

}  // namespace

Outlook look_ahead(const Settings& settings, const ChosenBackup& chosen, bool exact) {
  const auto repository = repository::open_repository(settings.repository);
  const auto& database = database_of(chosen);
  auto outlook = look_ahead(
      SourceArchive{
          .repository = repository, .system_id = database.system_id, .version = database.version},
      chosen.info, chosen.backup, settings.target, exact);
  if (settings.point && settings.point->backup == chosen.backup.label.text())
    lead_to(outlook, *settings.point);
  return outlook;
}

Preview make_preview(Settings settings, const StateDirectory& directory, const PointWatch& watch) {
  settings.chosen_backup.reset();  // a start of before has chosen it
  refuse_lost_primary(directory);
  Preview preview;
  preview.repository = settings.repository.describe();
  preview.target = describe(settings.target);
  for (const auto& node : node_names(settings.replicas)) {
    const auto state = restore::inspect_directory(directory.data(node));
    if (state != restore::DirectoryState::complete) ++preview.nodes;
  }
  if (restore::inspect_directory(directory.data("primary")) == restore::DirectoryState::complete)
    preview.work = Preview::Work::start_only;
  else if (!settings.restore_from_backup)
    preview.work = Preview::Work::new_empty;
  if (preview.work != Preview::Work::restore) return preview;

  auto problem = find_point(settings, directory, watch, true);
  preview.point = settings.point;
  if (preview.point) preview.point_text = describe(*preview.point, settings.target);
  const auto chosen = backup_for(settings, directory);
  preview.backup = chosen.backup;
  preview.node_bytes = chosen.backup.size;
  preview.fetch_bytes = chosen.backup.repository_size.value_or(chosen.backup.size);
  if (!settings.databases.all()) {
    const auto repository = repository::open_repository(settings.repository);
    const auto part = check_choice(settings, repository,
                                   repository.load_manifest(chosen.info, chosen.backup.label));
    // What is stored of it is not known, so the same share is taken.
    preview.node_bytes = part.bytes;
    preview.fetch_bytes = static_cast<std::uint64_t>(
        static_cast<double>(preview.fetch_bytes) * static_cast<double>(part.bytes) /
        static_cast<double>(std::max<std::uint64_t>(chosen.backup.size, 1)));
  }
  preview.free_bytes = disk_space(directory.root()).free_bytes;
  preview.outlook = look_ahead(settings, chosen, true);
  if (problem) preview.outlook.problem = std::move(problem);
  if (preview.outlook.problem) return preview;
  preview.bytes_per_second = sample(settings, chosen.backup);
  if (preview.bytes_per_second)
    preview.fetch_time =
        seconds_for(static_cast<double>(preview.fetch_bytes), *preview.bytes_per_second);
  if (preview.outlook.segments > 0)
    preview.replay_time = seconds_for(wal_bytes(preview.outlook), kReplayRate);
  return preview;
}

std::string to_text(const Preview& preview, const std::string& cluster_name) {
  if (preview.work == Preview::Work::start_only)
    return fmt::format(
        "{} is there already: start would only start its servers, and make replicas that are "
        "missing anew, from the backup or from the primary\n",
        cluster_name);
  if (preview.work == Preview::Work::new_empty)
    return fmt::format("start would make {} anew, {} without any data\n", cluster_name,
                       preview.nodes == 1 ? "one node" : fmt::format("{} nodes", preview.nodes));
  std::string text =
      fmt::format("what start would do with {} (nothing was changed):\n", cluster_name);
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<10} {}\n", name, value);
  };
  const auto& backup = *preview.backup;
  const auto& outlook = preview.outlook;
  line("backup", fmt::format("{} ({}, ended {})", backup.label.text(),
                             repository::name(backup.type()), time_text(backup.timestamp_stop)));
  line("from", preview.repository);
  line("target", preview.target);
  line("fetch", format_bytes(preview.fetch_bytes));
  line("write",
       fmt::format("{} {} of {}; {} free", preview.nodes, preview.nodes == 1 ? "node" : "nodes",
                   format_bytes(preview.node_bytes), format_bytes(preview.free_bytes)));
  if (preview.point) line("point", preview.point_text);
  if (outlook.problem) {
    line("problem", std::string(outlook.problem->what()));
    return text;
  }
  if (outlook.first_segment.empty()) {
    line("WAL", "what the archive has from the backup's checkpoint on");
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
    line(
        preview.fetch_time ? "" : "time",
        fmt::format("about {} to replay, if it goes at {}/s", format_duration(*preview.replay_time),
                    format_bytes(static_cast<std::uint64_t>(kReplayRate))));
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

std::string to_json(const Preview& preview) {
  const auto& outlook = preview.outlook;
  nlohmann::ordered_json json;
  const bool restores = preview.work == Preview::Work::restore;
  json["restores"] = restores;
  if (!restores) return json.dump(2) + "\n";
  json["backup"] = {{"label", preview.backup->label.text()},
                    {"type", repository::name(preview.backup->type())},
                    {"stopped", preview.backup->timestamp_stop},
                    {"size", preview.backup->size}};
  json["repository"] = preview.repository;
  json["target"] = preview.target;
  json["nodes"] = preview.nodes;
  json["node_bytes"] = preview.node_bytes;
  json["fetch_bytes"] = preview.fetch_bytes;
  json["free_bytes"] = preview.free_bytes;
  json["reachable"] = outlook.problem   ? nlohmann::ordered_json(false)
                      : outlook.certain ? nlohmann::ordered_json(true)
                                        : nlohmann::ordered_json(nullptr);
  if (outlook.problem)
    json["problem"] = {{"message", outlook.problem->what()}, {"hint", outlook.problem->hint()}};
  json["point"] = nullptr;
  if (const auto& point = preview.point)
    json["point"] = {{"what", point->what},
                     {"begin_lsn", point->begin.text()},
                     {"end_lsn", point->end.text()},
                     {"time_us", point->time},
                     {"timeline", point->timeline},
                     {"again_lsn", point->again ? nlohmann::ordered_json(point->again->text())
                                                : nlohmann::ordered_json(nullptr)}};
  json["timeline"] = outlook.timeline.value();
  json["wal"] = {{"first", outlook.first_segment},
                 {"last", outlook.last_segment},
                 {"segments", outlook.segments},
                 {"segment_size", outlook.segment_size},
                 {"end_lsn", outlook.end.text()}};
  auto& gaps = json["wal"]["gaps"] = nlohmann::ordered_json::array();
  for (const auto& gap : outlook.gaps)
    gaps.push_back({{"first", gap.first}, {"last", gap.last}, {"segments", gap.count}});
  const auto optional = [&](const char* name, const auto& value) {
    json[name] = value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  optional("newest_transaction_us", outlook.newest_transaction);
  optional("sampled_bytes_per_second", preview.bytes_per_second);
  json["fetch_seconds"] = preview.fetch_time ? nlohmann::ordered_json(preview.fetch_time->count())
                                             : nlohmann::ordered_json(nullptr);
  json["replay_seconds"] = preview.replay_time
                               ? nlohmann::ordered_json(preview.replay_time->count())
                               : nlohmann::ordered_json(nullptr);
  return json.dump(2) + "\n";
}

}  // namespace pgrevive::cluster
