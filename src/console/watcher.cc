#include "console/watcher.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cluster/settings.h"
#include "console/secrets.h"
#include "repository/open.h"

namespace pgrevive::console {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr auto kReadEvery = 10min;
constexpr auto kKeepEvery = 60s;

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void rest(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

Watcher::Watcher(cluster::StateDirectory directory, Told told)
    : directory_(std::move(directory)),
      told_(std::move(told)),
      onlooker_(directory_),
      kept_(Clock::now()) {
  state_.lock()->lags = kept_lags(directory_);
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

void Watcher::tell_failure(const std::string& why) {
  auto next = std::make_shared<View>(*view());
  next->failure = why.empty() ? "no reason is known" : why;
  mask_errors(*next, secrets_);
  state_.lock()->view = next;
  told_.looked(*next);
}

void Watcher::run(const std::stop_token& stop) {
  bool failed = false;
  while (!stop.stop_requested()) {
    // In short naps, so that one who comes to watch need not wait.
    for (int i = 0; i < 5 && !stop.stop_requested(); ++i) {
      rest(stop, 1s);
      if (told_.somebody_watches() || cluster::is_at_work(view()->status)) break;
    }
    if (stop.stop_requested()) return;
    try {
      look();
      failed = false;
    } catch (const std::exception& error) {
      // What was seen last stays. One look alone may find that files are just being replaced.
      if (std::exchange(failed, true)) tell_failure(error.what());
    }
    if (Clock::now() - kept_ >= kKeepEvery && !cluster::is_at_work(view()->status)) {
      kept_ = Clock::now();
      keep_history();
    }
  }
}

void Watcher::look() {
  const auto next = std::make_shared<View>(View{{onlooker_.look()}, {}});
  secrets_ = known_secrets(directory_);
  mask_errors(*next, secrets_);
  {
    auto state = state_.lock();
    state->view = next;
    state->lags.add(lag_sample(*next));
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
      auto commits = commits_.lock();
      next->stanza = repository::report_stanza(
          repository::open_repository(settings.repository),
          {.recovery_points = true, .newest_commit = [&](const auto& archive, const auto& segment) {
             return (*commits)(archive, segment);
           }});
      cluster::reach_newest_commits(*next->stanza);
      next->error = why_unreadable(*next->stanza);
    }
  } catch (const std::exception& error) {
    // Also what only a broken library throws: nobody else would catch it.
    next->error = error.what();
  }
  mask_errors(*next, known_secrets_if_any(directory_));
  next->read_ms = unix_ms();
  *view_.lock() = next;
  return next;
}

}  // namespace pgrevive::console
