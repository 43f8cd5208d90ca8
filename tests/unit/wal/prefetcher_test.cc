#include "wal/prefetcher.h"

#include <atomic>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "spool/client.h"
#include "spool/spool.h"
#include "support/temp_dir.h"
#include "support/throws.h"
#include "unit/wal/test_archive.h"
#include "wal/archive_get.h"

namespace pgrevive::wal {
namespace {

using namespace std::chrono_literals;
using postgres::Timeline;
using postgres::WalSegment;

constexpr const char* kArchive = "here";

std::string segment(int number) {
  return WalSegment(Timeline(1), static_cast<std::uint64_t>(number), kSize).name();
}

// As much of a data directory in recovery as anybody here looks at.
class Node {
 public:
  explicit Node(const std::filesystem::path& directory) : directory_(directory) {
    make_directories(directory / "pg_wal");
    make_directories(directory / "global");
    std::ofstream(directory / "recovery.signal");
    std::string control(64, '\0');
    for (std::size_t i = 0; i < 8; ++i) control[i] = static_cast<char>(kSystemId >> (8 * i));
    std::ofstream(directory / "global" / "pg_control") << control;
  }

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path delivered() const { return directory_ / "pg_wal" / "RECOVERYXLOG"; }
  std::filesystem::path spool() const { return directory_ / "pg_wal" / spool::kDirectory; }

  bool take(int number, const std::filesystem::path& fork = {}) const {
    return spool::take({.name = segment(number),
                        .destination = delivered(),
                        .data_directory = directory_,
                        .archive = kArchive,
                        .fork = fork,
                        .report = {}});
  }

  // What lies ready, or is kept.
  std::vector<std::string> spooled() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(spool())) {
      const auto name = entry.path().filename().string();
      if (spool::is_segment_name(name)) names.push_back(name);
    }
    return names;
  }

 private:
  std::filesystem::path directory_;
};

bool within(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

class PrefetcherTest : public testing::Test {
 protected:
  PrefetchOptions options() {
    return {.nodes = {{.name = "one", .data_directory = one_.directory(), .fork = {}}},
            .archives = {archive_.get()},
            .archive_name = kArchive,
            .cluster = {.system_id = kSystemId, .version = kVersion},
            .segment_size = kSize,
            .from = std::nullopt,
            .spool_bytes = 8 * kSize,
            .free_bytes = [this](const auto&) { return free_.load(); },
            .jobs = 2,
            .until_stopped = false,
            .log = {}};
  }
  PrefetchOptions options_of_both() {
    auto both = options();
    both.nodes.push_back({.name = "two", .data_directory = two_.directory(), .fork = {}});
    return both;
  }
  void fill(int first, int last) {
    for (int number = first; number <= last; ++number) archive_.put(segment(number));
  }
  void start(const PrefetchOptions& options) {
    prefetcher_.emplace(options);
    thread_ = std::jthread([this](const std::stop_token& stop) { prefetcher_->run(stop); });
  }
  void stop() {
    thread_ = {};
    prefetcher_.reset();
  }
  ~PrefetcherTest() override { thread_ = {}; }

  test::TempDir directory_;
  Node one_{directory_ / "one"};
  Node two_{directory_ / "two"};
  TestArchive archive_;
  std::atomic<std::uint64_t> free_ = 100 * kSize;
  std::optional<Prefetcher> prefetcher_;
  std::jthread thread_;
};

TEST_F(PrefetcherTest, BringsWhatIsAskedForAndWhatFollows) {
  fill(1, 9);
  start(options());

  ASSERT_TRUE(one_.take(3));

  EXPECT_EQ(read_file(one_.delivered()), wal(segment(3)));
  EXPECT_TRUE(within(5s, [&] { return one_.spooled().size() == 6; })) << "4 to 9";
}

TEST_F(PrefetcherTest, BeginsWithoutBeingAskedWhereItIsTold) {
  fill(1, 4);
  auto options = this->options();
  options.from = WalSegment(Timeline(1), 2, kSize);

  start(options);

  EXPECT_TRUE(within(5s, [&] { return one_.spooled().size() == 3; }));
}

TEST_F(PrefetcherTest, NeverHoldsMoreThanTheSpoolMayHold) {
  fill(1, 40);
  start(options());
  ASSERT_TRUE(one_.take(1));
  EXPECT_TRUE(within(5s, [&] { return one_.spooled().size() == 8; }));
  std::this_thread::sleep_for(50ms);

  EXPECT_EQ(one_.spooled().size(), 8u);

  for (int number = 2; number <= 40; ++number) {
    ASSERT_TRUE(one_.take(number)) << number;
    EXPECT_LE(one_.spooled().size(), 8u);
  }
}

TEST_F(PrefetcherTest, ReadsEachSegmentOnceForAllServers) {
  fill(1, 6);
  start(options_of_both());

  for (int number = 1; number <= 6; ++number) {
    ASSERT_TRUE(one_.take(number));
    ASSERT_TRUE(two_.take(number));
    EXPECT_EQ(read_file(one_.delivered()), wal(segment(number)));
    EXPECT_EQ(read_file(two_.delivered()), wal(segment(number)));
  }
  EXPECT_EQ(prefetcher_->totals().fetched, 6u);
  EXPECT_EQ(archive_.storage().take_reads().size(), 6u);
}

TEST_F(PrefetcherTest, GivesEachServerAFileOfItsOwn) {
  // PostgreSQL fills restored segments again under other names; see spool/spool.h.
  fill(1, 1);
  start(options_of_both());
  ASSERT_TRUE(one_.take(1));
  ASSERT_TRUE(within(5s, [&] { return two_.spooled().size() == 1; }));

  std::ofstream(one_.delivered(), std::ios::in) << "overwritten in place";

  ASSERT_TRUE(two_.take(1));
  EXPECT_EQ(read_file(two_.delivered()), wal(segment(1)));
  struct stat about {};
  ASSERT_EQ(::stat(two_.delivered().c_str(), &about), 0);
  EXPECT_EQ(about.st_nlink, 1u);
}

TEST_F(PrefetcherTest, SaysAtOnceWhatItHasNot) {
  fill(1, 2);
  start(options());
  const auto begin = std::chrono::steady_clock::now();

  EXPECT_FALSE(one_.take(3));

  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s) << "it was waited for";
  EXPECT_FALSE(std::filesystem::exists(one_.delivered()));
}

