#include "wal/record_reader.h"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/real_server.h"
#include "support/temp_dir.h"
#include "unit/wal/wal_writer.h"
#include "wal/record_format.h"

namespace pgrevive::wal {
namespace {

using postgres::Lsn;

constexpr std::size_t kPage = WalWriter::kPage;
constexpr std::size_t kSegment = WalWriter::kSegment;

struct Seen {
  Lsn begin;
  Lsn end;
  std::string data;  // behind the header

  bool operator==(const Seen&) const = default;
};

// Keeps all of every record, and the rest that comes first.
class Keeper : public RecordVisitor {
 public:
  std::size_t wanted(ByteView header) override { return record_length(header); }
  void record(Lsn begin, Lsn end, ByteView bytes) override {
    seen.push_back({begin, end, std::string(as_text(bytes.subspan(kRecordHeaderSize)))});
  }
  std::size_t wanted_of_rest(std::uint32_t size) override { return size; }
  void rest(ByteView bytes) override { rest_of_earlier = as_text(bytes); }

  std::vector<Seen> seen;
  std::string rest_of_earlier;
};

struct Result {
  std::vector<Seen> seen;
  std::string rest;
  bool ended = false;
  Lsn position;
  Lsn unfinished;
};

Result read(const std::string& log, std::size_t at_once = 1 << 20) {
  Keeper keeper;
  RecordReader reader(keeper);
  for (std::size_t at = 0; at < log.size(); at += at_once)
    reader.write(as_bytes(log).subspan(at, std::min(at_once, log.size() - at)));
  reader.finish();
  return {keeper.seen, keeper.rest_of_earlier, reader.ended(), reader.position(),
          reader.unfinished().begin};
}

TEST(RecordReader, ReadsOverPagesAndSegmentsInPiecesOfAnySize) {
  WalWriter log;
  std::vector<Seen> expected;
  for (std::size_t i = 0; i < 400; ++i) {
    const std::string data(i * 13 % 3001, static_cast<char>('a' + i % 26));
    const auto begin = log.append(10, 0x20, data);
    expected.push_back({begin, log.end(), data});
    if (i == 200) log.switch_segment();
  }
  std::string text;
  for (std::size_t i = 0; i * kSegment < log.end().value() - 3 * kSegment; ++i)
    text += log.segment(i);
  for (const std::size_t at_once : {1u << 20, 8192u, 777u, 40u, 1u}) {
    const auto result = read(text, at_once);
    EXPECT_EQ(result.seen, expected) << at_once;
    EXPECT_TRUE(result.ended);  // zeros are no log
    EXPECT_EQ(result.position, log.end());
  }
}

TEST(RecordReader, BeginsAndEndsInTheMidstOfARecord) {
  WalWriter log;
  log.append(10, 0, std::string(kSegment - 5000, 'x'));
  const auto long_one = log.append(10, 0, std::string(2 * kSegment, 'y'));
  const auto last = log.append(10, 0, "last");
  const auto first = read(log.segment(0));
  ASSERT_EQ(first.seen.size(), 1u);
  EXPECT_EQ(first.unfinished, long_one);
  EXPECT_FALSE(first.ended);
  const auto middle = read(log.segment(1));  // nothing but the record's middle
  EXPECT_TRUE(middle.seen.empty() && middle.rest.empty() && !middle.ended);
  EXPECT_EQ(middle.position, Lsn(5 * kSegment));
  const auto end = read(log.segment(2));
  EXPECT_EQ(end.rest.find_first_not_of('y'), std::string::npos);
  ASSERT_EQ(end.seen.size(), 1u);
  EXPECT_EQ(end.seen[0].begin, last);
  EXPECT_EQ(read(log.segment(0) + log.segment(1) + log.segment(2)).seen.size(), 3u);
}

TEST(RecordReader, GoesOnBehindARecordThatWasNeverEnded) {
  WalWriter log;
  log.append(10, 0, std::string(100, 'x'));
  log.append(10, 0, std::string(20000, 'y'));
  auto text = log.segment(0);
  WalWriter other;
  other.append(10, 0, std::string(kPage - 40 - 24, 'x'));
  const auto begin = other.append(10, 0, "another");
  text.replace(kPage, kPage, other.segment(0), kPage, kPage);
  const auto result = read(text);
  ASSERT_EQ(result.seen.size(), 2u);
  EXPECT_EQ(result.seen[1].begin, begin);
  EXPECT_EQ(result.seen[1].data, "another");
}

// A page that goes on with another record than the one that was begun, as in a file of an earlier
// time: PostgreSQL stops there too.
TEST(RecordReader, EndsWhereAPageIsOfAnotherRecord) {
  WalWriter log;
  log.append(10, 0, std::string(100, 'x'));
  const auto begin = log.append(10, 0, std::string(20000, 'y'));
  auto text = log.segment(0);
  WalWriter::store(text, kPage + 16, 4444, 4);
  const auto result = read(text);
  EXPECT_EQ(result.seen.size(), 1u);
  EXPECT_TRUE(result.ended);
  EXPECT_FALSE(result.unfinished.is_valid());
  EXPECT_GT(result.position, begin);
}

TEST(RecordReader, EndsWhereARecordDoesNotFollow) {
  WalWriter log;
  log.append(10, 0, "first");
  const auto second = log.append(10, 0, "second");
  log.append(10, 0, "third");
  auto text = log.segment(0);
  WalWriter::store(text, second.value() % kSegment + 8, 12345, 8);
  const auto result = read(text);
  EXPECT_EQ(result.seen.size(), 1u);
  EXPECT_TRUE(result.ended);
  EXPECT_EQ(result.position, second);
}

TEST(RecordReader, FindsNothingInWhatIsNoWal) {
  for (const char byte : {'\0', '\xff', '\x02'}) {
    const auto result = read(std::string(1 << 18, byte), 8192);
    EXPECT_TRUE(result.seen.empty());
    EXPECT_TRUE(result.ended);
  }
  EXPECT_FALSE(read("").ended);
}

TEST(RecordReader, FindsTheRecordsThatPgWaldumpFinds) {
  test::RealServer server;
  server.configure("wal_keep_size = 1GB\nmax_prepared_transactions = 4\n");
  server.start();
  auto connection = postgres::Connection::open(server.connection());
  const auto first = *connection.value("select pg_walfile_name(pg_switch_wal())");
  connection.query("create table t (i int, filler text)");
  connection.query("create index on t (filler)");
  for (int round = 0; round < 3; ++round) {
    connection.query(
        "insert into t select i, repeat('x', i % 1500) from generate_series(1, 8000) i");
    connection.query("update t set i = i + 1 where i % 7 = 0");
    connection.query("checkpoint");
    if (round == 1) connection.query("select pg_switch_wal()");
  }
  postgres::stop_server(server.data_directory(), postgres::ShutdownMode::fast, server.kLimit);

  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(server.data_directory() / "pg_wal"))
    if (const auto name = entry.path().filename().string(); name.size() == 24 && name > first)
      names.insert(name);
  ASSERT_GE(names.size(), 4u);
  Keeper keeper;
  RecordReader reader(keeper);
  for (const auto& name : names)
    reader.write(as_bytes(read_file(server.data_directory() / "pg_wal" / name)));
  EXPECT_TRUE(reader.ended());

