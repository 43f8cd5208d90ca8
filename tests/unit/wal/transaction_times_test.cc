#include "wal/transaction_times.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/real_server.h"
#include "support/temp_dir.h"

namespace pgrevive::wal {
namespace {

std::optional<TransactionTimes::Times> read(ByteView segment, std::size_t at_once) {
  TransactionTimes times;
  for (std::size_t at = 0; at < segment.size(); at += at_once)
    times.write(segment.subspan(at, std::min(at_once, segment.size() - at)));
  times.finish();
  return times.times();
}

// "2026-11-25 02:44:10.123456" of UTC as microseconds since 1970.
std::int64_t microseconds(const std::string& text) {
  std::tm fields{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &fields);
  return ::timegm(&fields) * 1'000'000LL + std::stoll(rest + 1);
}

// What pg_waldump finds in one segment: the times of all COMMITs and ABORTs, in order.
std::vector<std::int64_t> dumped(const test::RealServer& server, const std::string& name) {
  const test::TempDir alone;  // so that it reads nothing of the next segment
  std::filesystem::copy(server.data_directory() / "pg_wal" / name, alone.path() / name);
  const auto output = run({.program = server.binaries() / "pg_waldump",
                           .arguments = {"--rmgr=Transaction", (alone.path() / name).string()},
                           .environment = {{"TZ", "UTC"}}},
                          {}, std::chrono::seconds(60));
  std::vector<std::int64_t> times;
  std::istringstream lines(output.out);
  for (std::string line; std::getline(lines, line);) {
    auto at = std::string::npos;
    for (const char* word :
         {"desc: COMMIT ", "desc: ABORT ", "desc: COMMIT_PREPARED ", "desc: ABORT_PREPARED "}) {
      if (const auto found = line.find(word); found != std::string::npos)
        at = found + std::string(word).size();
    }
    if (at == std::string::npos) continue;
    if (const auto colon = line.find(": ", at); line.compare(at, 2, "20") != 0) at = colon + 2;
    times.push_back(microseconds(line.substr(at, 26)));
  }
  return times;
}

TEST(TransactionTimes, AreThoseThatPgWaldumpFinds) {
  test::RealServer server;
  server.configure("max_prepared_transactions = 4\nwal_keep_size = 1GB\nwal_level = logical\n");
  server.start();
  auto connection = postgres::Connection::open(server.connection());
  connection.query("create table t (i int, filler text)");
  connection.query("select pg_replication_origin_create('o')");
  const auto first = *connection.value("select pg_walfile_name(pg_current_wal_lsn())");
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 300; ++i) {
      connection.query("insert into t values (1, repeat('x', " + std::to_string(i * 7) + "))");
    }
    for (const char* statement :
         {"begin", "savepoint a", "insert into t values (2)", "savepoint b",
          "insert into t values (3)", "rollback to a", "commit", "begin",
          "insert into t values (4)", "rollback", "begin", "insert into t values (5)",
          "prepare transaction 'p'", "commit prepared 'p'", "begin", "insert into t values (6)",
          "prepare transaction 'q'", "rollback prepared 'q'"})
      connection.query(statement);
    // Across the end of a segment, with transactions' ends close to it on both sides.
    if (round == 1)
      for (int i = 0; i < 12000; ++i)
        connection.query("insert into t values (7, repeat('y', 1400))");
    connection.query("select pg_switch_wal()");
  }
  connection.query("select pg_replication_origin_session_setup('o')");
  connection.query("insert into t values (8)");
  const auto last = *connection.value("select pg_walfile_name(pg_current_wal_lsn())");
  postgres::stop_server(server.data_directory(), postgres::ShutdownMode::fast, server.kLimit);

  std::size_t segments = 0;
  std::size_t ends = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(server.data_directory() / "pg_wal")) {
    const auto name = entry.path().filename().string();
    if (name.size() != 24 || name < first || name > last) continue;
    const auto expected = dumped(server, name);
    const auto text = read_file(entry.path());
    for (const std::size_t at_once : {std::size_t{16} << 20, std::size_t{8192}, std::size_t{777}}) {
      const auto times = read(as_bytes(text), at_once);
      ASSERT_EQ(times.has_value(), !expected.empty()) << name;
      if (!times) continue;
      EXPECT_EQ(times->first, expected.front()) << name;
      EXPECT_EQ(times->last, expected.back()) << name;
      EXPECT_EQ(times->latest, *std::ranges::max_element(expected)) << name;
    }
    ++segments;
    ends += expected.size();
  }
  EXPECT_GE(segments, 5u);
  EXPECT_GE(ends, 12900u);
}

TEST(TransactionTimes, AreNotInWhatIsNoWal) {
  EXPECT_FALSE(read(as_bytes(std::string(1 << 20, '\0')), 8192));
  EXPECT_FALSE(read(as_bytes(std::string(1 << 20, '\xff')), 8192));
  EXPECT_FALSE(read({}, 1));
}

}  // namespace
}  // namespace pgrevive::wal
