#include "cluster/archive_line.h"

#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/memory_storage.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;

constexpr std::uint32_t kSize = 16u << 20;
constexpr std::uint64_t kSystem = 7;

// An archive whose timeline 1 was left for 2 at 0/5000000, and 2 for 3 at 0/7000000; timeline 4
// left timeline 1 at 0/2000000, before the backup that begins in segment 3.
class ArchiveLineTest : public testing::Test {
 protected:
  ArchiveLineTest() {
    put("00000002.history", "1\t0/5000000\tpromoted\n");
    put("00000003.history", "1\t0/5000000\tpromoted\n2\t0/7000000\tpromoted\n");
    put("00000004.history", "1\t0/2000000\tpromoted\n");
    for (int number = 3; number <= 9; ++number) segment(1, number);
    for (int number = 5; number <= 8; ++number) segment(2, number);
  }

  void put(const std::string& name, const std::string& text) {
    storage_->put("archive/main/15-1/" + name, text);
  }
  void segment(std::uint32_t timeline, std::uint64_t number) {
    const auto name = WalSegment(Timeline(timeline), number, kSize).name();
    put(name.substr(0, 16) + "/" + name + "-" + std::string(40, 'a'), "x");
  }
  static WalSegment begin() { return {Timeline(1), 3, kSize}; }

  ArchiveLine choose(const std::string& wanted) {
    return choose_line(archive_, Timeline(1), Lsn::parse("0/3000100"), wanted);
  }
  std::string newest(const ArchiveLine& line) {
    const auto found = newest_on(line, archive_, begin());
    return found ? found->segment.name() + (found->unfinished ? " unfinished" : "") : "";
  }

  static repository::ArchiveInfo info() {
    repository::ArchiveInfo info;
    info.history = {{.id = 1, .system_id = kSystem, .version = postgres::Version::of_major(15)}};
    info.current_id = 1;
    return info;
  }

  std::shared_ptr<test::MemoryStorage> storage_ = std::make_shared<test::MemoryStorage>();
  repository::Repository repository_{storage_, "main", Secret()};
  repository::WalArchive archive_{repository_, info(), kSystem, postgres::Version::of_major(15)};
};

TEST_F(ArchiveLineTest, WithoutAWishItIsTheNewestTimelineThatPassesTheBackup) {
  EXPECT_EQ(choose("").timeline(), Timeline(3));
}

TEST_F(ArchiveLineTest, LatestIsTheNewestThereIs) {
  EXPECT_THAT([&] { choose("latest"); },
              test::throws(ErrorKind::usage, "timeline 4 left timeline 1 before the backup's"));
  storage_->remove("archive/main/15-1/00000004.history");
  EXPECT_EQ(choose("latest").timeline(), Timeline(3));
  // Of a backup whose own history is lost.
  EXPECT_EQ(choose_line(archive_, Timeline(5), Lsn::parse("0/9000000"), "latest").timeline(),
            Timeline(5));
}

TEST_F(ArchiveLineTest, ANewerTimelineThatLeftBeforeTheBackupIsItsRival) {
  const auto rival = [&](const std::string& wanted, const char* position) {
    const auto found = rival_of(archive_, choose(wanted), Timeline(1), Lsn::parse(position));
    return found ? found->timeline.value() : 0;
  };
  EXPECT_EQ(rival("", "0/3000100"), 4u);
  EXPECT_EQ(rival("current", "0/3000100"), 4u);
  EXPECT_EQ(rival("", "0/1000100"), 0u);  // it passes the backup
  storage_->remove("archive/main/15-1/00000004.history");
  EXPECT_EQ(rival("", "0/3000100"), 0u);
}

// Recovery goes along timeline 2; the source is promoted to 3 meanwhile.
TEST_F(ArchiveLineTest, ANewerLineGoesOnWhereItHasAllThatWasReplayed) {
  const auto from = [&](const char* wanted, std::uint32_t on, const char* position) {
    return newer_lines(archive_, choose(wanted), Timeline(1), Lsn::parse("0/3000100"), Timeline(on),
                       Lsn::parse(position));
  };
  const auto all = from("2", 2, "0/7000000");
  ASSERT_TRUE(all.onward);
  EXPECT_EQ(all.onward->timeline(), Timeline(3));
  EXPECT_THAT(all.aside, testing::IsEmpty());

  const auto early = from("2", 1, "0/4000000");
  ASSERT_TRUE(early.onward);
  EXPECT_EQ(early.onward->timeline(), Timeline(3));

  EXPECT_FALSE(from("3", 3, "0/9000000").onward);
}

