#include "cluster/recovery.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/changed_target.h"
#include "cluster/dialect.h"
#include "cluster/fork_segments.h"
#include "cluster/half_promoted.h"
#include "cluster/locales.h"
#include "cluster/made_places.h"
#include "cluster/node_files.h"
#include "cluster/notices.h"
#include "cluster/partial.h"
#include "cluster/recovery_end.h"
#include "cluster/recovery_source.h"
#include "cluster/replay_extent.h"
#include "cluster/replay_watch.h"
#include "cluster/target_time.h"
#include "wal/archive_get.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;

constexpr const char* kPrimary = "primary";
constexpr std::chrono::milliseconds kLook{200};
// Two looks that see the same LSN prove little when they are close together.
constexpr std::chrono::milliseconds kSettling{1000};
// How long a source that goes on archiving is followed after we first caught up with it.
constexpr std::chrono::seconds kChaseLimit{30};
constexpr std::chrono::minutes kPromotionLimit{30};
constexpr int kPromotionAttempts = 5;
// How long the same segments may be delivered again and again.
constexpr std::chrono::seconds kStuckLimit{10};
// All WAL was delivered and the server still does not answer.
constexpr std::chrono::minutes kConsistencyLimit{10};

class Recovery {
 public:
  Recovery(Site& site, NodeRecord& record)
      : site_(site),
        record_(record),
        access_(site.access(record.source_user)),
        control_(load_control_file(site.directory.data(kPrimary))) {
    // After the promotion pg_control tells of the new line, and nothing is left to replay.
    if (!record.online && !record.promoting && !as_it_is())
      note_offline_beginning(site, record, control_);
    if (replays_archive(record, site.settings.target))
      source_.emplace(site.settings, site.version, record, control_);
    goal_.target = with_zone(site.settings.target);
    goal_.from_archive = source_.has_value();
    if (!record.archive_stop.empty())
      goal_.backup_stop = WalSegment::parse(record.archive_stop, control_.wal_segment_size);
  }

  void run() {
    if (source_)
      for (const auto& beside : site_.settings.lines_beside) site_.board.warn(beside);
    turn_to_target(site_, record_, source_ ? &*source_ : nullptr);
    for (int attempts = 1;; ++attempts) {
      if (!record_.promoting || is_standby(site_, kPrimary) || ended_half_promoted()) {
        site_.board.enter(Phase::recovering);
        start();
        replay();
        try {
          promote();
        } catch (const Error& error) {
          if (error.kind() == ErrorKind::cancelled || !server_ends()) throw;
        }
      } else {
        // One that was promoted already; a signal file would make a standby of it again.
        forget_report();
        configure(After::promotion);
        site_.servers.start(kPrimary, server_options(site_, kPrimary), site_.port(kPrimary));
      }
      if (wait_for_promotion()) break;
      const auto log = site_.directory.logs(kPrimary) / "postgresql.log";
      if (attempts == kPromotionAttempts)
        throw Error(
            ErrorKind::postgres,
            "the server of primary ended each time that it was promoted: " + why_it_ended(log))
            .with_hint("its log is " + log.string());
      site_.board.log("primary: its server ended while it was promoted; going on with it");
      // Its processes that have outlived it may still be at a step of the promotion, and keep a new
      // server from starting.
      site_.rest(std::chrono::seconds(attempts));
    }
    record_promotion();
  }

 private:
  // replays_archive()
  bool as_it_is() const {
    return !record_.online && site_.settings.target.type == restore::RecoveryType::immediate;
  }

  // What an earlier server of this node asked for says nothing about this one.
  void forget_report() {
    std::error_code ignored;
    std::filesystem::remove(site_.directory.wal_report(kPrimary), ignored);
  }

  // After the promotion there is nothing left to recover, and before PostgreSQL 12 the settings for
  // it would turn the primary back into a standby.
  enum class After { restore, promotion };

