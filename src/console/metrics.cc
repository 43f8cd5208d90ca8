#include "console/metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "cluster/problems.h"
#include "postgres/lsn.h"

namespace pgrevive::console {
namespace {

using cluster::Phase;

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || c == '"') result += '\\';
    result += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return result;
}

// Collects samples, since all of one name have to stand together.
class Metrics {
 public:
  explicit Metrics(std::string cluster) : cluster_(std::move(cluster)) {}

  using Labels = std::vector<std::pair<std::string, std::string>>;

  void gauge(const std::string& name, const std::string& help, double value,
             const Labels& labels = {}) {
    add("gauge", name, help, value, labels);
  }
  void counter(const std::string& name, const std::string& help, double value,
               const Labels& labels = {}) {
    add("counter", name, help, value, labels);
  }

  std::string text() const {
    std::string text;
    for (const auto& family : families_)
      text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{3}", family.name, family.help,
                          family.type, family.samples);
    return text;
  }

 private:
  struct Family {
    std::string name, help, type, samples;
  };

  void add(const char* type, const std::string& name, const std::string& help, double value,
           const Labels& labels) {
    auto family = std::ranges::find(families_, "pgrevive_" + name, &Family::name);
    if (family == families_.end())
      family = families_.insert(
          families_.end(), {.name = "pgrevive_" + name, .help = help, .type = type, .samples = ""});
    std::string all = fmt::format("cluster=\"{}\"", escaped(cluster_));
    for (const auto& [label, text] : labels) all += fmt::format(",{}=\"{}\"", label, escaped(text));
    // Seventeen digits are what a double holds: bytes and LSNs stay exact.
    family->samples += fmt::format("{}{{{}}} {:.17g}\n", family->name, all, value);
  }

  std::string cluster_;
  std::vector<Family> families_;
};

double as_double(std::uint64_t value) { return static_cast<double>(value); }
double seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

constexpr std::array kPhases{Phase::preparing,  Phase::restoring,   Phase::recovering,
                             Phase::promoting,  Phase::configuring, Phase::joining,
                             Phase::reindexing, Phase::running,     Phase::stopping,
                             Phase::stopped,    Phase::failed};

void add_supervisor(Metrics& metrics, const View& view) {
  const auto& status = view.status;
  const auto problems = cluster::find_problems(status);
  const auto grave = std::ranges::count_if(problems, &cluster::Problem::grave);
  metrics.gauge("last_look_timestamp_seconds",
                "When the cluster was last looked at with success, Unix time: what the rest is of.",
                seconds(view.time_ms));
  metrics.gauge("healthy", "Whether the whole cluster is as it should be.",
                cluster::healthy(status) ? 1 : 0);
  metrics.gauge("problems", "Problems that status lists.", static_cast<double>(grave),
                {{"severity", "grave"}});
  metrics.gauge("problems", "", static_cast<double>(problems.size()) - static_cast<double>(grave),
                {{"severity", "minor"}});
  metrics.gauge("supervisor_up", "Whether somebody looks after the cluster.",
                status.supervisor_running ? 1 : 0);
  for (const auto phase : kPhases)
    metrics.gauge("phase", "What the supervisor is doing: 1 for the phase it is in.",
                  status.supervisor.phase == phase ? 1 : 0,
                  {{"phase", std::string(cluster::name(phase))}});
  metrics.counter("server_restarts_total", "Servers that died and were started again.",
                  status.supervisor.restarts);
}

void add_node(Metrics& metrics, const cluster::NodeStatus& node) {
  const Metrics::Labels labels{{"node", node.name}};
  metrics.gauge("node_up", "Whether the server accepts connections.",
                node.state == "accepting" ? 1 : 0, labels);
  metrics.gauge("node_disk_free_bytes", "Free space where its data lies.",
                as_double(node.disk_free_bytes), labels);
  metrics.gauge("node_disk_size_bytes", "Size of the file system where its data lies.",
                as_double(node.disk_total_bytes), labels);
  if (node.data_bytes > 0)
    metrics.gauge("node_data_bytes", "Size of its data directory and tablespaces.",
                  as_double(node.data_bytes), labels);
  if (node.state != "accepting") return;
  metrics.gauge("node_primary", "Whether the server takes writes.", node.role == "primary" ? 1 : 0,
                labels);
  metrics.gauge("node_timeline", "Its timeline.", node.timeline, labels);
  try {
    metrics.gauge("node_wal_position_bytes",
                  "How far its WAL is written (primary) or replayed (replica), from the beginning.",
                  as_double(postgres::Lsn::parse(node.lsn).value()), labels);
  } catch (const Error&) {
    // It has none to tell.
  }
  if (node.started_ms > 0)
    metrics.gauge("node_start_time_seconds", "When the server was started, Unix time.",
                  seconds(node.started_ms), labels);
  if (node.connections)
    metrics.gauge("node_connections", "Connections of clients, without our own.", *node.connections,
                  labels);
  if (node.max_connections)
    metrics.gauge("node_connections_max", "What max_connections allows.", *node.max_connections,
                  labels);
  if (node.role != "replica") return;
  metrics.gauge("replica_streaming", "Whether it streams from the primary.",
                node.replication == "streaming" ? 1 : 0, labels);
  if (node.lag_bytes)
    metrics.gauge("replica_lag_bytes", "WAL of the primary that it has not replayed.",
                  as_double(*node.lag_bytes), labels);
  if (node.lag_seconds)
    metrics.gauge("replica_lag_seconds", "How long the last WAL took to be replayed there.",
                  *node.lag_seconds, labels);
}

