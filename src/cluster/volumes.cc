#include "cluster/volumes.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/anew.h"
#include "cluster/bring_up.h"
#include "cluster/cluster.h"
#include "cluster/configuration.h"
#include "cluster/container_volume.h"
#include "cluster/containers.h"
#include "cluster/identity_scope.h"
#include "cluster/new_cluster.h"
#include "cluster/node_record.h"
#include "cluster/node_tls.h"
#include "cluster/preflight.h"
#include "cluster/rebuild.h"
#include "cluster/request.h"
#include "cluster/stop_signals.h"
#include "cluster/workplace.h"

namespace pgrevive::cluster::containers {
namespace {

std::vector<std::string> nodes_of(const Settings& settings) {
  return node_names(settings.replicas);
}

// While the cluster is made its servers are nobody's to talk to, and talk to each other by sockets.
Settings unheard(Settings settings) {
  settings.listen_addresses.clear();
  settings.node_tls = false;
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
  for (const auto& path : entries_if_exists(directory))
    if (std::ranges::find(but, path) == but.end()) remove_tree(path);
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
  if (makes_way(directory)) {  // one that was cut off; this one is told something else
    write_file_atomic(told_anew(directory).settings(), to_json(settings));
    marker.save(told_anew(directory));
    return;
  }
  remove_tree(beside.root());
  make_directories(beside.root());
  write_file_atomic(beside.settings(), to_json(settings));
  marker.save(beside);
  move(beside.root(), told_anew(directory).root());
}

// The volume itself and that of the logs in it are mounted, and stay.
void empty_volume(const StateDirectory& directory, const std::string& node) {
  const auto own = volume_of(node);
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

// What a replica needs in a container of its own; is there only once the replica can run.
void hand_over(const StateDirectory& whole, const std::string& node) {
  const auto own = volume_of(node);
  make_directories(own.secrets());
  write_file_atomic(own.replication_passfile(), read_file(whole.replication_passfile()));
  if (const auto record = NodeRecord::load(whole, "primary"))
    write_file_atomic(own.secrets() / "superuser", record->superuser);
  load_marker(whole).save(own);
}

// Lets what is said on the way go where a supervisor's words go, beside the node's other logs.
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

// Its warnings and the restarts of its server stay said.
SupervisorStatus before_it_is_made(const std::string& node, const Settings& settings,
                                   const RequestReport* rebuild) {
  auto told = read_status(volume_of(node)).value_or(SupervisorStatus{});
  SupervisorStatus status{.cluster_name = settings.cluster_name, .pid = ::getpid()};
  status.notices = std::move(told.notices);
  status.dropped_settings = std::move(told.dropped_settings);
  status.changed_settings = std::move(told.changed_settings);
  status.restarts = told.restarts;
  if (rebuild) status.request = *rebuild;
  return status;
}

void end(StatusBoard& board, RequestReport& report, const std::optional<Error>& failure) {
  report.state = failure ? "failed" : "done";
  if (failure) report.error = failure->text();
  report.ended_ms = unix_milliseconds();
  board.change([&](SupervisorStatus& status) { status.request = report; });
}

// A replica's part of the way up, with the primary in its own container: the volume has to be held.
// `rebuild` is null where it is only to be made whole.
void make_from_primary(Settings settings, const std::string& node, RequestReport* rebuild) {
  settings.primary_port = settings.replica_port = kContainerPort;
  const auto directory = seen_from_outside();
  // As the primary is that serves, whatever .env says since.
  settings.node_tls = from_json(read_file(directory.settings())).node_tls;
  StopSignals signals;
  auto marker = load_marker(directory);
  marker.socket_directory = kSockets;
  const SaidInLog said(directory.logs(node) / "supervisor.log");
  // Its own container says it on, where this comes to nothing.
  StatusBoard board(volume_of(node), before_it_is_made(node, settings, rebuild));
  const auto version =
      postgres::Version::parse(trim(read_file(directory.data("primary") / "PG_VERSION")));
  Workplace workplace(settings, directory, marker, board, signals.stop(), version,
                      binaries_of_image(version));
  Site& site = workplace.site();
  site.primary_host = host_of(settings, "primary");
  try {
    if (rebuild)
      check_rebuild(site, node);
    else
      check_primary_serves(site);
    board.enter(Phase::joining);
    if (rebuild) give_away(directory, node);
    write_source_conf(site);
    bring_up_replica(site, node);
    site.prefetch.stop();
    board.enter(Phase::stopping);
    site.servers.stop_all();
    hand_over(directory, node);
    if (rebuild) end(board, *rebuild, {});
    board.enter(Phase::stopped);
  } catch (const Error& original) {
    const auto error = in_words_of_docker(original);
    site.servers.stop_all();
    if (rebuild) end(board, *rebuild, error);
    board.change([&](SupervisorStatus& status) {
      status.error = error.text();
      status.exit_code = error.exit_code();
    });
    board.enter(Phase::failed);
    throw error;
  }
}

// Docker gives whoever names a volume the one that is there. Nothing is ours before there is a marker,
// but for what a node's container makes to wait in.
void refuse_foreign_volume(const StateDirectory& directory, const std::string& node) {
  const auto own = volume_of(node);
  if (Marker::load(own)) return;
  for (const auto& path : entries_if_exists(directory.node(node))) {
    if (path == own.root() || path == directory.logs(node) || path.filename() == "lost+found")
      continue;
    throw Error(ErrorKind::target_not_empty, "the volume of " + node + " holds " +
                                                 path.filename().string() +
                                                 ", which pgrevive did not make")
        .with_hint(
            "it is another cluster's: give this one a CLUSTER_NAME and DOCKER_VOLUMES of its own in "
            ".env; or remove the volume, if what it holds is not needed any more (docker volume rm)");
  }
}

// Whoever looks into the log of any node's container is to find there why it does not run.
void tell_others_why(const Settings& settings, const StateDirectory& directory) {
  const auto status = read_status(directory);
  if (!status || status->error.empty()) return;
  for (const auto& node : nodes_of(settings)) {
    if (node == "primary" || is_made(directory, node)) continue;
    StatusBoard board(
        volume_of(node),
        {.cluster_name = settings.cluster_name, .pid = ::getpid(), .error = status->error});
    board.enter(Phase::failed);
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
      if (!is_made(directory, node)) make_from_primary(settings, node, nullptr);
    return 0;
  }
  try {
    prepare(settings, directory, marker, owner, watch);
  } catch (const Error&) {
    tell_others_why(settings, directory);
    throw;
  }
  if (const int result = supervise(directory, Until::brought_up); result != 0) {
    tell_others_why(settings, directory);
    return result;
  }
  for (const auto& node : nodes) {
    if (node == "primary") continue;
    hand_over(directory, node);
    // What an attempt before this one failed with is over.
    std::error_code ignored;
    std::filesystem::remove(volume_of(node).status(), ignored);
  }
  return 0;
}

}  // namespace

int fill_volumes(const Settings& told, const PointWatch& watch) {
  auto settings = unheard(told);
  const auto owner = find_owner();
  const auto directory = volume_of("primary");
  for (const auto& node : nodes_of(settings)) {
    give(directory.node(node), owner);
    give(directory.logs(node), owner);
  }
  become(owner);

  auto marker = check_directory(settings, directory, owner);
  if (!marker) {
    for (const auto& node : nodes_of(settings)) refuse_foreign_volume(directory, node);
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

RequestReport rebuild_node(const Settings& told, const std::string& node) {
  RequestReport report{.act = std::string(name(Act::rebuild)),
                       .node = node,
                       .state = "working",
                       .began_ms = unix_milliseconds()};
  report.id = fmt::format("{}-{}", report.began_ms, ::getpid());
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
  make_from_primary(settings, node, &report);
  return report;
}

}  // namespace pgrevive::cluster::containers