TEST_F(ArchiveLineTest, ANewerLineThatLeftBeforeIsAside) {
  const auto from = [&](const char* wanted, std::uint32_t on, const char* position) {
    return newer_lines(archive_, choose(wanted), Timeline(1), Lsn::parse("0/3000100"), Timeline(on),
                       Lsn::parse(position));
  };
  const auto found = from("2", 2, "0/7000001");
  EXPECT_FALSE(found.onward);
  ASSERT_EQ(found.aside.size(), 1u);
  EXPECT_EQ(found.aside[0].timeline, Timeline(3));

  // 2 and 3 left 1 at 0/5000000; 4 had left it before the backup, and was never to be chosen.
  std::vector<Timeline> aside;
  for (const auto& history : from("1", 1, "0/6000000").aside) aside.push_back(history.timeline);
  EXPECT_THAT(aside, testing::ElementsAre(Timeline(3), Timeline(2)));
}

TEST_F(ArchiveLineTest, CurrentIsTheBackupsOwn) {
  EXPECT_EQ(choose("current").timeline(), Timeline(1));
}

TEST_F(ArchiveLineTest, ANumberIsTakenInBothNotations) {
  EXPECT_EQ(choose("2").timeline(), Timeline(2));
  EXPECT_EQ(choose("0x2").timeline(), Timeline(2));
  EXPECT_EQ(choose("1").timeline(), Timeline(1));
}

TEST_F(ArchiveLineTest, ATimelineThatLeftBeforeTheBackupIsRefused) {
  EXPECT_THAT([&] { choose("4"); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("before the backup's 0/3000100")));
}

TEST_F(ArchiveLineTest, WhatIsNoTimelineIsRefused) {
  for (const auto* text : {"0", "newest", "2x", "0x"})
    EXPECT_THAT([&] { choose(text); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("not a recovery target timeline")))
        << text;
  EXPECT_THAT([&] { choose("9"); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("00000009.history")));
}

TEST_F(ArchiveLineTest, TheNewestSegmentIsTheLinesOwn) {
  EXPECT_EQ(newest(choose("2")), "000000020000000000000008");
  EXPECT_EQ(newest(choose("current")), "000000010000000000000009");
}

// Timeline 3 has archived nothing yet; of 2 counts what it wrote before it was left at 0/7000000.
TEST_F(ArchiveLineTest, BeforeANewTimelineArchivesTheNewestIsItsAncestors) {
  EXPECT_EQ(newest(choose("3")), "000000020000000000000006");
}

TEST_F(ArchiveLineTest, TheEndOfALineMayBeASegmentThatNobodyFinished) {
  const auto put = [&](const std::string& name) {
    const auto place =
        "archive/main/15-1/" + name.substr(0, 16) + "/" + name + "-" + std::string(40, 'a');
    storage_->put(place, "");
  };
  put("000000020000000000000009.partial");
  EXPECT_EQ(newest(choose("2")), "000000020000000000000009 unfinished");
  // Of the last segment only what lies before 0/6800000 is of timeline 5.
  storage_->put("archive/main/15-1/00000005.history", "1\t0/5000000\n2\t0/6800000\n");
  EXPECT_EQ(newest(choose("5")), "000000020000000000000006 unfinished");
  storage_->put("archive/main/15-1/00000005.history", "1\t0/5000000\n2\t0/9800000\n");
  EXPECT_EQ(newest(choose("5")), "000000020000000000000009 unfinished");
}

// Timeline 3 was left as well, by one that is not followed, before it had written a whole one.
TEST_F(ArchiveLineTest, ALineMayHaveNoMoreOfItsOwnThanASegmentThatNobodyFinished) {
  storage_->put(
      "archive/main/15-1/0000000300000000/000000030000000000000007.partial-" + std::string(40, 'a'),
      "");
  EXPECT_EQ(newest(choose("3")), "000000030000000000000007 unfinished");
}

TEST_F(ArchiveLineTest, AnArchiveWithNothingOnTheLineHasNoNewest) {
  const auto line = choose("2");

  EXPECT_FALSE(newest_on(line, archive_, {Timeline(1), 100, kSize}));
}

}  // namespace
}  // namespace pgrevive::cluster
