#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/cipher.h"
#include "repository/layout.h"
#include "repository/repository.h"

// Below one archive id of a stanza ("15-1"):
//
//   00000002.history                                              as PostgreSQL wrote it
//   0000000200000001/                                             first 16 digits of what is in it
//     0000000200000001000000A3-<SHA-1 of the plain segment>.zst   extension: how it is compressed
//     0000000200000001000000A4.partial-<SHA-1>.zst                the last one of a timeline
//     0000000200000001000000A0.00000028.backup                    as PostgreSQL wrote it
//
// All of it is encrypted when the repository is.

namespace pgrevive::repository {

namespace {

constexpr std::size_t kSegmentDigits = 24;
constexpr std::size_t kDirectoryDigits = 16;
constexpr std::size_t kTimelineDigits = 8;
constexpr std::size_t kChecksumDigits = 40;
constexpr std::size_t kMaxHistory = 16u << 20;
constexpr std::uint64_t kLargestSegment = 1u << 30;

bool is_wal_digits(std::string_view text, std::size_t count) {
  return text.size() == count && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
         });
}

bool is_checksum(std::string_view text) {
  return text.size() == kChecksumDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// A file name split into the segment's own name and the rest; empty if it is another kind of file
// (a .backup file, or what an interrupted archive-push left behind).
struct SegmentFile {
  std::string_view name;  // "0000000200000001000000A3", or with ".partial"
  std::string_view checksum;
  codec::CompressType compress_type;
};

std::optional<SegmentFile> parse_segment_file(std::string_view file) {
  const std::size_t dash = file.find('-');
  if (dash == std::string_view::npos) return {};
  SegmentFile segment{.name = file.substr(0, dash)};
  const std::string_view suffix = segment.name.substr(std::min(dash, kSegmentDigits));
  if (!is_wal_digits(segment.name.substr(0, kSegmentDigits), kSegmentDigits)) return {};
  if (!suffix.empty() && suffix != ".partial") return {};
  const std::string_view rest = file.substr(dash + 1);
  segment.checksum = rest.substr(0, kChecksumDigits);
  if (!is_checksum(segment.checksum)) return {};
  const std::string_view extension = rest.substr(kChecksumDigits);
  segment.compress_type = codec::type_of_extension(extension);
  if (codec::extension(segment.compress_type) != extension) return {};
  return segment;
}

// Computes the SHA-1 of what passes and lets the end pass only if it is the right one.
class ChecksumGate : public Sink {
 public:
  ChecksumGate(const codec::Sha1& expected, Sink& next) : expected_(expected), next_(next) {}

  void write(ByteView bytes) override {
    // Few readers need to know how long the segments of the cluster are, and all have an end.
    if (bytes.size() > kLargestSegment - size_) {
      throw Error(ErrorKind::corrupt, fmt::format("has more than the {} of the largest WAL segment",
                                                  format_bytes(kLargestSegment)));
    }
    size_ += bytes.size();
    hasher_.update(bytes);
    next_.write(bytes);
  }

  void finish() override {
    const codec::Sha1 actual = hasher_.value();
    if (actual != expected_) {
      throw Error(ErrorKind::corrupt, fmt::format("checksum does not match: the name says {}, the "
                                                  "bytes give {}",
                                                  expected_.text(), actual.text()));
    }
    next_.finish();
  }

 private:
  codec::Sha1 expected_;
  Sink& next_;
  codec::Sha1Hasher hasher_;
  std::uint64_t size_ = 0;
};

// Takes the header of a segment's first page and then ends the reading by an exception of its own,
// because a storage has no other way to be told that the rest is not wanted.
class PageStart : public Sink {
 public:
  struct Enough {};

  void write(ByteView bytes) override {
    const auto part = bytes.first(std::min(bytes.size(), kHeader - header_.size()));
    header_.insert(header_.end(), part.begin(), part.end());
    if (header_.size() == kHeader) throw Enough();
  }
  void finish() override {}

  // The long page header: magic u16, info u16, ..., at 24 the system identifier u64, at 32 the
  // segment size u32.
  std::optional<std::uint32_t> segment_size() const {
    constexpr std::uint16_t kLongHeader = 0x0002;
    if (header_.size() < kHeader || (load_le<std::uint16_t>(header_, 2) & kLongHeader) == 0)
      return {};
    const auto size = load_le<std::uint32_t>(header_, 32);
    if (!postgres::is_segment_size(size)) return {};
    return size;
  }

 private:
  static constexpr std::size_t kHeader = 36;
  Bytes header_;
};

void require_kind(const std::string& name, std::initializer_list<postgres::WalFileKind> kinds) {
  const auto kind = postgres::wal_file_kind(name);
  if (std::ranges::find(kinds, kind) == kinds.end())
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is not the name of such a WAL file", printable(name)));
}

}  // namespace

