#include "cluster/replica.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/archive_report.h"
#include "cluster/archiving.h"
#include "cluster/dialect.h"
#include "cluster/join_watch.h"
#include "cluster/node_files.h"
#include "cluster/node_tls.h"
#include "cluster/recovery.h"
#include "cluster/switchover.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;

// How long a replica may neither stream nor get anywhere before it counts as stuck.
constexpr std::chrono::minutes kStuckLimit{10};

// How long a replica may ask in vain for WAL that nobody has.
constexpr std::chrono::seconds kLostLimit{20};

// How long a replica that has all may let nobody in before that is a fault.
constexpr std::chrono::seconds kRefusalLimit{10};

// Whether the primary was recovered from the source's archive, which a replica of the same files
// then needs as well.
bool recovered_from_archive(const Site& site) {
  const auto primary = NodeRecord::load(site.directory, "primary");
  return primary && !primary->archive_start.empty();
}

std::string primary_conninfo(const Site& site, const std::string& node) {
  std::string host = site.marker.socket_directory.string();
  if (!site.primary_host.empty())
    host = site.primary_host;
  else if (site.settings.node_tls)
    host = tls_host(site.settings);
  auto text =
      fmt::format("host={} port={} user={} passfile={} application_name={}", conninfo_value(host),
                  site.port("primary"), kReplicationRole,
                  conninfo_value(site.directory.replication_passfile()), conninfo_value(node));
  // Who the primary is, its certificate says by whose it is: the authority knows no others.
  if (site.settings.node_tls)
    text += fmt::format(" sslmode=verify-ca sslrootcert={}",
                        conninfo_value(tls_files(site.directory.conf(node)).authority));
  return text;
}

// Returns what a server that is started now gets for what its WAL may demand.
postgres::ControlFile::Parameters configure(Site& site, const std::string& node,
                                            const NodeRecord& record) {
  auto configuration = describe_node(site, node, Stage::replica, record);
  configuration.archiving = site.settings.archives();
  configuration.archive_command = archive_command(site);
  auto& recovery = configuration.recovery;
  recovery.push_back({"primary_conninfo", primary_conninfo(site, node)});
  recovery.push_back({"primary_slot_name", slot_name(node)});
  if (!record.joined && !record.backup_label.empty() && recovered_from_archive(site))
    recovery.push_back({"restore_command", source_restore_command(site, node)});
  else if (record.joined && configuration.archiving)
    recovery.push_back({"restore_command", own_restore_command(site, node)});
  recovery.push_back({"recovery_target_timeline", "latest"});
  write_configuration(site, configuration, record);
  return parameters_of(configuration, site.settings);
}

// What a server was started with that may run since before; empty where it does not say.
std::optional<postgres::ControlFile::Parameters> parameters_in_force(
    const Site& site, const std::string& node, const std::string& source_user) {
  const auto access = site.access_here(source_user).within(std::chrono::seconds(5));
  if (access.ping(site.port(node)) != postgres::Readiness::accepting) return {};
  try {
    const auto row =
        access.open(site.port(node))
            .query(
                "select current_setting('max_connections'), "
                "current_setting('max_worker_processes'), "
                "current_setting('max_wal_senders'), current_setting('max_prepared_transactions'), "
                "current_setting('max_locks_per_transaction')")
            .at(0);
    const auto number = [&](std::size_t i) {
      return static_cast<std::int32_t>(parse_unsigned(row.at(i).value_or("")).value_or(0));
    };
    return postgres::ControlFile::Parameters{.max_connections = number(0),
                                             .max_worker_processes = number(1),
                                             .max_wal_senders = number(2),
                                             .max_prepared_xacts = number(3),
                                             .max_locks_per_xact = number(4)};
  } catch (const Error&) {
    return {};
  }
}

// Notices a server whose WAL demands more than it was started with: it pauses there, or has ended.
class Demands {
 public:
  Demands(Site& site, const std::string& node, const NodeRecord& record)
      : site_(site), node_(node), record_(record) {}

