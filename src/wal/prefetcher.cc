#include "wal/prefetcher.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "wal/archive_get.h"
#include "wal/copies.h"
#include "wal/prefetch_plan.h"
#include "wal/spool_directory.h"
#include "wal/tablespace_records.h"

namespace pgrevive::wal {

namespace {

using postgres::WalSegment;
using repository::ArchivedSegment;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

// A source that lives archives more; and who replays all there is need not be told at once.
constexpr auto kLookAgain = 5s;
// A look that is this young answers a question for a segment that is not there.
constexpr auto kYoungLook = 500ms;
// While the archive cannot be listed, the pause is doubled from kYoungLook up to this.
constexpr auto kLookPause = 30s;
// What is not even being fetched after this time is better looked for by archive-get, which has no
// hanging fetch before it.
constexpr auto kPickUp = 2s;
// A fetch that gets nothing for this long has a storage in trouble, and archive-get says so.
constexpr auto kNoProgress = 30s;
// What could not be fetched is left to archive-get for this long.
constexpr auto kAvoid = 10s;
constexpr auto kHeartbeat = 1s;
constexpr auto kTick = 200ms;
constexpr auto kLookForEnd = 2s;

struct Client {
  Fd connection;
  std::size_t node = 0;
  std::optional<WalSegment> segment;  // empty until it has asked
  steady_clock::time_point asked;
};

}  // namespace

class Prefetcher::Work {
 public:
  explicit Work(PrefetchOptions options)
      : options_(std::move(options)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!wake_) throw system_error(errno, "cannot make an event");
    if (!options_.free_bytes)
      options_.free_bytes = [](const auto& path) { return disk_space(path).free_bytes; };
    // One at least for each server that replays, and so first for one kind and then for the other.
    const auto replicas = static_cast<std::size_t>(
        std::ranges::count_if(options_.nodes, [](const auto& node) { return !node.fork.empty(); }));
    limits_.files = std::max({std::size_t{1}, replicas, options_.nodes.size() - replicas,
                              options_.spool_bytes / options_.segment_size});
    limits_.ahead = std::max<std::size_t>(1, std::min(limits_.ahead, limits_.files / 2));
    for (const auto& node : options_.nodes) {
      auto& spool = spools_.emplace_back(std::make_unique<SpoolDirectory>(node.data_directory));
      auto& reader = state_.readers.emplace_back();
      reader.next = options_.from;
      reader.waiting = !node.fork.empty();
      if (!reader.waiting) spool->open(key({}));
    }
    state_.ready.resize(options_.nodes.size());
    state_.fetching.resize(options_.nodes.size());
    state_.unwritable.resize(options_.nodes.size());
  }