TEST_F(PrefetcherTest, FindsWhatIsArchivedLater) {
  fill(1, 2);
  start(options());
  ASSERT_FALSE(one_.take(3));
  archive_.put(segment(3));

  EXPECT_TRUE(within(5s, [&] { return one_.take(3); }));
}

TEST_F(PrefetcherTest, LaysNothingDownThatIsDamaged) {
  fill(1, 1);
  const auto path = archive_.put(segment(2), wal(segment(2)));
  archive_.storage().put(path, wal(segment(2), 'y'));
  archive_.put(segment(3), wal(segment(7)));  // whole, but another one
  archive_.put(segment(4), wal(segment(4), 'x', kSystemId + 1));
  start(options());
  ASSERT_TRUE(one_.take(1));

  for (int number = 2; number <= 4; ++number) EXPECT_FALSE(one_.take(number)) << number;

  EXPECT_THAT(one_.spooled(), testing::IsEmpty());
}

TEST_F(PrefetcherTest, LeavesToArchiveGetWhatIsThereTwiceWithDifferentContents) {
  fill(1, 1);
  archive_.put(segment(1), wal(segment(1), 'y'));
  start(options());

  EXPECT_FALSE(one_.take(1));
}

TEST_F(PrefetcherTest, TakesWhatOneArchiveCannotGiveFromAnother) {
  fill(1, 1);
  TestArchive second;
  second.put(segment(1));
  archive_.storage().fail("archive/main/15-1/" + segment(1).substr(0, 16),
                          Error(ErrorKind::unavailable, "cut"));
  auto options = this->options();
  options.archives.push_back(second.get());
  start(options);

  EXPECT_TRUE(one_.take(1));
}

TEST_F(PrefetcherTest, GivesUpOnAnArchiveThatCannotBeReached) {
  fill(1, 1);
  archive_.storage().fail("archive/main/15-1", Error(ErrorKind::unavailable, "cut"));
  start(options());

  EXPECT_FALSE(one_.take(1));
}

