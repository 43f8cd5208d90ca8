#include "wal/target_records.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/real_server.h"
#include "unit/wal/wal_writer.h"

namespace pgrevive::wal {
namespace {

using postgres::Lsn;
using Kind = TargetPoint::Kind;

TEST(TransactionNumbers, GoRound) {
  EXPECT_TRUE(precedes(700, 701));
  EXPECT_FALSE(precedes(701, 701));
  EXPECT_FALSE(precedes(702, 701));
  EXPECT_TRUE(precedes(4294967000u, 5));  // five is the later one
  EXPECT_FALSE(precedes(5, 4294967000u));
  EXPECT_TRUE(precedes(2, 4294967000u));  // but what is there from the beginning is first
}

// "2026-11-25 02:44:10.123456" of UTC as microseconds since 1970.
std::int64_t microseconds(const std::string& text) {
  std::tm fields{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &fields);
  return ::timegm(&fields) * 1'000'000LL + std::stoll(rest + 1);
}

// A server's whole WAL, and what its pg_waldump says of it.
class RealLog {
 public:
  explicit RealLog(const test::RealServer& server) : server_(server) {
    for (const auto& entry : std::filesystem::directory_iterator(directory()))
      if (const auto name = entry.path().filename().string(); name.size() == 24)
        names_.insert(name);
  }

  TargetRecords read(const WantedPoint& wanted) const {
    TargetRecords records(wanted, postgres::Version::of_major(15));
    RecordReader reader(records);
    for (const auto& name : names_) reader.write(as_bytes(read_file(directory() / name)));
    return records;
  }

