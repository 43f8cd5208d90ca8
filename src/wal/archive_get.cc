#include "wal/archive_get.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <limits>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "postgres/wal_name.h"
#include "wal/gap.h"
#include "wal/segment_file.h"

namespace pgrevive::wal {

namespace {

using postgres::Timeline;
using postgres::TimelineHistory;
using postgres::WalFileKind;
using postgres::WalSegment;
using repository::WalArchive;

constexpr std::chrono::milliseconds kLookAgain{1000};

// `deliver` answers from one archive; the first that has the file wins. Trouble with one archive is
// thrown when no other delivers, whatever the others say: the file may have been there.
bool from_any(const std::vector<const WalArchive*>& archives,
              const std::function<bool(const WalArchive&)>& deliver) {
  std::exception_ptr trouble;
  for (const auto* archive : archives) {
    try {
      if (deliver(*archive)) return true;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::internal) throw;
      if (!trouble) trouble = std::current_exception();
    }
  }
  if (trouble) std::rethrow_exception(trouble);
  return false;
}

std::filesystem::path temporary_name(const std::filesystem::path& destination) {
  return destination.string() + ".pgrevive.tmp";
}

void deliver_text(const std::string& text, const Request& request) {
  WalFile file(temporary_name(request.destination));
  file.write(as_bytes(text));
  file.finish();
  file.sync();
  file.publish(request.destination);
}

// The place in the log that a segment, its ".partial" or its ".backup" name begins with.
WalSegment segment_in(std::string_view name, std::uint32_t segment_size) {
  return WalSegment::parse(name.substr(0, 24), segment_size);
}

// Whether the log that the server reads can have come from that segment: another timeline's of the
// same place holds other records.
bool may_have_read(const Request& request, const WalSegment& segment) {
  if (request.line) return request.line->place(segment.name()) == FollowedLine::Place::on_it;
  if (!request.fork) return true;
  return request.fork->is_own(segment.name()) ||
         request.fork->allows(segment.name(), segment.segment_size());
}

// The record that the segment's predecessor ends in. The server has just replayed that one, so it
// mostly lies beside the destination; else it is read once more.
UnfinishedRecord unfinished_before(const WalArchive& archive, const WalSegment& segment,
                                   const Request& request) {
  if (segment.number() == 0) return {};
  // Where the timeline began in the segment, its predecessor is of an older one.
  for (auto timeline = segment.timeline().value(); timeline > 0; --timeline) {
    const WalSegment before(Timeline(timeline), segment.number() - 1, segment.segment_size());
    if (!may_have_read(request, before)) continue;
    const auto file = request.destination.parent_path() / before.name();
    if (const auto text = read_file_if_exists(file)) {
      auto found = find_tablespace_records(as_bytes(*text)).unfinished;
      // A file that is to be filled again holds an older part of the log.
      if (found.begin >= before.begin() && found.begin < before.end()) return found;
    }
    if (const auto archived = archive.find_segment(before.name())) {
      MemorySink bytes(segment.segment_size());
      archive.read_segment(*archived, bytes);
      return find_tablespace_records(bytes.bytes()).unfinished;
    }
  }
  return {};
}

// What there is of a segment.
enum class Part { whole, whole_or_unfinished };

// `until`: where the line that the server follows left the segment's timeline.
bool deliver_segment(const WalArchive& archive, std::uint32_t segment_size, const Request& request,
                     Part part = Part::whole, std::optional<postgres::Lsn> until = {}) {
  const auto segment = segment_in(request.name, segment_size);
  auto found = archive.find_segment(request.name);
  if (!found && part == Part::whole_or_unfinished)
    found = archive.find_segment(request.name + ".partial");
  if (!found) return false;
  WalFile file(temporary_name(request.destination));
  SegmentHead head(file, segment_size);
  archive.read_segment(*found, head);
  head.check(*found, segment, {.system_id = request.system_id, .version = request.version});
  std::optional<std::uint64_t> blank;
  if (until) blank = until->value() - segment.begin().value();
  if (request.guard != nullptr) {
    file.show([&](ByteView bytes) {
      const auto before = may_end_tablespace_record(bytes)
                              ? unfinished_before(archive, segment, request)
                              : UnfinishedRecord{};
      auto records = find_tablespace_records(bytes, before).records;
      if (until) std::erase_if(records, [&](const auto& record) { return record.begin >= *until; });
      const auto cut = request.guard->check(records, segment);
      if (cut)
        blank = std::min(cut->value() - segment.begin().value(),
                         blank.value_or(segment.segment_size()));
    });
  }
  if (blank) file.blank_from(*blank);
  file.sync();
  file.publish(request.destination);
  return true;
}

// All that find_gap() wants to know, from all archives together. Segments of other timelines are
// listed only where one of theirs can matter.
Listing list_around(const std::vector<const WalArchive*>& archives, const WalSegment& absent) {
  Listing listing;
  std::set<Timeline> timelines;
  for (const auto* archive : archives) {
    for (const auto timeline : archive->list_histories()) {
      if (!timelines.insert(timeline).second) continue;
      const auto text = archive->load_history(TimelineHistory::file_name(timeline));
      if (text) listing.histories.push_back(TimelineHistory::parse(timeline, *text));
    }
  }
  const auto list_segments = [&](Timeline timeline) {
    if (listing.segments.contains(timeline)) return;
    auto& segments = listing.segments[timeline];
    for (const auto* archive : archives) {
      for (const auto& name : archive->list_segments(timeline, absent.on(timeline).name())) {
        segments.push_back(WalSegment::parse(name, absent.segment_size()));
      }
    }
    std::ranges::sort(segments);
  };
  list_segments(absent.timeline());
  for (const auto& history : listing.histories) {
    const auto left = history.left(absent.timeline());
    if (!left || *left > absent.begin()) continue;
    list_segments(history.timeline);
    for (const auto& ancestor : history.ancestors) {
      if (ancestor.timeline > absent.timeline()) list_segments(ancestor.timeline);
    }
  }
  return listing;
}

// Where the line leaves the timeline of that segment.
postgres::Lsn left_at(const std::vector<const WalArchive*>& archives, const FollowedLine& line,
                      Timeline timeline) {
  std::optional<postgres::Lsn> left;
  const auto name = TimelineHistory::file_name(line.timeline);
  from_any(archives, [&](const WalArchive& archive) {
    if (const auto text = archive.load_history(name))
      left = TimelineHistory::parse(line.timeline, *text).left(timeline);
    return left.has_value();
  });
  if (!left)
    throw Error(ErrorKind::not_found,
                fmt::format("the archive has no {} that says where it left timeline {}", name,
                            timeline.value()));
  return *left;
}

// The segment in which the line that the server follows leaves its timeline. No gap where it is
// absent: it was never finished, and the next timeline's begins with a copy.
Outcome deliver_beginning(const std::vector<const WalArchive*>& archives,
                          std::uint32_t segment_size, const Request& request) {
  const auto segment = segment_in(request.name, segment_size);
  const auto left = left_at(archives, *request.line, segment.timeline());
  if (left <= segment.begin()) return Outcome::absent;
  const auto until = left < segment.end() ? std::optional(left) : std::nullopt;
  // A whole one of any archive first: an unfinished one may end before the line leaves.
  for (const auto part : {Part::whole, Part::whole_or_unfinished})
    if (from_any(archives, [&](const WalArchive& archive) {
          return deliver_segment(archive, segment_size, request, part, until);
        }))
      return Outcome::delivered;
  return Outcome::absent;
}

}  // namespace

