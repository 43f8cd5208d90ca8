#include "cluster/switchover.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cluster/request.h"
#include "cluster/status_board.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(Exchanged, LeadsToWhereAPlaceBelowEitherOfTheTwoLiesNow) {
  EXPECT_EQ(exchanged("/c/primary/tablespaces/16400", "/c/primary", "/c/replica"),
            "/c/replica/tablespaces/16400");
  EXPECT_EQ(exchanged("/c/replica/x", "/c/primary", "/c/replica"), "/c/primary/x");
  // Beside them, and outside of the cluster.
  EXPECT_EQ(exchanged("/c/replica-2/x", "/c/primary", "/c/replica"), "/c/replica-2/x");
  EXPECT_EQ(exchanged("/srv/fast", "/c/primary", "/c/replica"), "/srv/fast");
}

TEST(Unarchived, IsTheFileThatWaitsAndWhatCannotBeReadIsAnError) {
  const test::TempDir directory;
  write_file_atomic(directory.path() / "000000010000000000000001.done", "");
  EXPECT_FALSE(unarchived(directory.path()));
  write_file_atomic(directory.path() / "000000010000000000000002.ready", "");
  EXPECT_EQ(unarchived(directory.path()), "000000010000000000000002");
  EXPECT_THROW(unarchived(directory.path() / "gone"), Error);
}

TEST(LinksAfter, AreOfTablespacesAndWhatCannotBeReadIsAnError) {
  const test::TempDir directory;
  write_file_atomic(directory.path() / "file", "");
  std::filesystem::create_symlink("/c/primary/tablespaces/16400", directory.path() / "16400");
  EXPECT_EQ(links_after(directory.path(), "/c/primary", "/c/replica"),
            (std::map<std::string, std::string>{{"16400", "/c/replica/tablespaces/16400"}}));
  EXPECT_THROW(links_after(directory.path() / "gone", "/c/primary", "/c/replica"), Error);
}

class CutOffSwitchover : public testing::Test {
 protected:
  CutOffSwitchover() {
    for (const char* node : {"primary", "replica"}) make_directories(state_.node(node));
    NodeRecord record;
    record.made_because = "a replica";
    record.save(state_, "primary");
  }

  test::TempDir temporary_;
  StateDirectory state_{temporary_.path()};
};

// Or `start` with WAL_ARCHIVE=source takes the new primary for one that was not restored for that.
TEST_F(CutOffSwitchover, TheRecordOfThePrimaryIsTheOneInThePlan) {
  EXPECT_EQ(load_primary_record(state_)->made_because, "a replica");

  NodeRecord record;
  record.source_newest = SourceState{{1, "000000010000000000000007"}};
  record.save(state_, "replica");
  write_file_atomic(state_.switching("primary"),
                    nlohmann::json{{"replica", "replica"},
                                   {"primary_record", read_file(state_.node_record("replica"))},
                                   {"replica_record", read_file(state_.node_record("primary"))},
                                   {"primary_links", nlohmann::json::object()},
                                   {"replica_links", nlohmann::json::object()}}
                        .dump());

  EXPECT_EQ(load_primary_record(state_)->source_newest, record.source_newest);
}

TEST_F(CutOffSwitchover, APlanThatCannotBeReadIsAnError) {
  for (const char* text : {"", "{}", "[]", R"({"replica": 7})"}) {
    write_file_atomic(state_.switching("primary"), text);
    EXPECT_THROW(load_primary_record(state_), Error) << text;
  }
}

void leave(const StateDirectory& state, const char* id, const char* act, const char* node,
           std::int64_t ago_ms = 0) {
  const auto left = unix_milliseconds() - ago_ms;
  write_file_atomic(
      state.request(),
      nlohmann::json{{"id", id}, {"act", act}, {"node", node}, {"left_ms", left}}.dump());
}

// Of one who asked and was killed, at whose wish a replica is not thrown away hours later; a clock
// that was set back tells nothing.
TEST(Request, IsForgottenWhenNobodyWaitsForIt) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(state.run());
  for (const std::int64_t ago : {40'000, -40'000}) {
    leave(state, "7", "rebuild", "replica", ago);
    EXPECT_FALSE(take_request(state));
    EXPECT_FALSE(std::filesystem::exists(state.request()));
  }
  leave(state, "7", "rebuild", "replica", 20'000);
  EXPECT_TRUE(take_request(state));
}

TEST(Request, IsTakenOnceAndNonsenseIsThrownAway) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(state.run());
  EXPECT_FALSE(take_request(state));

  leave(state, "7", "rebuild", "replica-2");
  const auto request = take_request(state);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->id, "7");
  EXPECT_EQ(request->act, Act::rebuild);
  EXPECT_EQ(request->node, "replica-2");
  EXPECT_FALSE(take_request(state));

  leave(state, "7", "explode", "replica");
  EXPECT_FALSE(take_request(state));
  for (const char* text : {"", "{", "[]", R"({"id": "7", "act": "rebuild", "node": "replica"})"}) {
    write_file_atomic(state.request(), text);
    EXPECT_FALSE(take_request(state)) << text;
    EXPECT_FALSE(std::filesystem::exists(state.request()));
  }
}

TEST(Request, IsTakenBackByWhoLeftItOnly) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(state.run());
  EXPECT_FALSE(take_back(state, "7"));

  leave(state, "7", "rebuild", "replica");
  EXPECT_FALSE(take_back(state, "8"));
  EXPECT_TRUE(std::filesystem::exists(state.request()));
  EXPECT_TRUE(take_back(state, "7"));
  EXPECT_FALSE(take_request(state));
}

TEST(Request, IsForANodeThatIsThereAndThatTheActIsFor) {
  Settings settings;
  settings.replicas = 1;
  EXPECT_NO_THROW(check_fits(settings, Act::restart, "primary"));
  EXPECT_NO_THROW(check_fits(settings, Act::rebuild, "replica"));
  EXPECT_THROW(check_fits(settings, Act::rebuild, "primary"), Error);
  EXPECT_THROW(check_fits(settings, Act::switchover, "primary"), Error);
  EXPECT_THROW(check_fits(settings, Act::restart, "replica-2"), Error);
  EXPECT_THROW(check_fits(settings, Act::rebuild, "../x"), Error);
}

}  // namespace
}  // namespace pgrevive::cluster
