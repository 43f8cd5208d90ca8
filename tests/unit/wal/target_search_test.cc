#include "wal/target_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/throws.h"
#include "unit/wal/test_archive.h"
#include "unit/wal/wal_writer.h"

namespace pgrevive::wal {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;
using Absence = TargetSearch::Absence;
using Kind = TargetPoint::Kind;
using Way = std::vector<WalSegment>;

constexpr std::uint64_t kFirst = 3;  // segment
constexpr auto kSegment = static_cast<std::uint32_t>(WalWriter::kSegment);

WantedPoint transaction(std::uint32_t number) {
  return {.kind = WantedPoint::Kind::transaction, .name = {}, .transaction = number};
}
WantedPoint named(const std::string& name) {
  return {.kind = WantedPoint::Kind::name, .name = name, .transaction = 0};
}

// A log that is written record by record, and archived.
struct Story {
  WalWriter log{kFirst};
  TestArchive archive = {};

  Lsn restore_point(std::string name) {
    std::string data(8, '\0');
    name.resize(64, '\0');
    return log.append(0, 0x70, WalWriter::main_data(data + name));
  }
  Lsn end_of(std::uint32_t number, bool commits = true) {
    return log.append(1, commits ? 0x00 : 0x20, WalWriter::main_data(std::string(8, '\0')), number);
  }
  // The end of `number` with one subtransaction.
  Lsn end_with(std::uint32_t number, std::uint32_t sub) {
    std::string data(8 + 4 + 8, '\0');
    WalWriter::store(data, 8, 2, 4);
    WalWriter::store(data, 12, 1, 4);
    WalWriter::store(data, 16, sub, 4);
    return log.append(1, 0x80, WalWriter::main_data(data), number);
  }
  Lsn mark(std::uint32_t next, std::uint32_t oldest_running) {
    std::string data(24, '\0');
    WalWriter::store(data, 12, next, 4);
    WalWriter::store(data, 16, oldest_running, 4);
    return log.append(8, 0x10, WalWriter::main_data(data));
  }
  void fill(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes / 1000; ++i) log.append(10, 0, std::string(976, 'x'));
  }
  // All that was written, as that timeline's.
  void archive_all(Timeline timeline = Timeline(1)) {
    for (const auto& segment : way(timeline))
      archive.put(segment.name(), log.segment(segment.number() - kFirst));
  }
  Way way(Timeline timeline = Timeline(1), std::uint64_t first = kFirst) const {
    Way segments;
    for (auto number = first; number * kSegment < log.end().value(); ++number)
      segments.emplace_back(timeline, number, kSegment);
    return segments;
  }
  TargetSearch search(const WantedPoint& wanted, std::stop_token stop = {}) const {
    return {*archive.get(), kSystemId, kVersion, wanted, std::move(stop)};
  }
};

TargetSearch::Span from(Lsn begin) { return {.from = begin, .to = Lsn(~std::uint64_t{0})}; }

TEST(TargetSearch, FindsTheFirstOfANameThatIsBehindTheBackup) {
  Story story;
  story.fill(kSegment);
  const auto first = story.restore_point("here");
  story.restore_point("there");
  story.fill(3 * kSegment);
  const auto second = story.restore_point("here");
  story.fill(kSegment);
  story.archive_all();
  auto search = story.search(named("here"));
  const auto way = story.way();
  EXPECT_EQ(search.first_on(way, from(Lsn())).point->begin, first);
  EXPECT_LE(search.segments_read(), 3u) << "what lies behind it is not read";
  EXPECT_EQ(search.first_on(way, from(first)).point->begin, first);
  const auto later = search.first_on(way, from(Lsn(first.value() + 1)));
  EXPECT_EQ(later.point->begin, second);
  EXPECT_GT(later.point->end, second);
  EXPECT_EQ(later.point->kind, Kind::restore_point);
  EXPECT_EQ(search.first_on(way, from(Lsn(second.value() + 1))).absence, Absence::not_there);
  const auto all = search.restore_points();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].name, "there");
  EXPECT_EQ(story.search(named("nowhere")).first_on(way, from(Lsn())).absence, Absence::not_there);
}

TEST(TargetSearch, ReadsNoSegmentTwiceForTwoBackups) {
  Story story;
  story.fill(3 * kSegment);
  const auto early = story.restore_point("early");
  for (int i = 0; i < 10; ++i) {
    story.fill(kSegment / 2);
    story.restore_point("again and again");
  }
  story.archive_all();
  auto search = story.search(named("early"));
  const auto newer = story.way(Timeline(1), kFirst + 6);
  EXPECT_FALSE(search.first_on(newer, from(newer.front().begin())).point);
  EXPECT_EQ(search.segments_read(), newer.size());
  EXPECT_EQ(search.first_on(story.way(), from(Lsn())).point->begin, early);
  EXPECT_LE(search.segments_read(), newer.size() + 6);
  auto unknown = story.search(named("unknown"));
  unknown.first_on(newer, from(Lsn()));
  unknown.first_on(story.way(), from(Lsn()));
  EXPECT_LE(unknown.segments_read(), story.way().size() + 1);  // the one where both meet
  EXPECT_EQ(unknown.restore_points().size(), 11u);
}

