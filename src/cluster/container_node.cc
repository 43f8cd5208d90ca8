#include "cluster/container_node.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/spawn.h"
#include "base/text.h"
#include "cluster/adminer.h"
#include "cluster/backrest_conf.h"
#include "cluster/bring_up.h"
#include "cluster/cluster.h"
#include "cluster/configuration.h"
#include "cluster/console_process.h"
#include "cluster/container_volume.h"
#include "cluster/containers.h"
#include "cluster/first_backup.h"
#include "cluster/node_files.h"
#include "cluster/node_record.h"
#include "cluster/preflight.h"
#include "cluster/reindex.h"
#include "cluster/replica.h"
#include "cluster/request.h"
#include "cluster/stop_signals.h"
#include "cluster/workplace.h"

namespace pgrevive::cluster::containers {
namespace {

constexpr const char* kBackrestConf = "/etc/pgbackrest/pgbackrest.conf";
constexpr const char* kAdminerPlace = "/run/pgrevive";
constexpr std::chrono::minutes kRestartLimit{10};

// Tells the health check that nothing is to be served (ADMINER_PORT=0).
std::filesystem::path adminer_is_off() { return std::filesystem::path(kAdminerPlace) / "off"; }

// /etc/pgbackrest/pgbackrest.conf, for people: pgBackRest's own commands work on the cluster's own
// archive, and `info` tells of the source's repository as well, which no other command knows.
std::string backrest_conf(const Settings& settings, const std::string& own) {
  std::string text = "# Written by pgrevive at every start.\n" + own;
  if (!settings.restore_from_backup || settings.wal_archive == WalArchiveMode::source) return text;
  return text + source_for_info(settings, own.empty() ? 1 : 2);
}

void write_backrest_conf(const Site& site, const std::string& superuser) {
  std::string own;
  if (site.settings.archives()) {
    for (const auto* name : {"log", "lock", "spool"})
      make_directories(site.directory.pgbackrest() / name);
    own = own_archive_conf(site.settings, site.directory, site.marker.archive_suffix,
                           site.marker.socket_directory, superuser);
    write_file_atomic(site.directory.pgbackrest_conf(), own);
  }
  write_file_atomic(kBackrestConf, backrest_conf(site.settings, own));
}

// PostgreSQL does not read them there, but that is where people look.
void show_configuration(const Site& site, const std::string& node) {
  for (const auto* name : {"pg_hba.conf", "pg_ident.conf"})
    write_file_atomic(site.directory.data(node) / name,
                      read_file(site.directory.conf(node) / name));
}

void start(Site& site, const std::string& node) {
  const auto record = NodeRecord::load(site.directory, node).value();
  if (node == "primary") {
    write_backrest_conf(site, record.superuser);
    bring_up_primary(site);
  } else {
    write_backrest_conf(
        site, read_file_if_exists(site.directory.secrets() / "superuser").value_or("postgres"));
    start_replica(site, node, record);
  }
  show_configuration(site, node);
  site.board.enter(Phase::running);
}

// What lost its parent is the first process's to bury.
void bury_orphans() {
  if (::getpid() == 1) reap_orphans();
}

bool is_well(const std::string& node) {
  try {
    return trouble_of(node).empty();
  } catch (const Error&) {
    return false;  // it is not up yet
  }
}

// All that a node can be asked for in its container is a new start of its server.
void carry_out(Site& site, const std::string& node, const Request& request) {
  RequestReport report{.id = request.id,
                       .act = std::string(name(request.act)),
                       .node = request.node,
                       .state = "working",
                       .began_ms = unix_milliseconds()};
  const auto tell = [&] {
    site.board.change([&](SupervisorStatus& status) { status.request = report; });
    site.board.flush();
  };
  tell();
  try {
    if (request.act != Act::restart || request.node != node)
      throw Error(ErrorKind::usage, report.act + " of " + report.node +
                                        " is nothing that the container of " + node + " can do");
    site.servers.stop(node);
    start(site, node);
    site.wait_until(node, "the start of " + node, kRestartLimit, [&] { return is_well(node); });
    report.state = "done";
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    report.state = "failed";
    report.error = error.text();
  }
  report.ended_ms = unix_milliseconds();
  tell();
}

void reindex(Site& site) {
  reindex_if_asked(site, [] { bury_orphans(); });
  site.board.enter(Phase::running);
}

void watch(Site& site, const std::string& node) {
  FirstBackup first_backup(site);
  for (;;) {
    site.rest(std::chrono::milliseconds(200));
    site.servers.tick();
    if (node == "primary") first_backup.tick();
    if (const auto request = take_request(site.directory)) carry_out(site, node, *request);
    // A restart that failed, as it did not stop in time, or could not be configured. Where that is
    // still so the container ends, and Docker starts it anew.
    if (!site.servers.wanted(node) && !site.servers.running(node)) start(site, node);
    if (node == "primary" && reindex_is_asked_for(site.directory)) reindex(site);
    if (const auto error = site.servers.gave_up(node)) throw *error;
    bury_orphans();
  }
}

postgres::ShutdownMode mode_of(int signal) {
  if (signal == SIGINT) return postgres::ShutdownMode::fast;
  return signal == SIGQUIT ? postgres::ShutdownMode::immediate : postgres::ShutdownMode::smart;
}

// A second signal may be more urgent than the first.
void take_down(Site& site, const std::string& node, const StopSignals& signals) {
  site.board.enter(Phase::stopping);
  for (int told = 0; site.servers.running(node);) {
    if (const int last = signals.last(); last != told) {
      site.servers.ask_to_stop(node, mode_of(last));
      told = last;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  bury_orphans();
  site.board.enter(Phase::stopped);
}

// What there is to say of a node when its container starts, after what was said last.
SupervisorStatus as_it_begins(SupervisorStatus status, const Settings& settings) {
  // What is said of its way up belongs to the start, or the rebuild, that filled the volume.
  const bool filled =
      std::ranges::find(status.phases, Phase::running, &PhaseTime::phase) == status.phases.end();
  const bool cut_off = status.request && status.request->state == "working";
  if (!filled) status.phases.clear();
  if (cut_off) status.request.reset();
  // One that was stopped begins anew, as a supervisor does; one that died goes on, and whoever
  // asked is still to read why it did.
  if (!filled && status.phase == Phase::stopped) {
    status.request.reset();
    status.restarts = 0;
    status.notices.clear();
  }
  std::erase_if(status.notices, tells_of_exposure);
  status.cluster_name = settings.cluster_name;
  status.pid = ::getpid();
  // Of what died it may still be `running`.
  status.phase = Phase::preparing;
  status.error.clear();
  status.exit_code = 0;
  status.reindex.reset();
  return status;
}

// What a replica's volume has to know: what it needs of secrets is in files of their own there.
Settings without_secrets(Settings settings) {
  const Secret none;
  auto& s3 = settings.repository.s3;
  auto& own = settings.own_archive;
  for (auto* secret : {&settings.password, &settings.repository.cipher_passphrase, &s3.access_key,
                       &s3.secret_key, &s3.session_token, &own.access_key, &own.secret_key,
                       &own.session_token, &own.cipher_passphrase})
    *secret = none;
  return settings;
}

// Until the container is started again, which Docker does by itself, but waits with.
void tell_failure(StatusBoard& board, const Error& error) {
  board.change([&](SupervisorStatus& status) {
    status.error = in_words_of_docker(error).text();
    status.exit_code = error.exit_code();
  });
  board.enter(Phase::failed);
}

// It says why, where it was the primary's that could not be filled.
[[noreturn]] void refuse_volume(const std::string& node) {
  const auto status = read_status(volume_of(node));
  std::string reason;
  if (status && !status->error.empty()) reason = ": " + status->error;
  throw Error(ErrorKind::busy, fmt::format("the volume of {} is not whole{}", node, reason))
      .with_hint(
          "the restore service fills it, and goes on where it stopped: start that one, and "
          "read its log");
}

}  // namespace

int run_node(const Settings& told, const std::string& node) {
  auto settings = told;
  settings.primary_port = settings.replica_port = kContainerPort;
  settings.listen_addresses = "*";
  // Whom Docker's own networks bring here, the host included.
  settings.allowed_networks.emplace_back("samenet");
  const auto owner = find_owner();
  const auto directory = volume_of(node);
  std::error_code ignored;
  // Tablespaces are linked by the path that they had where the volume was filled.
  if (!std::filesystem::exists(directory.node(node), ignored)) {
    make_directories(kVolumes, 0755);
    std::filesystem::create_symlink(kData, directory.node(node));
  }
  give(directory.node(node) / ".", owner);
  become(owner);

  StopSignals signals;
  const auto held = lock_volume(node);
  if (!held)
    throw Error(ErrorKind::busy, "another container works on the volume of " + node)
        .with_hint("the restore service while it fills it; this one is to be started again then");
  if (!is_made(directory, node)) refuse_volume(node);
  auto marker = check_directory(settings, directory, owner).value();
  marker.socket_directory = kSockets;
  // What was asked of the container before.
  take_request(directory);
  // For those who look at the cluster from outside.
  write_file_atomic(directory.settings(),
                    to_json(node == "primary" ? told : without_secrets(told)));

  auto first = read_status(directory).value_or(SupervisorStatus{});
  StatusBoard board(directory, as_it_begins(std::move(first), settings));
  // A start without a restore before it has phases of its own.
  if (board.status().phases.empty()) board.enter(Phase::preparing);
  // The console has no status of its own; the primary's is what everybody looks at.
  if (const auto exposure = console_exposure(told); exposure && node == "primary")
    board.warn(*exposure);
  const auto version =
      postgres::Version::parse(trim(read_file(directory.data(node) / "PG_VERSION")));
  Workplace workplace(settings, directory, marker, board, signals.stop(), version,
                      binaries_of_image(version));
  Site& site = workplace.site();
  site.alone = true;
  if (node != "primary") site.primary_host = host_of(settings, "primary");
  try {
    start(site, node);
    watch(site, node);
  } catch (const Error& error) {
    const bool asked = error.kind() == ErrorKind::cancelled && signals.stop().stop_requested();
    if (!asked) {
      site.servers.stop_all();
      tell_failure(board, error);
      throw;
    }
    take_down(site, node, signals);
  }
  return 0;
}

int run_adminer(const Settings& told) {
  auto settings = told;
  settings.adminer_listen = "0.0.0.0";
  // The script leaves the service out where there is to be none, which Compose by itself cannot.
  if (told.adminer_port != 0) settings.adminer_port = kContainerAdminerPort;
  const auto owner = find_owner();
  const StateDirectory directory(kAdminerPlace);
  make_directories(directory.root(), 0755);
  give(directory.root(), owner);
  become(owner);
  StopSignals signals;
  make_directories(directory.run());
  make_directories(directory.root() / "logs");
  StatusBoard board(directory, {.cluster_name = settings.cluster_name, .pid = ::getpid()});
  std::filesystem::remove(adminer_is_off());
  if (told.adminer_port == 0) write_file_atomic(adminer_is_off(), "");
  Adminer adminer(settings, directory, board);
  adminer.start();
  while (!signals.stop().stop_requested()) {
    adminer.tick();
    bury_orphans();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  adminer.stop();
  return 0;
}

std::optional<StateDirectory> wait_for_cluster(const std::stop_token& stop) {
  become(find_owner());
  // The names of containers that do not run are asked of the host's name servers, which may be far
  // away or none: a look must not wait for that.
  ::setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
  const auto directory = seen_from_outside();
  // One that makes way keeps its settings, for the next one, before that has any secrets.
  const auto is_there = [&] {
    std::error_code ignored;
    return std::filesystem::exists(directory.settings(), ignored) &&
           std::filesystem::exists(directory.secrets(), ignored) && !makes_way(directory);
  };
  for (; !is_there(); std::this_thread::sleep_for(std::chrono::milliseconds(500)))
    if (stop.stop_requested()) return {};
  return directory;
}

bool is_coming_up(const std::string& node) {
  const auto status = read_status(volume_of(node));
  return status && status->phase != Phase::running;
}

std::string trouble_of(const std::string& node) {
  if (node == "adminer") {
    std::error_code ignored;
    if (std::filesystem::exists(adminer_is_off(), ignored)) return {};
    Settings settings;
    settings.adminer_listen = "127.0.0.1";
    settings.adminer_port = kContainerAdminerPort;
    return adminer_answers(settings, std::chrono::seconds(3)) ? "" : "Adminer does not answer";
  }
  const auto directory = volume_of(node);
  const auto settings = from_json(read_file(directory.settings()));
  const auto record = NodeRecord::load(directory, node).value_or(NodeRecord{});
  const Access access(
      kSockets, candidate_roles(settings, record.source_user, directory.data(node)),
      postgres::Version::parse(trim(read_file(directory.data(node) / "PG_VERSION"))));
  auto connection = access.open(kContainerPort);
  if (node == "primary") {
    if (connection.value("select pg_is_in_recovery()") != "f") return "the primary is in recovery";
    // A record of WAL in a transaction, whose end waits for the disk; that the transaction has an
    // id alone would be written some time.
    connection.query("select pg_logical_emit_message(true, 'pgrevive', 'health')");
    return {};
  }
  if (connection.value("select pg_is_in_recovery()") != "t")
    return "the replica is not in recovery";
  const auto streaming =
      connection.value("select count(*) from pg_stat_wal_receiver where status = 'streaming'");
  return streaming == "1" ? "" : "the replica does not stream";
}

}  // namespace pgrevive::cluster::containers
