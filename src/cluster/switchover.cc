#include "cluster/switchover.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mounts.h"
#include "base/text.h"
#include "cluster/dialect.h"
#include "cluster/node_files.h"
#include "cluster/node_record.h"
#include "postgres/lsn.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;
using postgres::Lsn;
using State = postgres::ControlFile::State;

using Links = std::map<std::string, std::string>;  // of tablespaces, by their names

constexpr const char* kPrimary = "primary";
constexpr std::chrono::seconds kReplayLimit{60};
// What a replica may have to replay yet: a second or two of work.
constexpr std::uint64_t kLagLimit = std::uint64_t{64} << 20;
constexpr std::chrono::minutes kPromotionLimit{10};

std::string source_user(const Site& site) {
  const auto record = NodeRecord::load(site.directory, kPrimary);
  return record ? record->source_user : "";
}

// Tried with what nobody misses, since with the servers stopped it is too late; in run/, which is
// on the root's file system unless somebody has mounted something there.
void check_can_exchange_here(const Site& site) {
  const auto one = site.directory.run() / "exchange-1", other = site.directory.run() / "exchange-2";
  make_directories(one);
  make_directories(other);
  const int error =
      ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0 ? 0 : errno;
  remove_tree(one);
  remove_tree(other);
  if (error != 0)
    throw system_error(error, "directories cannot be exchanged on the file system of " +
                                  site.directory.root().string())
        .with_hint("ext4, xfs, btrfs and tmpfs can");
}

// Directories on different file systems, as mounts are, cannot be exchanged; what is mounted below
// would go along, and be at its old place again after a restart of the host.
void check_exchangeable(const Site& site, const std::string& replica) {
  for (const auto& node : {std::string(kPrimary), replica}) {
    for (const auto& place : {site.directory.node(node), site.directory.data(node)}) {
      struct stat here {
      }, root{};
      if (::lstat(place.c_str(), &here) == 0 && S_ISDIR(here.st_mode) &&
          ::stat(site.directory.root().c_str(), &root) == 0 && here.st_dev == root.st_dev)
        continue;
      throw Error(ErrorKind::unsupported,
                  place.string() + " is a link or lies on a file system of its own, so " + replica +
                      " and the primary cannot change places")
          .with_hint("have both below " + site.directory.root().string() + " without such");
    }
    if (const auto mount = mount_below(site.directory.node(node)))
      throw Error(ErrorKind::unsupported, "something is mounted on " + mount->string() + ", so " +
                                              replica + " and the primary cannot change places")
          .with_hint("have it elsewhere, with a link to it");
  }
  check_can_exchange_here(site);
}

// Slots do not go to another server, and what is kept for their readers goes with them.
void check_slots(postgres::Connection& primary) {
  const auto others = primary.value(
      "select string_agg(format('%s (%s)', slot_name, slot_type), ', ' order by slot_name) "
      "from pg_replication_slots where not (slot_type = 'physical' and slot_name like "
      "'pgrevive%')");
  if (others)
    throw Error(ErrorKind::unsupported,
                "the primary has replication slots that the new one would not have: " + *others)
        .with_hint(
            "whoever reads from them would miss something; drop them, and make them on the "
            "new primary");
}

postgres::Connection connect_to_primary(const Site& site) {
  try {
    return site.access(source_user(site)).open(site.port(kPrimary));
  } catch (const Error& error) {
    throw Error(ErrorKind::postgres,
                std::string("there is no primary to change places with: ") + error.what())
        .with_hint(
            "what it has written and not sent would be lost; `status` says what the matter is with "
            "the primary");
  }
}

// Every replica has to: behind the exchange nobody keeps WAL for one that is not there.
void check_streaming(postgres::Connection& primary, const std::string& node) {
  const auto state =
      primary
          .value("select max(state) from pg_stat_replication where application_name = $1", {node})
          .value_or("disconnected");
  if (state == "streaming") return;
  throw Error(ErrorKind::postgres,
              fmt::format("{} does not stream from the primary ({})", node, state))
      .with_hint(
          "only a replica that has all can take over, and another one would lose what the primary "
          "keeps for it; `status` says what is the matter, `rebuild` makes a replica anew, and a "
          "lower REPLICAS with a `restart` does without it");
}