  void configure(After after = After::restore) {
    auto node = describe_node(site_, kPrimary, Stage::recovering, record_);
    // The server may have been restarted since its first pg_control.
    node.hold_subscriptions = true;
    node.archiving = site_.settings.archives();
    const auto timeline = source_ ? source_->line().timeline() : control_.checkpoint_timeline;
    if (after == After::restore) {
      if (source_)
        node.recovery.push_back(
            {"restore_command",
             source_restore_command(
                 site_, kPrimary,
                 wal::FollowedLine::of(source_->line().history, source_->begin().timeline(),
                                       control_.wal_segment_size))});
      const auto target = as_it_is() ? restore::RecoveryTarget{} : goal_.target;
      for (auto& setting : target_settings(target, std::to_string(timeline.value())))
        node.recovery.push_back(std::move(setting));
    }
    write_configuration(site_, node, record_);
    parameters_ = parameters_of(node, site_.settings);
  }

  // What a server that ended in the midst of its promotion must not be started as is known here
  // only, so the supervisor does not start it again by itself (wait_for_promotion()).
  bool ended_half_promoted() const {
    const auto data = site_.directory.data(kPrimary);
    if (postgres::is_running(data)) return false;
    const auto control = load_control_file(data);
    return half_promoted(control,
                         record_.line != 0 ? Timeline(record_.line) : control.checkpoint_timeline);
  }

  void start() {
    forget_report();
    caught_up_since_.reset();
    exhausted_since_.reset();
    beginning_ = {};
    if (source_) {
      check_line_is_there();
      record_.line = source_->line().timeline().value();
      record_.recovery_target = recovery_goal(goal_.target, &*source_);
      record_.furthest.follow(source_->line().history, control_.wal_segment_size);
      record_.save(site_.directory, kPrimary);
    }
    set_standby(site_, kPrimary, true);
    configure();
    newest_.reset();
    if (source_) {
      look_up_newest();
      extent_.emplace(site_.settings, goal_, record_.backup_label, source_->line().timeline(),
                      control_.wal_segment_size);
      site_.board.change([&](SupervisorStatus& status) { tell_extent(status); });
    }
    site_.servers.start(kPrimary, server_options(site_, kPrimary), site_.port(kPrimary));
  }

  void replay() {
    for (;;) {
      const auto view = look();
      if (view.running && view.accepting && !view.in_recovery) return;
      auto verdict = judge_recovery(goal_, view);
      switch (verdict.kind) {
        case RecoveryVerdict::Kind::going_on:
          if (stuck_) throw stuck_error(view);
          site_.servers.tick();
          if (const auto error = site_.servers.gave_up(kPrimary)) throw *error;
          break;
        case RecoveryVerdict::Kind::raise_parameters:
          raise();
          site_.servers.start(kPrimary, server_options(site_, kPrimary), site_.port(kPrimary));
          break;
        case RecoveryVerdict::Kind::ended:
          if (verdict.exhausted && go_on_elsewhere(view)) break;
          note_end(view);
          return;
        case RecoveryVerdict::Kind::failed:
          if (verdict.exhausted && go_on_elsewhere(view)) break;
          throw *verdict.error;
      }
      site_.rest(kLook);
    }
  }

  void raise() {
    const auto before = parameters_;
    site_.servers.stop(kPrimary);
    configure();
    site_.board.log("primary: the WAL demands more than it was started with: " +
                    difference(before, parameters_));
  }

  // The line was chosen before its first byte was replayed, and its end is reached. A source that
  // failed over meanwhile goes on elsewhere; who wants the latest is taken there, if that has all
  // that was replayed. Whether it does.
  bool go_on_elsewhere(const RecoveryView& view) {
    if (!source_ || !wants_latest(wanted_timeline(goal_.target))) return false;
    auto newer = source_->newer(timeline_before(view.replayed), view.replayed);
    for (const auto& history : newer.aside) tell_of(history, view.replayed);
    if (!newer.onward) return false;
    // The server may have replayed more since it was looked at.
    site_.servers.stop(kPrimary);
    const auto control = load_control_file(site_.directory.data(kPrimary));
    const auto reached = std::max(view.replayed, control.minimum_recovery_point);
    if (!newer.onward->history.passes(timeline_before(reached), reached)) {
      tell_of(newer.onward->history, reached);
      start();
      return true;
    }
    const auto timeline = newer.onward->timeline();
    site_.board.warn(notice("line_followed", std::to_string(timeline.value()),
                            std::to_string(source_->line().timeline().value()),
                            view.replayed.text()));
    source_->follow(*std::move(newer.onward));
    start();
    return true;
  }

  void tell_of(const postgres::TimelineHistory& history, Lsn replayed) {
    if (!told_.insert(history.timeline).second) return;
    site_.board.warn(notice("line_not_followed", std::to_string(history.timeline.value()),
                            history.left(source_->begin().timeline()).value_or(Lsn()).text(),
                            replayed.text()));
  }