Fork Fork::load(const std::filesystem::path& file) { return parse(read_file(file), file); }

Fork Fork::parse(const std::string& text, const std::filesystem::path& file) {
  const auto line_end = text.find('\n');
  const auto timeline = parse_unsigned(std::string_view(text).substr(0, line_end));
  if (line_end == std::string::npos || !timeline || *timeline == 0 ||
      *timeline > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("{} does not begin with a timeline", file.string()));
  }
  Fork fork;
  fork.history_text = text.substr(line_end + 1);
  fork.history = while_doing("reading " + file.string(), [&] {
    return TimelineHistory::parse(Timeline(static_cast<std::uint32_t>(*timeline)),
                                  fork.history_text);
  });
  return fork;
}

void Fork::save(const std::filesystem::path& file) const {
  write_file_atomic(file, fmt::format("{}\n{}", history.timeline.value(), history_text), 0644);
}

bool Fork::allows(std::string_view wal_name, std::uint32_t segment_size) const {
  switch (postgres::wal_file_kind(wal_name)) {
    case WalFileKind::history:
      return history.left(Timeline::parse_hex(wal_name.substr(0, 8))).has_value();
    case WalFileKind::segment:
    case WalFileKind::backup_history: {
      const auto segment = segment_in(wal_name, segment_size);
      const auto left = history.left(segment.timeline());
      return left && segment.end() <= *left;
    }
    case WalFileKind::partial:  // the unfinished end of a timeline, so past where it was left
    case WalFileKind::other:
      break;
  }
  return false;
}