// As segments of a gigabyte are read: none is in memory as a whole.
TEST(TargetSearch, FindsTheSameInAsMuchMemoryAsThereIs) {
  Story story;
  story.fill(3 * kSegment);
  const auto begin = story.restore_point("here");
  story.fill(2 * kSegment);
  story.archive_all();
  for (const std::uint64_t memory : {std::uint64_t{1}, 2ul * kSegment, 64ul * kSegment}) {
    TargetSearch search(*story.archive.get(), kSystemId, kVersion, named("here"), {}, {}, memory);
    const auto found = search.first_on(story.way(), from(Lsn())).point;
    ASSERT_TRUE(found) << memory;
    EXPECT_EQ(found->begin, begin) << memory;
  }
}

// The SHA-1 in a segment's name proves its bytes, and not that they are what it is called.
TEST(TargetSearch, RefusesASegmentThatIsNotWhatItIsCalled) {
  Story story;
  story.fill(3 * kSegment);
  story.restore_point("here");
  const auto way = story.way();
  const auto refuses = [&](std::size_t at, std::uint64_t value, std::size_t width,
                           const std::string& why) {
    for (const std::uint64_t memory : {std::uint64_t{1}, 64ul * kSegment}) {
      Story other{.log = story.log};
      for (const auto& segment : way) {
        auto bytes = other.log.segment(segment.number() - kFirst);
        if (segment == way[1]) WalWriter::store(bytes, at, value, width);
        other.archive.put(segment.name(), bytes);
      }
      TargetSearch search(*other.archive.get(), kSystemId, kVersion, named("here"), {}, {}, memory);
      EXPECT_THAT([&] { search.first_on(way, from(Lsn())); },
                  testing::AllOf(test::throws(ErrorKind::corrupt, way[1].name()),
                                 test::throws(ErrorKind::corrupt, why)))
          << memory;
    }
  };
  refuses(24, kSystemId + 1, 8, "belongs to another cluster");
  refuses(8, way[2].begin().value(), 8, "holds the WAL at");
  refuses(4, 2, 4, "is of timeline 2 instead of 1");
}

// Wherever the end of a segment cuts it, also of the one from which on all was read before.
TEST(TargetSearch, FindsAPointThatGoesOnInTheNextSegment) {
  for (std::size_t left = 8; left <= 96; left += 8) {
    Story story;
    story.fill(kSegment);
    story.log.fill_up_to(left);
    const auto begin = story.restore_point("cut");
    ASSERT_EQ(begin.value() % kSegment, kSegment - left);
    story.fill(2 * kSegment);
    story.archive_all();
    auto search = story.search(named("cut"));
    const auto newer = story.way(Timeline(1), begin.value() / kSegment + 1);
    EXPECT_FALSE(search.first_on(newer, from(Lsn())).point);
    const auto found = search.first_on(story.way(), from(Lsn())).point;
    ASSERT_TRUE(found) << left;
    EXPECT_EQ(found->begin, begin);
    // Where its end is not archived, it cannot be reached.
    auto cut = story.way();
    cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(begin.value() / kSegment + 1 - kFirst),
              cut.end());
    EXPECT_EQ(story.search(named("cut")).first_on(cut, from(Lsn())).absence, Absence::not_there);
  }
}

// A long log of which ten transactions end in each segment, with a mark in every other one.
struct LongStory : Story {
  LongStory() {
    for (int i = 0; i < 300; ++i) {
      if (i % 2 == 0) {
        mark(next, next);
        marked.push_back(next);
      }
      for (int j = 0; j < 10; ++j) {
        ends[next] = end_of(next, j % 3 != 0);
        ++next;
        fill(kSegment / 10);
      }
    }
    mark(next, next);
    log.append(10, 0, "the end");
    archive_all();
  }
  std::uint32_t next = 4294966000u;  // and round
  std::map<std::uint32_t, Lsn> ends;
  std::vector<std::uint32_t> marked;
};

TEST(TargetSearch, FindsATransactionWithoutReadingAll) {
  const LongStory story;
  const auto way = story.way();
  ASSERT_GE(way.size(), 270u);
  std::vector<std::uint32_t> numbers{4294966000u, 4294966001u, 4294967290u, 3u, 1703u};
  // Around where the first look is, those that follow a mark.
  numbers.insert(numbers.end(), story.marked.begin() + 70, story.marked.begin() + 80);
  for (const auto number : numbers) {
    auto search = story.search(transaction(number));
    const auto found = search.first_on(way, from(Lsn())).point;
    ASSERT_TRUE(found) << number;
    EXPECT_EQ(found->begin, story.ends.at(number));
    EXPECT_LE(search.segments_read(), 25u) << number;
  }
}