  RecoveryView look() {
    RecoveryView view;
    view.segment_size = control_.wal_segment_size;
    view.running = site_.servers.running(kPrimary);
    if (view.running && access_.ping(site_.port(kPrimary)) == postgres::Readiness::accepting)
      ask(view);
    view.report = load_archive_report(site_.directory.wal_report(kPrimary));
    const auto control = load_control_file(site_.directory.data(kPrimary));
    view.parameters_too_low = !suffices(parameters_, control.parameters);
    settle(view);
    stuck_ = is_stuck(view, control);
    if (source_ && view.report && view.report->outcome == ArchiveReport::Outcome::absent) {
      // A source that lives may archive more at any time; what counts is what is there now.
      // Before PostgreSQL 13 each place is asked for on the newest timeline of the line first, so
      // that most of what is absent says nothing.
      look_up_newest();
      tell_newest(view);
      const bool beyond = asks_beyond_archive(view);
      check_consistency_in_time(view, beyond);
      if (view.accepting && (beyond || site_.version.at_least(13)) && !caught_up_since_)
        caught_up_since_ = std::chrono::steady_clock::now();
    }
    // What was delivered from beyond the newest says as well that there is more by now.
    if (source_ && delivered_beyond_newest(view)) look_up_newest();
    view.chasing =
        caught_up_since_ && std::chrono::steady_clock::now() - *caught_up_since_ > kChaseLimit;
    tell_newest(view);
    if (source_)
      view.lost = record_.furthest.lost(view.newest, timeline_before(view.replayed), view.replayed,
                                        view.report ? view.report->last_delivered : "",
                                        control_.wal_segment_size);
    tell(view);
    return view;
  }

  void ask(RecoveryView& view) {
    try {
      auto connection = access_.open(site_.port(kPrimary));
      const int version = connection.server_version();
      const std::string paused = version >= 140000 ? "pg_get_wal_replay_pause_state() = 'paused'"
                                                   : "pg_is_wal_replay_paused()";
      // The functions of replay fail once recovery has ended.
      if (connection.value("select pg_is_in_recovery()") == "f") {
        view.accepting = true;
        view.in_recovery = false;
        return;
      }
      const auto rows = connection.query(
          in_words_of(version, "select pg_last_wal_replay_lsn()::text, " + paused +
                                   ", to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', "
                                   "'YYYY-MM-DD HH24:MI:SS.US') || '+00'"));
      view.accepting = true;
      view.replayed = Lsn::parse(rows.at(0).at(0).value_or("0/0"));
      view.paused = rows.at(0).at(1) == "t";
      view.last_commit_time = rows.at(0).at(2).value_or("");
      refusals_ = 0;
    } catch (const Error& error) {
      if (!complained_) site_.board.log("primary: cannot be asked: " + error.text());
      complained_ = true;
      // Of a locale that is not there no waiting makes one.
      if (refused_for_locale(error.what())) throw;
      // A server that accepts connections and lets none of our roles in will never do.
      if (++refusals_ > 150) throw;
    }
  }

  void settle(RecoveryView& view) {
    const auto time = std::chrono::steady_clock::now();
    if (!view.accepting || view.replayed != last_replayed_) {
      last_replayed_ = view.replayed;
      settling_since_ = time;
      settling_since_ms_ = unix_milliseconds();
    }
    view.settled = view.accepting && time - settling_since_ >= kSettling;
    view.asked_since_settled =
        view.settled && view.report && view.report->at_ms >= settling_since_ms_ + kSettling.count();
  }

  bool is_stuck(const RecoveryView& view, const postgres::ControlFile& control) {
    const auto server = postgres::read_postmaster_pid(site_.directory.data(kPrimary));
    ReplaySight sight{.server = server ? server->pid : 0,
                      .accepting = view.accepting,
                      .replayed = view.replayed,
                      .checkpoint = control.checkpoint,
                      .minimum = control.minimum_recovery_point};
    if (view.report) {
      sight.delivered_count = view.report->delivered_count;
      sight.last_delivered = view.report->last_delivered;
    }
    return watch_.stuck(sight, std::chrono::steady_clock::now());
  }

