#include "repository/layout.h"

#include <gtest/gtest.h>

#include "repository/open.h"

namespace pgrevive::repository {
namespace {

TEST(Layout, NamesTheFilesOfARepository) {
  const auto label = BackupLabel::parse("20240115-020000F");

  EXPECT_EQ(layout::archive_info("main"), "archive/main/archive.info");
  EXPECT_EQ(layout::backup_info("main"), "backup/main/backup.info");
  EXPECT_EQ(layout::copy_of("a"), "a.copy");
  EXPECT_EQ(layout::manifest("main", label), "backup/main/20240115-020000F/backup.manifest");
  EXPECT_EQ(layout::archive_directory("main", "15-1"), "archive/main/15-1");
  EXPECT_EQ(layout::wal_directory("main", "15-1", "0000000200000003000000A4.partial"),
            "archive/main/15-1/0000000200000003");
  EXPECT_EQ(layout::bundle("main", label, 12), "backup/main/20240115-020000F/bundle/12");
}

TEST(RepositoryOptions, DescribeWhereARepositoryIs) {
  RepositoryOptions options;
  options.s3.bucket = "bucket";
  EXPECT_EQ(options.describe(), "s3://bucket");
  options.s3.prefix = "/";
  EXPECT_EQ(options.describe(), "s3://bucket");
  options.s3.prefix = "/a/b/";
  EXPECT_EQ(options.describe(), "s3://bucket/a/b");
  options.type = RepositoryOptions::Type::posix;
  options.path = "/var/lib/pgbackrest";
  EXPECT_EQ(options.describe(), "/var/lib/pgbackrest");
}

}  // namespace
}  // namespace pgrevive::repository
