#include "cluster/marker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(Marker, NamesTheArchiveOfEachLifeOfAClusterAnew) {
  const StateDirectory directory("/srv/demo");
  const Identity owner{.uid = 5, .name = "postgres"};

  const auto first = make_marker("demo", directory, owner, 1'795'360'447'123);
  const auto second = make_marker("demo", directory, owner, 1'795'360'448'000);

  EXPECT_EQ(first.archive_suffix, "20261122T151407");
  EXPECT_EQ(second.archive_suffix, "20261122T151408");
  EXPECT_EQ(first.owner, 5u);
  EXPECT_EQ(first.socket_directory, directory.run());
}

TEST(Marker, IsReadAsItWasWritten) {
  test::TempDir root;
  const StateDirectory directory(root.path());
  make_marker("demo", directory, {.uid = 5, .name = "postgres"}, 1'795'360'447'123).save(directory);

  const auto read = load_marker(directory);

  EXPECT_EQ(read.archive_suffix, "20261122T151407");
  EXPECT_EQ(read.owner_name, "postgres");
}

TEST(Marker, OfBeforeThereWereSuffixesKeepsItsArchiveWhereItIs) {
  test::TempDir root;
  const StateDirectory directory(root.path());
  write_file_atomic(directory.marker(),
                    R"({"cluster_name": "demo", "created_ms": 1, "owner": 5,
                        "owner_name": "postgres", "socket_directory": "/srv/demo/run"})");

  EXPECT_EQ(load_marker(directory).archive_suffix, "");
}

}  // namespace
}  // namespace pgrevive::cluster
