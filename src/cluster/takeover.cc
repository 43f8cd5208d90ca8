#include "cluster/takeover.h"

#include <chrono>

#include <fmt/format.h>

#include "base/text.h"
#include "postgres/wal_name.h"
#include "repository/open.h"
#include "wal/transaction_times.h"

namespace pgrevive::cluster {
namespace {

using postgres::Timeline;
using repository::WalArchive;

constexpr const char* kRemedy =
    "make sure that the source's primary is stopped and stays so; until then set WAL_ARCHIVE=own, "
    "and the cluster archives beside the source";

// Of all timelines but our own, the newest place in the log.
std::string newest_segment(const WalArchive& archive, const std::string& from,
                           std::optional<Timeline> own) {
  std::string newest;
  const auto place = [](const std::string& name) {
    return name.substr(std::min<std::size_t>(8, name.size()));
  };
  for (const auto& [timeline, names] : archive.list_all_segments(from)) {
    if (timeline == own || names.empty()) continue;
    if (newest.empty() || place(names.back()) >= place(newest)) newest = names.back();
  }
  return newest;
}

// The archive beside a backup, with the repository it refers to.
struct Beside {
  repository::Repository repository;
  WalArchive archive;

  Beside(const Settings& settings, const ChosenBackup& chosen)
      : repository(repository::open_repository(settings.repository)),
        archive(repository, repository.load_archive_info(), database_of(chosen).system_id,
                database_of(chosen).version) {}
};

Error lives(const std::string& evidence, std::chrono::seconds silence) {
  return std::move(
      Error(ErrorKind::busy,
            "WAL_ARCHIVE=source takes over the source's stanza, but its primary seems to live: " +
                evidence)
          .with_hint(
              fmt::format("{}. It counts as gone after {} s of silence (WAL_ARCHIVE_SILENCE)",
                          kRemedy, silence.count())));
}

// When the object came into the archive, where the storage knows it.
std::optional<std::chrono::system_clock::time_point> arrival_of(const storage::Storage& storage,
                                                                const std::string& object) {
  const auto slash = object.rfind('/');
  for (const auto& entry : storage.list(object.substr(0, slash))) {
    if (entry.name == object.substr(slash + 1) && entry.modified != 0)
      return std::chrono::system_clock::from_time_t(entry.modified);
  }
  return {};
}

void refuse_recent(const Settings& settings, const Beside& beside, const std::string& newest) {
  const std::chrono::seconds silence(settings.takeover_silence_seconds);
  if (newest.empty() || silence.count() == 0) return;
  const auto segment = beside.archive.find_segment(newest);
  if (!segment) return;
  const auto now = std::chrono::system_clock::now();
  const auto age = [&](std::chrono::system_clock::time_point time) {
    return std::chrono::floor<std::chrono::seconds>(now - time);
  };
  // A long COPY ends no transaction, but fills segments.
  if (const auto came = arrival_of(beside.repository.storage(), segment->object);
      came && age(*came) < silence)
    throw lives(fmt::format("{} was archived at {}, {} s ago", newest, format_time(*came),
                            age(*came).count()),
                silence);
  wal::TransactionTimes times;
  beside.archive.read_segment(*segment, times);
  if (!times.times()) return;
  const std::chrono::system_clock::time_point ended{
      std::chrono::microseconds(times.times()->latest)};
  if (age(ended) < silence)
    throw lives(fmt::format("a transaction in {} ended at {}, {} s ago", newest, format_time(ended),
                            age(ended).count()),
                silence);
}

}  // namespace

void refuse_living_source(const Settings& settings, const ChosenBackup& chosen) {
  const Beside beside(settings, chosen);
  refuse_recent(settings, beside,
                newest_segment(beside.archive, chosen.backup.archive_start.value_or(""), {}));
}

std::string newest_of_source(const Settings& settings, const ChosenBackup& chosen) {
  const Beside beside(settings, chosen);
  return newest_segment(beside.archive, chosen.backup.archive_start.value_or(""), {});
}

void refuse_source_that_went_on(const Settings& settings, const NodeRecord& record) {
  auto exactly = settings;
  exactly.backup_set = record.backup_label;
  const auto chosen = choose_backup(exactly);
  const Beside beside(settings, chosen);
  std::optional<Timeline> own;
  if (record.recovery_end && record.recovery_end->new_timeline != 0)
    own = Timeline(record.recovery_end->new_timeline);
  const auto newest = newest_segment(beside.archive, chosen.backup.archive_start.value_or(""), own);
  const auto before = record.source_newest.value_or("");
  if (newest != before)
    throw Error(
        ErrorKind::busy,
        fmt::format("WAL_ARCHIVE=source would take over the source's stanza, but its "
                    "primary lives: it archived {} after {}, which was the newest when the "
                    "cluster was restored",
                    newest.empty() ? "nothing" : newest, before.empty() ? "nothing" : before))
        .with_hint(kRemedy);
  refuse_recent(settings, beside, newest);
}

}  // namespace pgrevive::cluster
