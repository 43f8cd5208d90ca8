#include "cluster/made_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"
#include "wal/tablespace_memory.h"

namespace pgrevive::cluster {
namespace {

using test::throws;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// A node whose server has a tablespace in mnt/late.
class MadePlaces : public testing::Test {
 protected:
  MadePlaces() {
    make_directories(node_.data / "pg_tblspc");
    write_file_atomic(node_.data / "PG_VERSION", "15\n");
    make_directories(place_ / "PG_15_202209061" / "16384");
    std::filesystem::create_directory_symlink(place_, link_);
    remember({place_.parent_path(), place_});
  }

  void remember(const std::vector<std::filesystem::path>& made,
                const std::vector<std::filesystem::path>& mapped = {}) const {
    remove_tree(node_.memory);
    wal::TablespaceMemory memory(node_.memory);
    memory.add_made(node_.data, made);
    for (const auto& path : mapped) memory.add_mapped(node_.data, path);
    memory.save();
  }

  test::TempDir directory_;
  NodeParts node_{.data = directory_ / "node/data", .memory = directory_ / "node/memory"};
  std::filesystem::path place_ = directory_ / "mnt/late";
  std::filesystem::path link_ = node_.data / "pg_tblspc/16500";
};

TEST_F(MadePlaces, GoWithWhatTheServerHasThere) {
  EXPECT_THAT(made_places(node_), ElementsAre(place_));
  const auto done = remove_made_places(node_);
  EXPECT_THAT(done.removed, ElementsAre(place_, place_.parent_path()));
  EXPECT_THAT(done.kept, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(place_.parent_path()));
  EXPECT_THAT(remove_made_places(node_).kept, IsEmpty());
}

TEST_F(MadePlaces, KeepWhatSomebodyElseHasThere) {
  make_directories(place_ / "PG_14_202107181");
  const auto done = remove_made_places(node_);
  EXPECT_THAT(done.removed, IsEmpty());
  EXPECT_THAT(done.kept, ElementsAre(HasSubstr("mnt/late, made for a tablespace: Directory not"),
                                     HasSubstr("mnt, made for a tablespace: Directory not")));
  EXPECT_FALSE(std::filesystem::exists(place_ / "PG_15_202209061"));
}

// It was dropped, and somebody else has a tablespace there since.
TEST_F(MadePlaces, ToWhichNoLinkLeadsAreOnlyRemovedWhenEmpty) {
  std::filesystem::remove(link_);
  EXPECT_THAT(made_places(node_), IsEmpty());
  EXPECT_THAT(remove_made_places(node_).removed, IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(place_ / "PG_15_202209061" / "16384"));
  remove_tree(place_ / "PG_15_202209061");
  EXPECT_THAT(remove_made_places(node_).removed, ElementsAre(place_, place_.parent_path()));
}

// Its server may run, and have its files there.
TEST_F(MadePlaces, OfTheNodeThatThisIsACopyOfStay) {
  const auto original = directory_ / "node/original";
  std::filesystem::rename(node_.data, original);
  std::filesystem::copy(
      original, node_.data,
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  EXPECT_THAT(made_places(node_), IsEmpty());
  EXPECT_THAT(remove_made_places(node_).removed, IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(place_ / "PG_15_202209061" / "16384"));
  // It was only renamed.
  remove_tree(node_.data);
  std::filesystem::rename(original, node_.data);
  EXPECT_THAT(made_places(node_), ElementsAre(place_));
}

// TABLESPACE_MAP leads to a disk that is shared.
TEST_F(MadePlaces, ThatWereMappedGoAsWell) {
  remember({place_}, {place_});
  make_directories(node_.data / "global");
  write_file_atomic(node_.data / "global/pg_control", "");
  EXPECT_THAT(mapped_places(node_), ElementsAre(place_));
  EXPECT_THAT(remove_made_places(node_).removed, ElementsAre(place_));
  EXPECT_TRUE(std::filesystem::exists(place_.parent_path()));
}

// Only of a node that is not whole does a place without a link have files of it.
TEST_F(MadePlaces, ThatWereMappedNeedALinkOnceTheNodeIsWhole) {
  remember({place_}, {place_});
  std::filesystem::remove(link_);
  EXPECT_THAT(mapped_places(node_), ElementsAre(place_));
  make_directories(node_.data / "global");
  write_file_atomic(node_.data / "global/pg_control", "");
  EXPECT_THAT(mapped_places(node_), IsEmpty());
  EXPECT_THAT(remove_made_places(node_).removed, IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(place_ / "PG_15_202209061" / "16384"));

  std::filesystem::remove(node_.data / "global/pg_control");
  std::filesystem::remove(node_.data / "PG_VERSION");
  EXPECT_THAT(remove_made_places(node_).removed, ElementsAre(place_));
}

// A replica whose data directory was removed is made again, at the same place.
TEST_F(MadePlaces, ThatWereMappedGoWhereTheDataIsGone) {
  remember({place_}, {place_});
  const auto copy = directory_ / "copy";
  remove_tree(node_.data);
  std::filesystem::copy(node_.memory.parent_path(), copy, std::filesystem::copy_options::recursive);
  EXPECT_THAT(remove_made_places({.data = copy / "data", .memory = copy / "memory"}).removed,
              IsEmpty())
      << "the original's";
  EXPECT_TRUE(std::filesystem::exists(place_ / "PG_15_202209061" / "16384"));
  EXPECT_THAT(mapped_places(node_), ElementsAre(place_));
  EXPECT_THAT(remove_made_places(node_).removed, ElementsAre(place_));
}

// Its disk is not mounted.
TEST_F(MadePlaces, ThatAreNotThereAreTold) {
  remember({place_}, {place_});
  remove_tree(place_);
  const auto done = remove_made_places(node_);
  EXPECT_THAT(done.removed, IsEmpty());
  EXPECT_THAT(done.kept,
              ElementsAre(AllOf(StartsWith(place_.string()), HasSubstr("is not there"))));
}

TEST_F(MadePlaces, OfSomebodyElseAreRefused) {
  const auto refuse = [&](const std::vector<std::filesystem::path>& ours) {
    refuse_others_places("replica", {directory_ / "mnt/none", place_}, ours);
  };
  EXPECT_NO_THROW(refuse({place_}));
  EXPECT_THAT([&] { refuse({directory_ / "mnt/none"}); },
              throws(ErrorKind::target_not_empty,
                     place_.string() + ", for a tablespace of replica, holds files already: "
                                       "PG_15_202209061"));
  remove_tree(place_);
  make_directories(place_);
  EXPECT_NO_THROW(refuse({}));
}

TEST_F(MadePlaces, AreNotWhatAPersonMade) {
  remember({});
  EXPECT_THAT(made_places(node_), IsEmpty());
  EXPECT_THAT(remove_made_places(node_).removed, IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(place_ / "PG_15_202209061" / "16384"));
}

}  // namespace
}  // namespace pgrevive::cluster