// What the one has to replay that takes over.
void check_lag(postgres::Connection& primary, const std::string& replica) {
  const auto rows = primary.query(
      in_words_of(primary.server_version(),
                  "select pg_current_wal_lsn()::text, replay_lsn::text from pg_stat_replication "
                  "where application_name = $1 limit 1"),
      {replica});
  if (rows.empty()) return check_streaming(primary, replica);
  const auto written = Lsn::parse(rows[0].at(0).value_or("0/0"));
  // One that has just connected has not said it yet.
  const auto replayed = rows[0].at(1) ? Lsn::parse(*rows[0].at(1)) : written;
  const auto lag = written.value() - std::min(written, replayed).value();
  if (lag > kLagLimit)
    throw Error(ErrorKind::postgres,
                fmt::format("{} is {} behind the primary, more than {}", replica, format_bytes(lag),
                            format_bytes(kLagLimit)))
        .with_hint(
            "nobody could connect while it replays that; wait until it has, or see what holds it "
            "up: a query on it, or a pause");
}

// What ALTER SYSTEM said of the primary is the new one's, which begins as a standby, and a standby
// does not start with less of these than the primary had.
void check_settings(postgres::Connection& primary) {
  const auto less = primary.value(
      "select string_agg(format('%s from %s to %s', s.name, s.setting, f.setting), ', ' "
      "order by s.name) from pg_file_settings f join pg_settings s on s.name = f.name "
      "where f.sourcefile like '%/postgresql.auto.conf' "
      "and case when f.setting ~ '^[0-9]{1,9}$' then f.setting::int < s.setting::int end "
      "and s.name in ('max_connections', 'max_worker_processes', 'max_wal_senders', "
      "'max_prepared_transactions', 'max_locks_per_transaction')");
  if (less)
    throw Error(ErrorKind::usage, "ALTER SYSTEM lowers " + *less +
                                      ", with which the new primary would not start as a standby")
        .with_hint("`restart primary` first, or ALTER SYSTEM RESET");
}

// A clean stop sends all to who streams, the checkpoint at its end too.
void check_has_all(Site& site, const std::string& replica) {
  const auto control = load_control_file(site.directory.data(kPrimary));
  if (control.state != State::shut_down)
    throw Error(ErrorKind::postgres, "the primary did not end cleanly");
  const auto access = site.access(source_user(site));
  const auto end = std::chrono::steady_clock::now() + kReplayLimit;
  std::string replayed;
  while (std::chrono::steady_clock::now() < end) {
    site.servers.tick();
    auto connection = access.open(site.port(replica));
    replayed = connection
                   .value(in_words_of(connection.server_version(),
                                      "select pg_last_wal_replay_lsn()::text"))
                   .value_or("0/0");
    // Replayed is what ends before that place, and the checkpoint begins at its own.
    if (Lsn::parse(replayed) > control.checkpoint) return;
    site.rest(std::chrono::milliseconds(200));
  }
  throw Error(ErrorKind::postgres,
              fmt::format("{} has replayed up to {} only, and the primary ended at {}", replica,
                          replayed, control.checkpoint.text()))
      .with_hint("a query on it may hold up the replay; end that and try again");
}

// What the primary leaves unarchived nobody would archive as a replica.
void check_archived(const Site& site) {
  if (!site.settings.archives()) return;
  if (const auto name = unarchived(wal_directory(site, kPrimary) / "archive_status"))
    throw Error(ErrorKind::unavailable,
                "WAL file " + *name + " of the primary is not in the archive yet")
        .with_hint("see why archiving is behind, and try again");
}

Links links_of(const Site& site, const std::string& node, const std::string& replica) {
  return links_after(site.directory.data(node) / "pg_tblspc", site.directory.node(kPrimary),
                     site.directory.node(replica));
}

// What is to be done when the two are exchanged, kept in the new primary's directory.
struct Plan {
  std::string replica;
  std::string primary_record, replica_record;
  Links primary_links, replica_links;
  // What ALTER SYSTEM said of each, in hex since it may be in any encoding. Empty: that was put
  // back, and what a person has done to it since stays.
  std::optional<std::string> primary_settings, replica_settings;
};

std::optional<std::string> text_in(const json& j, const char* key) {
  return j.contains(key) ? std::optional(j.at(key).get<std::string>()) : std::nullopt;
}

// Of a switchover that was cut off behind the exchange.
std::optional<Plan> load_plan(const StateDirectory& directory) {
  const auto path = directory.switching(kPrimary);
  const auto text = read_file_if_exists(path);
  if (!text) return {};
  try {
    const auto j = json::parse(*text);
    return Plan{.replica = j.at("replica").get<std::string>(),
                .primary_record = j.at("primary_record").get<std::string>(),
                .replica_record = j.at("replica_record").get<std::string>(),
                .primary_links = j.at("primary_links").get<Links>(),
                .replica_links = j.at("replica_links").get<Links>(),
                .primary_settings = text_in(j, "primary_settings"),
                .replica_settings = text_in(j, "replica_settings")};
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt, path.string() + " cannot be read: " + printable(error.what()));
  }
}

