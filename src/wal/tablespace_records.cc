#include "wal/tablespace_records.h"

#include <algorithm>
#include <optional>

#include "wal/record_format.h"
#include "wal/record_reader.h"

namespace pgrevive::wal {

namespace {

using postgres::Lsn;

constexpr std::uint8_t kManagerTablespace = 5;
constexpr std::uint8_t kTablespaceCreate = 0x00;

constexpr std::size_t kOidSize = 4;
// Header, origin and transaction, length, OID, and a path (MAXPGPATH).
constexpr std::size_t kLargest = kRecordHeaderSize + 3 + 5 + 5 + kOidSize + 1024;

std::uint8_t byte_at(ByteView bytes, std::size_t offset) {
  return std::to_integer<std::uint8_t>(bytes[offset]);
}

bool may_make_tablespace(ByteView head) {
  if (record_length(head) > kLargest) return false;
  return head.size() <= kRecordManagerAt || (record_manager(head) == kManagerTablespace &&
                                             (record_info(head) & kInfoMask) == kTablespaceCreate);
}

std::optional<TablespaceRecord> parse(ByteView record, Lsn begin) {
  if (record.size() < kRecordHeaderSize || record.size() != record_length(record) ||
      !may_make_tablespace(record))
    return {};
  const auto at = main_data_at(record);
  if (!at || *at + kOidSize > record.size()) return {};
  const auto text = as_text(record.subspan(*at + kOidSize));
  return TablespaceRecord{.begin = begin,
                          .previous = Lsn(record_before(record)),
                          .oid = load_le<std::uint32_t>(record, *at),
                          .path = std::string(text.substr(0, text.find('\0')))};
}

// Whether the record's end has the form of an OID and a path, both as far as they are there.
bool looks_like_end(ByteView rest) {
  const auto text = as_text(rest);
  if (text.empty() || text.back() != '\0') return false;
  const auto path = text.substr(0, text.size() - 1);
  const auto last = path.rfind('\0');
  // All of it may be path; or it begins somewhere behind what is no path, and is absolute.
  if (last == std::string_view::npos) return true;
  for (auto slash = path.find('/', last + 1); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    const auto data = path.size() + 1 - slash + kOidSize;
    if (slash <= kOidSize) return true;
    const auto before = slash - kOidSize;
    if (data <= 0xff && byte_at(rest, before - 1) == data) return true;
    if (data > 0xff && (before < 4 || load_le<std::uint32_t>(rest, before - 4) == data))
      return true;
  }
  return false;
}

class Finder : public RecordVisitor {
 public:
  explicit Finder(const UnfinishedRecord& before) : before_(before) {}

  std::size_t wanted(ByteView header) override {
    return may_make_tablespace(header) ? record_length(header) : 0;
  }
  void record(Lsn begin, Lsn /*end*/, ByteView bytes) override {
    if (auto found = parse(bytes, begin)) result.records.push_back(std::move(*found));
  }
  std::size_t wanted_of_rest(std::uint32_t size) override {
    return size <= kLargest && !before_.bytes.empty() ? size : 0;
  }
  void rest(ByteView bytes) override {
    if (bytes.empty()) return;
    Bytes whole = before_.bytes;
    whole.insert(whole.end(), bytes.begin(), bytes.end());
    record(before_.begin, {}, whole);
  }

  TablespaceRecords result;

 private:
  const UnfinishedRecord& before_;
};

// Keeps the rest of a record that begins before the segment.
class Beginning : public RecordVisitor {
 public:
  std::size_t wanted(ByteView /*header*/) override { return 0; }
  void record(Lsn /*begin*/, Lsn /*end*/, ByteView /*bytes*/) override {}
  std::size_t wanted_of_rest(std::uint32_t size) override { return size <= kLargest ? size : 0; }
  void rest(ByteView bytes) override { kept.assign(bytes.begin(), bytes.end()); }

  Bytes kept;
};

}  // namespace

TablespaceRecords find_tablespace_records(ByteView segment, const UnfinishedRecord& before) {
  Finder finder(before);
  RecordReader reader(finder);
  reader.write(segment);
  const auto [begin, bytes] = reader.unfinished();
  if (!bytes.empty() && may_make_tablespace(bytes))
    finder.result.unfinished = {.begin = begin, .bytes = Bytes(bytes.begin(), bytes.end())};
  return std::move(finder.result);
}

bool may_end_tablespace_record(ByteView segment) {
  // The rest, and the headers of the pages that it may reach over.
  constexpr std::size_t kMost = kLargest + kLongHeaderSize + 2 * kShortHeaderSize;
  Beginning beginning;
  RecordReader reader(beginning);
  reader.write(segment.first(std::min(kMost, segment.size())));
  return looks_like_end(beginning.kept);
}

}  // namespace pgrevive::wal
