#include "cluster/prefetch.h"

#include <algorithm>
#include <csignal>
#include <system_error>
#include <thread>

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/node_record.h"
#include "spool/spool.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kPrimary = "primary";
constexpr int kAttempts = 5;
constexpr std::chrono::seconds kRestartDelay{1};
constexpr std::chrono::seconds kStopLimit{5};
// One that has lived this long did not die of what the last one died of.
constexpr std::chrono::minutes kLongLife{10};

// What replicas will need is kept while the primary recovers. An eighth of the disk is not missed
// for that long.
std::uint64_t spool_bytes(const StateDirectory& directory) {
  constexpr std::uint64_t kCeiling = std::uint64_t{8} << 30;
  return std::clamp<std::uint64_t>(disk_space(directory.root()).free_bytes / 8, 1, kCeiling);
}

// One whose supervisor was killed may be about to end. If it does not, it goes on with files that
// nobody finds.
void remove_spool(const std::filesystem::path& spool) {
  std::error_code ignored;
  const auto end = std::chrono::steady_clock::now() + kStopLimit;
  while (std::filesystem::exists(spool / spool::kLock, ignored) &&
         !FileLock::try_acquire(spool / spool::kLock) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  remove_tree(spool);
}

}  // namespace

void Prefetch::start() {
  std::error_code ignored;
  std::vector<std::string> nodes;
  std::string from;
  const bool possible = std::filesystem::exists(directory_.archive_get(), ignored);
  for (const auto& node : node_names(settings_.replicas)) {
    if (!possible) break;
    const auto record = NodeRecord::load(directory_, node);
    const bool recovers =
        record && !record->backup_label.empty() && !record->joined && !record->promoted &&
        std::filesystem::exists(directory_.data(node) / "global" / "pg_control", ignored);
    if (!recovers) continue;
    nodes.push_back(node);
    if (record->online) from = record->archive_start;
  }
  // One that works for more goes on: it keeps what the primary was given for the replicas.
  const bool runs = std::ranges::all_of(
      nodes, [&](const auto& node) { return std::ranges::find(nodes_, node) != nodes_.end(); });
  if (runs && !nodes.empty()) return;
  // Also what one that was killed has left: it may be of another archive.
  stop();
  // An earlier primary's fork would end the work for this one.
  if (!nodes.empty() && nodes.front() == kPrimary)
    std::filesystem::remove(directory_.fork(), ignored);
  nodes_ = std::move(nodes);
  from_ = std::move(from);
  deaths_ = 0;
  if (!nodes_.empty()) launch();
}

void Prefetch::launch() {
  std::vector<std::string> arguments = {"prefetch",
                                        "--with-parent",
                                        std::to_string(::getpid()),
                                        "--config",
                                        directory_.source_conf().string(),
                                        "--stanza",
                                        settings_.repository.stanza,
                                        "--guard-tablespaces",
                                        "--spool-size",
                                        std::to_string(spool_bytes(directory_))};
  for (const auto& node : nodes_) {
    arguments.insert(arguments.end(), {"--node", node + "=" + directory_.data(node).string()});
    if (node != kPrimary)
      arguments.insert(arguments.end(), {"--fork", node + "=" + directory_.fork().string()});
  }
  if (!from_.empty()) arguments.insert(arguments.end(), {"--from", from_});
  launched_ = std::chrono::steady_clock::now();
  try {
    child_ = ChildProcess::start({.program = directory_.program(),
                                  .arguments = std::move(arguments),
                                  .log = directory_.prefetch_log()});
  } catch (const Error& error) {
    board_.log("the prefetcher of WAL does not start: " + error.text());
    nodes_.clear();
  }
}

void Prefetch::tick() {
  if (nodes_.empty()) return;
  const auto time = std::chrono::steady_clock::now();
  if (child_) {
    const auto end = child_->wait_for(std::chrono::milliseconds(0));
    if (!end) return;
    child_.reset();
    board_.log("the prefetcher of WAL ended (" + end->text() + "); its log is " +
               directory_.prefetch_log().string());
    if (time - launched_ > kLongLife) deaths_ = 0;
    if (++deaths_ >= kAttempts) {
      stop();
      return;
    }
    next_start_ = time + kRestartDelay * deaths_;
  }
  if (time >= next_start_) launch();
}

void Prefetch::stop() {
  if (child_) {
    child_->send(SIGTERM);
    child_->wait_for(kStopLimit);
    child_.reset();
  }
  for (const auto& node : node_names(settings_.replicas)) {
    for (const auto* wal : {"pg_wal", "pg_xlog"}) {
      try {
        remove_spool(directory_.data(node) / wal / spool::kDirectory);
      } catch (const Error& error) {
        board_.log("warning: " + error.text());
      }
    }
  }
  nodes_.clear();
}

}  // namespace pgrevive::cluster
