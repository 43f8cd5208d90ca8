#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/guarded.h"
#include "storage/storage.h"

namespace pgrevive::test {

// A repository in memory, which keeps every promise of storage::Storage (the same contract tests
// run against it) and can be made to fail:
//
//   MemoryStorage storage;
//   storage.put("backup/main/backup.info", text);
//   storage.fail("backup/main/20240115-020000F/pg_data/PG_VERSION.gz",
//                Error(ErrorKind::unavailable, "cut"), /*after_bytes=*/10);
//
// Any thread may call anything.
class MemoryStorage : public storage::Storage {
 public:
  struct Read {
    std::string path;
    std::optional<std::pair<std::uint64_t, std::uint64_t>> range;  // offset, length

    bool operator==(const Read&) const = default;
  };

  void put(const std::string& path, std::string_view text) {
    state_.lock()->objects[path] = std::string(text);
  }
  void put(const std::string& path, ByteView bytes) { put(path, as_text(bytes)); }
  void remove(const std::string& path) { state_.lock()->objects.erase(path); }

  // From here on every look at the object, and every read of it after `after_bytes` bytes, throws.
  void fail(const std::string& path, const Error& error, std::uint64_t after_bytes = 0) {
    state_.lock()->failures.insert_or_assign(path, std::pair(error, after_bytes));
  }
  void heal(const std::string& path) { state_.lock()->failures.erase(path); }

  // How many bytes a sink is given at once; small, so that code which takes the first piece for the
  // whole fails its tests.
  void set_piece(std::size_t bytes) { piece_ = bytes; }

  // What was read since the last call, in order.
  std::vector<Read> take_reads() { return std::exchange(state_.lock()->reads, {}); }

  std::string describe(const std::string& path) const override { return "memory:" + path; }

  std::optional<std::uint64_t> stat(const std::string& path) const override {
    auto state = state_.lock();
    if (const auto failure = state->failures.find(path); failure != state->failures.end()) {
      throw Error(failure->second.first);
    }
    const auto found = state->objects.find(path);
    if (found == state->objects.end()) return {};
    return found->second.size();
  }

  std::vector<storage::Entry> list(const std::string& directory) const override {
    auto state = state_.lock();
    if (const auto failure = state->failures.find(directory); failure != state->failures.end()) {
      throw Error(failure->second.first);
    }
    const std::string prefix = directory.empty() ? "" : directory + "/";
    std::map<std::string, storage::Entry> entries;
    for (const auto& [path, text] : state->objects) {
      if (!path.starts_with(prefix)) continue;
      const std::string rest = path.substr(prefix.size());
      const auto slash = rest.find('/');
      const std::string name = rest.substr(0, slash);
      if (slash != std::string::npos) {
        entries[name] = {.name = name, .directory = true};
      } else {
        entries[name] = {.name = name, .size = text.size()};
      }
    }
    std::vector<storage::Entry> sorted;
    for (auto& [name, entry] : entries) sorted.push_back(std::move(entry));
    return sorted;
  }

  void read(const std::string& path, std::optional<storage::Range> range, Sink& sink,
            std::stop_token stop = {}) const override {
    if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "reading was stopped");
    std::string text;  // a copy, because the sink is ours to call without a lock
    std::optional<std::pair<Error, std::uint64_t>> failure;
    {
      auto state = state_.lock();
      Read read{.path = path};
      if (range) read.range.emplace(range->offset, range->length);
      state->reads.push_back(std::move(read));
      const auto found = state->objects.find(path);
      if (const auto bad = state->failures.find(path); bad != state->failures.end()) {
        failure = bad->second;
      }
      if (found == state->objects.end()) {
        if (failure) throw Error(failure->first);
        throw Error(ErrorKind::not_found, describe(path) + " does not exist");
      }
      text = found->second;
    }
    std::string_view part = text;
    if (range) {
      if (range->offset > text.size() || range->length > text.size() - range->offset) {
        throw Error(ErrorKind::corrupt, describe(path) + " ends before the range does");
      }
      part = part.substr(range->offset, range->length);
    }
    const std::size_t good =
        failure ? std::min<std::size_t>(part.size(), failure->second) : part.size();
    for (std::size_t at = 0; at < good; at += piece_) {
      sink.write(as_bytes(part.substr(at, std::min(piece_, good - at))));
    }
    if (failure) throw Error(failure->first);
  }

 private:
  struct State {
    std::map<std::string, std::string> objects;
    std::map<std::string, std::pair<Error, std::uint64_t>> failures;
    std::vector<Read> reads;
  };
  mutable Guarded<State> state_;
  std::size_t piece_ = 1000;
};

}  // namespace pgrevive::test
