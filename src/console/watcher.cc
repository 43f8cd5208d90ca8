#include "console/watcher.h"

#include <algorithm>
#include <mutex>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cluster/settings.h"
#include "repository/open.h"

namespace pgrevive::console {
namespace {

using namespace std::chrono_literals;
using cluster::Phase;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr auto kWholeLookEvery = 60s;
constexpr auto kReadEvery = 10min;
constexpr auto kKeepEvery = 60s;
// A day of the most nodes that a history is read of has less.
constexpr std::uintmax_t kLongestHistory = 16 << 20;

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool is_at_work(const cluster::ClusterStatus& status) {
  const auto phase = status.supervisor.phase;
  return status.supervisor_running && phase != Phase::running && phase != Phase::failed;
}

void rest(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, time, [] { return false; });
}

std::int64_t phase_ms(const cluster::ClusterStatus& status, Phase wanted, std::int64_t now) {
  for (const auto& phase : status.supervisor.phases)
    if (phase.phase == wanted) return (phase.ended_ms == 0 ? now : phase.ended_ms) - phase.began_ms;
  return 0;
}

LagSample sample_of(const View& view) {
  LagSample sample{.time_ms = view.time_ms, .lags = {}};
  for (const auto& node : view.status.nodes)
    if (node.name != "primary")
      sample.lags[node.name] = {.bytes = node.lag_bytes, .seconds = node.lag_seconds};
  return sample;
}

LagHistory kept_history(const std::filesystem::path& path) {
  std::error_code failure;
  if (std::filesystem::file_size(path, failure) > kLongestHistory || failure) return {};
  try {
    return LagHistory::parse(read_file_if_exists(path).value_or("")).value_or(LagHistory());
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

Watcher::Watcher(cluster::StateDirectory directory, Told told)
    : directory_(std::move(directory)), told_(std::move(told)), kept_(Clock::now()) {
  state_.lock()->lags = kept_history(directory_.lags());
  look();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}
Watcher::~Watcher() = default;

std::shared_ptr<const View> Watcher::view() { return state_.lock()->view; }

json Watcher::history() {
  const auto samples = state_.lock()->lags.samples();
  json list = json::array();
  for (const auto& sample : samples) list.push_back(to_value(sample));
  return {{"samples", list}};
}

void Watcher::keep_history() {
  const auto text = state_.lock()->lags.text();
  const std::lock_guard lock(writing_);
  try {
    replace_file(directory_.lags(), text);
  } catch (const Error&) {
    // A chart is no reason to complain of a full disk, which others do.
  }
}

void Watcher::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    // In short naps, so that one who comes to watch need not wait.
    for (int i = 0; i < 5 && !stop.stop_requested(); ++i) {
      rest(stop, 1s);
      if (told_.somebody_watches() || is_at_work(view()->status)) break;
    }
    if (stop.stop_requested()) return;
    try {
      look();
    } catch (const std::exception&) {
      // Its files are being written or removed; what was seen last stays.
    }
    if (Clock::now() - kept_ >= kKeepEvery && !is_at_work(view()->status)) {
      kept_ = Clock::now();
      keep_history();
    }
  }
}

void Watcher::look() {
  const auto last = view();
  auto next = std::make_shared<View>();
  const auto now = Clock::now();
  // A restore has better use for the disk, and the first look keeps others waiting.
  const bool whole = last && !is_at_work(last->status) &&
                     (whole_look_ == Clock::time_point() || now - whole_look_ >= kWholeLookEvery);
  next->status =
      cluster::collect_status(directory_, whole ? cluster::Look::whole : cluster::Look::quick);
  next->time_ms = unix_ms();
  if (whole) {
    whole_look_ = now;
  } else if (!last) {
    next->status.adminer_answers = true;  // nobody asked yet
  } else {
    next->status.adminer_answers = last->status.adminer_answers || is_at_work(last->status) ||
                                   whole_look_ == Clock::time_point();
    for (std::size_t i = 0; i < std::min(next->status.nodes.size(), last->status.nodes.size()); ++i)
      next->status.nodes[i].data_bytes = last->status.nodes[i].data_bytes;
    // It has just come up: the first whole look says how large it is.
    if (is_at_work(last->status)) whole_look_ = now - kWholeLookEvery;
  }
  const auto& supervisor = next->status.supervisor;
  const auto& restore = supervisor.restore;
  const auto copied = restore.bytes_done - std::min(restore.bytes_done, restore.bytes_kept);
  const auto at = std::chrono::milliseconds(next->time_ms);
  if (next->status.supervisor_running && supervisor.phase == Phase::restoring) {
    bytes_.add(at, copied);
    next->bytes_per_second = bytes_.bytes_per_second();
    if (const auto left =
            bytes_.left(restore.bytes_total - std::min(restore.bytes_total, restore.bytes_kept)))
      next->left_ms = left->count();
  }
  if (const auto time = phase_ms(next->status, Phase::restoring, next->time_ms); time > 0)
    next->average_bytes_per_second = static_cast<double>(copied) * 1000 / static_cast<double>(time);
  if (next->status.supervisor_running && supervisor.phase == Phase::recovering) {
    // In thousandths: a pace below one unit a second counts as none.
    segments_.add(at, static_cast<std::uint64_t>(supervisor.wal_segments_done) * 1000);
    next->segments_per_second = segments_.bytes_per_second() / 1000;
    if (supervisor.wal_segments_total > 0)
      if (const auto left =
              segments_.left(static_cast<std::uint64_t>(supervisor.wal_segments_total) * 1000))
        next->wal_left_ms = left->count();
  }
  {
    auto state = state_.lock();
    state->view = next;
    state->lags.add(sample_of(*next));
  }
  told_.looked(*next);
}

RepositoryWatcher::RepositoryWatcher(cluster::StateDirectory directory,
                                     std::function<bool()> may_read)
    : directory_(std::move(directory)), may_read_(std::move(may_read)) {
  *view_.lock() = std::make_shared<const RepositoryView>();
  thread_ = std::jthread([this](const std::stop_token& stop) {
    auto next = Clock::now();
    while (!stop.stop_requested()) {
      if (Clock::now() >= next && may_read_()) {
        read();
        next = Clock::now() + kReadEvery;
      }
      rest(stop, 1s);
    }
  });
}
RepositoryWatcher::~RepositoryWatcher() = default;

std::shared_ptr<const RepositoryView> RepositoryWatcher::view() { return *view_.lock(); }

std::shared_ptr<const RepositoryView> RepositoryWatcher::read() {
  auto next = std::make_shared<RepositoryView>();
  try {
    const auto settings = cluster::from_json(read_file(directory_.settings()));
    if (settings.restore_from_backup) {
      next->place = settings.repository.describe();
      next->stanza = repository::report_stanza(repository::open_repository(settings.repository),
                                               {.recovery_points = true});
      next->error = why_unreadable(*next->stanza);
    }
  } catch (const Error& error) {
    next->error = error.what();
  }
  next->read_ms = unix_ms();
  *view_.lock() = next;
  return next;
}

}  // namespace pgrevive::console
