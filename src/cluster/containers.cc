#include "cluster/containers.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/spawn.h"
#include "base/text.h"
#include "cluster/adminer.h"
#include "cluster/anew.h"
#include "cluster/backrest_conf.h"
#include "cluster/bring_up.h"
#include "cluster/cluster.h"
#include "cluster/configuration.h"
#include "cluster/identity_scope.h"
#include "cluster/new_cluster.h"
#include "cluster/node_files.h"
#include "cluster/node_record.h"
#include "cluster/node_tls.h"
#include "cluster/preflight.h"
#include "cluster/rebuild.h"
#include "cluster/reindex.h"
#include "cluster/replica.h"
#include "cluster/request.h"
#include "cluster/stop_signals.h"
#include "postgres/binaries.h"
#include "restore/restore.h"

namespace pgrevive::cluster::containers {
namespace {

constexpr const char* kData = "/var/lib/postgresql/data";  // a node's volume in its container
constexpr const char* kBackrestConf = "/etc/pgbackrest/pgbackrest.conf";
constexpr const char* kAdminerPlace = "/run/pgrevive";
constexpr std::chrono::minutes kRestartLimit{10};

StateDirectory on_volume_of(const std::string& node) {
  return StateDirectory::on_volume(kVolumes, node);
}

// From here on this process is that user and can be no other.
void become(const Identity& identity) {
  if (::geteuid() == identity.uid) return;
  if (::initgroups(identity.name.c_str(), identity.gid) != 0 || ::setgid(identity.gid) != 0 ||
      ::setuid(identity.uid) != 0)
    throw system_error(errno, "cannot become user " + identity.name);
  ::setenv("HOME", identity.home.c_str(), 1);
  ::setenv("USER", identity.name.c_str(), 1);
}

// Docker makes a volume's directory for root.
void give(const std::filesystem::path& directory, const Identity& owner) {
  if (::geteuid() == owner.uid) return;
  if (::lchown(directory.c_str(), owner.uid, owner.gid) != 0)
    throw system_error(errno, "cannot give " + directory.string() + " to " + owner.name)
        .with_hint("is there a volume?");
}

// Held by whoever works on the volume. Every container sees it, which none does of another's
// processes.
std::optional<FileLock> lock_volume(const std::string& node) {
  const auto directory = on_volume_of(node);
  make_directories(directory.root());
  make_directories(directory.run());
  auto held = FileLock::try_acquire(directory.supervisor_lock());
  // Who asks for the cluster's status holds it for a moment.
  for (int i = 0; !held && i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    held = FileLock::try_acquire(directory.supervisor_lock());
  }
  // Its pid says nothing here, where it may be that of another process.
  std::error_code ignored;
  if (held) std::filesystem::remove(directory.data(node) / "postmaster.pid", ignored);
  return held;
}

std::vector<std::string> nodes_of(const Settings& settings) {
  return node_names(settings.replicas);
}

// While the cluster is made its servers are nobody's to talk to, and talk to each other by sockets.
// Adminer and console are containers of their own.
Settings unheard(Settings settings) {
  settings.listen_addresses.clear();
  settings.node_tls = false;
  settings.adminer_port = settings.console_port = 0;
  return settings;
}

std::vector<FileLock> lock_all(const Settings& settings) {
  std::vector<FileLock> held;
  for (const auto& node : nodes_of(settings)) {
    auto lock = lock_volume(node);
    if (!lock)
      throw Error(ErrorKind::busy, "the container of " + node + " runs")
          .with_hint("stop the nodes' containers first");
    held.push_back(*std::move(lock));
  }
  return held;
}

void remove_all_in(const std::filesystem::path& directory,
                   const std::vector<std::filesystem::path>& but) {
  std::error_code ignored;
  std::vector<std::filesystem::path> gone;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    if (std::ranges::find(but, entry.path()) == but.end()) gone.push_back(entry.path());
  for (const auto& path : gone) remove_tree(path);
}

// There while an old cluster makes way for a new one: what the new one is told, as its state
// directory will have it.
StateDirectory told_anew(const StateDirectory& directory) {
  return StateDirectory(directory.root() / "makes-way");
}

bool makes_way(const StateDirectory& directory) {
  std::error_code ignored;
  return std::filesystem::exists(told_anew(directory).root(), ignored);
}

// That, while it is not whole.
StateDirectory beside_told_anew(const StateDirectory& directory) {
  return StateDirectory(directory.root() / "makes-way.new");
}

void move(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (error) throw system_error(error.value(), "cannot move " + from.string());
  fsync_path(to.parent_path());
}

// From here on the old cluster is none any more, whatever happens.
void begin_to_make_way(const StateDirectory& directory, const Settings& settings,
                       const Marker& marker) {
  const auto beside = beside_told_anew(directory);
  remove_tree(beside.root());
  make_directories(beside.root());
  write_file_atomic(beside.settings(), to_json(settings));
  marker.save(beside);
  move(beside.root(), told_anew(directory).root());
}

// The volume itself and that of the logs in it are mounted, and stay.
void empty_volume(const StateDirectory& directory, const std::string& node) {
  const auto own = on_volume_of(node);
  remove_all_in(directory.node(node), {directory.logs(node), own.root()});
  remove_all_in(own.run(), {own.supervisor_lock()});
  const auto logs = own.supervisor_log().parent_path();
  remove_all_in(logs, {directory.restores()});
  std::vector<std::filesystem::path> kept = {own.run(), logs};
  // Of what there will be.
  if (node == "primary")
    kept.insert(kept.end(),
                {directory.marker(), directory.settings(), told_anew(directory).root()});
  remove_all_in(own.root(), kept);
}

// Goes on where an earlier call was cut off.
void throw_away(const StateDirectory& directory, const std::vector<std::string>& nodes) {
  const auto told = told_anew(directory);
  write_file_atomic(directory.settings(), read_file(told.settings()));
  write_file_atomic(directory.marker(), read_file(told.marker()), 0644);
  // What has none is not whole, and no server starts on what is left of it.
  for (const auto& node : nodes) {
    remove_tree(directory.node_record(node));
    fsync_path(directory.node(node));
  }
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) empty_volume(directory, *node);
  // Last, since it says that there is more to go.
  move(told.root(), beside_told_anew(directory).root());
  remove_tree(beside_told_anew(directory).root());
}

bool is_whole(const StateDirectory& directory, const std::string& node) {
  const auto record = NodeRecord::load(directory, node);
  return record && !record->unfinished && !makes_way(directory) &&
         restore::inspect_directory(directory.data(node)) == restore::DirectoryState::complete &&
         (node == "primary" ? record->promoted && record->set_up : record->joined);
}

// All that comes before a supervisor, which keeps the status from then on.
void prepare(Settings& settings, const StateDirectory& directory, const Marker& marker,
             const Identity& owner, const PointWatch& watch) {
  StatusBoard board(directory, {.cluster_name = settings.cluster_name, .pid = ::getpid()});
  board.enter(Phase::preparing);
  try {
    preflight(settings, directory, marker, owner, watch);
    write_state(settings, directory, marker, owner,
                std::filesystem::read_symlink("/proc/self/exe"));
  } catch (const Error& original) {
    const auto error = in_words_of_docker(original);
    board.change([&](SupervisorStatus& status) {
      status.error = error.text();
      status.exit_code = error.exit_code();
    });
    board.enter(Phase::failed);
    throw error;
  }
}

// The volume may have been filled by another image.
std::filesystem::path binaries_of_image(postgres::Version version) {
  try {
    return postgres::find_binaries(version, {});
  } catch (const Error& error) {
    throw in_words_of_docker(error);
  }
}

// What a replica needs in a container of its own; is there only once the replica can run.
void hand_over(const StateDirectory& whole, const std::string& node) {
  const auto own = on_volume_of(node);
  make_directories(own.secrets());
  write_file_atomic(own.replication_passfile(), read_file(whole.replication_passfile()));
  if (const auto record = NodeRecord::load(whole, "primary"))
    write_file_atomic(own.secrets() / "superuser", record->superuser);
  load_marker(whole).save(own);
}

// Whole, and with all that its container needs.
bool is_made(const StateDirectory& directory, const std::string& node) {
  std::error_code ignored;
  return is_whole(directory, node) &&
         (node == "primary" || std::filesystem::exists(on_volume_of(node).marker(), ignored));
}

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

// Lets what is said on the way go where a supervisor's words go.
class SaidInLog {
 public:
  explicit SaidInLog(const std::filesystem::path& log) : before_(::dup(STDERR_FILENO)) {
    make_directories(log.parent_path());
    const auto file = open_file(log, O_WRONLY | O_CREAT | O_APPEND, 0640);
    ::dup2(file.get(), STDERR_FILENO);
  }
  ~SaidInLog() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  SaidInLog(const SaidInLog&) = delete;
  SaidInLog& operator=(const SaidInLog&) = delete;