class PrefetcherAtAFork : public PrefetcherTest {
 protected:
  PrefetchOptions forked() {
    auto both = options_of_both();
    both.nodes[1].fork = file_;
    return both;
  }
  // The primary left timeline 1 in segment 4.
  void leave() const {
    const std::string text = "1\t0/480000\tno recovery target specified\n";
    Fork{.history = postgres::TimelineHistory::parse(Timeline(2), text), .history_text = text}.save(
        file_);
  }
  std::filesystem::path file_ = directory_ / "fork";
};

TEST_F(PrefetcherAtAFork, AReplicaIsGivenNothingBeforeItIsKnown) {
  fill(1, 3);
  start(forked());
  ASSERT_TRUE(one_.take(1));
  ASSERT_TRUE(within(5s, [&] { return two_.spooled().size() == 3; }))
      << "what the primary is given is kept";

  EXPECT_FALSE(two_.take(1));
  EXPECT_FALSE(two_.take(1, file_));
}

TEST_F(PrefetcherAtAFork, AReplicaIsGivenWhatWasKeptUpToIt) {
  fill(1, 9);
  auto options = forked();
  options.from = WalSegment(Timeline(1), 1, kSize);
  start(options);
  for (int number = 1; number <= 9; ++number) ASSERT_TRUE(one_.take(number));
  const auto fetched = prefetcher_->totals().fetched;
  leave();
  ASSERT_TRUE(within(5s, [&] { return two_.take(1, file_); }));

  EXPECT_TRUE(two_.take(2, file_));
  EXPECT_TRUE(two_.take(3, file_));
  EXPECT_FALSE(two_.take(4, file_)) << "beyond the fork";
  EXPECT_FALSE(two_.take(2)) << "without the fork file nothing is for a replica";
  EXPECT_EQ(prefetcher_->totals().fetched, fetched);
  EXPECT_THAT(two_.spooled(), testing::IsEmpty());
}

TEST_F(PrefetcherAtAFork, AnotherForkFileOpensNothing) {
  fill(1, 3);
  leave();
  start(forked());
  ASSERT_TRUE(within(5s, [&] { return two_.take(1, file_); }));
  ASSERT_TRUE(within(5s, [&] { return two_.spooled().size() == 2; }));
  const auto other = directory_ / "other";
  std::ofstream(other) << "3\n1\t0/200000\tearlier\n";

  EXPECT_FALSE(two_.take(2, other));
}

TEST_F(PrefetcherTest, EmptiesTheSpoolOfOneThatWasKilled) {
  make_directories(one_.spool() / "0123456789abcdef");
  std::ofstream(one_.spool() / "0123456789abcdef" / segment(1)) << "old";
  std::ofstream(one_.spool() / (segment(2) + ".tmp")) << "half";

  start(options());

  EXPECT_THAT(one_.spooled(), testing::IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(one_.spool() / (segment(2) + ".tmp")));
}

TEST_F(PrefetcherTest, LeavesNothingBehind) {
  fill(1, 9);
  start(options());
  ASSERT_TRUE(one_.take(1));

  stop();

  EXPECT_FALSE(std::filesystem::exists(one_.spool()));
}

TEST_F(PrefetcherTest, IsTheOnlyOneOfAServer) {
  start(options());

  EXPECT_THAT([&] { Prefetcher second(options()); },
              test::throws(ErrorKind::busy, "another prefetcher"));
  fill(1, 1);
  EXPECT_TRUE(one_.take(1)) << "the first goes on";
}

TEST_F(PrefetcherTest, ListensAgainWhenItWasTakenForDead) {
  fill(1, 3);
  start(options());
  std::filesystem::remove(one_.spool() / spool::kSocket);

  EXPECT_TRUE(within(5s, [&] { return std::filesystem::exists(one_.spool() / spool::kSocket); }));
  EXPECT_TRUE(one_.take(1));
}

TEST_F(PrefetcherTest, EndsWithTheRecovery) {
  prefetcher_.emplace(options());
  bool ended = false;
  std::jthread thread([&](const std::stop_token& stop) {
    prefetcher_->run(stop);
    ended = true;
  });
  std::filesystem::remove(one_.directory() / "recovery.signal");

  thread.join();
  EXPECT_TRUE(ended);
}

