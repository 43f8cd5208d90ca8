#include "cluster/given_back.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSize = 4u << 20;

void write_and_sync(const fs::path& path, char what) {
  write_file_atomic(path, std::string(kSize, what));
  fsync_path(path);
}

class GivenBack : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a file system";
    mounted_.emplace(root_.path(), GetParam());
    if (!mounted_->usable())
      GTEST_SKIP() << "NOT TESTED: no loop mount, or mkfs." << GetParam() << " is missing";
    for (const auto* node : {"primary", "replica"}) fs::create_directory(node_(node));
  }
  fs::path node_(const char* name) const { return mounted_->place() / name; }

  test::TempDir root_;
  std::optional<test::Mounted> mounted_;
};

TEST_P(GivenBack, IsNotWhatAFileThatStaysShares) {
  write_and_sync(node_("primary") / "large", 'a');
  write_and_sync(node_("replica") / "own", 'b');
  const auto clone = open_file(node_("replica") / "large", O_RDWR | O_CREAT, 0600);
  const auto source = open_file(node_("primary") / "large", O_RDONLY);
  ASSERT_EQ(::ioctl(clone.get(), FICLONE, source.get()), 0);
  fsync_path(node_("replica") / "large");

  EXPECT_EQ(bytes_given_back({node_("replica")}), kSize);
  EXPECT_EQ(bytes_given_back({node_("primary")}), 0u);
  EXPECT_EQ(bytes_given_back({node_("primary"), node_("replica")}), 2 * kSize);
}

INSTANTIATE_TEST_SUITE_P(All, GivenBack, testing::Values("xfs", "btrfs"),
                         [](const auto& test) { return std::string(test.param); });

TEST(GivenBackAnywhere, IsWhatFilesTakeThatHaveNoOtherName) {
  const test::TempDir root;
  write_and_sync(root.path() / "file", 'a');
  write_and_sync(root.path() / "one", 'b');
  fs::create_hard_link(root.path() / "one", root.path() / "two");

  EXPECT_GE(bytes_given_back({root.path()}), kSize);
  EXPECT_LT(bytes_given_back({root.path()}), 2 * kSize);
}

}  // namespace
}  // namespace pgrevive::cluster
