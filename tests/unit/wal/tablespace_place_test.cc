#include "wal/tablespace_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::wal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// As somebody who is not root, which makes nothing.
class Place : public testing::Test {
 protected:
  Place() {
    if (::geteuid() != 0) return;
    EXPECT_EQ(::chown(directory_.path().c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(::seteuid(kNobody), 0);
  }
  ~Place() override { EXPECT_TRUE(::getuid() != 0 || ::seteuid(0) == 0); }

  std::filesystem::path at(const std::string& name) const { return directory_ / name; }
  std::string obstacle(const std::filesystem::path& place) const {
    const auto made = make_place(place, {at("cluster")});
    EXPECT_THAT(made.directories, IsEmpty());
    return made.obstacle;
  }

  static constexpr uid_t kNobody = 65534;
  test::TempDir directory_;
};

TEST_F(Place, IsMadeWithAllAboveIt) {
  const auto made = make_place(at("mnt/ssd/late"), {});
  EXPECT_EQ(made.obstacle, "");
  EXPECT_THAT(made.directories, ElementsAre(at("mnt"), at("mnt/ssd"), at("mnt/ssd/late")));
  for (const auto& path : made.directories) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0700u);
  }
}

TEST_F(Place, ThatIsThereStaysAsItIs) {
  make_directories(at("late"), 0750);
  std::filesystem::create_symlink(at("nowhere"), at("link"));
  for (const auto* name : {"late", "link"}) {
    const auto made = make_place(at(name), {});
    EXPECT_EQ(made.obstacle, "");
    EXPECT_THAT(made.directories, IsEmpty());
  }
  EXPECT_FALSE(std::filesystem::exists(at("nowhere")));
}

TEST_F(Place, IsReachedByLinks) {
  make_directories(at("disk"));
  std::filesystem::create_directory_symlink(at("disk"), at("mnt"));
  EXPECT_THAT(make_place(at("mnt/late"), {}).directories, ElementsAre(at("mnt/late")));
  EXPECT_TRUE(std::filesystem::is_directory(at("disk/late")));
}

TEST_F(Place, IsNotMadeWhereItWouldBeOfOthers) {
  make_directories(at("cluster/primary"));
  make_directories(at("server/base"));
  make_directories(at("other"));
  write_file_atomic(at("server/PG_VERSION"), "15\n");
  write_file_atomic(at("other/pgrevive.json"), "{}");
  std::filesystem::create_directory_symlink(at("cluster/primary"), at("link"));
  EXPECT_THAT(obstacle(at("cluster/late")), HasSubstr("it would lie in"));
  EXPECT_THAT(obstacle(at("link/late")), HasSubstr("it would lie in"));
  EXPECT_THAT(obstacle(at("server/standby.signal")), HasSubstr("PG_VERSION"));
  EXPECT_THAT(obstacle(at("server/base/a/b")), HasSubstr("PG_VERSION"));
  EXPECT_THAT(obstacle(at("other/replica")), HasSubstr("pgrevive.json"));
  EXPECT_EQ(make_place(at("clusters/late"), {at("cluster")}).obstacle, "");
}

TEST_F(Place, IsNotMadeByAPathThatIsNotPlain) {
  for (const auto& path : {std::filesystem::path("late"), at("a/../late"), at("a/./late"),
                           at("late/"), std::filesystem::path("/"), std::filesystem::path()})
    EXPECT_THAT(obstacle(path), HasSubstr("not a plain one")) << path;
}

TEST_F(Place, ThatCannotBeMadeLeavesNothing) {
  write_file_atomic(at("file"), "");
  make_directories(at("closed"), 0500);
  EXPECT_THAT(obstacle(at("file/late")), HasSubstr("Not a directory"));
  EXPECT_THAT(obstacle(at("closed/late")), HasSubstr("closed/late: Permission denied"));
  const std::string too_long(300, 'x');
  EXPECT_THAT(obstacle(at("a/b/" + too_long)), HasSubstr("File name too long"));
  EXPECT_FALSE(std::filesystem::exists(at("a")));
}

TEST(PlaceOfRoot, IsNotMade) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  const test::TempDir directory;
  EXPECT_THAT(make_place(directory / "late", {}).obstacle, HasSubstr("root makes no directory"));
  EXPECT_FALSE(std::filesystem::exists(directory / "late"));
}

}  // namespace
}  // namespace pgrevive::wal
