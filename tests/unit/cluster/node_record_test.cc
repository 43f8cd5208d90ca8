#include "cluster/node_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/marker.h"
#include "cluster/new_cluster.h"
#include "cluster/progress.h"
#include "cluster/settings.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

class StateFiles : public testing::Test {
 protected:
  test::TempDir temporary_;
  StateDirectory directory_{temporary_.path()};
};

TEST_F(StateFiles, AReplicaThatIsGivenAwayIsStillKnownToHoldWhatTheClusterWrote) {
  make_directories(directory_.node("replica"));
  NodeRecord record;
  record.backup_label = "20240115-020000F";
  record.joined = true;
  record.copied_bytes = 7;
  record.copied_ms = 8;
  record.save(directory_, "replica");

  give_away(directory_, "replica");

  const auto away = NodeRecord::load(directory_, "replica");
  ASSERT_TRUE(away);
  EXPECT_TRUE(away->unfinished);
  EXPECT_TRUE(away->joined);
  EXPECT_EQ(away->backup_label, "");
  EXPECT_EQ(away->copied_bytes, 7u);
  EXPECT_EQ(away->copied_ms, 8);
}

// nlohmann's words have the bytes that it did not like.
TEST_F(StateFiles, WhatIsWrongWithThemCanBeShown) {
  const std::string torn = "{\"name\": \"\xff\x1b";
  EXPECT_THAT([&] { NodeRecord::parse(torn, "/c/pgrevive-node.json"); },
              test::throws(ErrorKind::corrupt, "\\xff'"));
  EXPECT_THAT([&] { from_json(torn); }, test::throws(ErrorKind::corrupt, "\\xff'"));
  EXPECT_THAT([&] { status_from_json(torn); }, test::throws(ErrorKind::corrupt, "\\xff'"));
}

TEST_F(StateFiles, ARecordComesBackAsItWasSaved) {
  make_directories(directory_.node("primary"));
  NodeRecord record;
  record.unfinished = true;
  record.backup_label = "20240115-020000F";
  record.made_ms = 5;
  record.online = false;
  record.archive_start = "000000010000000000000002";
  record.archive_stop = "000000010000000000000003";
  record.lsn_stop = "0/3000100";
  record.source_user = "dba";
  record.left_out = {{16400, "shop"}, {16401, ""}};
  record.line = 3;
  record.furthest = {.line = 3, .segment = "000000030000000000000009"};
  record.promoting = true;
  record.promoted = true;
  record.set_up = true;
  record.archiving = true;
  record.source_newest = SourceState{{1, "000000010000000000000007"}, {2, ""}};
  record.archive_place = "s3://wal/shop, stanza main";
  record.own_backup = "20240116-020000F";
  record.took_over = true;
  record.superuser = "root";
  record.databases = {"a", "b"};
  record.recovery_end = RecoveryEnd{.target = "latest", .new_timeline = 2, .fork_lsn = "0/4"};
  record.joined = true;
  record.after_promotion = true;
  record.made_because = "it is sooner";
  record.no_backup = "it is gone";
  record.copied_bytes = 7;
  record.copied_ms = 8;
  record.save(directory_, "primary");
  const auto text = read_file(directory_.node_record("primary"));

  const auto back = NodeRecord::load(directory_, "primary");
  ASSERT_TRUE(back);
  back->save(directory_, "primary");

  EXPECT_EQ(read_file(directory_.node_record("primary")), text);
  EXPECT_EQ(back->databases, record.databases);
  ASSERT_EQ(back->left_out.size(), 2u);
  EXPECT_EQ(back->left_out[0].text(), "shop (16400)");
  EXPECT_EQ(back->recovery_end->fork_lsn, "0/4");
  EXPECT_EQ(back->line, 3u);
  EXPECT_EQ(back->furthest, record.furthest);
  EXPECT_EQ(back->source_newest, record.source_newest);
  EXPECT_TRUE(back->took_over);
  EXPECT_EQ(back->own_backup, "20240116-020000F");
  EXPECT_EQ(back->made_because, "it is sooner");
  EXPECT_EQ(back->no_backup, "it is gone");
  EXPECT_EQ(back->copied_bytes, 7u);
  EXPECT_EQ(back->copied_ms, 8);
  EXPECT_TRUE(back->after_promotion && back->joined && back->archiving && back->promoting && !back->online);
}

TEST_F(StateFiles, ANodeWithoutRecordHasNone) {
  EXPECT_FALSE(NodeRecord::load(directory_, "primary"));
}

TEST_F(StateFiles, ADamagedRecordIsAnErrorAndNotAFreshStart) {
  make_directories(directory_.node("primary"));
  write_file_atomic(directory_.node_record("primary"), "{");

  EXPECT_THROW(NodeRecord::load(directory_, "primary"), Error);
}

TEST_F(StateFiles, AMarkerComesBackAsItWasSaved) {
  Marker{.cluster_name = "demo",
         .created_ms = 7,
         .owner = 101,
         .owner_name = "postgres",
         .socket_directory = "/tmp/x"}
      .save(directory_);

  const auto marker = load_marker(directory_);

  EXPECT_EQ(marker.cluster_name, "demo");
  EXPECT_EQ(marker.owner, 101u);
  EXPECT_EQ(marker.socket_directory, "/tmp/x");
}

TEST(SocketDirectory, IsShortEnoughForASocketsPath) {
  EXPECT_EQ(choose_socket_directory(StateDirectory("/var/lib/pgrevive/demo"), 0),
            "/var/lib/pgrevive/demo/run");

  const StateDirectory deep("/" + std::string(88, 'd'));  // with /run it is one byte too long
  EXPECT_LT(choose_socket_directory(deep, 1000).native().size(), 90u);
  EXPECT_EQ(choose_socket_directory(deep, 1000), choose_socket_directory(deep, 1000));

  const StateDirectory fits("/" + std::string(87, 'd'));
  EXPECT_EQ(choose_socket_directory(fits, 1000), fits.run());
}

}  // namespace
}  // namespace pgrevive::cluster