  Error stuck_error(const RecoveryView& view) const {
    const auto& segment = view.report->last_delivered;
    const auto log = site_.directory.logs(kPrimary) / "postgresql.log";
    if (!view.accepting && view.newest_is_unfinished && segment == view.newest->name())
      return Error(ErrorKind::not_found,
                   "the archive has only the beginning of WAL segment " + segment +
                       ", the last of its line, and with that the primary is not consistent: it "
                       "needs the WAL up to " +
                       consistent_at().text())
          .with_hint(
              "choose another backup (RESTORE_SET) or timeline (RECOVERY_TARGET_TIMELINE), or look "
              "why the rest was not archived; nothing was opened, and start goes on from here. The "
              "server's log is " +
              log.string());
    std::string where;
    if (view.replayed.is_valid()) where = " after " + view.replayed.text();
    return Error(ErrorKind::corrupt, "WAL segment " + segment +
                                         " is whole in the archive, but PostgreSQL cannot "
                                         "replay it" +
                                         where + ": " + last_lines(log, 3))
        .with_hint(
            "`start --anew` with a target before that place (RECOVERY_TARGET_TYPE=lsn), restore a "
            "backup that ended after it, or put a good copy of the segment into the "
            "archive; nothing was opened, and start goes on from here. The server's log "
            "is " +
            log.string());
  }

  // Below that its server answers nobody.
  Lsn consistent_at() const {
    const auto minimum = load_control_file(site_.directory.data(kPrimary)).minimum_recovery_point;
    return record_.lsn_stop.empty() ? minimum : std::max(minimum, Lsn::parse(record_.lsn_stop));
  }

  bool delivered_beyond_newest(const RecoveryView& view) const {
    return newest_ && view.report && view.report->outcome == ArchiveReport::Outcome::delivered &&
           postgres::wal_file_kind(view.report->name) == postgres::WalFileKind::segment &&
           WalSegment::parse(view.report->name, view.segment_size).number() >
               newest_->segment.number();
  }

  void look_up_newest() {
    newest_ = source_->newest();
    if (newest_ && record_.furthest.raise(newest_->segment))
      record_.save(site_.directory, kPrimary);
  }

  // The one that was judged before the first byte was fetched, where the newest is wanted.
  void check_line_is_there() const {
    const postgres::Timeline judged(record_.furthest.line);
    if (judged <= source_->line().timeline() || !wants_latest(wanted_timeline(goal_.target)))
      return;
    throw Error(ErrorKind::not_found,
                postgres::TimelineHistory::file_name(judged) + ", which the archive had, is gone")
        .with_hint("see what removed it and put it back");
  }

  void tell_newest(RecoveryView& view) {
    view.newest = newest();
    view.newest_is_unfinished = newest_ && newest_->unfinished;
    view.newest_was_read = false;
    if (!view.newest_is_unfinished || !view.report ||
        view.report->last_delivered != newest_->segment.name())
      return;
    if (beginning_.first != view.report->last_delivered)
      beginning_ = {view.report->last_delivered, view.report->delivered_count};
    view.newest_was_read = view.report->outcome == ArchiveReport::Outcome::absent ||
                           view.report->delivered_count > beginning_.second;
  }

  std::optional<WalSegment> newest() const {
    if (!newest_) return {};
    return newest_->segment;
  }

  void check_consistency_in_time(const RecoveryView& view, bool beyond) {
    const auto time = std::chrono::steady_clock::now();
    if (view.accepting || !beyond || !exhausted_since_) exhausted_since_ = time;
    if (!view.accepting && time - *exhausted_since_ > kConsistencyLimit)
      throw Error(ErrorKind::postgres,
                  "the primary has all the WAL there is and still does not answer: " +
                      last_lines(site_.directory.logs(kPrimary) / "postgresql.log"))
          .with_hint("its log is " + (site_.directory.logs(kPrimary) / "postgresql.log").string());
  }

  // How much there is to replay, as far as that is known.
  void tell_extent(SupervisorStatus& status) {
    const auto last = extent_->last(newest());
    const auto begin = source_->begin().number();
    if (!last || *last < begin) return;
    status.wal_segments_total =
        std::max(static_cast<std::int64_t>(*last - begin + 1), status.wal_segments_done);
  }