WalArchive::WalArchive(const Repository& repository, ArchiveInfo info, std::uint64_t system_id,
                       postgres::Version version)
    : repository_(repository), info_(std::move(info)) {
  for (const auto& database : info_.matching(system_id, version))
    archive_ids_.push_back(ArchiveInfo::archive_id(database));
  std::ranges::reverse(archive_ids_);
  if (archive_ids_.empty()) {
    std::vector<std::string> held;
    for (const auto& database : info_.history)
      held.push_back(
          fmt::format("{} of PostgreSQL {}", database.system_id, database.version.text()));
    throw Error(
        ErrorKind::not_found,
        fmt::format("the archive of stanza {} never held the cluster with system identifier "
                    "{} of PostgreSQL {}",
                    repository_.stanza(), system_id, version.text()))
        .with_hint(fmt::format("it holds {}; check the stanza and the repository path",
                               fmt::join(held, ", ")));
  }
}

std::optional<ArchivedSegment> WalArchive::find_segment(const std::string& name) const {
  require_kind(name, {postgres::WalFileKind::segment, postgres::WalFileKind::partial});
  std::optional<ArchivedSegment> found;
  for (const auto& archive_id : archive_ids_) {
    for (auto& segment : archived_in(archive_id, name.substr(0, kDirectoryDigits))) {
      if (segment.name != name) continue;
      if (!found) {
        found = std::move(segment);
      } else if (found->checksum != segment.checksum) {
        throw Error(
            ErrorKind::corrupt,
            fmt::format("segment {} is in the archive twice with different contents: {} and {}",
                        name, repository_.storage().describe(found->object),
                        repository_.storage().describe(segment.object)))
            .with_hint(
                "two servers archived into one stanza; find out which of the two files belongs to "
                "the line of this backup and move the other one away");
      }
    }
  }
  return found;
}

std::optional<std::string> WalArchive::load_plain(const std::string& directory_suffix,
                                                  const std::string& name) const {
  const auto& storage = repository_.storage();
  for (const auto& archive_id : archive_ids_) {
    const std::string path =
        layout::archive_directory(repository_.stanza(), archive_id) + directory_suffix + "/" + name;
    if (!storage.stat(path)) continue;
    return while_doing("reading " + storage.describe(path), [&] {
      MemorySink text(kMaxHistory);
      std::unique_ptr<Sink> decryptor;
      if (!passphrase().empty())
        decryptor = codec::make_decryptor(passphrase(), codec::Form::standard, text);
      Sink& first = decryptor ? *decryptor : text;
      storage.read(path, {}, first);
      first.finish();
      return std::string(as_text(text.bytes()));
    });
  }
  return {};
}

std::optional<std::string> WalArchive::load_history(const std::string& name) const {
  require_kind(name, {postgres::WalFileKind::history});
  return load_plain("", name);
}

std::optional<std::string> WalArchive::load_backup_history(const std::string& name) const {
  require_kind(name, {postgres::WalFileKind::backup_history});
  return load_plain("/" + name.substr(0, kDirectoryDigits), name);
}

std::vector<postgres::Timeline> WalArchive::list_histories() const {
  std::set<postgres::Timeline> timelines;
  for (const auto& archive_id : archive_ids_) {
    const auto directory = layout::archive_directory(repository_.stanza(), archive_id);
    for (const auto& entry : repository_.storage().list(directory)) {
      if (!entry.directory && postgres::wal_file_kind(entry.name) == postgres::WalFileKind::history)
        timelines.insert(postgres::Timeline::parse_hex(entry.name.substr(0, kTimelineDigits)));
    }
  }
  return {timelines.begin(), timelines.end()};
}

std::vector<std::string> WalArchive::wal_directories(const std::string& archive_id) const {
  std::vector<std::string> names;
  const auto directory = layout::archive_directory(repository_.stanza(), archive_id);
  for (const auto& entry : repository_.storage().list(directory)) {
    if (entry.directory && is_wal_digits(entry.name, kDirectoryDigits)) names.push_back(entry.name);
  }
  return names;
}

std::vector<ArchivedSegment> WalArchive::archived_in(const std::string& archive_id,
                                                     const std::string& wal_directory) const {
  const auto directory = layout::wal_directory(repository_.stanza(), archive_id, wal_directory);
  std::vector<ArchivedSegment> segments;
  for (const auto& entry : repository_.storage().list(directory)) {
    if (entry.directory) continue;
    const auto file = parse_segment_file(entry.name);
    if (!file) continue;
    segments.push_back({.archive_id = archive_id,
                        .name = std::string(file->name),
                        .object = directory + "/" + entry.name,
                        .checksum = codec::Sha1::parse(file->checksum),
                        .compress_type = file->compress_type});
  }
  return segments;
}

std::vector<std::string> WalArchive::whole_segments(const std::string& archive_id,
                                                    const std::string& wal_directory) const {
  std::vector<std::string> names;
  for (auto& segment : archived_in(archive_id, wal_directory)) {
    if (segment.name.size() == kSegmentDigits) names.push_back(std::move(segment.name));
  }
  return names;
}

