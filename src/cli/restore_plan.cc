#include "cli/restore_plan.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/print.h"
#include "postgres/lsn.h"
#include "repository/open.h"

namespace pgrevive::cli {
namespace {

using restore::RecoveryTarget;
using restore::RecoveryType;

// With archive-copy a backup has the WAL it needs among its own files.
bool has_own_wal(const repository::Manifest& manifest) {
  for (const auto& file : manifest.files)
    if (file.name.starts_with("pg_data/pg_wal/0") || file.name.starts_with("pg_data/pg_xlog/0"))
      return true;
  return false;
}

// A backup with WAL of its own does without that in the archive, and without an archive, unless its
// target lies behind it. What is there leads on as with any other, along which timeline too.
std::optional<cluster::Outlook> look_behind(const BackupChoice& choice,
                                            const RecoveryTarget& target, std::stop_token stop) {
  const bool in_itself =
      target.type == RecoveryType::latest || target.type == RecoveryType::immediate;
  try {
    auto outlook = look_ahead(choice, target, false, std::move(stop));
    if (in_itself && outlook && outlook->problem && outlook->lacks_own_wal &&
        outlook->problem->kind() == ErrorKind::not_found)
      outlook->problem.reset();
    return outlook;
  } catch (const Error& error) {
    if (!in_itself || error.kind() != ErrorKind::not_found) throw;
    return {};
  }
}

// Whether each segment of the gaps is in another repository than `but`.
bool are_filled(const std::vector<repository::WalGap>& gaps, const Source& source,
                const IndexedRepository& but, const BackupChoice& choice) {
  const auto timeline = [](const std::string& segment) { return segment.substr(0, 8); };
  // What lies on two timelines is not looked for.
  for (const auto& gap : gaps)
    if (timeline(gap.first) != timeline(gap.last)) return false;
  const auto* database = choice.info.database(choice.backup().database_id);
  std::vector<std::set<std::string>> found(gaps.size());
  for (const IndexedRepository& entry : source.repositories) {
    if (entry.index == but.index) continue;
    try {
      const auto repository = repository::open_repository(entry.options);
      const repository::WalArchive archive(repository, repository.load_archive_info(),
                                           database->system_id, database->version);
      for (std::size_t i = 0; i < gaps.size(); ++i)
        for (const auto& segment : archive.find_segments(gaps[i].first, gaps[i].last))
          if (segment.name >= gaps[i].first && segment.name <= gaps[i].last &&
              timeline(segment.name) == timeline(gaps[i].first))
            found[i].insert(segment.name);
    } catch (const Error& error) {
      err("warning: repository {}: {}\n", entry.index, error.what());
    }
  }
  for (std::size_t i = 0; i < gaps.size(); ++i)
    if (found[i].size() != gaps[i].count) return false;
  return true;
}

// A server that is told no timeline follows the newest one from version 12 on, and before that the
// backup's own. Where that is not the one that was judged, it is told; and where it may find a
// newer one in `another` repository than the one that was looked into.
void name_timeline(RecoveryTarget& target, const cluster::Outlook& outlook, bool another,
                   const BackupChoice& choice, const repository::Manifest& manifest) {
  const auto first = outlook.first_segment.empty() ? choice.backup().archive_start.value_or("")
                                                   : outlook.first_segment;
  if (!target.timeline.empty() || first.empty()) return;
  const auto begin = postgres::Timeline::parse_hex(first.substr(0, 8));
  if (another ||
      (manifest.version.at_least(12) ? outlook.tell_timeline : outlook.timeline != begin))
    target.timeline = std::to_string(outlook.timeline.value());
}

// How far a plan gets where all that was archived is wanted.
struct Reach {
  postgres::Timeline timeline;
  postgres::Lsn end;
  auto operator<=>(const Reach&) const = default;
};

struct Judged {
  RestorePlan plan;
  Reach reach;
  unsigned repository = 0;
  postgres::TimelineHistory line = {};  // that of `reach`
  std::uint32_t segment_size = 0;       // 0: no WAL is needed
};

// Two repositories whose newest timelines went different ways: the greater number is taken, which
// is no proof that it is the source's. The segment in which a timeline was left may be there to its
// end.
void tell_of_parted(const Judged& one, const Judged& other) {
  const auto& newer = one.reach.timeline < other.reach.timeline ? other : one;
  const auto& older = &newer == &one ? other : one;
  if (newer.reach.timeline == older.reach.timeline || older.segment_size == 0) return;
  const auto left = newer.line.left(older.reach.timeline);
  if (left && older.reach.end.value() - older.segment_size < left->value()) return;
  err("warning: repository {} leads along timeline {} to {}, which is left out: repository {} "
      "leads along timeline {}, which {}; --target-timeline or --repo name the one that is meant\n",
      older.repository, older.reach.timeline.value(), older.reach.end.text(), newer.repository,
      newer.reach.timeline.value(),
      left ? "left that one at " + left->text() : "never was on that one");
}

// Throws where the archive does not lead to the target. A standby may have its WAL from elsewhere.
void judge(Judged& judged, const Source& source, const IndexedRepository& entry,
           std::stop_token stop) {
  RestorePlan& plan = judged.plan;
  if (plan.target.type == RecoveryType::standby) return;
  const bool own_wal = has_own_wal(plan.manifest);
  if (plan.choice.lookup.problem) throw *plan.choice.lookup.problem;
  try {
    const auto outlook = own_wal ? look_behind(plan.choice, plan.target, std::move(stop))
                                 : look_ahead(plan.choice, plan.target, false, std::move(stop));
    // The cluster was shut down for this backup, and nothing was archived behind it.
    if (!plan.manifest.online && plan.target.type == RecoveryType::latest &&
        (!outlook || (outlook->first_segment.empty() && !outlook->problem)))
      plan.target.type = RecoveryType::none;
    if (!outlook) return;
    if (outlook->problem) {
      // Whether a target lies in what the others have nobody has looked; PostgreSQL itself refuses
      // to open short of it from 13 on.
      const bool safe =
          plan.target.type == RecoveryType::latest || plan.manifest.version.at_least(13);
      if (!outlook->ends_at_gap || !safe || !are_filled(outlook->gaps, source, entry, plan.choice))
        throw *outlook->problem;
      err("warning: repository {}: {}; other repositories have what is missing\n", entry.index,
          cluster::gap_text(outlook->gaps.front()));
    }
    for (const auto& beside : outlook->beside)
      err("warning: {}\n", beside_text(beside, outlook->timeline));
    name_timeline(plan.target, *outlook, source.repositories.size() > 1, plan.choice,
                  plan.manifest);
    // A server that is told no number looks for the newest at each of its starts, which may be
    // another by then.
    const bool told = !plan.target.timeline.empty() && plan.target.timeline != "latest";
    if (told && !outlook->first_segment.empty())
      plan.line = wal::FollowedLine::of(
          outlook->line, postgres::Timeline::parse_hex(outlook->first_segment.substr(0, 8)),
          outlook->segment_size);
    judged.line = outlook->line;
    if (!outlook->first_segment.empty()) judged.segment_size = outlook->segment_size;
    judged.reach = {.timeline = outlook->timeline, .end = outlook->end};
  } catch (Error& error) {
    error.add_frame("looking whether the WAL archive leads to the target");
    throw;
  }
}

Judged plan_from(const Source& source, const IndexedRepository& entry,
                 const std::optional<std::string>& set, const RecoveryTarget& target,
                 const std::stop_token& stop) {
  auto choice =
      while_doing(fmt::format("looking for a backup in {}", entry.options.describe()), [&] {
        auto found = choose_backup(entry, set, target);
        look_up_point(found, set, target, stop, false);
        return found;
      });
  auto manifest = choice.repository->load_manifest(choice.info, choice.label);
  Judged judged{.plan = {.choice = std::move(choice),
                         .manifest = std::move(manifest),
                         .target = target,
                         .line = {}},
                .reach = {},
                .repository = static_cast<unsigned>(entry.index)};
  judge(judged, source, entry, stop);
  return judged;
}

}  // namespace

RestorePlan plan_restore(const Source& source, const std::string& set, RecoveryTarget target,
                         std::stop_token stop) {
  const auto label = set.empty() ? std::nullopt : std::optional(set);
  std::optional<Error> trouble;
  std::optional<Judged> best;
  for (const IndexedRepository& entry : source.repositories) {
    try {
      auto judged = plan_from(source, entry, label, target, stop);
      if (target.type != RecoveryType::latest) return std::move(judged.plan);
      if (best) tell_of_parted(*best, judged);
      if (!best || judged.reach > best->reach) best = std::move(judged);
    } catch (const Error& error) {
      // No other repository settles which timeline was meant.
      if (source.repositories.size() == 1 || error.kind() == ErrorKind::cancelled ||
          error.kind() == ErrorKind::usage)
        throw;
      err("warning: repository {}: {}\n", entry.index, error.what());
      if (!trouble) trouble = error;
    }
  }
  if (!best) throw *trouble;
  return std::move(best->plan);
}

}  // namespace pgrevive::cli