  void tell(const RecoveryView& view) {
    site_.board.change([&](SupervisorStatus& status) {
      if (view.replayed.is_valid()) status.replay_lsn = view.replayed.text();
      if (!source_ || !view.report || view.report->last_delivered.empty()) return;
      if (postgres::wal_file_kind(view.report->last_delivered) != postgres::WalFileKind::segment)
        return;
      const auto last = WalSegment::parse(view.report->last_delivered, view.segment_size);
      if (last.number() < source_->begin().number()) return;
      status.wal_segments_done =
          static_cast<std::int64_t>(last.number() - source_->begin().number() + 1);
      tell_extent(status);
    });
  }

  void note_end(const RecoveryView& view) {
    if (source_)
      if (const auto error = strayed(source_->line().history, view)) throw *error;
    if (const auto error = overran(goal_, view)) throw *error;
    RecoveryEnd end;
    end.target = describe(goal_.target);
    const auto timeline = source_ ? source_->line().timeline() : control_.checkpoint_timeline;
    end.timeline = timeline.value();
    end.lsn = view.replayed.text();
    end.last_commit_time = view.last_commit_time;
    if (newest_) end.newest_archived_wal = newest_->segment.name();
    end.last_replayed_wal = segment_before(view.replayed);
    note_difference(end, goal_.target, control_.wal_segment_size);
    site_.board.change([&](SupervisorStatus& status) {
      status.recovery_end = end;
      // Nothing is left to replay, also where nobody knew beforehand how much it would be.
      if (status.wal_segments_total == 0) status.wal_segments_total = status.wal_segments_done;
    });
    record_.recovery_end = std::move(end);
    record_.promoting = true;
    record_.save(site_.directory, kPrimary);
    log_end();
  }

  void log_end() {
    auto text = recovery_text(*record_.recovery_end);
    for (auto at = text.find('\n'); at != std::string::npos; at = text.find('\n', at))
      text.replace(at, 1, "; ");
    site_.board.log("primary: recovery " + text);
  }

  // The timeline of the followed line that the byte before `lsn` lies on.
  Timeline timeline_before(Lsn lsn) const {
    if (!source_) return control_.checkpoint_timeline;
    const auto& line = source_->line().history;
    for (const auto& ancestor : line.ancestors)
      if (lsn <= ancestor.ended) return ancestor.timeline;
    return line.timeline;
  }

  // The name of the segment that ends with, or holds, that byte.
  std::string segment_before(Lsn lsn) const {
    if (!lsn.is_valid()) return {};
    return WalSegment::containing(timeline_before(lsn), Lsn(lsn.value() - 1),
                                  control_.wal_segment_size)
        .name();
  }

  void promote() {
    site_.board.enter(Phase::promoting);
    auto connection = access_.open(site_.port(kPrimary));
    if (connection.value("select pg_is_in_recovery()") == "f") return;
    if (connection.server_version() >= 120000) {
      connection.query("select pg_promote(false)");
    } else {
      const auto output = pgrevive::run(
          {.program = site_.binaries / "pg_ctl",
           .arguments = {"promote", "--no-wait", "-D", site_.directory.data(kPrimary)}},
          {}, std::chrono::minutes(1));
      if (!output.status.ok())
        throw Error(ErrorKind::postgres, "pg_ctl promote failed: " + printable(output.err));
    }
    // Before PostgreSQL 13 a server that is paused at its target does not look for a promotion.
    if (connection.server_version() < 130000) {
      try {
        connection.query(in_words_of(connection.server_version(), "select pg_wal_replay_resume()"));
      } catch (const Error&) {
        // Not paused, or promoted in the meantime.
      }
    }
  }

  // PostgreSQL asks for WAL once more while it promotes, and a request that fails ends the server.
  void check_promotion() {
    const auto report = load_archive_report(site_.directory.wal_report(kPrimary));
    if (report && report->outcome == ArchiveReport::Outcome::error)
      throw Error(ErrorKind::unavailable,
                  "WAL file " + report->name +
                      " could not be looked for at the promotion: " + report->error)
          .with_hint("nothing was opened; start again to go on from here");
  }

  bool writable() {
    if (access_.ping(site_.port(kPrimary)) != postgres::Readiness::accepting) return false;
    try {
      return access_.open(site_.port(kPrimary)).value("select pg_is_in_recovery()") == "f";
    } catch (const Error&) {
      return false;
    }
  }

