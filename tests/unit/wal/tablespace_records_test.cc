#include "wal/tablespace_records.h"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "support/real_server.h"
#include "support/temp_dir.h"
#include "unit/wal/wal_writer.h"

namespace pgrevive::wal {
namespace {

using postgres::Lsn;

constexpr std::size_t kPage = WalWriter::kPage;
constexpr std::size_t kSegment = WalWriter::kSegment;

Lsn tablespace(WalWriter& log, std::uint32_t oid, const std::string& path) {
  std::string data(4, '\0');
  WalWriter::store(data, 0, oid, 4);
  return log.append(5, 0x00, WalWriter::main_data(data + path + '\0'));
}

std::vector<TablespaceRecord> found_in(const std::string& segment,
                                       const UnfinishedRecord& before = {}) {
  return find_tablespace_records(as_bytes(segment), before).records;
}

TEST(TablespaceRecords, AreFoundOverTheEndsOfPages) {
  WalWriter log;
  std::vector<TablespaceRecord> expected;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const auto path = "/srv/" + std::string(i, 'p');
    const auto before = log.append(5, 0x10, "drop");
    expected.push_back({tablespace(log, 16384 + i, path), before, 16384 + i, path});
  }
  std::vector<TablespaceRecord> found;
  UnfinishedRecord before;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto segment = log.segment(i);
    auto here = find_tablespace_records(as_bytes(segment), before);
    std::ranges::move(here.records, std::back_inserter(found));
    before = std::move(here.unfinished);
  }
  EXPECT_EQ(found, expected);
}

// Wherever the end of a segment cuts it: the predecessor has its beginning, and without that the
// segment says at least that it may hold the rest of one.
TEST(TablespaceRecords, GoOnInTheNextSegment) {
  for (const std::string path : {"/a", "/srv/tablespaces/of the source/late"}) {
    const auto size = (24 + 2 + 4 + path.size() + 1 + 7) / 8 * 8;
    for (std::size_t left = 8; left < size; left += 8) {
      SCOPED_TRACE(path + " cut after " + std::to_string(left));
      WalWriter log;
      log.append(10, 0, "a record");
      log.fill_up_to(left);
      const auto before = log.last();
      const auto begin = tablespace(log, 77777, path);
      log.append(10, 0, "another record");
      const auto first = find_tablespace_records(as_bytes(log.segment(0)));
      EXPECT_TRUE(first.records.empty());
      EXPECT_EQ(first.unfinished.begin, begin);
      EXPECT_EQ(first.unfinished.bytes.size(), left);
      EXPECT_TRUE(may_end_tablespace_record(as_bytes(log.segment(1))));
      EXPECT_EQ(found_in(log.segment(1), first.unfinished),
                (std::vector<TablespaceRecord>{{begin, before, 77777, path}}));
      EXPECT_TRUE(found_in(log.segment(1)).empty());
    }
  }
}

TEST(TablespaceRecords, OthersThatGoOnAreNotMistaken) {
  WalWriter log;
  log.append(10, 0, "a record");
  log.fill_up_to(40);
  log.append(10, 0x20, std::string(100, 'w'));
  EXPECT_TRUE(find_tablespace_records(as_bytes(log.segment(0))).unfinished.bytes.empty());
  EXPECT_FALSE(may_end_tablespace_record(as_bytes(log.segment(1))));
}

TEST(TablespaceRecords, BehindOneThatWasNeverEnded) {
  WalWriter log;
  log.append(10, 0, std::string(5000, 'x'));
  log.append(10, 0, std::string(100, 'x'));
  log.append(10, 0, std::string(8100 - 5200, 'x'));
  log.crash();
  const auto begin = tablespace(log, 5, "/after");
  EXPECT_EQ(found_in(log.segment(0)).size(), 0u);  // zeros are the end of the log
  WalWriter cut;
  cut.append(10, 0, std::string(20000, 'x'));
  auto text = cut.segment(0);
  text[kPage + 2] = 0;  // not continued: a record begins there
  const auto record = log.segment(0).substr(begin.value() % kSegment, 48);
  std::copy(record.begin(), record.end(), text.begin() + kPage + 24);
  const auto found = found_in(text);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].begin, Lsn(3 * kSegment + kPage + 24));
  EXPECT_EQ(found[0].path, "/after");
}

TEST(TablespaceRecords, AreNotInWhatIsNoWal) {
  for (const auto& text : {std::string(), std::string(39, '\xff'), std::string(kSegment, '\0'),
                           std::string(kSegment, '\xff'), std::string(kSegment, '\x02')}) {
    EXPECT_TRUE(found_in(text).empty());
    EXPECT_FALSE(may_end_tablespace_record(as_bytes(text)));
  }
}

TEST(TablespaceRecords, AreThoseThatPgWaldumpFinds) {
  test::RealServer server;
  server.configure("wal_keep_size = 1GB\n");
  server.start();
  auto connection = postgres::Connection::open(server.connection());
  std::vector<std::string> places;
  for (const std::size_t length : {1u, 40u, 200u}) {
    const auto place = server.directory() / std::string(length, 't');
    make_directories(place);
    if (::geteuid() == 0) {
      const auto owner = Identity::find("postgres");
      ASSERT_EQ(::chown(place.c_str(), owner->uid, owner->gid), 0);
    }
    places.push_back(place);
    connection.query("create tablespace t" + std::to_string(length) + " location '" +
                     place.string() + "'");
    connection.query("create table u" + std::to_string(length) + " tablespace t" +
                     std::to_string(length) + " as select generate_series(1, 200000) i");
    connection.query("drop table u" + std::to_string(length));
  }
  connection.query("drop tablespace t1");
  postgres::stop_server(server.data_directory(), postgres::ShutdownMode::fast, server.kLimit);

  std::vector<std::string> found;
  std::vector<std::string> dumped;
  static const std::regex kCreate("lsn: ([0-9A-F/]+), .*desc: CREATE (\\d+) \"(.*)\"");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(server.data_directory() / "pg_wal"))
    if (entry.path().filename().string().size() == 24) names.insert(entry.path().filename());
  for (const auto& name : names) {
    const auto file = server.data_directory() / "pg_wal" / name;
    const auto text = read_file(file);
    for (const auto& record : found_in(text))
      found.push_back(record.begin.text() + " " + std::to_string(record.oid) + " " + record.path);
    const test::TempDir alone;
    std::filesystem::copy(file, alone.path() / name);
    const auto output = run({.program = server.binaries() / "pg_waldump",
                             .arguments = {"--rmgr=Tablespace", (alone.path() / name).string()}},
                            {}, std::chrono::seconds(60));
    std::istringstream lines(output.out);
    for (std::string line; std::getline(lines, line);)
      if (std::smatch match; std::regex_search(line, match, kCreate))
        dumped.push_back(Lsn::parse(match[1].str()).text() + " " + match[2].str() + " " +
                         match[3].str());
  }
  EXPECT_EQ(found, dumped);
  ASSERT_EQ(found.size(), places.size());
  for (std::size_t i = 0; i < places.size(); ++i) EXPECT_TRUE(found[i].ends_with(" " + places[i]));
}

}  // namespace
}  // namespace pgrevive::wal
