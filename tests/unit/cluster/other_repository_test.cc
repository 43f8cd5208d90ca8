#include "cluster/other_repository.h"

#include <gmock/gmock.h>

namespace pgrevive::cluster {
namespace {

using Result = Finding::Result;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const NewestOfRepository kUsed{.wal = "000000010000000000000005",
                               .backup = "20261122-020000F",
                               .backup_stopped = 1'795'000'000};

Finding judged(const NewestOfRepository& other) {
  return judge_other("repo1", kUsed, "repo2", other);
}

TEST(OtherRepository, IsFineWithTheSameOrLess) {
  auto other = kUsed;
  EXPECT_EQ(judged(other).result, Result::ok);
  other = {.wal = "000000010000000000000004",
           .backup = "20261115-020000F",
           .backup_stopped = 1'794'000'000};
  EXPECT_EQ(judged(other).result, Result::ok);
  EXPECT_EQ(judged({}).result, Result::ok);
}

TEST(OtherRepository, WarnsOfNewerWalByName) {
  auto other = kUsed;
  other.wal = "000000010000000000000006";
  const auto finding = judged(other);
  EXPECT_EQ(finding.result, Result::warning);
  EXPECT_THAT(finding.detail,
              AllOf(HasSubstr("repo2 has newer WAL (000000010000000000000006; repo1 ends with "
                              "000000010000000000000005)"),
                    Not(HasSubstr("backup"))));
  EXPECT_THAT(finding.remedy, HasSubstr("make it of repo2"));
}

TEST(OtherRepository, CountsATimelineBeforeThePlaceInIt) {
  auto other = kUsed;
  other.wal = "000000020000000000000004";
  EXPECT_EQ(judged(other).result, Result::warning);
}

TEST(OtherRepository, WarnsOfANewerBackupByLabel) {
  auto other = kUsed;
  other.backup = "20261123-020000F";
  other.backup_stopped += 86'400;
  const auto finding = judged(other);
  EXPECT_EQ(finding.result, Result::warning);
  EXPECT_THAT(finding.detail,
              AllOf(HasSubstr("a newer backup (20261123-020000F; the newest of repo1 is "
                              "20261122-020000F)"),
                    Not(HasSubstr("WAL"))));
}

TEST(OtherRepository, SaysNoneWhereTheUsedOneHasNone) {
  const auto finding = judge_other("repo1", {}, "repo2", kUsed);
  EXPECT_THAT(finding.detail,
              AllOf(HasSubstr("repo1 ends with none"), HasSubstr("the newest of repo1 is none")));
}

TEST(OtherRepository, ThatCannotBeReadIsAWarning) {
  const auto at = [](const char* path) {
    return repository::RepositoryOptions{.type = repository::RepositoryOptions::Type::posix,
                                         .path = path};
  };
  const auto findings =
      examine_others({"repo1", at("/nosuch/one")}, {{"repo2", at("/nosuch/two")}});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].name, "repo2");
  EXPECT_EQ(findings[0].result, Result::warning);
  EXPECT_THAT(findings[0].detail, HasSubstr("is not known: "));
  EXPECT_THAT(examine_others({"repo1", at("/nosuch/one")}, {}), IsEmpty());
}

}  // namespace
}  // namespace pgrevive::cluster