  // Of a server that is killed the connection breaks a moment before it is gone.
  bool server_ends() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (site_.servers.running(kPrimary)) {
      if (std::chrono::steady_clock::now() > limit) return false;
      site_.rest(kLook);
    }
    return true;
  }

  // Whether it came to an end; else its server did.
  bool wait_for_promotion() {
    bool promoted = false;
    site_.wait_until(kPrimary, "the promotion of the primary", kPromotionLimit, [&] {
      promoted = writable();
      if (promoted) return true;
      check_promotion();
      return !site_.servers.running(kPrimary);
    });
    return promoted;
  }

  void record_promotion() {
    auto connection = access_.open(site_.port(kPrimary));
    const auto wal_name = connection.value(
        in_words_of(connection.server_version(), "select pg_walfile_name(pg_current_wal_lsn())"));
    const auto timeline = Timeline::parse_hex(wal_name.value_or("").substr(0, 8));
    if (timeline.value() <= record_.line)
      throw Error(ErrorKind::corrupt,
                  "the primary did not open a timeline of its own but went on along timeline " +
                      std::to_string(timeline.value()) +
                      " as after a crash: what it has is not what was asked for")
          .with_hint("make the cluster anew: `start --anew`");
    const auto text = straight_history(timeline);
    const wal::Fork fork{.history = postgres::TimelineHistory::parse(timeline, text),
                         .history_text = text};
    fork.save(site_.directory.fork());

    keep_sibling_histories(timeline);
    keep_fork_segments(fork.history);

    if (!record_.recovery_end) record_.recovery_end = RecoveryEnd{};
    record_.recovery_end->new_timeline = timeline.value();
    if (!fork.history.ancestors.empty())
      note_last_words(connection, fork.history.ancestors.back().ended);
    record_.superuser = connection.value("select current_user").value_or("postgres");
    const auto left_out = still_there(connection, record_.left_out);
    for (const auto& row :
         connection.query("select datname from pg_database where datallowconn order by datname"))
      if (std::ranges::find(left_out, row.at(0).value_or(""), &restore::Database::name) ==
          left_out.end())
        record_.databases.push_back(row.at(0).value_or(""));
    record_.promoted = true;
    record_.save(site_.directory, kPrimary);
    site_.board.change(
        [&](SupervisorStatus& status) { status.recovery_end = record_.recovery_end; });
    log_end();  // the last words
  }

  // The history of the new timeline; its file says what is true. PostgreSQL writes that the new
  // timeline left the one that recovery was on the way to, also where it never got there: the
  // target lay before a failover of the source. By that file a replica would be sent the old line
  // past the fork (postgres/history.h). Nobody else has read it yet, and nothing is archived before
  // the set-up.
  std::string straight_history(Timeline timeline) const {
    const auto file =
        wal_directory(site_, kPrimary) / postgres::TimelineHistory::file_name(timeline);
    auto text = read_file(file);
    const auto written = postgres::TimelineHistory::parse(timeline, text);
    const auto straight = written.straight();
    if (straight == written) return text;
    text = straight.text();
    write_file_atomic(file, text);
    return text;
  }

  // A replica asks its primary for the history of every timeline between its own and the primary's,
  // also of those that are not on their line (the source was promoted, and an older timeline was
  // recovered). One that cannot be had keeps it from streaming for good.
  void keep_sibling_histories(Timeline promoted) {
    if (!source_) return;
    for (auto value = source_->begin().timeline().value() + 1; value < promoted.value(); ++value) {
      const auto file =
          wal_directory(site_, kPrimary) / postgres::TimelineHistory::file_name(Timeline(value));
      if (std::filesystem::exists(file)) continue;
      if (const auto text = source_->history(Timeline(value))) write_file_atomic(file, *text);
    }
  }

  // What is in them up to the fork is the same in the primary's own.
  void keep_fork_segments(const postgres::TimelineHistory& own) const {
    const auto wal = wal_directory(site_, kPrimary);
    for (const auto& segment : fork_segments(own, control_.wal_segment_size)) {
      const auto file = wal / segment.name();
      const auto own_file = wal / segment.on(own.timeline).name();
      // After a crash it may have written on for long, and needs none of both any more.
      if (std::filesystem::exists(file) || !std::filesystem::exists(own_file)) continue;
      // It is in the source's archive or nowhere, and not ours to archive.
      write_file_atomic(wal / "archive_status" / (segment.name() + ".done"), "");
      const auto copy = wal / (segment.name() + ".pgrevive.tmp");
      std::error_code error;
      std::filesystem::copy_file(own_file, copy, std::filesystem::copy_options::overwrite_existing,
                                 error);
      if (error) throw system_error(error.value(), "cannot make " + copy.string());
      fsync_path(copy);
      std::filesystem::rename(copy, file);
      fsync_path(wal);
    }
  }

  // Between the decision and its end the server may have been given more, up to the first segment
  // that was proven absent.
  void note_last_words(postgres::Connection& connection, Lsn fork) {
    auto& end = *record_.recovery_end;
    end.fork_lsn = fork.text();
    if (!end.lsn.empty() && fork <= Lsn::parse(end.lsn)) return;
    end.lsn = fork.text();
    end.last_replayed_wal = segment_before(fork);
    end.last_commit_time =
        connection
            .value(
                "select to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', "
                "'YYYY-MM-DD HH24:MI:SS.US') || '+00'")
            .value_or(end.last_commit_time);
    const auto report = load_archive_report(site_.directory.wal_report(kPrimary));
    if (report && postgres::wal_file_kind(report->last_delivered) == postgres::WalFileKind::segment)
      end.newest_archived_wal = report->last_delivered;
    note_difference(end, goal_.target, control_.wal_segment_size);
  }

  Site& site_;
  NodeRecord& record_;
  Access access_;
  postgres::ControlFile control_;
  std::optional<RecoverySource> source_;
  RecoveryGoal goal_;
  postgres::ControlFile::Parameters parameters_;
  std::optional<ArchiveEnd> newest_;
  // The unfinished one that was delivered, and which delivery that was.
  std::pair<std::string, std::int64_t> beginning_;
  std::optional<ReplayExtent> extent_;  // where there is a source

  Lsn last_replayed_;
  std::chrono::steady_clock::time_point settling_since_;
  std::int64_t settling_since_ms_ = 0;  // the clock of the reports
  std::optional<std::chrono::steady_clock::time_point> exhausted_since_;
  std::optional<std::chrono::steady_clock::time_point> caught_up_since_;
  std::set<Timeline> told_;  // that were opened meanwhile
  ReplayWatch watch_{kStuckLimit};
  bool stuck_ = false;
  bool complained_ = false;
  int refusals_ = 0;
};

}  // namespace