 private:
  int before_;
};

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
  for (;;) {
    site.rest(std::chrono::milliseconds(200));
    site.servers.tick();
    if (const auto request = take_request(site.directory)) carry_out(site, node, *request);
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

// A replica's part of the way up, with the primary in its own container: the volume has to be held.
void make_from_primary(Settings settings, const std::string& node, bool anew) {
  settings.primary_port = settings.replica_port = kContainerPort;
  const auto directory = seen_from_outside();
  // As the primary is that serves, whatever .env says since.
  settings.node_tls = from_json(read_file(directory.settings())).node_tls;
  StopSignals signals;
  auto marker = load_marker(directory);
  marker.socket_directory = kSockets;
  const SaidInLog said(on_volume_of(node).supervisor_log());
  // Its own container says it on, where this comes to nothing.
  StatusBoard board(on_volume_of(node), {.cluster_name = settings.cluster_name, .pid = ::getpid()});
  Servers servers(board);
  Prefetch prefetch(settings, directory, board);
  const auto version =
      postgres::Version::parse(trim(read_file(directory.data("primary") / "PG_VERSION")));
  Site site{.settings = settings,
            .directory = directory,
            .marker = marker,
            .board = board,
            .servers = servers,
            .prefetch = prefetch,
            .stop = signals.stop(),
            .host = look_at_host(),
            .version = version,
            .binaries = binaries_of_image(version),
            .primary_host = host_of(settings, "primary")};
  try {
    if (anew)
      check_rebuild(site, node);
    else
      check_primary_serves(site);
    board.enter(Phase::joining);
    if (anew) give_away(directory, node);
    write_source_conf(site);
    bring_up_replica(site, node);
    prefetch.stop();
    board.enter(Phase::stopping);
    servers.stop_all();
    hand_over(directory, node);
    board.enter(Phase::stopped);
  } catch (const Error& error) {
    servers.stop_all();
    board.change([&](SupervisorStatus& status) { status.error = error.text(); });
    board.enter(Phase::failed);
    throw;
  }
}

// What is missing in the volumes. Returns the exit code.
int make_whole(Settings& settings, const StateDirectory& directory, const Marker& marker,
               const Identity& owner, const PointWatch& watch) {
  const auto nodes = nodes_of(settings);
  bool primary_runs = false;
  std::vector<FileLock> held;
  for (const auto& node : nodes) {
    auto lock = lock_volume(node);
    if (!lock && node == "primary" && is_made(directory, node))
      primary_runs = true;
    else if (!lock)
      throw Error(ErrorKind::busy, "the volumes are not whole, and that of " + node +
                                       " is in use by its own container, or by one that makes it "
                                       "anew")
          .with_hint(
              "stop the nodes' containers, or wait for the other; then start this one again");
    else if (node != "primary")  // the supervisor takes the primary's itself
      held.push_back(*std::move(lock));
  }
  if (primary_runs) {
    for (const auto& node : nodes)
      if (!is_made(directory, node)) make_from_primary(settings, node, false);
    return 0;
  }
  prepare(settings, directory, marker, owner, watch);
  const int result = supervise(directory, Until::brought_up);
  if (result != 0) return result;
  for (const auto& node : nodes)
    if (node != "primary") hand_over(directory, node);
  return 0;
}

// It says why, where it was the primary's that could not be filled.
[[noreturn]] void refuse_volume(const std::string& node) {
  const auto status = read_status(on_volume_of(node));
  std::string reason;
  if (status && !status->error.empty()) reason = ": " + status->error;
  throw Error(ErrorKind::busy, fmt::format("the volume of {} is not whole{}", node, reason))
      .with_hint(
          "the restore service fills it, and goes on where it stopped: start that one, and "
          "read its log");
}

}  // namespace

Settings settings_for(Settings settings) {
  if (settings.replicas != 1)
    throw Error(ErrorKind::usage, "RUNTIME=docker has one replica, and REPLICAS says otherwise")
        .with_hint("leave REPLICAS out, or use RUNTIME=local");
  if (settings.wal_archive == WalArchiveMode::own && settings.own_archive.path &&
      own_archive(settings, on_volume_of("primary"), {}).type ==
          repository::RepositoryOptions::Type::posix)
    throw Error(ErrorKind::usage,
                "WAL_ARCHIVE_PATH is a directory, which is in no volume of RUNTIME=docker")
        .with_hint("leave it out: the archive is then in the primary's volume");
  settings.containers = true;
  settings.postgres_binaries.clear();  // of the host
  return settings;
}

Error in_words_of_docker(const Error& error) {
  auto result = error;
  if (error.hint().find("apt-get install postgresql-") != std::string::npos)
    result.with_hint(
        "an image has the programs of one major: set DOCKER_POSTGRES_MAJOR to it, build the image "
        "anew (docker compose build postgres-cluster-restore), and start again");
  else if (error.hint().find("PGREVIVE_HOME") != std::string::npos)
    result.with_hint("the volumes lie where `docker info` says Docker Root Dir: make room there");
  return result;
}

int fill_volumes(const Settings& told, const PointWatch& watch) {
  auto settings = unheard(told);
  const auto owner = find_owner();
  const auto directory = on_volume_of("primary");
  for (const auto& node : nodes_of(settings)) {
    give(directory.node(node), owner);
    give(directory.logs(node), owner);
  }
  become(owner);

  auto marker = check_directory(settings, directory, owner);
  if (!marker) {
    marker = make_marker(settings.cluster_name, directory, owner, unix_milliseconds());
    // Before the lock: the next attempt has to know what lies there for ours.
    make_directories(directory.root());
    marker->save(directory);
  }
  const auto nodes = nodes_of(settings);
  if (std::ranges::all_of(nodes, [&](const auto& node) { return is_made(directory, node); })) {
    fmt::print(stderr, "the volumes are whole; there is nothing to restore\n");
  } else if (const int result = make_whole(settings, directory, *marker, owner, watch);
             result != 0) {
    return result;
  }
  // Only who sees all volumes can. Also where it was switched on later.
  if (told.node_tls)
    for (const auto& node : nodes) make_tls_files(settings, directory, node);
  return 0;
}

void check_anew(Settings& settings, const PointWatch& watch) {
  auto quiet = unheard(settings);
  become(find_owner());
  try {
    cluster::check_anew(quiet, where_volumes_are(), watch);
  } catch (const Error& error) {
    throw in_words_of_docker(error);
  }
  settings.point = quiet.point;
}

void make_way(const Settings& told, const PointWatch& watch) {
  auto settings = unheard(told);
  become(find_owner());
  const auto held = lock_all(settings);
  const auto directory = where_volumes_are();
  const auto marker = cluster::check_anew(settings, directory, watch).marker;
  begin_to_make_way(directory, settings, marker);
  throw_away(directory, nodes_of(settings));
}

void go_on_making_way() {
  const auto directory = where_volumes_are();
  if (!makes_way(directory)) return;
  const IdentityScope scope(find_owner());
  const auto settings = from_json(read_file(told_anew(directory).settings()));
  const auto held = lock_all(settings);
  throw_away(directory, nodes_of(settings));
}

void rebuild_node(const Settings& told, const std::string& node) {
  const auto settings = unheard(told);
  check_fits(settings, Act::rebuild, node);
  const auto owner = find_owner();
  const auto directory = where_volumes_are();
  give(directory.node(node), owner);
  give(directory.logs(node), owner);
  become(owner);
  const auto held = lock_volume(node);
  if (!held)
    throw Error(
        ErrorKind::busy,
        "the volume of " + node + " is in use by its own container, or by one that makes it anew")
        .with_hint("stop that one, or wait for it");
  make_from_primary(settings, node, true);
}

int run_node(const Settings& told, const std::string& node) {
  auto settings = told;
  settings.primary_port = settings.replica_port = kContainerPort;
  settings.listen_addresses = "*";
  // Whom Docker's own networks bring here, the host included.
  settings.allowed_networks.emplace_back("samenet");
  const auto owner = find_owner();
  const auto directory = on_volume_of(node);
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
  write_file_atomic(directory.settings(), to_json(told));

  auto first = read_status(directory).value_or(SupervisorStatus{});
  first.cluster_name = settings.cluster_name;
  first.pid = ::getpid();
  first.error.clear();
  first.request.reset();
  first.reindex.reset();
  // The phases of its way up belong to the start that filled the volume, and to no later one.
  if (std::ranges::find(first.phases, Phase::running, &PhaseTime::phase) != first.phases.end())
    first.phases.clear();
  StatusBoard board(directory, std::move(first));
  Servers servers(board);
  Prefetch prefetch(settings, directory, board);
  const auto version =
      postgres::Version::parse(trim(read_file(directory.data(node) / "PG_VERSION")));
  Site site{.settings = settings,
            .directory = directory,
            .marker = marker,
            .board = board,
            .servers = servers,
            .prefetch = prefetch,
            .stop = signals.stop(),
            .host = look_at_host(),
            .version = version,
            .binaries = binaries_of_image(version),
            .alone = true,
            .primary_host = node == "primary" ? "" : host_of(settings, "primary")};
  try {
    start(site, node);
    watch(site, node);
  } catch (const Error& error) {
    const bool asked = error.kind() == ErrorKind::cancelled && signals.stop().stop_requested();
    if (!asked) servers.stop_all();
    if (!asked) throw;
    take_down(site, node, signals);
  }
  return 0;
}

int run_adminer(const Settings& told) {
  auto settings = told;
  settings.adminer_listen = "0.0.0.0";
  settings.adminer_port = kContainerAdminerPort;
  const auto owner = find_owner();
  const StateDirectory directory(kAdminerPlace);
  make_directories(directory.root(), 0755);
  give(directory.root(), owner);
  become(owner);
  StopSignals signals;
  make_directories(directory.run());
  make_directories(directory.root() / "logs");
  StatusBoard board(directory, {.cluster_name = settings.cluster_name, .pid = ::getpid()});
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
  const auto owner = find_owner();
  become(owner);
  const auto directory = seen_from_outside();
  for (std::error_code ignored; !std::filesystem::exists(directory.settings(), ignored);
       std::this_thread::sleep_for(std::chrono::milliseconds(500)))
    if (stop.stop_requested()) return {};
  return directory;
}

std::string trouble_of(const std::string& node) {
  if (node == "adminer") {
    Settings settings;
    settings.adminer_listen = "127.0.0.1";
    settings.adminer_port = kContainerAdminerPort;
    return adminer_answers(settings, std::chrono::seconds(3)) ? "" : "Adminer does not answer";
  }
  const auto directory = on_volume_of(node);
  const auto settings = from_json(read_file(directory.settings()));
  const auto record = NodeRecord::load(directory, node).value_or(NodeRecord{});
  const Access access(kSockets,
                      candidate_roles(settings, record.source_user, directory.data(node)));
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

StateDirectory volume_of(const std::string& node) { return on_volume_of(node); }

StateDirectory where_volumes_are() { return on_volume_of("primary"); }

StateDirectory seen_from_outside() {
  auto directory = where_volumes_are();
  ::setenv("PGPASSFILE", directory.user_passfile().c_str(), 1);
  return directory;
}

}  // namespace pgrevive::cluster::containers
