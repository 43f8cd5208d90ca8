#include "cluster/throughput.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/guarded.h"
#include "repository/layout.h"

namespace pgrevive::cluster {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;
using storage::Storage;

constexpr int kRoundTrips = 5;

// A piece large enough that a distant storage is not all round trips, and several of them at once.
constexpr std::uint64_t kPiece = 2 << 20;
constexpr unsigned kMostRequests = 8;

// A list is one request or, in a directory of thousands, a few.
constexpr int kMostLists = 24;

microseconds since(steady_clock::time_point began) {
  return std::chrono::duration_cast<microseconds>(steady_clock::now() - began);
}

struct Object {
  std::string path;
  std::uint64_t size = 0;
};

// Looks where the bulk of a backup lies: in its bundles, or among the files of its databases.
class Search {
 public:
  Search(const Storage& storage, std::uint64_t enough) : storage_(storage), enough_(enough) {}

  std::optional<Object> run(const std::string& stanza, const repository::Backup& backup) {
    // What an incremental backup did not copy lies in those that it refers to, the full one first.
    std::vector<repository::BackupLabel> labels{backup.label};
    labels.insert(labels.end(), backup.references.begin(), backup.references.end());
    for (const auto& label : labels) {
      const auto directory = repository::layout::backup_directory(stanza, label);
      if (over()) break;
      look(directory + "/bundle");
      if (over()) break;
      for (const auto& database : look(directory + "/pg_data/base")) {
        if (over()) break;
        look(directory + "/pg_data/base/" + database);
      }
    }
    return best_;
  }

 private:
  bool over() const { return lists_ >= kMostLists || (best_ && best_->size >= enough_); }

  // Remembers the largest object, and returns the directories.
  std::vector<std::string> look(const std::string& directory) {
    ++lists_;
    std::vector<std::string> directories;
    for (const auto& entry : storage_.list(directory)) {
      if (entry.directory) directories.push_back(entry.name);
      if (!entry.directory && (!best_ || entry.size > best_->size))
        best_ = Object{.path = directory + "/" + entry.name, .size = entry.size};
    }
    return directories;
  }

  const Storage& storage_;
  std::uint64_t enough_;
  int lists_ = 0;
  std::optional<Object> best_;
};

class CountingSink : public Sink {
 public:
  explicit CountingSink(std::atomic<std::uint64_t>& bytes) : bytes_(bytes) {}
  void write(ByteView bytes) override { bytes_ += bytes.size(); }
  void finish() override {}

 private:
  std::atomic<std::uint64_t>& bytes_;
};

}  // namespace

double Sample::bytes_per_second() const {
  return time.count() == 0 ? 0
                           : static_cast<double>(bytes) * 1e6 / static_cast<double>(time.count());
}

microseconds measure_round_trip(const Storage& storage, const std::string& object) {
  storage.stat(object);  // the connection is there after it
  std::array<microseconds, kRoundTrips> times{};
  for (auto& time : times) {
    const auto began = steady_clock::now();
    storage.stat(object);
    time = since(began);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

std::optional<Sample> measure_throughput(const Storage& storage, const std::string& stanza,
                                         const repository::Backup& backup, std::uint64_t most,
                                         std::chrono::milliseconds limit) {
  const auto object = Search(storage, most).run(stanza, backup);
  if (!object || object->size == 0) return {};
  const auto wanted = std::min(object->size, most);
  const auto pieces = (wanted + kPiece - 1) / kPiece;
  Sample sample{.object = object->path,
                .requests = static_cast<unsigned>(
                    std::min<std::uint64_t>({pieces, storage.advice().requests, kMostRequests}))};

  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> next{0};
  Guarded<std::exception_ptr> failure;
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable ended;
  unsigned running = sample.requests;
  const auto read = [&] {
    try {
      for (auto i = next++; i < pieces && !stop.stop_requested(); i = next++) {
        CountingSink sink(bytes);
        const auto offset = i * kPiece;
        storage.read(object->path,
                     storage::Range{.offset = offset, .length = std::min(kPiece, wanted - offset)},
                     sink, stop.get_token());
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::cancelled) *failure.lock() = std::current_exception();
    } catch (...) {
      *failure.lock() = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    --running;
    ended.notify_one();
  };
  const auto began = steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < sample.requests; ++i) threads.emplace_back(read);
    std::unique_lock lock(mutex);
    ended.wait_for(lock, limit, [&] { return running == 0; });
    sample.bytes = bytes;
    sample.time = since(began);
    lock.unlock();
    stop.request_stop();
  }
  if (const auto error = *failure.lock()) std::rethrow_exception(error);
  return sample;
}

}  // namespace pgrevive::cluster