TEST(TargetSearch, SaysWhyATransactionIsNotThere) {
  const LongStory story;
  const auto way = story.way();
  auto before = story.search(transaction(4294965990u));
  EXPECT_EQ(before.first_on(way, from(Lsn())).absence, Absence::before);
  EXPECT_LE(before.segments_read(), 25u);
  auto later = story.search(transaction(story.next + 100));
  const auto not_begun = later.first_on(way, from(Lsn()));
  EXPECT_EQ(not_begun.absence, Absence::not_begun);
  EXPECT_EQ(not_begun.next, story.next);
  EXPECT_LE(later.segments_read(), 25u);

  Story other;
  other.mark(700, 700);
  const auto ended = other.end_of(700);
  other.end_with(701, 702);
  other.mark(705, 703);
  other.end_of(704);
  const auto cut = other.log.end();
  other.end_of(703, false);
  other.archive_all();
  const auto why = [&](std::uint32_t number, TargetSearch::Span span) {
    return other.search(transaction(number)).first_on(other.way(), span);
  };
  EXPECT_EQ(why(702, from(Lsn())).absence, Absence::no_end);
  EXPECT_EQ(why(702, from(Lsn())).top_level, 701u);
  EXPECT_EQ(why(700, from(Lsn(ended.value() + 1))).absence, Absence::before);
  EXPECT_EQ(why(703, from(Lsn())).point->kind, Kind::abort);
  EXPECT_EQ(why(703, {.from = Lsn(), .to = cut}).absence, Absence::running);
  EXPECT_EQ(why(703, {.from = Lsn(), .to = cut}).next, 705u);
  EXPECT_EQ(why(699, from(Lsn())).absence, Absence::before);
}

// A number may be that of another transaction on every timeline.
TEST(TargetSearch, KeepsTimelinesApart) {
  TestArchive archive;
  std::vector<Lsn> ends;
  for (const std::uint32_t timeline : {1u, 2u}) {
    Story story;
    story.mark(700, 700);
    story.fill(kSegment + 3000);  // in the next segment the timelines part
    if (timeline == 2) story.fill(9000);
    ends.push_back(story.end_of(700));
    story.mark(701, 701);
    story.fill(2 * kSegment);
    for (const auto& segment : story.way(Timeline(timeline)))
      if (timeline == 1 || segment.number() > kFirst)
        archive.put(segment.name(), story.log.segment(segment.number() - kFirst));
  }
  const auto way = [](std::uint32_t last) {
    Way segments{{Timeline(1), kFirst, kSegment}};
    for (auto number = kFirst + 1; number < kFirst + 3; ++number)
      segments.emplace_back(Timeline(last), number, kSegment);
    return segments;
  };
  TargetSearch search(*archive.get(), kSystemId, kVersion, transaction(700));
  EXPECT_EQ(search.first_on(way(2), from(Lsn())).point->begin, ends[1]);
  EXPECT_EQ(search.first_on(way(1), from(Lsn())).point->begin, ends[0]);
  EXPECT_EQ(search.first_on(way(2), from(Lsn())).point->begin, ends[1]);
}

TEST(TargetSearch, TellsWhereTheLogCannotBeRead) {
  Story story;
  story.fill(2 * kSegment);
  story.restore_point("behind");
  story.fill(2 * kSegment);
  for (const auto& segment : story.way()) {
    auto text = story.log.segment(segment.number() - kFirst);
    if (segment.number() == kFirst + 1) text.replace(3 * WalWriter::kPage, 64, 64, '\0');
    story.archive.put(segment.name(), text);
  }
  const auto found = story.search(named("behind")).first_on(story.way(), from(Lsn()));
  EXPECT_EQ(found.absence, Absence::unreadable);
  EXPECT_EQ(found.log_end, Lsn((kFirst + 1) * kSegment + 3 * WalWriter::kPage));
}

TEST(TargetSearch, EndsWithWhatCannotBeReadAndWhenItIsStopped) {
  Story story;
  story.fill(4 * kSegment);
  story.log.switch_segment();
  story.archive_all();
  auto way = story.way();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT([&] { story.search(named("a"), stop.get_token()).first_on(way, from(Lsn())); },
              test::throws(ErrorKind::cancelled));
  const auto missing = way.back().next();
  way.push_back(missing);
  EXPECT_THAT([&] { story.search(named("a")).first_on(way, from(Lsn())); },
              test::throws(ErrorKind::not_found, missing.name()));
}

}  // namespace
}  // namespace pgrevive::wal
