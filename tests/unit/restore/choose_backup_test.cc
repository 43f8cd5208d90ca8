#include "restore/choose_backup.h"

#include <gtest/gtest.h>

#include "support/throws.h"

namespace pgrevive::restore {
namespace {

using repository::Backup;
using repository::BackupInfo;
using repository::BackupLabel;

Backup backup(const char* label, std::int64_t stop, const char* lsn_stop, std::uint32_t id = 2) {
  Backup made{.label = BackupLabel::parse(label), .database_id = id};
  made.timestamp_stop = stop;
  if (lsn_stop != nullptr) made.lsn_stop = postgres::Lsn::parse(lsn_stop);
  return made;
}

// The label's times are local times of some backup host and say nothing: the newest is in the
// middle of them.
BackupInfo three() {
  BackupInfo info;
  info.current_id = 2;
  info.history = {{.id = 1, .version = postgres::Version::of_major(14)},
                  {.id = 2, .version = postgres::Version::of_major(15)}};
  info.backups = {backup("20240301-000000F", 1000, "0/1000"),
                  backup("20240101-000000F", 2000, "0/2000"),
                  backup("20240201-000000F", 3000, "0/3000")};
  return info;
}

std::string chosen(const BackupInfo& info, const std::optional<std::string>& set,
                   const RecoveryTarget& target, std::optional<std::int64_t> time = {}) {
  return choose_backup(info, set, target, time).label.text();
}

TEST(ChooseBackup, TakesTheNewestWhereNothingElseIsSaid) {
  EXPECT_EQ(chosen(three(), {}, {}), "20240201-000000F");
  EXPECT_EQ(chosen(three(), "latest", {}), "20240201-000000F");
  EXPECT_EQ(chosen(three(), {}, {.type = RecoveryType::name, .target = "x"}), "20240201-000000F");
}

TEST(ChooseBackup, ASetOverrulesTheTarget) {
  EXPECT_EQ(chosen(three(), "20240101-000000F", {.type = RecoveryType::time}, 1500),
            "20240101-000000F");
  EXPECT_EQ(chosen(three(), "latest", {.type = RecoveryType::time}, 1500), "20240201-000000F");
}

TEST(ChooseBackup, ABackupHasToEndBeforeTheTargetTime) {
  const RecoveryTarget target{.type = RecoveryType::time, .target = "1970-01-01 00:16:40.5+00"};
  EXPECT_EQ(chosen(three(), {}, target, 9999), "20240201-000000F");
  EXPECT_EQ(chosen(three(), {}, target, 3001), "20240201-000000F");
  EXPECT_EQ(chosen(three(), {}, target, 3000), "20240101-000000F");
  EXPECT_EQ(chosen(three(), {}, target, 1001), "20240301-000000F");
  EXPECT_THAT([&] { chosen(three(), {}, target, 1000); },
              test::throws(ErrorKind::not_found,
                           "no backup ended before the target time 1970-01-01 00:16:40.5+00\n  "
                           "hint: 20240301-000000F ended within the same second, of which no more "
                           "is known: aim at 1970-01-01 00:16:41+00 or later, or name that backup "
                           "with --set; the repository has"));
  EXPECT_THAT([&] { chosen(three(), {}, target, 999); },
              test::throws(ErrorKind::not_found, "hint: the repository has"));
}

TEST(ChooseBackup, ABackupHasToEndAtOrBeforeTheTargetLsn) {
  const auto at = [](const char* lsn) {
    return RecoveryTarget{.type = RecoveryType::lsn, .target = lsn};
  };
  EXPECT_EQ(chosen(three(), {}, at("0/3000")), "20240201-000000F");
  EXPECT_EQ(chosen(three(), {}, at("0/2FFF")), "20240101-000000F");
  EXPECT_THAT([&] { chosen(three(), {}, at("0/FFF")); },
              test::throws(ErrorKind::not_found, "0/FFF"));
}

TEST(ChooseBackup, AnLsnSaysNothingAboutBackupsWithoutOneOrFromBeforeAnUpgrade) {
  auto info = three();
  info.backups[1] = backup("20240101-000000F", 2000, nullptr);
  info.backups[2] = backup("20240201-000000F", 3000, "0/1500", 1);

  EXPECT_EQ(chosen(info, {}, {.type = RecoveryType::lsn, .target = "0/9000"}), "20240301-000000F");
}

TEST(ChooseBackup, ABackupHasToLieOnTheWayToTheTimeline) {
  const auto info = three();
  const OnTheWay old = [](const auto& backup) { return backup.label.text() < "20240201"; };
  const OnTheWay none = [](const auto&) { return false; };
  const auto label = [&](const RecoveryTarget& target, const OnTheWay& way) {
    return choose_backup(info, {}, target, 9999, way).label.text();
  };
  const RecoveryTarget latest{.timeline = "1"};
  EXPECT_EQ(label(latest, {}), "20240201-000000F");
  EXPECT_EQ(label(latest, old), "20240101-000000F");
  EXPECT_EQ(label({.type = RecoveryType::time, .timeline = "1"}, old), "20240101-000000F");
  EXPECT_EQ(label({.type = RecoveryType::lsn, .target = "0/9000", .timeline = "1"}, old),
            "20240101-000000F");
  EXPECT_THAT([&] { label(latest, none); },
              test::throws(ErrorKind::not_found, "before timeline 1 branched off"));
}

TEST(ChooseBackup, NamesWhatThereIs) {
  EXPECT_THAT([] { chosen(three(), "x", {}); },
              test::throws(ErrorKind::not_found, "20240201-000000F"));
  EXPECT_THAT([] { chosen(three(), "20240201-000001F", {}); },
              test::throws(ErrorKind::not_found, "did you mean 20240201-000000F?"));
  EXPECT_THAT([] { chosen({}, {}, {}); }, test::throws(ErrorKind::not_found, "has no backups"));
}

TEST(ChooseBackup, DoesNotSilentlyGoBackBehindAnUpgrade) {
  auto info = three();
  for (auto& made : info.backups) made.database_id = 1;

  EXPECT_THAT([&] { chosen(info, {}, {}); },
              test::throws(ErrorKind::not_found, "upgraded to PostgreSQL 15"));
  EXPECT_EQ(chosen(info, "20240301-000000F", {}), "20240301-000000F");
}

}  // namespace
}  // namespace pgrevive::restore