TEST_F(PrefetcherTest, GoesOnUntilItIsStoppedWhereItIsTold) {
  fill(1, 1);
  std::filesystem::remove(one_.directory() / "recovery.signal");
  auto options = this->options();
  options.until_stopped = true;
  start(options);
  std::this_thread::sleep_for(500ms);  // it looks for the end as soon as it serves

  EXPECT_TRUE(one_.take(1));
}

TEST_F(PrefetcherTest, LooksNotAheadWhereTheDiskIsNearlyFull) {
  fill(1, 9);
  free_ = 8 * kSize;
  start(options());
  ASSERT_TRUE(one_.take(1));
  ASSERT_TRUE(one_.take(2)) << "what is asked for is fetched all the same";
  std::this_thread::sleep_for(50ms);

  EXPECT_THAT(one_.spooled(), testing::IsEmpty());
  free_ = 100 * kSize;
  EXPECT_TRUE(within(5s, [&] { return one_.spooled().size() == 7; }));
}

TEST_F(PrefetcherAtAFork, WhatIsKeptGoesWhenTheDiskFillsUp) {
  fill(1, 3);
  start(forked());
  ASSERT_TRUE(one_.take(1));
  ASSERT_TRUE(within(5s, [&] { return two_.spooled().size() == 3; }));

  free_ = kSize;

  EXPECT_TRUE(within(5s, [&] { return two_.spooled().empty(); }));
  EXPECT_EQ(one_.spooled().size(), 2u);
}

TEST_F(PrefetcherAtAFork, NothingIsKeptWhereOnlyOneSegmentHasRoom) {
  fill(1, 3);
  auto options = forked();
  options.spool_bytes = kSize / 2;
  start(options);
  ASSERT_TRUE(one_.take(1));
  ASSERT_TRUE(within(5s, [&] { return one_.spooled().size() == 1; }));

  EXPECT_THAT(two_.spooled(), testing::IsEmpty());
}

TEST_F(PrefetcherTest, IsNotEndedByASegmentThatCannotBe) {
  fill(1, 1);
  start(options());
  // With 1 MiB in a segment the last eight digits are below 0x1000.
  EXPECT_FALSE(spool::take({.name = "0000000100000000FFFFFFFF",
                            .destination = one_.delivered(),
                            .data_directory = one_.directory(),
                            .archive = kArchive,
                            .fork = {},
                            .report = {}}));

  EXPECT_TRUE(one_.take(1));
}

TEST_F(PrefetcherTest, DoesNotAskAnArchiveInTroubleAllTheTime) {
  archive_.storage().fail("archive/main/15-1", Error(ErrorKind::unavailable, "cut"));
  std::atomic<int> looks = 0;
  auto options = this->options();
  options.from = WalSegment(Timeline(1), 1, kSize);
  options.log = [&](const std::string& line) {
    looks += line.find("cannot list") != std::string::npos ? 1 : 0;
  };
  start(options);
  std::this_thread::sleep_for(2500ms);
  stop();

  EXPECT_THAT(looks.load(), testing::AllOf(testing::Ge(2), testing::Le(3)));
}

TEST_F(PrefetcherTest, HoldsNobodyBackWhileTheStorageHangs) {
  archive_.storage().fail("archive/main/15-1", Error(ErrorKind::unavailable, "cut"));
  auto options = this->options();
  options.log = [](const std::string&) { std::this_thread::sleep_for(6s); };  // within the look
  start(options);
  const auto begin = std::chrono::steady_clock::now();

  EXPECT_FALSE(one_.take(1));

  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
  stop();
}

TEST_F(PrefetcherTest, ADiskThatCannotBeWrittenIsOneServersTrouble) {
  fill(1, 9);
  start(options_of_both());
  // Stands where the file would be made.
  make_directories(two_.spool() / (segment(7) + ".tmp") / "x");

  for (int number = 1; number <= 7; ++number) {
    ASSERT_TRUE(one_.take(number)) << number;
    if (number < 7) two_.take(number);  // or not: it may have been given up by then
  }

  EXPECT_TRUE(read_file(one_.delivered()) == wal(segment(7)));
  EXPECT_FALSE(two_.take(7));
}

}  // namespace
}  // namespace pgrevive::wal
