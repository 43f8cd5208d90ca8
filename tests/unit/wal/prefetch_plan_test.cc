#include "wal/prefetch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::wal {
namespace {

using postgres::Timeline;
using postgres::WalSegment;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kSize = 16u << 20;

WalSegment on(std::uint32_t timeline, std::uint64_t number) {
  return {Timeline(timeline), number, kSize};
}

KnownSegments archive(std::uint64_t first, std::uint64_t last, std::uint32_t timeline = 1) {
  KnownSegments known;
  for (auto number = first; number <= last; ++number) known[Timeline(timeline)].insert(number);
  return known;
}

Reader at(std::uint64_t number, std::uint32_t timeline = 1) {
  Reader reader;
  reader.next = on(timeline, number);
  return reader;
}

TEST(Upcoming, IsWhatFollowsUpToTheEndOfTheArchive) {
  EXPECT_THAT(upcoming(at(5), archive(1, 7), 10), ElementsAre(on(1, 5), on(1, 6), on(1, 7)));
  EXPECT_THAT(upcoming(at(5), archive(1, 7), 2), ElementsAre(on(1, 5), on(1, 6)));
  EXPECT_THAT(upcoming(at(8), archive(1, 7), 10), IsEmpty());
  EXPECT_THAT(upcoming(Reader(), archive(1, 7), 10), IsEmpty());
}

TEST(Upcoming, StopsAtAHole) {
  auto known = archive(1, 9);
  known[Timeline(1)].erase(6);

  EXPECT_THAT(upcoming(at(5), known, 10), ElementsAre(on(1, 5)));
}

TEST(Upcoming, GoesOnWithTheTimelineThatContinuesTheLine) {
  auto known = archive(1, 5);
  known[Timeline(3)] = {6, 7};
  known[Timeline(4)] = {6, 7};

  EXPECT_THAT(upcoming(at(5), known, 3), ElementsAre(on(1, 5), on(3, 6), on(3, 7)));
}

TEST(Upcoming, HoldsNothingThatIsForbidden) {
  auto reader = at(5);
  reader.allows = [](const WalSegment& segment) { return segment.number() < 6; };

  EXPECT_THAT(upcoming(reader, archive(1, 9), 10), ElementsAre(on(1, 5)));
}

TEST(NextFetch, TakesTheNearestThatIsNotThere) {
  auto reader = at(5);
  reader.held = {on(1, 5), on(1, 7)};

  const auto fetch = next_fetch({reader}, archive(1, 9), {}, {});

  ASSERT_TRUE(fetch);
  EXPECT_EQ(fetch->segment, on(1, 6));
  EXPECT_THAT(fetch->readers, ElementsAre(0));
}

TEST(NextFetch, LeavesAloneWhatFailed) {
  const auto fetch = next_fetch({at(5)}, archive(1, 9), {on(1, 5)}, {});

  ASSERT_TRUE(fetch);
  EXPECT_EQ(fetch->segment, on(1, 6));
}

TEST(NextFetch, StopsWhereTheSpoolIsFull) {
  auto reader = at(5);
  reader.held = {on(1, 5), on(1, 6)};

  EXPECT_FALSE(next_fetch({reader}, archive(1, 9), {}, {.files = 2, .ahead = 1}));
}

TEST(NextFetch, FindsRoomForWhatSomebodyWaitsFor) {
  auto reader = at(5);
  reader.held = {on(1, 5), on(1, 6)};
  reader.asked = on(1, 9);

  const auto fetch = next_fetch({reader}, archive(1, 9), {}, {.files = 2, .ahead = 1});

  ASSERT_TRUE(fetch);
  EXPECT_EQ(fetch->segment, on(1, 9));
}

TEST(NextFetch, FetchesNothingAheadOntoAFullDisk) {
  auto full = at(5);
  full.full = true;

  EXPECT_FALSE(next_fetch({full}, archive(1, 9), {}, {}));
  EXPECT_THAT(next_fetch({at(5), full}, archive(1, 9), {}, {})->readers, ElementsAre(0));
  full.asked = on(1, 5);
  EXPECT_THAT(next_fetch({at(6), full}, archive(1, 9), {}, {})->readers, ElementsAre(1));
}

TEST(NextFetch, FetchesOnceForAll) {
  const auto fetch = next_fetch({at(5), at(4)}, archive(1, 9), {}, {});

  ASSERT_TRUE(fetch);
  EXPECT_EQ(fetch->segment, on(1, 5));  // as near as the other one's, and the first node's
  EXPECT_THAT(fetch->readers, ElementsAre(0, 1));
}

TEST(NextFetch, LetsASlowerServerKeepUp) {
  auto fast = at(6);
  fast.held = {on(1, 6), on(1, 7), on(1, 8)};
  auto slow = at(5);
  slow.held = {on(1, 5), on(1, 6), on(1, 7), on(1, 8)};
  const PlanLimits limits{.files = 8, .ahead = 4};

  EXPECT_FALSE(next_fetch({fast, slow}, archive(1, 20), {}, limits));

  fast.held = {on(1, 8)};
  const auto fetch = next_fetch({fast, slow}, archive(1, 20), {}, limits);
  ASSERT_TRUE(fetch);
  EXPECT_THAT(fetch->readers, ElementsAre(0)) << "but not for ever";
}

TEST(NextFetch, KeepsForWhoWaitsWhatOthersAreGiven) {
  auto waiting = at(5);
  waiting.waiting = true;

  const auto fetch = next_fetch({at(5), waiting}, archive(1, 9), {}, {.files = 4, .ahead = 2});

  ASSERT_TRUE(fetch);
  EXPECT_THAT(fetch->readers, ElementsAre(0, 1));
}

TEST(NextFetch, FetchesNothingForAWaitingServerAlone) {
  auto waiting = at(5);
  waiting.waiting = true;

  EXPECT_FALSE(next_fetch({waiting}, archive(1, 9), {}, {}));
}

TEST(NextFetch, DoesNotLetWhoWaitsTakeTheRoomOfWhoReplays) {
  auto waiting = at(5);
  waiting.waiting = true;
  waiting.held = {on(1, 5), on(1, 6)};
  auto replaying = at(7);

  const auto fetch = next_fetch({replaying, waiting}, archive(1, 9), {}, {.files = 4, .ahead = 2});

  ASSERT_TRUE(fetch);
  EXPECT_EQ(fetch->segment, on(1, 7));
  EXPECT_THAT(fetch->readers, ElementsAre(0));
}

TEST(NextFetch, GoesNotFarAheadWhileSomebodyWaits) {
  auto waiting = at(5);
  waiting.waiting = true;
  auto replaying = at(5);
  replaying.held = {on(1, 5), on(1, 6)};

  EXPECT_FALSE(next_fetch({replaying, waiting}, archive(1, 9), {}, {.files = 8, .ahead = 2}));
}

TEST(NextFetch, ForgetsWhoHasFinished) {
  auto done = at(5);
  done.finished = true;

  EXPECT_FALSE(next_fetch({done}, archive(1, 9), {}, {}));
}

TEST(Useless, IsWhatWasPassedOrLeft) {
  auto reader = at(7, 2);
  reader.held = {on(1, 6), on(1, 8), on(2, 7), on(2, 8)};
  auto known = archive(1, 9);
  known[Timeline(2)] = {6, 7, 8};

  EXPECT_THAT(useless(reader, known, {}), ElementsAre(on(1, 6), on(1, 8)));
}

TEST(Useless, IsAllOfWhoHasFinished) {
  auto reader = at(5);
  reader.held = {on(1, 5), on(1, 6)};
  reader.finished = true;

  EXPECT_THAT(useless(reader, archive(1, 9), {}), ElementsAre(on(1, 5), on(1, 6)));
}

}  // namespace
}  // namespace pgrevive::wal