  void start() {
    const bool ran = postgres::is_running(site_.directory.data(node_));
    const auto configured = launch();
    if (!ran) in_force_ = configured;
  }

  void meet(const postgres::ControlFile::Parameters& demanded) {
    if (!in_force_) in_force_ = parameters_in_force(site_, node_, record_.source_user);
    if (!in_force_ || suffices(*in_force_, demanded)) return;
    site_.board.log(node_ + ": its WAL demands more than it was started with; restarting it");
    site_.servers.stop(node_);
    in_force_ = launch();
  }

 private:
  postgres::ControlFile::Parameters launch() {
    set_standby(site_, node_, true);
    const auto configured = configure(site_, node_, record_);
    site_.servers.start(node_, server_options(site_, node_), site_.port(node_));
    return configured;
  }

  Site& site_;
  const std::string& node_;
  const NodeRecord& record_;
  std::optional<postgres::ControlFile::Parameters> in_force_;
};

struct Joining {
  std::string state;  // of its walsender; empty: not connected
  Lsn replayed;
  std::optional<Timeline> primary_timeline;  // empty: the primary could not be asked
  Lsn primary_end;
};

// JoinSight::nowhere. A walsender that only starts is about to be told that the WAL is gone.
std::string nowhere(const Site& site, const std::optional<ArchiveReport>& report,
                    const Joining& seen, std::uint32_t segment_size) {
  if (!report || report->outcome != ArchiveReport::Outcome::absent || !seen.primary_timeline ||
      !(seen.state.empty() || seen.state == "startup") ||
      postgres::wal_file_kind(report->name) != postgres::WalFileKind::segment)
    return {};
  // Of a place in the log it asks on the newest timeline first, and reports the last.
  const auto segment =
      postgres::WalSegment::parse(report->name, segment_size).on(*seen.primary_timeline);
  std::error_code ignored;
  const bool there =
      segment.end() > seen.primary_end ||
      std::filesystem::exists(wal_directory(site, "primary") / segment.name(), ignored);
  return there ? std::string() : segment.name();
}

Joining ask_primary(Site& site, const std::string& node, const std::string& source_user) {
  try {
    auto connection = site.access(source_user).open(site.port("primary"));
    const int version = connection.server_version();
    Joining seen;
    const auto senders = connection.query(
        in_words_of(version,
                    "select state, coalesce(replay_lsn::text, '0/0') from pg_stat_replication "
                    "where application_name = $1"),
        {node});
    if (!senders.empty()) {
      seen.state = senders.at(0).at(0).value_or("");
      seen.replayed = Lsn::parse(senders.at(0).at(1).value_or("0/0"));
    }
    const auto end = connection.query(in_words_of(
        version, "select pg_current_wal_lsn()::text, pg_walfile_name(pg_current_wal_lsn())"));
    seen.primary_end = Lsn::parse(end.at(0).at(0).value_or("0/0"));
    seen.primary_timeline = Timeline::parse_hex(end.at(0).at(1).value_or("").substr(0, 8));
    return seen;
  } catch (const Error&) {
    return {};  // a primary that was just restarted
  }
}

// Notices a replica that streams and is of no use: its server takes connections, and each ends.
class Admission {
 public:
  Admission(const Site& site, const std::string& node, const std::string& source_user)
      : site_(site), node_(node), access_(site.access_here(source_user)) {}

  // Whether it lets us in. One that is not consistent yet takes no connections, and only waits.
  bool granted() {
    const auto port = site_.port(node_);
    if (access_.ping(port) != postgres::Readiness::accepting) return false;
    try {
      access_.open(port);
      return true;
    } catch (const Error& error) {
      const auto now = std::chrono::steady_clock::now();
      if (!refused_since_) refused_since_ = now;
      if (now - *refused_since_ < kRefusalLimit) return false;
      throw Error(ErrorKind::postgres, node_ + " streams from its primary, but lets nobody in: " +
                                           std::string(error.what()))
          .with_hint("the primary runs; `rebuild " + node_ +
                     "` makes the replica anew; its server's log is " +
                     (site_.directory.logs(node_) / "postgresql.log").string());
    }
  }

