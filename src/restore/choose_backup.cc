#include "restore/choose_backup.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::restore {

namespace {

using repository::Backup;
using repository::BackupInfo;

std::string time_text(std::int64_t seconds) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
}

// The newest backups, for messages; a repository can hold hundreds.
std::string what_there_is(const BackupInfo& info) {
  constexpr std::size_t kMost = 8;
  std::string text;
  std::size_t named = 0;
  for (auto backup = info.backups.rbegin(); backup != info.backups.rend() && named < kMost;
       ++backup, ++named) {
    text += fmt::format("{}{} (ended {})", text.empty() ? "" : ", ", backup->label.text(),
                        time_text(backup->timestamp_stop));
  }
  if (info.backups.size() > kMost) {
    text += fmt::format(" and {} older ones", info.backups.size() - kMost);
  }
  return "the repository has " + text;
}

const Backup& find_set(const BackupInfo& info, const std::string& set) {
  for (const auto& backup : info.backups) {
    if (backup.label.text() == set) return backup;
  }
  std::vector<std::string> labels;
  for (const auto& backup : info.backups) labels.push_back(backup.label.text());
  const auto near = closest(set, labels);
  throw Error(ErrorKind::not_found, fmt::format("the repository has no backup {}", printable(set)))
      .with_hint(near ? fmt::format("did you mean {}?", *near) : what_there_is(info));
}

// The newest backup that `fits`; backups are ordered by when they stopped.
template <typename Fits>
const Backup& newest(const BackupInfo& info, const std::string& wanted, const Fits& fits,
                     const std::string& hint = {}) {
  const auto found = std::find_if(info.backups.rbegin(), info.backups.rend(), fits);
  if (found != info.backups.rend()) return *found;
  throw Error(ErrorKind::not_found, fmt::format("no backup ended before {}", wanted))
      .with_hint(hint + what_there_is(info));
}

// Of a target in the second in which a backup ended: the fraction of that end is written nowhere.
std::string same_second(const BackupInfo& info, std::int64_t time) {
  for (const auto& backup : info.backups) {
    if (backup.timestamp_stop != time) continue;
    return fmt::format("{} ended within the same second, of which no more is known: aim at {} or "
                       "later, or name that backup with --set; ",
                       backup.label.text(), time_text(time + 1));
  }
  return {};
}

}  // namespace

const Backup& choose_backup(const BackupInfo& info, const std::optional<std::string>& set,
                            const RecoveryTarget& target, std::optional<std::int64_t> target_time,
                            const OnTheWay& on_the_way) {
  if (info.backups.empty()) {
    throw Error(ErrorKind::not_found, "the repository has no backups")
        .with_hint("make one with pgbackrest backup, or check stanza and repository path");
  }
  if (set && *set != "latest") return find_set(info, *set);

  const auto passes = [&](const Backup& backup) { return !on_the_way || on_the_way(backup); };
  if (!set && target.type == RecoveryType::time && target_time) {
    return newest(
        info, "the target time " + target.target,
        [&](const Backup& backup) {
          return backup.timestamp_stop < *target_time && passes(backup);
        },
        same_second(info, *target_time));
  }
  if (!set && target.type == RecoveryType::lsn) {
    const auto lsn = postgres::Lsn::parse(target.target);
    // LSNs compare only within one cluster, which an upgrade ends.
    return newest(info, "the target LSN " + lsn.text(), [&](const Backup& backup) {
      return backup.database_id == info.current_id && backup.lsn_stop && *backup.lsn_stop <= lsn &&
             passes(backup);
    });
  }

  const auto& last = info.backups.back();
  if (!set && last.database_id != info.current_id) {
    const auto* current = info.database(info.current_id);
    throw Error(ErrorKind::not_found,
                fmt::format("there is no backup since the stanza was upgraded{}",
                            current ? " to PostgreSQL " + current->version.text() : ""))
        .with_hint("to restore the cluster from before the upgrade, name a backup with --set; " +
                   what_there_is(info));
  }
  if (!set && on_the_way) {
    return newest(info, "timeline " + target.timeline + " branched off", [&](const Backup& backup) {
      return backup.database_id == info.current_id && passes(backup);
    });
  }
  return last;
}

}  // namespace pgrevive::restore