  std::vector<std::string> dump(const std::string& manager) const {
    const auto output = run({.program = server_.binaries() / "pg_waldump",
                             .arguments = {"--rmgr=" + manager, "--path", directory().string(),
                                           *names_.begin(), *names_.rbegin()},
                             .environment = {{"TZ", "UTC"}}},
                            {}, std::chrono::seconds(60));
    std::vector<std::string> lines;
    std::istringstream text(output.out);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

 private:
  std::filesystem::path directory() const { return server_.data_directory() / "pg_wal"; }

  const test::RealServer& server_;
  std::set<std::string> names_;
};

std::uint32_t current(postgres::Connection& connection) {
  return static_cast<std::uint32_t>(std::stoul(*connection.value("select txid_current()")));
}

WantedPoint transaction(std::uint32_t number) {
  return {.kind = WantedPoint::Kind::transaction, .name = {}, .transaction = number};
}
WantedPoint named(const std::string& name) {
  return {.kind = WantedPoint::Kind::name, .name = name, .transaction = 0};
}

// Every end of a transaction that pg_waldump tells of is found by its number, and nothing else.
TEST(TargetRecords, AreThoseThatPgWaldumpFinds) {
  test::RealServer server({"--wal-segsize=1"});
  server.configure("max_prepared_transactions = 4\nwal_keep_size = 1GB\nwal_level = logical\n");
  server.start();
  auto connection = postgres::Connection::open(server.connection());
  connection.query("create table t (i int, filler text)");
  connection.query("select pg_replication_origin_create('o')");
  std::map<std::string, std::uint32_t> numbers;  // of what is odd about them
  const std::string long_name(63, 'n');
  std::map<std::string, std::string> points;  // what the server said of them
  for (int round = 0; round < 3; ++round) {
    connection.query(
        "insert into t select i, repeat('x', i % 1000) from generate_series(1, 2000) i");
    connection.query("begin");
    numbers["top"] = current(connection);
    connection.query("savepoint a");
    connection.query("insert into t values (2)");
    numbers["back"] = numbers["top"] + 1;
    connection.query("rollback to a");
    connection.query("insert into t values (3)");
    numbers["sub"] = numbers["top"] + 2;
    // So that the body has more before it.
    connection.query("create temp table gone (i int) on commit drop");
    connection.query("commit");
    for (const char* end : {"commit prepared 'p'", "rollback prepared 'p'"}) {
      connection.query("begin");
      numbers[end] = current(connection);
      connection.query("create table u" + std::to_string(round) + std::string(end, 3) + " (i int)");
      connection.query("savepoint a");
      connection.query("insert into t values (4)");
      connection.query("release a");
      connection.query("prepare transaction 'p'");
      connection.query(end);
    }
    connection.query("drop table u" + std::to_string(round) + "com");
    for (const auto& name : {std::string("one"), long_name})
      points[name] = *connection.value("select pg_create_restore_point('" + name + "')");
    connection.query("checkpoint");
  }
  connection.query("select pg_replication_origin_session_setup('o')");
  connection.query("begin");
  numbers["of an origin"] = current(connection);
  connection.query("insert into t values (5)");
  connection.query("commit");
  postgres::stop_server(server.data_directory(), postgres::ShutdownMode::fast, server.kLimit);

  const RealLog log(server);
  static const std::regex kEnd(
      "tx: +(\\d+), lsn: ([0-9A-F/]+), .* desc: (COMMIT|ABORT)(?:_PREPARED (\\d+):)? "
      "(\\d{4}-\\S+ [0-9:.]+)");
  std::set<std::uint32_t> seen;
  for (const auto& line : log.dump("Transaction")) {
    std::smatch match;
    if (!std::regex_search(line, match, kEnd)) continue;
    const auto number =
        static_cast<std::uint32_t>(std::stoul(match[4].matched ? match[4].str() : match[1].str()));
    seen.insert(number);
    const auto found = log.read(transaction(number)).points;
    ASSERT_EQ(found.size(), 1u) << line;
    EXPECT_EQ(found[0].begin, Lsn::parse(match[2].str())) << line;
    EXPECT_EQ(found[0].kind, match[3] == "COMMIT" ? Kind::commit : Kind::abort) << line;
    EXPECT_EQ(found[0].time, microseconds(match[5].str())) << line;
    EXPECT_GT(found[0].end, found[0].begin);
  }
  EXPECT_GE(seen.size(), 19u);
  for (const char* what :
       {"top", "back", "commit prepared 'p'", "rollback prepared 'p'", "of an origin"})
    EXPECT_TRUE(seen.contains(numbers[what])) << what;
  EXPECT_FALSE(seen.contains(numbers["sub"]));
  const auto sub = log.read(transaction(numbers["sub"]));
  EXPECT_TRUE(sub.points.empty());
  EXPECT_EQ(sub.top_level, numbers["top"]);
  EXPECT_EQ(log.read(transaction(numbers["commit prepared 'p'"] + 1)).top_level,
            numbers["commit prepared 'p'"]);

  static const std::regex kRestorePoint("lsn: ([0-9A-F/]+), .* desc: RESTORE_POINT (\\w+)");
  std::map<std::string, std::vector<Lsn>> dumped;
  for (const auto& line : log.dump("XLOG"))
    if (std::smatch match; std::regex_search(line, match, kRestorePoint))
      dumped[match[2].str()].push_back(Lsn::parse(match[1].str()));
  ASSERT_EQ(dumped.size(), 2u);
  for (const auto& [name, places] : dumped) {
    const auto found = log.read(named(name));
    ASSERT_EQ(found.points.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(found.points[i].begin, places[i]);
    EXPECT_EQ(found.points.back().end.text(), points[name]);
    EXPECT_EQ(found.restore_points.size(), 6u);
  }
  EXPECT_TRUE(log.read(named("on")).points.empty());
  EXPECT_TRUE(log.read(named("one ")).points.empty());

  static const std::regex kMark(
      "lsn: ([0-9A-F/]+), .* RUNNING_XACTS nextXid (\\d+) latestCompletedXid \\d+ oldestRunningXid "
      "(\\d+)");
  std::vector<TransactionMark> marks;
  for (const auto& line : log.dump("Standby"))
    if (std::smatch match; std::regex_search(line, match, kMark))
      marks.push_back({.at = Lsn::parse(match[1].str()),
                       .next = static_cast<std::uint32_t>(std::stoul(match[2].str())),
                       .oldest_running = static_cast<std::uint32_t>(std::stoul(match[3].str()))});
  EXPECT_GE(marks.size(), 3u);
  EXPECT_EQ(log.read(transaction(3)).marks, marks);
}

// The body's parts that few transactions have, in the sizes that they have from which version on.
TEST(TargetRecords, FindThePreparedTransactionBehindAllThatABodyMayHave) {
  for (const int version : {15, 18}) {
    std::string body(8, '\0');
    const auto number = [&](std::uint32_t value) {
      body.resize(body.size() + 4);
      WalWriter::store(body, body.size() - 4, value, 4);
    };
    number(0x11f);                 // has all that comes here
    body.resize(body.size() + 8);  // the database
    for (const std::size_t size : {4, 12, version == 18 ? 16 : 12, 16}) {
      number(2);
      for (std::size_t at = 0; at < 2 * size; at += 4) number(500);
    }
    number(777);
    body += "gid";
    WalWriter log;
    const auto begin = log.append(1, 0x30 | 0x80, WalWriter::main_data(body), 9);
    const auto find = [&](std::uint32_t wanted) {
      TargetRecords records(transaction(wanted), postgres::Version::of_major(version));
      RecordReader(records).write(as_bytes(log.segment(0)));
      return records;
    };
    ASSERT_EQ(find(777).points.size(), 1u) << version;
    EXPECT_EQ(find(777).points[0].begin, begin);
    EXPECT_EQ(find(500).top_level, 777u);
    EXPECT_TRUE(find(9).points.empty());
  }
}

}  // namespace
}  // namespace pgrevive::wal