std::filesystem::path settings_file(const Site& site, const std::string& node) {
  return site.directory.data(node) / "postgresql.auto.conf";
}

std::string settings_of(const Site& site, const std::string& node) {
  return to_hex(as_bytes(read_file_if_exists(settings_file(site, node)).value_or("")));
}

// Both ended cleanly, one as the primary, the other having replayed that; no server is on either.
void exchange(Site& site, const std::string& replica) {
  const auto& directory = site.directory;
  const json plan = {{"replica", replica},
                     {"primary_record", read_file(directory.node_record(kPrimary))},
                     {"replica_record", read_file(directory.node_record(replica))},
                     {"primary_links", links_of(site, replica, replica)},
                     {"replica_links", links_of(site, kPrimary, replica)},
                     {"primary_settings", settings_of(site, kPrimary)},
                     {"replica_settings", settings_of(site, replica)}};
  write_file_atomic(directory.switching(replica), plan.dump());
  fsync_path(directory.node(replica));
  if (::renameat2(AT_FDCWD, directory.node(kPrimary).c_str(), AT_FDCWD,
                  directory.node(replica).c_str(), RENAME_EXCHANGE) != 0) {
    const auto error = errno;
    ::unlink(directory.switching(replica).c_str());
    throw system_error(error, "the directories of primary and " + replica +
                                  " cannot be exchanged on this file system");
  }
  fsync_path(directory.root());
  site.board.log(replica + " and the primary have changed places");
}

void put_links(const Site& site, const std::string& node, const Links& links) {
  if (links.empty()) return;
  const auto directory = site.directory.data(node) / "pg_tblspc";
  for (const auto& [name, target] : links) {
    const auto link = directory / name;
    auto temporary = link;
    temporary += ".new";
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    if (::symlink(target.c_str(), temporary.c_str()) != 0 ||
        ::rename(temporary.c_str(), link.c_str()) != 0)
      throw system_error(errno, "cannot link " + link.string() + " to " + target);
  }
  fsync_path(directory);
}

// Records say what a node does in this cluster, so they stay where they were.
void put_records_back(const Site& site, const Plan& plan) {
  write_file_atomic(site.directory.node_record(kPrimary), plan.primary_record);
  write_file_atomic(site.directory.node_record(plan.replica), plan.replica_record);
  auto record = NodeRecord::load(site.directory, plan.replica).value_or(NodeRecord{});
  record.joined = true;
  record.save(site.directory, plan.replica);
}

// Likewise what ALTER SYSTEM said, synchronous_standby_names say.
void put_settings_back(const Site& site, const Plan& plan) {
  if (!plan.primary_settings || !plan.replica_settings) return;
  write_file_atomic(settings_file(site, kPrimary), as_text(from_hex(*plan.primary_settings)));
  write_file_atomic(settings_file(site, plan.replica), as_text(from_hex(*plan.replica_settings)));
  // A server that refuses one of them is mended there, by hand, and that must not be undone.
  const auto file = site.directory.switching(kPrimary);
  auto rest = json::parse(read_file(file));
  rest.erase("primary_settings");
  rest.erase("replica_settings");
  write_file_atomic(file, rest.dump());
}

bool writable(const Access& access, int port) {
  if (access.ping(port) != postgres::Readiness::accepting) return false;
  try {
    return access.open(port).value("select pg_is_in_recovery()") == "f";
  } catch (const Error&) {
    return false;
  }
}

// Nobody but us gets in before it is a primary, and no WAL comes from anywhere.
void promote(Site& site) {
  const auto record = NodeRecord::load(site.directory, kPrimary).value_or(NodeRecord{});
  const auto access = site.access(record.source_user);
  // One that runs was given it before. Before PostgreSQL 12 what `recovery` says is a file that
  // only a promotion takes away: with it one that was promoted already would be a standby again.
  if (!postgres::is_running(site.directory.data(kPrimary))) {
    auto configuration = describe_node(site, kPrimary, Stage::recovering, record);
    configuration.archiving = site.settings.archives();
    if (is_standby(site, kPrimary))
      configuration.recovery = {{"recovery_target_timeline", "latest"}};
    write_configuration(site, configuration, record);
  }
  site.servers.start(kPrimary, server_options(site, kPrimary), site.port(kPrimary));
  site.wait_until(kPrimary, "the start of the new primary", kPromotionLimit, [&] {
    return access.ping(site.port(kPrimary)) == postgres::Readiness::accepting;
  });
  if (!writable(access, site.port(kPrimary))) {
    const auto output =
        run({.program = site.binaries / "pg_ctl",
             .arguments = {"promote", "--no-wait", "-D", site.directory.data(kPrimary)}},
            {}, std::chrono::minutes(1));
    if (!output.status.ok())
      throw Error(ErrorKind::postgres, "pg_ctl promote failed: " + printable(output.err));
  }
  site.wait_until(kPrimary, "the promotion of the new primary", kPromotionLimit,
                  [&] { return writable(access, site.port(kPrimary)); });
  set_standby(site, kPrimary, false);
  // The timeline is in pg_control only from the next checkpoint on, and the old primary looks
  // there. It writes as much as shared_buffers holds, however long that takes.
  access
      .open(site.port(kPrimary), "postgres",
            [&] {
              site.rest(std::chrono::milliseconds(0));
              site.servers.tick();
            })
      .query("checkpoint");
}

}  // namespace

