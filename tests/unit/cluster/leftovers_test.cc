#include "cluster/leftovers.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

namespace fs = std::filesystem;

void touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << "x";
}

TEST(HoldsFiles, IsNotTrueOfWhatAStartMakesBeforeTheMarker) {
  const test::TempDir temporary;
  const StateDirectory directory(temporary.path() / "trial");
  EXPECT_FALSE(holds_files(directory));
  fs::create_directory(directory.root());
  EXPECT_FALSE(holds_files(directory));
  touch(directory.change_lock());
  fs::create_directory(directory.run());
  touch(directory.root() / ".pgrevive.json.tmp.d65BDk");
  EXPECT_FALSE(holds_files(directory));
}

TEST(HoldsFiles, IsNotTrueOfWhatWaitsInRun) {
  const test::TempDir temporary;
  const StateDirectory directory(temporary.path() / "trial");
  make_directories(directory.run());
  const auto held = FileLock::try_acquire(directory.supervisor_lock());
  ASSERT_TRUE(held) << "as containers::lock_volume() takes it";
  EXPECT_FALSE(holds_files(directory));
  touch(directory.reindex_request());
  touch(directory.run() / ".reindex.tmp.d65BDk");
  EXPECT_FALSE(holds_files(directory));
  fs::remove(directory.reindex_request());
  fs::create_symlink(temporary.path(), directory.reindex_request());
  EXPECT_TRUE(holds_files(directory)) << "a link is nothing that we make";
}

TEST(HoldsFiles, IsTrueOfAnythingElse) {
  for (const char* name : {"notes.txt", ".profile", "run/status.json", "run/notes.txt",
                           "primary/data/PG_VERSION", ".notes.tmp.d65BDk"}) {
    const test::TempDir temporary;
    const StateDirectory directory(temporary.path() / "trial");
    touch(directory.root() / name);
    EXPECT_TRUE(holds_files(directory)) << name;
  }
}

TEST(HoldsFiles, DoesNotFollowALinkInThePlaceOfRun) {
  const test::TempDir temporary;
  const StateDirectory directory(temporary.path() / "trial");
  fs::create_directories(temporary.path() / "elsewhere");
  fs::create_directories(directory.root());
  fs::create_symlink(temporary.path() / "elsewhere", directory.run());
  EXPECT_TRUE(holds_files(directory));
}

}  // namespace
}  // namespace pgrevive::cluster
