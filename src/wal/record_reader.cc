#include "wal/record_reader.h"

#include <algorithm>

#include "wal/record_format.h"

namespace pgrevive::wal {

using postgres::Lsn;

void RecordReader::write(ByteView bytes) {
  while (!bytes.empty() && !ended_) {
    std::size_t used = 0;
    if (segment_is_over_) {
      used = std::min<std::uint64_t>(segment_size_ - position_ % segment_size_, bytes.size());
      position_ += used;
      segment_is_over_ = position_ % segment_size_ != 0;
    } else if (left_in_page_ == 0) {
      used = std::min(page_header_size() - page_header_.size(), bytes.size());
      page_header_.insert(page_header_.end(), bytes.begin(), bytes.begin() + used);
      if (page_header_.size() == page_header_size()) enter_page();
    } else {
      used = read(bytes.first(std::min(bytes.size(), left_in_page_)));
      left_in_page_ = segment_is_over_ ? 0 : left_in_page_ - used;
    }
    bytes = bytes.subspan(used);
  }
}

std::size_t RecordReader::page_header_size() const {
  const bool is_long = page_header_.size() >= kShortHeaderSize &&
                       (load_le<std::uint16_t>(page_header_, 2) & kLongHeader) != 0;
  return is_long ? kLongHeaderSize : kShortHeaderSize;
}

void RecordReader::enter_page() {
  const auto info = load_le<std::uint16_t>(page_header_, 2);
  const auto address = load_le<std::uint64_t>(page_header_, 8);
  const bool continues = (info & kFirstIsContinued) != 0;
  const auto rest = continues ? load_le<std::uint32_t>(page_header_, 16) : 0;
  const auto header_size = page_header_.size();
  const bool is_first = page_size_ == 0;
  if (is_first) {
    position_ = address;
    if (header_size == kLongHeaderSize) {
      segment_size_ = load_le<std::uint32_t>(page_header_, 32);
      page_size_ = load_le<std::uint32_t>(page_header_, 36);
    }
    // Records begin at multiples of eight, so no page ends in the middle of a record's length.
    ended_ = page_size_ < kSmallestPage || page_size_ > kLargestPage || page_size_ % 8 != 0 ||
             segment_size_ < page_size_ || address % 8 != 0;
  } else {
    ended_ = address != position_;  // as it was when the file was last in use
  }
  if (ended_) return;
  if (!is_first && state_ != State::between) {
    if (!continues) {
      // The server crashed in the middle of the record and wrote another one after it.
      state_ = State::between;
      previous_ = 0;
    } else if (rest != left_of_record()) {
      ended_ = true;
      return;
    }
  }
  page_header_.clear();
  position_ += header_size;
  left_in_page_ = page_size_ - header_size;
  if (is_first && rest > 0) begin_rest(rest);
}

void RecordReader::begin_rest(std::uint32_t size) {
  state_ = State::rest;
  kept_.clear();
  keep_ = std::min<std::size_t>(visitor_.wanted_of_rest(size), size);
  left_ = size;
}

std::uint64_t RecordReader::left_of_record() const {
  return state_ == State::header ? record_length(kept_) - kept_.size() : left_;
}

// Of one page, behind its header. Returns how much was read, which is all but where the log ends.
std::size_t RecordReader::read(ByteView bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && !ended_ && !segment_is_over_) {
    const auto room = bytes.size() - at;
    std::size_t size = 0;
    if (state_ == State::between) {
      size = std::min<std::size_t>(aligned(position_) - position_, room);
      if (size == 0) begin_record();
    } else {
      const bool keeping = kept_.size() < keep_;
      size = std::min<std::uint64_t>(keeping ? keep_ - kept_.size() : left_, room);
      const auto part = bytes.subspan(at, size);
      if (keeping) kept_.insert(kept_.end(), part.begin(), part.end());
    }
    at += size;
    position_ += size;
    if (state_ == State::header) {
      if (kept_.size() == kRecordHeaderSize) read_header();
    } else if (state_ != State::between) {
      left_ -= size;
    }
    if ((state_ == State::body || state_ == State::rest) && left_ == 0) end_record();
  }
  return at;
}

void RecordReader::begin_record() {
  state_ = State::header;
  begin_ = position_;
  kept_.clear();
  keep_ = kRecordHeaderSize;
}

void RecordReader::read_header() {
  if (!record_follows(kept_, previous_)) {
    position_ = begin_;
    ended_ = true;
    return;
  }
  if (ends_segment(kept_)) {
    previous_ = newest_ = begin_;
    state_ = State::between;
    segment_is_over_ = position_ % segment_size_ != 0;
    return;
  }
  state_ = State::body;
  left_ = record_length(kept_) - kRecordHeaderSize;
  keep_ = std::clamp<std::size_t>(visitor_.wanted(kept_), kRecordHeaderSize, record_length(kept_));
}

void RecordReader::end_record() {
  const bool is_rest = state_ == State::rest;
  state_ = State::between;
  if (is_rest) {
    visitor_.rest(kept_);
    return;
  }
  previous_ = newest_ = begin_;
  visitor_.record(Lsn(begin_), Lsn(aligned(position_)), kept_);
}

RecordReader::Unfinished RecordReader::unfinished() const {
  if (ended_ || state_ == State::between || state_ == State::rest) return {};
  // Of a file that was cut off anywhere there may be less.
  if (kept_.size() < sizeof(std::uint32_t)) return {};
  return {.begin = Lsn(begin_), .bytes = kept_};
}

}  // namespace pgrevive::wal
