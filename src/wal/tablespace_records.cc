#include "wal/tablespace_records.h"

#include <algorithm>
#include <optional>

#include "wal/record_format.h"

namespace pgrevive::wal {

namespace {

using postgres::Lsn;

constexpr std::size_t kSmallestPage = 1024;
constexpr std::uint8_t kManagerTablespace = 5;
constexpr std::uint8_t kTablespaceCreate = 0x00;

constexpr std::size_t kOidSize = 4;
// Header, origin and transaction, length, OID, and a path (MAXPGPATH).
constexpr std::size_t kLargest = kRecordHeaderSize + 3 + 5 + 5 + kOidSize + 1024;

std::uint8_t byte_at(ByteView bytes, std::size_t offset) {
  return std::to_integer<std::uint8_t>(bytes[offset]);
}

// What is left behind a record's rest: it ends where the record does.
std::size_t padding(std::uint64_t size) { return aligned(size) - size; }

bool may_make_tablespace(ByteView head) {
  if (record_length(head) > kLargest) return false;
  return head.size() <= kRecordManagerAt ||
         (record_manager(head) == kManagerTablespace &&
          (record_info(head) & kInfoMask) == kTablespaceCreate);
}

// Walks through the log of one segment, over the headers of its pages.
class Log {
 public:
  explicit Log(ByteView segment) : bytes_(segment) {
    if (bytes_.size() < kLongHeaderSize) return;
    page_size_ = load_le<std::uint32_t>(bytes_, 36);
    base_ = load_le<std::uint64_t>(bytes_, 8);
    rest_ = continued(0) ? load_le<std::uint32_t>(bytes_, 16) : 0;
    readable_ = (load_le<std::uint16_t>(bytes_, 2) & kLongHeader) != 0 &&
                page_size_ >= kSmallestPage && page_size_ <= kLargestPage && page_size_ % 8 == 0 &&
                bytes_.size() % page_size_ == 0;
    at_ = kLongHeaderSize;
  }

  enum class Step {
    done,
    cut,          // the server crashed in the middle of the record; another one begins here
    segment_end,  // the record goes on in the next segment
    log_end,      // what follows is no log
  };

  bool readable() const { return readable_; }
  // How much of a record that began in an earlier segment comes first.
  std::uint32_t rest() const { return rest_; }
  Lsn position() const { return Lsn(base_ + at_); }

  // To where the next record begins, behind the header of its page.
  Step begin_record() { return at_ % page_size_ == 0 ? enter_page(false) : Step::done; }

  // Goes over `size` bytes of the record under way and adds them to `into`, if any; as far as they
  // are there.
  Step pass(std::uint64_t size, Bytes* into = nullptr) {
    while (size > 0) {
      if (at_ % page_size_ == 0) {
        if (const auto step = enter_page(true); step != Step::done) return step;
      }
      const auto part = std::min<std::uint64_t>(size, page_size_ - at_ % page_size_);
      if (into != nullptr) {
        const auto piece = bytes_.subspan(at_, part);
        into->insert(into->end(), piece.begin(), piece.end());
      }
      at_ += part;
      size -= part;
    }
    return Step::done;
  }

 private:
  bool continued(std::size_t page) const {
    return (load_le<std::uint16_t>(bytes_, page + 2) & kFirstIsContinued) != 0;
  }

  Step enter_page(bool within_record) {
    if (at_ >= bytes_.size()) return Step::segment_end;
    const auto page = at_;
    if (load_le<std::uint64_t>(bytes_, page + 8) != base_ + page) return Step::log_end;
    at_ += kShortHeaderSize;
    return within_record && !continued(page) ? Step::cut : Step::done;
  }

  ByteView bytes_;
  std::size_t page_size_ = 1;
  std::size_t at_ = 0;
  std::uint64_t base_ = 0;
  std::uint32_t rest_ = 0;
  bool readable_ = false;
};

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

}  // namespace

TablespaceRecords find_tablespace_records(ByteView segment, const UnfinishedRecord& before) {
  using Step = Log::Step;
  TablespaceRecords result;
  Log log(segment);
  if (!log.readable()) return result;
  const auto add = [&](ByteView record, Lsn begin) {
    if (auto found = parse(record, begin)) result.records.push_back(std::move(*found));
  };

  if (log.rest() > 0) {
    Bytes record = before.bytes;
    auto step = log.pass(log.rest(), log.rest() <= kLargest ? &record : nullptr);
    if (step == Step::segment_end || step == Step::log_end) return result;
    if (step == Step::done && !before.bytes.empty()) add(record, before.begin);
    if (step == Step::done && log.pass(padding(log.rest())) != Step::done) return result;
  }
  std::uint64_t previous = 0;  // 0: not known
  Bytes head;
  for (;;) {
    if (log.begin_record() != Step::done) return result;
    const auto begin = log.position();
    head.clear();
    auto step = log.pass(kRecordHeaderSize, &head);
    std::uint64_t length = 0;
    if (step == Step::done) {
      if (!record_follows(head, previous)) return result;
      length = record_length(head);
      const bool wanted = may_make_tablespace(head);
      step = log.pass(length - kRecordHeaderSize, wanted ? &head : nullptr);
      if (step == Step::done && wanted) add(head, begin);
    }
    if (step == Step::segment_end && head.size() >= 8 && may_make_tablespace(head))
      result.unfinished = {.begin = begin, .bytes = std::move(head)};
    if (step == Step::segment_end || step == Step::log_end) return result;
    previous = step == Step::done ? begin.value() : 0;
    if (step == Step::done && log.pass(padding(length)) == Step::log_end) return result;
  }
}

bool may_end_tablespace_record(ByteView segment) {
  Log log(segment);
  if (!log.readable() || log.rest() == 0 || log.rest() > kLargest) return false;
  Bytes rest;
  return log.pass(log.rest(), &rest) == Log::Step::done && looks_like_end(rest);
}

}  // namespace pgrevive::wal