  void run(const std::stop_token& stop) {
    std::stop_source end;
    const std::stop_callback both(stop, [&] { end.request_stop(); });
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < std::max(1u, options_.jobs); ++i)
      workers.emplace_back([this, token = end.get_token()] { work(token); });
    try {
      serve(end.get_token());
    } catch (...) {
      end.request_stop();
      throw;
    }
    end.request_stop();
  }

  Totals totals() {
    const std::lock_guard lock(mutex_);
    return state_.totals;
  }

 private:
  // What is known of one segment: who has it, in the order of archives.
  struct Found {
    std::size_t archive;
    ArchivedSegment segment;
  };

  struct State {
    std::vector<Reader> readers;              // `held` is ready and on the way
    std::vector<std::set<WalSegment>> ready;  // of `held`: whole, in the spool
    std::vector<std::map<WalSegment, std::shared_ptr<Progress>>> fetching;  // the rest of `held`
    // When a file could last not be written for that server.
    std::vector<std::optional<steady_clock::time_point>> unwritable;
    KnownSegments known;
    std::map<WalSegment, std::vector<Found>> found;
    std::uint64_t covered = 0;  // places below this were looked at
    std::map<WalSegment, steady_clock::time_point> avoided;
    std::optional<WalSegment> look_for;  // somebody asks for it, and it is not known
    bool looking = false;
    std::uint64_t changes = 0;  // counted, so that a worker that looked before one sees it
    std::optional<std::uint64_t> tidied;             // `changes` when nothing useless was left
    std::optional<steady_clock::time_point> looked;  // when the last look began
    unsigned failed_looks = 0;                       // since the last one that went well
    std::optional<steady_clock::time_point> active;  // when somebody asked for anything
    Totals totals;
  };

  spool::Key key(const std::string& fork) const {
    return {.boot_id = spool::boot_id(),
            .system_id = options_.cluster.system_id,
            .archive = options_.archive_name,
            .fork = fork};
  }

  void log(const std::string& line) const {
    if (options_.log) options_.log(line);
  }

  // ------------------------------------------------------------------ fetching: the workers

  void work(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::unique_lock lock(mutex_);
      const auto seen = state_.changes;
      look_at_disks();
      drop_useless();
      if (look_is_due()) {
        look(lock);
      } else if (auto fetch = next_fetch(state_.readers, state_.known, avoid(), limits_)) {
        this->fetch(*fetch, lock, stop);
      } else {
        changed_.wait_for(lock, stop, kTick, [&] { return state_.changes != seen; });
      }
    }
  }

  std::set<WalSegment> avoid() {
    std::erase_if(state_.avoided,
                  [](const auto& entry) { return entry.second + kAvoid < steady_clock::now(); });
    std::set<WalSegment> segments;
    for (const auto& [segment, since] : state_.avoided) segments.insert(segment);
    return segments;
  }

  bool look_is_due() const {
    if (state_.looking) return false;
    const auto since =
        state_.looked ? steady_clock::now() - *state_.looked : steady_clock::duration::max();
    if (state_.failed_looks > 0 &&
        since < std::min<steady_clock::duration>(
                    kLookPause, kYoungLook * (1 << std::min(state_.failed_looks, 6u))))
      return false;
    if (state_.look_for && since > kYoungLook) return true;
    const auto ahead = window(state_.readers, limits_);
    for (const auto& reader : state_.readers) {
      if (reader.waiting || reader.finished || !reader.next) continue;
      if (!state_.looked) return true;
      if (reader.next->number() + ahead > state_.covered && since > kYoungLook) return true;
      if (since > kLookAgain && state_.active && steady_clock::now() - *state_.active < 60s &&
          upcoming(reader, state_.known, ahead).size() < ahead)
        return true;
    }
    return false;
  }

  // Lists the archives around what the servers are at. An archive that cannot be listed has nothing
  // for us; that nothing is proven by it is no harm here.
  void look(std::unique_lock<std::mutex>& lock) {
    std::vector<WalSegment> places;
    for (const auto& reader : state_.readers) {
      if (reader.next && !reader.finished) places.push_back(*reader.next);
    }
    if (state_.look_for) places.push_back(*state_.look_for);
    if (places.empty()) return;
    const auto by_number = [](const auto& a, const auto& b) { return a.number() < b.number(); };
    const auto first = std::ranges::min(places).timeline();
    const auto from = std::ranges::min(places, by_number).on(first);
    const auto per_directory = (std::uint64_t{1} << 32) / from.segment_size();
    const auto last = std::ranges::max(places, by_number).number() + limits_.files;
    const WalSegment to(first, last, from.segment_size());

    state_.looking = true;
    state_.look_for.reset();  // whoever asks from here on wants a look that begins later
    const auto began = steady_clock::now();
    lock.unlock();
    std::map<WalSegment, std::vector<Found>> found;
    bool listed = false;
    for (std::size_t i = 0; i < options_.archives.size(); ++i) {
      try {
        add(found, i, options_.archives[i]->find_segments(from.name(), to.name()));
        listed = true;
      } catch (const std::exception& error) {
        log(fmt::format("warning: cannot list the archive: {}", error.what()));
      }
    }
    lock.lock();
    state_.looking = false;
    state_.looked = began;
    state_.failed_looks = listed ? 0 : state_.failed_looks + 1;
    tell();
    if (!listed) return;
    state_.covered = (last / per_directory + 1) * per_directory;
    state_.known.clear();
    for (const auto& [segment, where] : found)
      state_.known[segment.timeline()].insert(segment.number());
    state_.found = std::move(found);
    for (std::size_t node = 0; node < state_.readers.size(); ++node) {
      const auto& asked = state_.readers[node].asked;
      if (asked && state_.found.contains(*asked)) reach(node, *asked);
    }
  }

  // A segment that one archive has twice with different contents is none for us.
  void add(std::map<WalSegment, std::vector<Found>>& found, std::size_t archive,
           const std::vector<ArchivedSegment>& segments) const {
    std::map<WalSegment, ArchivedSegment> own;
    std::set<WalSegment> twice;
    for (const auto& segment : segments) {
      const auto place = WalSegment::parse(segment.name, options_.segment_size);
      const auto [first, added] = own.emplace(place, segment);
      if (!added && first->second.checksum != segment.checksum) twice.insert(place);
    }
    for (const auto& [place, segment] : own) {
      if (!twice.contains(place)) found[place].push_back({archive, segment});
    }
  }

  void fetch(const Fetch& fetch, std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
    const auto found = state_.found[fetch.segment];
    const auto progress = std::make_shared<Progress>();
    for (const auto reader : fetch.readers) {
      state_.readers[reader].held.insert(fetch.segment);
      state_.fetching[reader][fetch.segment] = progress;
    }
    lock.unlock();
    std::string trouble = "the archive has it no more";
    std::optional<Copies> copies;
    for (const auto& [archive, segment] : found) {
      try {
        copies.emplace(stop, progress);
        for (const auto reader : fetch.readers)
          copies->add(spools_[reader]->temporary(fetch.segment.name()));
        SegmentHead head(*copies, fetch.segment.segment_size());
        options_.archives[archive]->read_segment(segment, head);
        head.check(segment, fetch.segment, options_.cluster);
        if (options_.guard_tablespaces && touches_tablespaces(*copies)) {
          trouble = "it may make a tablespace";
          break;
        }
        lock.lock();
        ++state_.totals.fetched;
        lay(fetch, *copies);
        return;
      } catch (const std::exception& error) {
        if (lock.owns_lock()) lock.unlock();
        trouble = error.what();
      }
    }
    if (!stop.stop_requested())
      log(fmt::format("warning: {} is left to archive-get: {}", fetch.segment.name(), trouble));
    lock.lock();
    for (std::size_t i = 0; i < fetch.readers.size(); ++i) {
      release(fetch.readers[i], fetch.segment);
      if (copies && !copies->why(i).empty()) give_up_disk(fetch.readers[i], copies->why(i));
    }
    state_.avoided[fetch.segment] = steady_clock::now();
    tell();
  }

  static bool touches_tablespaces(const Copies& copies) {
    bool touches = false;
    copies.show([&](ByteView segment) {
      touches = !find_tablespace_records(segment).records.empty() ||
                may_end_tablespace_record(segment);
    });
    return touches;
  }

  // Names the files. Under the lock, because what the servers may have can have become known
  // meanwhile.
  void lay(const Fetch& fetch, Copies& copies) {
    std::vector<std::string> names;
    const auto name = fetch.segment.name();
    for (std::size_t i = 0; i < fetch.readers.size(); ++i) {
      const auto node = fetch.readers[i];
      auto& reader = state_.readers[node];
      if (reader.finished || (reader.allows && !reader.allows(fetch.segment))) {
        release(node, fetch.segment);
        continue;
      }
      if (!copies.publish(
              i, reader.waiting ? spools_[node]->kept(name) : spools_[node]->ready(name))) {
        release(node, fetch.segment);
        give_up_disk(node, copies.why(i));
        continue;
      }
      state_.ready[node].insert(fetch.segment);
      state_.fetching[node].erase(fetch.segment);
      ++state_.totals.laid;
      names.push_back(options_.nodes[node].name);
    }
    if (!names.empty()) log(fmt::format("{} for {}", name, fmt::join(names, ", ")));
    tell();
  }

  void release(std::size_t node, const WalSegment& segment) {
    state_.readers[node].held.erase(segment);
    state_.ready[node].erase(segment);
    state_.fetching[node].erase(segment);
  }

  // Called with the lock held: for a while that server is left to archive-get.
  void give_up_disk(std::size_t node, const std::string& why) {
    state_.readers[node].asked.reset();
    state_.unwritable[node] = steady_clock::now();
    log(fmt::format("warning: {}: {}", options_.nodes[node].name, why));
  }

  // ------------------------------------------------------------------ serving: the main thread

  void serve(const std::stop_token& stop) {
    auto next_heartbeat = steady_clock::now() + kHeartbeat;
    auto next_look_for_end = steady_clock::now();
    while (!stop.stop_requested()) {
      std::vector<pollfd> descriptors = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
      for (const auto& spool : spools_) {
        descriptors.push_back({.fd = spool->watch(), .events = POLLIN, .revents = 0});
        descriptors.push_back({.fd = spool->socket(), .events = POLLIN, .revents = 0});
      }
      for (const auto& client : clients_)
        descriptors.push_back({.fd = client.connection.get(), .events = POLLIN, .revents = 0});
      ::poll(descriptors.data(), descriptors.size(),
             static_cast<int>(std::chrono::milliseconds(kTick).count()));
      std::uint64_t count = 0;
      (void)!::read(wake_.get(), &count, sizeof count);

      note_taken();
      accept_clients();
      hear_clients();
      answer_clients();
      const auto time = steady_clock::now();
      if (time >= next_heartbeat) {
        next_heartbeat = time + kHeartbeat;
        for (const auto& client : clients_) say(client, spool::Answer::working);
        for (auto& spool : spools_) spool->mend_socket();
      }
      look_for_forks();
      if (time >= next_look_for_end) {
        next_look_for_end = time + kLookForEnd;
        const bool wanted = std::ranges::any_of(
            options_.nodes, [](const auto& node) { return in_recovery(node.data_directory); });
        if (!wanted && !options_.until_stopped) return;
      }
    }
  }

  void note_taken() {
    for (std::size_t node = 0; node < spools_.size(); ++node) {
      for (const auto& name : spools_[node]->taken()) {
        const auto segment = segment_named(name);
        if (!segment) continue;
        const std::lock_guard lock(mutex_);
        if (!state_.ready[node].contains(*segment)) continue;  // moved by us
        release(node, *segment);
        state_.readers[node].next = segment->next();
        state_.active = steady_clock::now();
        ++state_.totals.taken;
        wake_workers();
      }
    }
  }

  // Empty also for digits that no segment of that size has.
  std::optional<WalSegment> segment_named(const std::string& name) const {
    if (!spool::is_segment_name(name)) return {};
    try {
      return WalSegment::parse(name, options_.segment_size);
    } catch (const Error&) {
      return {};
    }
  }

  void accept_clients() {
    for (std::size_t node = 0; node < spools_.size(); ++node) {
      while (auto connection = spools_[node]->accept())
        clients_.push_back({.connection = std::move(*connection),
                            .node = node,
                            .segment = std::nullopt,
                            .asked = steady_clock::now()});
    }
  }

  void hear_clients() {
    std::erase_if(clients_, [&](Client& client) {
      char question[64];
      const auto size = ::recv(client.connection.get(), question, sizeof question, MSG_DONTWAIT);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
      const bool good = size > 0 && hear(client, {question, static_cast<std::size_t>(size)});
      if (size > 0 && !good) say(client, spool::Answer::not_from_me);
      if (!good) forget(client);
      return !good;
    });
  }

  bool hear(Client& client, const std::string& question) {
    const auto space = question.find(' ');
    if (space == std::string::npos || spools_[client.node]->key().empty() ||
        question.substr(0, space) != spools_[client.node]->key())
      return false;
    const auto named = segment_named(question.substr(space + 1));
    if (!named) return false;
    const auto& segment = *named;
    const std::lock_guard lock(mutex_);
    auto& reader = state_.readers[client.node];
    if (reader.finished || unwritable(client.node) || (reader.allows && !reader.allows(segment)))
      return false;
    client.segment = segment;
    client.asked = steady_clock::now();
    state_.active = client.asked;
    reader.asked = segment;
    if (state_.found.contains(segment)) {
      reach(client.node, segment);
    } else {
      state_.look_for = segment;
    }
    wake_workers();
    return true;
  }

  void answer_clients() {
    std::erase_if(clients_, [&](const Client& client) {
      const auto answer = answer_for(client);
      if (answer == spool::Answer::working) return false;
      say(client, answer);
      forget(client);
      return true;
    });
  }

  spool::Answer answer_for(const Client& client) {
    if (!client.segment) return spool::Answer::working;
    const std::lock_guard lock(mutex_);
    if (state_.ready[client.node].contains(*client.segment)) return spool::Answer::ready;
    if (state_.avoided.contains(*client.segment) || unwritable(client.node))
      return spool::Answer::not_from_me;
    const auto& fetching = state_.fetching[client.node];
    if (const auto fetch = fetching.find(*client.segment); fetch != fetching.end())
      return fetch->second->silence() < kNoProgress ? spool::Answer::working
                                                    : spool::Answer::not_from_me;
    if (steady_clock::now() - client.asked > kPickUp) return spool::Answer::not_from_me;
    if (state_.found.contains(*client.segment)) return spool::Answer::working;
    if (state_.failed_looks > 0 && !state_.looking) return spool::Answer::not_from_me;
    const bool looked = state_.looked && *state_.looked + kYoungLook > client.asked;
    return looked && !state_.looking ? spool::Answer::not_from_me : spool::Answer::working;
  }

  // Called with the lock held. Servers that have asked for nothing yet were restored from the same
  // backup, and will begin near where the first one does.
  void reach(std::size_t node, const WalSegment& segment) {
    state_.readers[node].next = segment;
    for (auto& reader : state_.readers) {
      if (!reader.next) reader.next = segment;
    }
  }

  static void say(const Client& client, spool::Answer answer) {
    const char byte = static_cast<char>(answer);
    ::send(client.connection.get(), &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void forget(const Client& client) {
    if (!client.segment) return;
    const std::lock_guard lock(mutex_);
    auto& reader = state_.readers[client.node];
    if (reader.asked == client.segment) reader.asked.reset();
  }

  // A primary that has left the source's history has written the fork file: replicas may have what
  // the rule allows them, and the primary wants no more.
  void look_for_forks() {
    for (std::size_t node = 0; node < spools_.size(); ++node) {
      const auto& file = options_.nodes[node].fork;
      if (file.empty() || !spools_[node]->key().empty()) continue;
      const auto text = read_file_if_exists(file);
      if (!text) continue;
      const auto fork = std::make_shared<Fork>(Fork::parse(*text, file));
      const std::lock_guard lock(mutex_);
      spools_[node]->open(key(*text));
      auto& reader = state_.readers[node];
      reader.waiting = false;
      reader.allows = [fork](const WalSegment& segment) {
        return fork->allows(segment.name(), segment.segment_size());
      };
      for (const auto& segment : std::set<WalSegment>(state_.ready[node])) {
        const auto kept = spools_[node]->kept(segment.name());
        if (reader.allows(segment) &&
            ::rename(kept.c_str(), spools_[node]->ready(segment.name()).c_str()) == 0)
          continue;
        ::unlink(kept.c_str());
        release(node, segment);
      }
      for (std::size_t other = 0; other < spools_.size(); ++other)
        state_.readers[other].finished |= options_.nodes[other].fork.empty();
      log(fmt::format("{}: its primary has left the source's history", options_.nodes[node].name));
      wake_workers();
    }
  }

  // Called with the lock held.
  bool unwritable(std::size_t node) const {
    const auto& since = state_.unwritable[node];
    return since && steady_clock::now() - *since < kAvoid;
  }

  // Called with the lock held. A server's own files come before what it may ask for some day.
  void look_at_disks() {
    for (std::size_t node = 0; node < spools_.size(); ++node) {
      auto& reader = state_.readers[node];
      std::uint64_t free = 0;
      try {
        free = options_.free_bytes(spools_[node]->path());
      } catch (const Error&) {
        // Then the disk is no place to fill.
      }
      const bool no_room = unwritable(node);
      reader.full = no_room || free < options_.spool_bytes + options_.segment_size;
      if (no_room || (reader.waiting && free < options_.spool_bytes)) drop_unasked(node);
    }
  }

  // Called with the lock held.
  void drop_unasked(std::size_t node) {
    for (const auto& segment : std::set<WalSegment>(state_.ready[node]))
      if (segment != state_.readers[node].asked) drop(node, segment);
  }

  // Called with the lock held.
  void drop(std::size_t node, const WalSegment& segment) {
    const auto path = state_.readers[node].waiting ? spools_[node]->kept(segment.name())
                                                   : spools_[node]->ready(segment.name());
    ::unlink(path.c_str());
    release(node, segment);
  }

  // Called with the lock held, wherever room may be wanting.
  void drop_useless() {
    if (state_.tidied == state_.changes) return;
    state_.tidied = state_.changes;
    const bool full = held_by_all(state_.readers) >= limits_.files;
    for (std::size_t node = 0; node < spools_.size(); ++node) {
      const auto& reader = state_.readers[node];
      if (!full && !reader.finished) continue;
      for (const auto& segment : useless(reader, state_.known, limits_)) {
        if (!state_.ready[node].contains(segment)) continue;  // still on the way
        drop(node, segment);
      }
    }
  }

  // Called with the lock held: workers and the main thread look what has changed.
  void tell() {
    wake_workers();
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }

  void wake_workers() {
    ++state_.changes;
    changed_.notify_all();
  }

  PrefetchOptions options_;
  PlanLimits limits_;
  Fd wake_;
  std::vector<std::unique_ptr<SpoolDirectory>> spools_;
  std::vector<Client> clients_;  // of the main thread

  std::mutex mutex_;
  std::condition_variable_any changed_;
  State state_;
};

Prefetcher::Prefetcher(PrefetchOptions options)
    : work_(std::make_unique<Work>(std::move(options))) {}
Prefetcher::~Prefetcher() = default;
void Prefetcher::run(const std::stop_token& stop) { work_->run(stop); }
Prefetcher::Totals Prefetcher::totals() const { return work_->totals(); }

}  // namespace pgrevive::wal