bool Fork::is_own(std::string_view wal_name) const {
  return postgres::wal_file_kind(wal_name) == WalFileKind::segment &&
         Timeline::parse_hex(wal_name.substr(0, 8)) == history.timeline;
}

Outcome archive_get(const std::vector<const WalArchive*>& archives, std::uint32_t segment_size,
                    const Request& request) {
  const auto kind = postgres::wal_file_kind(request.name);
  if (kind == WalFileKind::other) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is not the name of a WAL file", printable(request.name)))
        .with_hint("restore_command passes %f as the name and %p as the destination");
  }
  if (request.fork) {
    const auto& fork = *request.fork;
    if (request.name == TimelineHistory::file_name(fork.history.timeline)) {
      deliver_text(fork.history_text, request);
      return Outcome::delivered;
    }
    const bool allowed =
        request.own ? fork.is_own(request.name) : fork.allows(request.name, segment_size);
    if (!allowed) return Outcome::absent;
  }

  const auto place = request.line && kind == WalFileKind::segment
                         ? request.line->place(request.name)
                         : FollowedLine::Place::elsewhere;
  if (place == FollowedLine::Place::behind) return Outcome::absent;
  if (place == FollowedLine::Place::left_here)
    return deliver_beginning(archives, segment_size, request);

  const auto deliver = [&](const WalArchive& archive) {
    switch (kind) {
      case WalFileKind::history:
      case WalFileKind::backup_history: {
        const auto text = kind == WalFileKind::history ? archive.load_history(request.name)
                                                       : archive.load_backup_history(request.name);
        if (text) deliver_text(*text, request);
        return text.has_value();
      }
      case WalFileKind::segment:
      case WalFileKind::partial:
      case WalFileKind::other:
        break;
    }
    return deliver_segment(archive, segment_size, request);
  };
  if (from_any(archives, deliver)) return Outcome::delivered;
  if (kind != WalFileKind::segment || request.fork) return Outcome::absent;

  const auto absent = WalSegment::parse(request.name, segment_size);
  const auto deadline = std::chrono::steady_clock::now() + request.gap_patience;
  const bool on_line = place == FollowedLine::Place::on_it;
  while (true) {
    const auto gap = find_gap(absent, list_around(archives, absent), on_line);
    if (!gap) {
      // The end of a timeline that nobody finished is of use where it is the end of the line.
      const bool unfinished =
          on_line && absent.timeline() == request.line->timeline &&
          from_any(archives, [&](const WalArchive& archive) {
            return deliver_segment(archive, segment_size, request, Part::whole_or_unfinished);
          });
      return unfinished ? Outcome::delivered : Outcome::absent;
    }
    // What the listing shows may have come after the look, and the segment with it.
    if (from_any(archives, deliver)) return Outcome::delivered;
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorKind::corrupt, "the archive has a gap: " + *gap)
          .with_hint(
              "recover to a target before the gap (a cluster: `start --anew`), or restore a backup "
              "that ended after it");
    }
    std::this_thread::sleep_for(std::min(kLookAgain, request.gap_patience));
  }
}

int exit_status(Outcome outcome) { return outcome == Outcome::delivered ? 0 : 1; }

int exit_status(const Error& error) {
  // PostgreSQL takes 128 + 15 for a request to shut down, and 126 and 127 are the shell's own.
  constexpr int kFirst = 200;
  return kFirst + error.exit_code() - static_cast<int>(ErrorKind::internal);
}

}  // namespace pgrevive::wal