std::filesystem::path exchanged(const std::filesystem::path& target,
                                const std::filesystem::path& one,
                                const std::filesystem::path& other) {
  const auto text = target.string();
  const auto below = [&](const std::filesystem::path& place) {
    return text.starts_with(place.string() + "/");
  };
  if (below(one)) return other.string() + text.substr(one.string().size());
  if (below(other)) return one.string() + text.substr(other.string().size());
  return target;
}

std::optional<std::string> unarchived(const std::filesystem::path& archive_status) {
  for (const auto& entry : entries_of(archive_status))
    if (entry.extension() == ".ready") return entry.stem().string();
  return {};
}

std::map<std::string, std::string> links_after(const std::filesystem::path& links,
                                               const std::filesystem::path& one,
                                               const std::filesystem::path& other) {
  Links after;
  for (const auto& entry : entries_of(links)) {
    std::error_code error;
    const auto type = std::filesystem::symlink_status(entry, error).type();
    if (!error && type != std::filesystem::file_type::symlink) continue;
    const auto target = std::filesystem::read_symlink(entry, error);
    if (error) throw system_error(error.value(), "cannot read " + entry.string());
    after[entry.filename().string()] = exchanged(target, one, other).string();
  }
  return after;
}

void check_can_switch(const Site& site, const std::string& replica) {
  check_exchangeable(site, replica);
  auto primary = connect_to_primary(site);
  check_slots(primary);
  for (const auto& node : node_names(site.settings.replicas))
    if (node != kPrimary) check_streaming(primary, node);
  check_lag(primary, replica);
  check_settings(primary);
}

void switch_over(Site& site, const std::string& replica) {
  check_can_switch(site, replica);
  site.board.enter(Phase::promoting);
  site.servers.stop(kPrimary);
  check_has_all(site, replica);
  check_archived(site);
  site.servers.stop(replica);
  exchange(site, replica);
  finish_switchover(site);
}

void finish_switchover(Site& site) {
  const auto& directory = site.directory;
  std::error_code ignored;
  for (const auto& node : node_names(site.settings.replicas))
    if (node != kPrimary) std::filesystem::remove(directory.switching(node), ignored);
  const auto plan = load_plan(directory);
  if (!plan) return;
  const auto& replica = plan->replica;
  site.board.enter(Phase::promoting);
  // Once one of the two runs again all of this is done.
  if (!postgres::is_running(directory.data(kPrimary)) &&
      !postgres::is_running(directory.data(replica))) {
    put_links(site, kPrimary, plan->primary_links);
    put_links(site, replica, plan->replica_links);
    put_records_back(site, *plan);
    put_settings_back(site, *plan);
    if (load_control_file(directory.data(kPrimary)).state == State::shut_down_in_recovery)
      set_standby(site, kPrimary, true);
    set_standby(site, replica, true);
  }
  try {
    promote(site);
  } catch (Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    error.with_hint(
        (error.hint().empty() ? "" : error.hint() + "; ") +
        "the old primary ended cleanly and lies whole in " + directory.data(replica).string() +
        ", made a standby; what is to be done is in " + directory.switching(kPrimary).string());
    throw;
  }
  if (::unlink(directory.switching(kPrimary).c_str()) != 0)
    throw system_error(errno, "cannot remove " + directory.switching(kPrimary).string());
  // One that came back would put back records of before.
  fsync_path(directory.node(kPrimary));
}

std::optional<NodeRecord> load_primary_record(const StateDirectory& directory) {
  const auto plan = load_plan(directory);
  if (!plan) return NodeRecord::load(directory, kPrimary);
  return NodeRecord::parse(plan->primary_record, directory.switching(kPrimary));
}

void drop_slots_of_a_primary(Site& site, const std::string& node, const std::string& user) {
  try {
    auto connection = site.access_here(user).open(site.port(node));
    connection.query(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
        "where slot_type = 'physical' and not active and slot_name like 'pgrevive%'");
  } catch (const Error& error) {
    site.board.log(node + ": slots of its time as the primary stay: " + error.text());
  }
}

}  // namespace pgrevive::cluster