std::vector<ArchivedSegment> WalArchive::find_segments(const std::string& from,
                                                       const std::string& to) const {
  require_kind(from, {postgres::WalFileKind::segment});
  require_kind(to, {postgres::WalFileKind::segment});
  const auto place = [](std::string_view name) {
    return name.substr(kTimelineDigits, kDirectoryDigits - kTimelineDigits);
  };
  std::vector<ArchivedSegment> found;
  for (const auto& archive_id : archive_ids_) {
    for (const auto& directory : wal_directories(archive_id)) {
      const bool wanted = directory.substr(0, kTimelineDigits) >= from.substr(0, kTimelineDigits) &&
                          place(directory) >= place(from) && place(directory) <= place(to);
      if (!wanted) continue;
      for (auto& segment : archived_in(archive_id, directory)) {
        if (segment.name.size() == kSegmentDigits) found.push_back(std::move(segment));
      }
    }
  }
  return found;
}

std::vector<std::string> WalArchive::list_segments(postgres::Timeline timeline,
                                                   const std::string& from) const {
  if (!from.empty()) require_kind(from, {postgres::WalFileKind::segment});
  const std::string prefix = timeline.hex();
  const std::string first_directory = from.substr(0, kDirectoryDigits);
  std::set<std::string> found;
  for (const auto& archive_id : archive_ids_) {
    for (const auto& directory : wal_directories(archive_id)) {
      if (!directory.starts_with(prefix) || directory < first_directory) continue;
      for (auto& name : whole_segments(archive_id, directory)) {
        if (name >= from) found.insert(std::move(name));
      }
    }
  }
  return {found.begin(), found.end()};
}

std::map<postgres::Timeline, std::vector<std::string>> WalArchive::list_all_segments(
    const std::string& from) const {
  if (!from.empty()) require_kind(from, {postgres::WalFileKind::segment});
  const auto place = [](std::string_view name) {
    return name.substr(std::min(kTimelineDigits, name.size()));
  };
  std::set<std::string> found;
  for (const auto& archive_id : archive_ids_) {
    for (const auto& directory : wal_directories(archive_id)) {
      if (place(directory) < place(from.substr(0, kDirectoryDigits))) continue;
      for (auto& name : whole_segments(archive_id, directory)) {
        if (place(name) >= place(from)) found.insert(std::move(name));
      }
    }
  }
  std::map<postgres::Timeline, std::vector<std::string>> segments;
  for (const auto& name : found)
    segments[postgres::Timeline::parse_hex(name.substr(0, kTimelineDigits))].push_back(name);
  return segments;
}

std::map<postgres::Timeline, std::string> WalArchive::newest_segments() const {
  std::map<postgres::Timeline, std::string> newest;
  for (const auto timeline : list_histories()) newest[timeline];
  for (const auto& archive_id : archive_ids_) {
    auto directories = wal_directories(archive_id);
    std::set<postgres::Timeline> known;
    for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
      const auto timeline = postgres::Timeline::parse_hex(directory->substr(0, kTimelineDigits));
      auto& last = newest[timeline];
      if (known.contains(timeline)) continue;
      // One that holds nothing but a .backup file or a .partial is not the last.
      const auto names = whole_segments(archive_id, *directory);
      if (names.empty()) continue;
      last = std::max(last, std::ranges::max(names));
      known.insert(timeline);
    }
  }
  return newest;
}

std::optional<WalArchive::Range> WalArchive::range(const std::string& archive_id) const {
  // A directory may hold nothing but a .backup file or a .partial, so the outermost directories are
  // not always the ones.
  const auto directories = wal_directories(archive_id);
  Range range;
  for (const auto& directory : directories) {
    const auto names = whole_segments(archive_id, directory);
    if (names.empty()) continue;
    range.min = std::ranges::min(names);
    break;
  }
  if (range.min.empty()) return {};
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    const auto names = whole_segments(archive_id, *directory);
    if (names.empty()) continue;
    range.max = std::ranges::max(names);
    break;
  }
  if (range.max.empty()) range.max = range.min;  // expired between the two looks
  return range;
}

void WalArchive::decode_segment(const ArchivedSegment& segment, Sink& sink) const {
  while_doing("reading " + repository_.storage().describe(segment.object), [&] {
    const auto plain = codec::make_decompressor(segment.compress_type, codec::Form::standard, sink);
    std::unique_ptr<Sink> decryptor;
    if (!passphrase().empty())
      decryptor = codec::make_decryptor(passphrase(), codec::Form::standard, *plain);
    Sink& first = decryptor ? *decryptor : *plain;
    repository_.storage().read(segment.object, {}, first);
    first.finish();
  });
}

std::uint32_t WalArchive::load_segment_size(const ArchivedSegment& segment) const {
  PageStart start;
  try {
    decode_segment(segment, start);
  } catch (const PageStart::Enough&) {
  }
  const auto size = start.segment_size();
  if (!size) {
    throw Error(ErrorKind::corrupt, fmt::format("{} does not begin with a page of WAL",
                                                repository_.storage().describe(segment.object)));
  }
  return *size;
}

void WalArchive::read_segment(const ArchivedSegment& segment, Sink& sink) const {
  ChecksumGate gate(segment.checksum, sink);
  decode_segment(segment, gate);
}

}  // namespace pgrevive::repository