  const auto output = run({.program = server.binaries() / "pg_waldump",
                           .arguments = {"--path", (server.data_directory() / "pg_wal").string(),
                                         *names.begin(), *names.rbegin()}},
                          {}, std::chrono::seconds(60));
  std::vector<std::string> dumped;
  static const std::regex kLine("lsn: ([0-9A-F/]+), .* desc: (\\w+)");
  std::istringstream lines(output.out);
  for (std::string line; std::getline(lines, line);)
    if (std::smatch match; std::regex_search(line, match, kLine) && match[2] != "SWITCH")
      dumped.push_back(Lsn::parse(match[1].str()).text());
  std::vector<std::string> found;
  for (const auto& seen : keeper.seen) found.push_back(seen.begin.text());
  EXPECT_GT(found.size(), 40000u);
  const auto [ours, theirs] = std::ranges::mismatch(found, dumped);
  EXPECT_TRUE(ours == found.end() && theirs == dumped.end())
      << (ours == found.end() ? "none" : *ours) << " for "
      << (theirs == dumped.end() ? "none" : *theirs) << " of " << dumped.size();
  for (std::size_t i = 1; i < keeper.seen.size(); ++i)
    ASSERT_LE(keeper.seen[i - 1].end, keeper.seen[i].begin);
}

}  // namespace
}  // namespace pgrevive::wal