void recover_primary(Site& site, NodeRecord& record) {
  try {
    Recovery(site, record).run();
  } catch (Error& error) {
    try {
      warn_of_made_places(site);
    } catch (const Error& other) {
      site.board.log("what was made for tablespaces cannot be told: " + other.text());
    }
    // Whatever ends it before the promotion, a person reads what that has left.
    const auto& hint = error.hint();
    if (!record.promoting && error.kind() != ErrorKind::cancelled &&
        hint.find("nothing was opened") == std::string::npos)
      error.with_hint(hint + (hint.empty() ? "" : "; ") +
                      "nothing was opened; start again to go on from here");
    throw;
  }
}

std::string source_restore_command(const Site& site, const std::string& node,
                                   const std::optional<wal::FollowedLine>& line) {
  const auto& directory = site.directory;
  std::error_code ignored;
  std::string command = std::filesystem::exists(directory.archive_get(), ignored)
                            ? shell_argument(directory.archive_get())
                            : shell_argument(directory.program()) + " archive-get";
  command += " --config " + shell_argument(directory.source_conf()) + " --stanza " +
             shell_argument(site.settings.repository.stanza) + " --report " +
             shell_argument(directory.wal_report(node)) + " --guard-tablespaces " +
             shell_argument(directory.made_tablespaces(node));
  // Only for one node, since no two may have it; and not in a container, where it would be gone
  // with the container.
  if (node == kPrimary && !site.settings.containers)
    command += " --make-tablespaces-outside " + shell_argument(directory.root());
  if (line) command += " --line " + shell_argument(line->text());
  if (node != kPrimary) command += " --fork " + shell_argument(directory.fork());
  // One that was restored beside its primary streams from the fork on.
  if (const auto record = NodeRecord::load(directory, node);
      record && record->after_promotion && site.settings.archives())
    command += " --own-config " + shell_argument(directory.pgbackrest_conf());
  return "exec " + command + " %f \"%p\"";
}

}  // namespace pgrevive::cluster