void add_archive(Metrics& metrics, const View& view) {
  const auto& status = view.status;
  // Of one that is on only the primary can tell, while it answers.
  if (status.archive.empty() || status.archiver || !status.archiving_ok)
    metrics.gauge("archive_healthy",
                  "Whether WAL is archived as it should be, or archiving is off; not told while "
                  "nobody knows.",
                  status.archiving_ok ? 1 : 0);
  if (!status.archiver) return;
  metrics.counter("archive_segments_total",
                  "WAL segments archived since the statistics were reset.",
                  static_cast<double>(status.archiver->archived));
  metrics.counter("archive_failures_total", "Attempts to archive that failed, since then.",
                  static_cast<double>(status.archiver->failed));
  if (status.archiver->last_archived_seconds_ago)
    metrics.gauge("archive_last_success_timestamp_seconds",
                  "When a segment was last archived, Unix time.",
                  seconds(view.time_ms) - *status.archiver->last_archived_seconds_ago);
}

void add_restore(Metrics& metrics, const View& view) {
  const auto& supervisor = view.status.supervisor;
  const auto& restore = supervisor.restore;
  metrics.gauge("restore_size_bytes", "Bytes of one node that the restore has to make.",
                as_double(restore.bytes_total));
  metrics.gauge("restore_done_bytes", "Bytes of one node that are made.",
                as_double(restore.bytes_done));
  metrics.gauge("restore_files", "Files that the restore has to make.",
                as_double(restore.files_total));
  metrics.gauge("restore_done_files", "Files that are made.", as_double(restore.files_done));
  metrics.gauge("restore_fetched_bytes", "Stored bytes that came from the repository.",
                as_double(restore.fetched));
  metrics.gauge("restore_requests", "Requests to the repository.", as_double(restore.requests));
  metrics.gauge("restore_retries", "Requests that had to be made again.",
                static_cast<double>(supervisor.restore_retries));
  metrics.gauge("restore_throttled_requests",
                "Of these, because the repository's server asked for fewer.",
                static_cast<double>(supervisor.restore_throttled));
  metrics.gauge("recovery_segments", "WAL segments to replay, 0 while it is not known.",
                static_cast<double>(supervisor.wal_segments_total));
  metrics.gauge("recovery_done_segments", "WAL segments that are replayed.",
                static_cast<double>(supervisor.wal_segments_done));
  if (view.status.restores.empty()) return;
  const auto& last = view.status.restores.front();
  metrics.gauge("last_restore_success", "Whether the last restore brought the cluster up.",
                last.outcome == "done" ? 1 : 0);
  metrics.gauge("last_restore_timestamp_seconds", "When the last restore ended, Unix time.",
                seconds(last.ended_ms()));
  metrics.gauge("last_restore_duration_seconds",
                "How long it took, from the start to the running cluster.",
                seconds(last.ended_ms() - last.began_ms()));
  metrics.gauge("last_restore_size_bytes", "Bytes of one node that it had to make.",
                as_double(last.progress.bytes_total));
}

void add_repository(Metrics& metrics, const RepositoryView& repository) {
  const bool has_source = !repository.place.empty() || !repository.error.empty();
  if (repository.read_ms == 0 || !has_source) return;
  metrics.gauge("repository_up", "Whether the repository of backups could be read.",
                repository.error.empty() ? 1 : 0);
  metrics.gauge("repository_read_timestamp_seconds", "When it was last looked into, Unix time.",
                seconds(repository.read_ms));
  if (const auto newest = newest_backup(repository))
    metrics.gauge("last_backup_timestamp_seconds", "When its newest backup stopped, Unix time.",
                  static_cast<double>(*newest));
  if (const auto windows = recoverable_windows(repository); !windows.empty()) {
    const auto& window = windows.back();
    metrics.gauge("recoverable_from_timestamp_seconds",
                  "The moment from which it can be recovered to any later one, Unix time.",
                  static_cast<double>(window.from));
    metrics.gauge(
        "recoverable_to_timestamp_seconds",
        "The latest moment it is known to reach, Unix time: its newest commit, as far as that "
        "can be read.",
        static_cast<double>(window.to));
  }
}

}  // namespace

std::string metrics_text(const View& view, const RepositoryView& repository) {
  Metrics metrics(view.status.cluster_name);
  add_supervisor(metrics, view);
  for (const auto& node : view.status.nodes) add_node(metrics, node);
  add_archive(metrics, view);
  add_restore(metrics, view);
  add_repository(metrics, repository);
  return metrics.text();
}

}  // namespace pgrevive::console
