#include "cluster/takeover.h"

#include <algorithm>
#include <chrono>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "base/unix_time.h"
#include "postgres/history.h"
#include "repository/layout.h"
#include "repository/open.h"
#include "wal/archive_get.h"
#include "wal/transaction_times.h"

namespace pgrevive::cluster {
namespace {

using postgres::Timeline;
using postgres::TimelineHistory;
using repository::WalArchive;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr const char* kRemedy =
    "make sure that the source's primary is stopped and stays so; until then set WAL_ARCHIVE=own, "
    "and the cluster archives beside the source";

// No clock of a server and of a storage are assumed to be farther apart.
constexpr auto kClocks = std::chrono::hours(24);

// The archive beside a backup, with the repository it refers to.
struct Beside {
  repository::Repository repository;
  WalArchive archive;

  Beside(const Settings& settings, const ChosenBackup& chosen)
      : repository(repository::open_repository(settings.repository)),
        archive(repository, repository.load_archive_info(), database_of(chosen).system_id,
                database_of(chosen).version) {}

  SourceState state() const {
    SourceState state;
    for (const auto& [timeline, segment] : archive.newest_segments())
      state[timeline.value()] = segment;
    return state;
  }

  // When the files in a directory came there, those of which the storage knows it.
  std::map<std::string, system_clock::time_point> arrivals(const std::string& directory) const {
    std::map<std::string, system_clock::time_point> came;
    for (const auto& entry : repository.storage().list(directory))
      if (entry.modified != 0)
        came[directory + "/" + entry.name] = system_clock::from_time_t(std::min(entry.modified, kUnixTimeEnd));
    return came;
  }
};

class Silence {
 public:
  explicit Silence(const Settings& settings) : wanted_(settings.takeover_silence_seconds) {}

  bool wanted() const { return wanted_.count() != 0; }

  // Throws if that was but a moment ago; what happened is in `words`, with one {} for the time.
  void demand_since(system_clock::time_point time, fmt::string_view words,
                    const std::string& what) const {
    const auto age = age_of(time);
    if (age >= wanted_) return;
    throw Error(ErrorKind::busy,
                fmt::format("WAL_ARCHIVE=source takes over the source's stanza, but its primary "
                            "seems to live: {}, {} s ago",
                            fmt::format(fmt::runtime(words), what, format_time(time)), age.count()))
        .with_hint(fmt::format("{}. It counts as gone after {} s of silence (WAL_ARCHIVE_SILENCE)",
                               kRemedy, wanted_.count()));
  }

  // Whether no transaction in what came then can have ended within the silence.
  bool surely_before(system_clock::time_point came) const {
    return age_of(came) >= wanted_ + kClocks;
  }

 private:
  seconds age_of(system_clock::time_point time) const {
    return std::chrono::floor<seconds>(now_ - time);
  }

  seconds wanted_;
  system_clock::time_point now_ = system_clock::now();
};

void demand_silence_of(const Beside& beside, const std::string& newest, const Silence& silence) {
  const auto segment = beside.archive.find_segment(newest);
  if (!segment) return;
  // A long COPY ends no transaction, but fills segments.
  const auto arrivals = beside.arrivals(segment->object.substr(0, segment->object.rfind('/')));
  if (const auto came = arrivals.find(segment->object); came != arrivals.end()) {
    silence.demand_since(came->second, "{} was archived at {}", newest);
    if (silence.surely_before(came->second)) return;
  }
  wal::TransactionTimes times;
  beside.archive.read_segment(*segment, times);
  if (times.times())
    silence.demand_since(system_clock::time_point{std::chrono::microseconds(times.times()->latest)},
                         "a transaction in {} ended at {}", newest);
}

void refuse_recent(const Settings& settings, const Beside& beside, SourceState state,
                   std::optional<std::uint32_t> own) {
  const Silence silence(settings);
  if (!silence.wanted()) return;
  if (own) state.erase(*own);
  for (const auto& id : beside.archive.archive_ids()) {
    const auto directory = repository::layout::archive_directory(beside.repository.stanza(), id);
    const auto arrivals = beside.arrivals(directory);
    for (const auto& [timeline, segment] : state) {
      const auto name = TimelineHistory::file_name(Timeline(timeline));
      if (const auto came = arrivals.find(directory + "/" + name); came != arrivals.end())
        silence.demand_since(came->second, "{} was archived at {}", name);
    }
  }
  for (const auto& [timeline, segment] : state)
    if (!segment.empty()) demand_silence_of(beside, segment, silence);
}

// The cluster's own timeline, if what the archive has of it is the cluster's: a source that failed
// over meanwhile takes the same number. That the histories are alike is not enough, for two that
// recovered to the same end write the same.
std::optional<std::uint32_t> own_timeline(const Beside& beside, const StateDirectory& directory,
                                          const NodeRecord& record) {
  if (!record.took_over || !record.recovery_end || record.recovery_end->new_timeline == 0)
    return {};
  const Timeline own(record.recovery_end->new_timeline);
  const auto archived = beside.archive.load_history(TimelineHistory::file_name(own));
  if (!archived || *archived != wal::Fork::load(directory.fork()).history_text) return {};
  return own.value();
}

}  // namespace

std::string news_of_source(const SourceState& before, const SourceState& now,
                           std::optional<std::uint32_t> own) {
  for (const auto& [timeline, segment] : now) {
    if (timeline == own) continue;
    const auto known = before.find(timeline);
    // Less than before has been expired.
    if (known != before.end() && segment <= known->second) continue;
    const auto what = segment.empty() ? TimelineHistory::file_name(Timeline(timeline)) : segment;
    if (known == before.end())
      return fmt::format("archived {}, and had archived nothing of timeline {}", what, timeline);
    return fmt::format(
        "archived {} after {}", what,
        known->second.empty() ? TimelineHistory::file_name(Timeline(timeline)) : known->second);
  }
  return {};
}

void refuse_living_source(const Settings& settings, const ChosenBackup& chosen) {
  const Beside beside(settings, chosen);
  refuse_recent(settings, beside, beside.state(), {});
}

SourceState newest_of_source(const Settings& settings, const ChosenBackup& chosen) {
  return Beside(settings, chosen).state();
}

void refuse_source_that_went_on(const Settings& settings, const StateDirectory& directory,
                                const NodeRecord& record) {
  auto exactly = settings;
  exactly.backup_set = record.backup_label;
  const Beside beside(settings, choose_backup(exactly));
  const auto own = own_timeline(beside, directory, record);
  const auto now = beside.state();
  if (const auto news = news_of_source(record.source_newest.value_or(SourceState{}), now, own);
      !news.empty())
    throw Error(ErrorKind::busy,
                "WAL_ARCHIVE=source would take over the source's stanza, but its primary lives: "
                "it " +
                    news + " when the cluster was restored")
        .with_hint(kRemedy);
  refuse_recent(settings, beside, now, own);
}

}  // namespace pgrevive::cluster