 private:
  const Site& site_;
  const std::string& node_;
  Access access_;
  std::optional<std::chrono::steady_clock::time_point> refused_since_;
};

}  // namespace

void start_replica(Site& site, const std::string& node, const NodeRecord& record) {
  Demands(site, node, record).start();
}

void join_replica(Site& site, const std::string& node, NodeRecord& record) {
  const auto& source_user = record.source_user;
  std::error_code ignored;
  std::filesystem::remove(site.directory.wal_report(node), ignored);
  auto connection = site.access(source_user).open(site.port("primary"));
  const auto goal = Lsn::parse(
      connection
          .value(in_words_of(connection.server_version(), "select pg_current_wal_lsn()::text"))
          .value_or("0/0"));
  Demands demands(site, node, record);
  demands.start();

  JoinWatch watch(kStuckLimit);
  LostWatch lost(kLostLimit);
  Admission admission(site, node, source_user);
  for (;;) {
    // Before the primary is asked: what it has written since would hide that the replica is past
    // it.
    const auto control = load_control_file(site.directory.data(node));
    const auto seen = ask_primary(site, node, source_user);
    const auto report = load_archive_report(site.directory.wal_report(node));
    const auto server = postgres::read_postmaster_pid(site.directory.data(node));
    const JoinSight sight{
        .server = server ? server->pid : 0,
        .timeline = control.checkpoint_timeline,
        .reached = std::max({control.checkpoint, control.minimum_recovery_point, seen.replayed}),
        .last_delivered = report ? report->last_delivered : "",
        .primary_timeline = seen.primary_timeline,
        .primary_end = seen.primary_end,
        .nowhere = nowhere(site, report, seen, control.wal_segment_size)};
    if (const auto why = off_the_line(sight))
      throw Error(ErrorKind::postgres, node + " cannot stream from its primary: " + *why)
          .with_hint("it went another way than its primary; save what you need from " +
                     site.directory.data(node).string() +
                     ", remove that directory and start again: it is made anew then");
    if (seen.state == "streaming" && seen.replayed >= goal && admission.granted()) break;
    if (report && report->outcome == ArchiveReport::Outcome::error)
      throw Error(
          ErrorKind::unavailable,
          "WAL file " + report->name + " could not be fetched for " + node + ": " + report->error)
          .with_hint("the primary runs; start again to go on with the replica");
    if (lost.lost(sight, std::chrono::steady_clock::now()))
      throw Error(ErrorKind::not_found, "WAL segment " + sight.nowhere + ", which " + node +
                                            " needs, is in no archive, and its primary does not "
                                            "keep it")
          .with_hint("save what you need from " + site.directory.data(node).string() +
                     ", remove that directory and start again: the replica is made anew then");
    if (watch.stuck(sight, std::chrono::steady_clock::now()))
      throw Error(ErrorKind::postgres,
                  node +
                      (seen.state == "streaming" ? " streams and takes no connections yet: "
                                                 : " does not stream from its primary: ") +
                      last_lines(site.directory.logs(node) / "postgresql.log"))
          .with_hint("its log is " + (site.directory.logs(node) / "postgresql.log").string());
    demands.meet(control.parameters);
    site.servers.tick();
    if (const auto error = site.servers.gave_up(node)) throw *error;
    if (const auto error = site.servers.gave_up("primary")) throw *error;
    site.rest(std::chrono::milliseconds(200));
  }

  record.joined = true;
  record.save(site.directory, node);
  site.board.log(node + ": streams");
  // From here on the source is out of the game; before PostgreSQL 14 that holds from the next
  // start.
  configure(site, node, record);
  postgres::reload_server(site.directory.data(node));
  drop_slots_of_a_primary(site, node, source_user);
}

}  // namespace pgrevive::cluster
