#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "codec/sink.h"
#include "postgres/lsn.h"

namespace pgrevive::wal {

// Whom a RecordReader tells of what it comes across, in the order of the log.
class RecordVisitor {
 public:
  virtual ~RecordVisitor() = default;

  // How much of the record of that header is wanted, header included. What is said beyond the
  // record's length counts as that.
  virtual std::size_t wanted(ByteView header) = 0;
  // A record that is whole in what was read. `bytes` is what was wanted of it, and at least its
  // header; `end` is what PostgreSQL calls its position when it was replayed.
  virtual void record(postgres::Lsn begin, postgres::Lsn end, ByteView bytes) = 0;

  // Likewise of a record that begins before what is read, which starts with its last `size` bytes.
  virtual std::size_t wanted_of_rest(std::uint32_t /*size*/) { return 0; }
  virtual void rest(ByteView /*bytes*/) {}
};

// Walks through WAL that streams by: one segment, or several that follow one another (on another
// timeline too, as recovery reads them), in pieces of any size. Touches the headers of pages and
// records, and what is wanted of these.
//
// Goes by access/xlogrecord.h and xlog_internal.h, which are the same from PostgreSQL 9.5 to 18 as
// far as they are read here. A record that its server did not end, because it crashed, is left out,
// and so is one that is not whole when the last segment ends. Where a record is not what follows
// the one before it, the log ends. Used by one thread.
class RecordReader : public Sink {
 public:
  // Refers to `visitor`.
  explicit RecordReader(RecordVisitor& visitor) : visitor_(visitor) {}

  void write(ByteView bytes) override;
  void finish() override {}

  // What follows is no WAL, or not readable as such, from position() on.
  bool ended() const { return ended_; }
  // Where the next byte lies, or the first one that is no log; zero before the first page.
  postgres::Lsn position() const { return postgres::Lsn(position_); }

  // Where the last record begins that is whole in what was read; zero: there is none.
  postgres::Lsn newest() const { return postgres::Lsn(newest_); }

  // The record that goes on behind what was read: what there is of it as far as it is wanted, which
  // may be less than its header, but holds its length. Empty: there is none.
  struct Unfinished {
    postgres::Lsn begin;
    ByteView bytes;
  };
  Unfinished unfinished() const;

 private:
  enum class State { between, header, body, rest };

  std::size_t page_header_size() const;
  void enter_page();
  void begin_rest(std::uint32_t size);
  std::size_t read(ByteView bytes);
  void begin_record();
  void read_header();
  void end_record();
  std::uint64_t left_of_record() const;

  RecordVisitor& visitor_;
  bool ended_ = false;
  std::uint64_t position_ = 0;  // LSN of the next byte
  std::uint32_t segment_size_ = 0;
  std::uint32_t page_size_ = 0;   // 0: there was no page yet
  Bytes page_header_;             // as far as it was read
  std::size_t left_in_page_ = 0;  // 0: a page header comes next
  bool segment_is_over_ = false;  // what is left of it, is unused

  State state_ = State::between;
  Bytes kept_;               // of the record under way
  std::size_t keep_ = 0;     // how much of it is kept
  std::uint64_t left_ = 0;   // of its body or rest
  std::uint64_t begin_ = 0;  // where it begins
  std::uint64_t newest_ = 0;
  std::uint64_t previous_ = 0;  // where the one before it begins; 0: not known
};

}  // namespace pgrevive::wal
