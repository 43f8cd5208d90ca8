#include "restore/recovery.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::restore {
namespace {

const auto kNow = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
const auto kVersion11 = postgres::Version::of_major(11);
const auto kVersion15 = postgres::Version::of_major(15);
constexpr const char* kCommand = "/usr/bin/pgrevive archive-get %f \"%p\"";

TEST(RecoveryType, HasPgBackRestsNames) {
  EXPECT_EQ(parse_recovery_type("default"), RecoveryType::latest);
  EXPECT_EQ(parse_recovery_type("preserve"), RecoveryType::preserve);
  EXPECT_EQ(parse_recovery_type("time"), RecoveryType::time);
  EXPECT_EQ(parse_recovery_type("TIME"), std::nullopt);
  EXPECT_EQ(parse_recovery_type(""), std::nullopt);
}

struct Case {
  const char* name;
  int major;
  RecoveryTarget target;
  const char* settings;  // after restore_command
};

class RecoverySettings : public testing::TestWithParam<Case> {};

TEST_P(RecoverySettings, AreWhatPgBackRestWrites) {
  const auto& test = GetParam();
  EXPECT_EQ(recovery_settings(postgres::Version::of_major(test.major), test.target, "get %f"),
            std::string("restore_command = 'get %f'\n") + test.settings);
}

INSTANTIATE_TEST_SUITE_P(
    All, RecoverySettings,
    testing::Values(
        Case{"latest", 15, {}, ""}, Case{"latest_has_no_action", 15, {.action = "promote"}, ""},
        Case{"immediate_stays_on_its_timeline",
             15,
             {.type = RecoveryType::immediate},
             "recovery_target = 'immediate'\nrecovery_target_timeline = 'current'\n"},
        Case{"immediate_before_12",
             11,
             {.type = RecoveryType::immediate},
             "recovery_target = 'immediate'\n"},
        Case{"immediate_with_timeline",
             15,
             {.type = RecoveryType::immediate, .timeline = "3"},
             "recovery_target = 'immediate'\nrecovery_target_timeline = '3'\n"},
        Case{"time",
             15,
             {.type = RecoveryType::time,
              .target = "2026-01-02 03:04:05+00",
              .exclusive = true,
              .action = "promote"},
             "recovery_target_time = '2026-01-02 03:04:05+00'\n"
             "recovery_target_inclusive = 'false'\nrecovery_target_action = 'promote'\n"},
        Case{"pause_is_the_default",
             15,
             {.type = RecoveryType::xid, .target = "7", .action = "pause"},
             "recovery_target_xid = '7'\n"},
        Case{"name_with_a_quote",
             15,
             {.type = RecoveryType::name, .target = "it's"},
             "recovery_target_name = 'it''s'\n"},
        Case{"lsn",
             15,
             {.type = RecoveryType::lsn, .target = "0/1234", .timeline = "latest"},
             "recovery_target_lsn = '0/1234'\nrecovery_target_timeline = 'latest'\n"},
        Case{"current", 12, {.timeline = "current"}, "recovery_target_timeline = 'current'\n"},
        Case{"current_before_12", 11, {.timeline = "current"}, ""},
        Case{"number_before_12", 11, {.timeline = "2"}, "recovery_target_timeline = '2'\n"},
        Case{"standby", 15, {.type = RecoveryType::standby}, ""},
        Case{"standby_before_12", 11, {.type = RecoveryType::standby}, "standby_mode = 'on'\n"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(RecoverySettings, TurnArchivingOffFirst) {
  EXPECT_EQ(recovery_settings(kVersion15, {.archive_mode_off = true}, "get %f"),
            "archive_mode = 'off'\nrestore_command = 'get %f'\n");
  EXPECT_EQ(recovery_settings(kVersion15, {.type = RecoveryType::none, .archive_mode_off = true},
                              "get %f"),
            "archive_mode = 'off'\n");
}

TEST(RecoverySettings, CommentsOutOnlyWhatNamesATarget) {
  EXPECT_EQ(comment_out_recovery_settings("work_mem = '1MB'\n"
                                          "recovery_target_time = 'x'\n"
                                          "  Recovery_Target='immediate'\n"
                                          "recovery_target_timeline 'latest'\n"
                                          "# recovery_target_xid = '1'\n"
                                          "recovery_target_session = 'not one of them'\n"
                                          "restore_command = 'old'",
                                          kNow),
            "work_mem = '1MB'\n"
            "# Removed by pgrevive restore on 2023-11-14 22:13:20+00 # recovery_target_time = 'x'\n"
            "# Removed by pgrevive restore on 2023-11-14 22:13:20+00 #   "
            "Recovery_Target='immediate'\n"
            "# Removed by pgrevive restore on 2023-11-14 22:13:20+00 # "
            "recovery_target_timeline 'latest'\n"
            "# recovery_target_xid = '1'\n"
            "recovery_target_session = 'not one of them'\n"
            "restore_command = 'old'\n");
}

class WriteRecoverySettings : public testing::Test {
 protected:
  void write(postgres::Version version, const RecoveryTarget& target) {
    write_recovery_settings(directory_.path(), version, target, kCommand, owner_, kNow);
  }
  std::optional<std::string> text(const char* name) {
    return read_file_if_exists(directory_ / name);
  }
  struct stat stat_of(const char* name) {
    struct stat entry {};
    EXPECT_EQ(::lstat((directory_ / name).c_str(), &entry), 0) << name;
    return entry;
  }

  test::TempDir directory_;
  std::optional<Identity> owner_;
};

TEST_F(WriteRecoverySettings, AddsToTheConfigurationOfTheBackup) {
  write_file_atomic(directory_ / "postgresql.auto.conf",
                    "# Do not edit\nwork_mem = '1MB'\nrecovery_target_name = 'old'\n");

  write(kVersion15, {.type = RecoveryType::name, .target = "new"});

  EXPECT_EQ(text("postgresql.auto.conf"),
            "# Do not edit\nwork_mem = '1MB'\n"
            "# Removed by pgrevive restore on 2023-11-14 22:13:20+00 # "
            "recovery_target_name = 'old'\n"
            "\n"
            "# Recovery settings written by pgrevive restore on 2023-11-14 22:13:20+00\n"
            "restore_command = '/usr/bin/pgrevive archive-get %f \"%p\"'\n"
            "recovery_target_name = 'new'\n");
  EXPECT_EQ(text("recovery.signal"), "");
  EXPECT_EQ(text("standby.signal"), std::nullopt);
}

TEST_F(WriteRecoverySettings, AStandbyHasItsOwnSignal) {
  write(kVersion15, {});
  write(kVersion15, {.type = RecoveryType::standby});

  EXPECT_EQ(text("standby.signal"), "");
  EXPECT_EQ(text("recovery.signal"), std::nullopt);
}

TEST_F(WriteRecoverySettings, NoneOnlyCommentsOut) {
  write_file_atomic(directory_ / "postgresql.auto.conf", "recovery_target = 'immediate'\n");

  write(kVersion15, {.type = RecoveryType::none});

  EXPECT_EQ(text("postgresql.auto.conf"),
            "# Removed by pgrevive restore on 2023-11-14 22:13:20+00 # "
            "recovery_target = 'immediate'\n");
  EXPECT_EQ(text("recovery.signal"), std::nullopt);
}

TEST_F(WriteRecoverySettings, TurnArchivingOffWithoutRecovery) {
  write(kVersion15, {.type = RecoveryType::none, .archive_mode_off = true});
  EXPECT_THAT(text("postgresql.auto.conf").value_or(""),
              testing::EndsWith("archive_mode = 'off'\n"));
  EXPECT_EQ(text("recovery.signal"), std::nullopt);
}

TEST_F(WriteRecoverySettings, CannotTurnArchivingOffBefore12) {
  EXPECT_THAT([&] { write(kVersion11, {.archive_mode_off = true}); },
              test::throws(ErrorKind::unsupported, "only from 12 on"));
  EXPECT_EQ(text("recovery.conf"), std::nullopt);
}

TEST_F(WriteRecoverySettings, NoneLeavesAFileWithoutTargetsAlone) {
  write_file_atomic(directory_ / "postgresql.auto.conf", "work_mem = '1MB'");

  write(kVersion15, {.type = RecoveryType::none});

  EXPECT_EQ(text("postgresql.auto.conf"), "work_mem = '1MB'\n");
}

TEST_F(WriteRecoverySettings, PreserveTouchesNothing) {
  write_file_atomic(directory_ / "postgresql.auto.conf", "recovery_target = 'immediate'");
  write_file_atomic(directory_ / "recovery.signal", "");

  write(kVersion15, {.type = RecoveryType::preserve});

  EXPECT_EQ(text("postgresql.auto.conf"), "recovery_target = 'immediate'");
  EXPECT_EQ(text("recovery.signal"), "");
}

TEST_F(WriteRecoverySettings, BeforeVersion12ThereIsAFileOfItsOwn) {
  write(kVersion11, {.type = RecoveryType::standby});

  EXPECT_EQ(text("recovery.conf"),
            "# Recovery settings written by pgrevive restore on 2023-11-14 22:13:20+00\n"
            "restore_command = '/usr/bin/pgrevive archive-get %f \"%p\"'\n"
            "standby_mode = 'on'\n");
  EXPECT_EQ(text("postgresql.auto.conf"), std::nullopt);
  EXPECT_EQ(text("standby.signal"), std::nullopt);
}

TEST_F(WriteRecoverySettings, FilesAreAsOpenAsTheDataDirectory) {
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0750), 0);
  write(kVersion15, {});
  EXPECT_EQ(stat_of("postgresql.auto.conf").st_mode & 07777u, 0640u);
  EXPECT_EQ(stat_of("recovery.signal").st_mode & 07777u, 0640u);

  ASSERT_EQ(::chmod(directory_.path().c_str(), 0700), 0);
  write(kVersion15, {});
  EXPECT_EQ(stat_of("recovery.signal").st_mode & 07777u, 0600u);
}

TEST_F(WriteRecoverySettings, FilesBelongToTheOwnerOfTheDataDirectoryOrTheOneNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(::chown(directory_.path().c_str(), 65534, 65534), 0);
  write(kVersion15, {});
  EXPECT_EQ(stat_of("postgresql.auto.conf").st_uid, 65534u);
  EXPECT_EQ(stat_of("recovery.signal").st_gid, 65534u);

  owner_ = Identity{.uid = 1, .gid = 2};
  write(kVersion15, {});
  EXPECT_EQ(stat_of("recovery.signal").st_uid, 1u);
  EXPECT_EQ(stat_of("recovery.signal").st_gid, 2u);
}

}  // namespace
}  // namespace pgrevive::restore
