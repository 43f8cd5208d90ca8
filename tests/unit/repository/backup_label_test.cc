#include "repository/backup_label.h"

#include <gtest/gtest.h>

#include "support/throws.h"

namespace pgrevive::repository {
namespace {

TEST(BackupLabel, KnowsItsTypeAndItsFullBackup) {
  const auto full = BackupLabel::parse("20240115-020000F");
  const auto diff = BackupLabel::parse("20240115-020000F_20240116-020000D");
  const auto incr = BackupLabel::parse("20240115-020000F_20240116-060000I");

  EXPECT_EQ(full.type(), BackupType::full);
  EXPECT_EQ(diff.type(), BackupType::differential);
  EXPECT_EQ(incr.type(), BackupType::incremental);
  EXPECT_EQ(full.full(), full);
  EXPECT_EQ(diff.full(), full);
  EXPECT_EQ(incr.full(), full);
  EXPECT_EQ(name(full.type()), "full");
  EXPECT_EQ(name(diff.type()), "diff");
  EXPECT_EQ(name(incr.type()), "incr");
}

struct Malformed {
  const char* name;
  std::string_view text;
};

class MalformedBackupLabel : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedBackupLabel, IsRefused) {
  EXPECT_THAT([] { BackupLabel::parse(GetParam().text); },
              test::throws(ErrorKind::corrupt, "is not a backup label"));
}

INSTANTIATE_TEST_SUITE_P(
    All, MalformedBackupLabel,
    testing::Values(Malformed{"empty", ""}, Malformed{"no_type", "20240115-020000"},
                    Malformed{"letter_in_date", "2024011a-020000F"},
                    Malformed{"letter_in_time", "20240115-02000aF"},
                    Malformed{"lower_case", "20240115-020000f"},
                    Malformed{"a_differential_alone", "20240115-020000D"},
                    Malformed{"dependent_of_nothing", "_20240116-060000I"},
                    Malformed{"a_full_on_a_full", "20240115-020000F_20240116-060000F"},
                    Malformed{"other_separator", "20240115-020000F-20240116-060000I"},
                    Malformed{"a_path", "../../20240115-020000F"},
                    Malformed{"a_path_after_it", "20240115-020000F/../../../../../x"},
                    Malformed{"something_after_it", "20240115-020000F_20240116-060000Ix"},
                    Malformed{"nul_after_it", std::string_view("20240115-020000F\0", 17)}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace pgrevive::repository
