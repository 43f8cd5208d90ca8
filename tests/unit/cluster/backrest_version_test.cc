#include "cluster/backrest_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using postgres::Version;

TEST(BackrestVersion, IsReadFromWhatItSays) {
  EXPECT_EQ(parse_backrest_version("pgBackRest 2.45\n"), (BackrestVersion{2, 45}));
  EXPECT_EQ(parse_backrest_version("pgBackRest 2.06"), (BackrestVersion{2, 6}));
  EXPECT_EQ(parse_backrest_version("pgBackRest 2.53.1"), (BackrestVersion{2, 53}));
  EXPECT_EQ(parse_backrest_version("pgBackRest 2.60.0dev"), (BackrestVersion{2, 60}));
  for (const char* text : {"", "pgBackRest", "pgBackRest 2", "pgBackRest two.45", "pgBackRest 2.",
                           "2.45", "pgBackRest 2.99999999999"}) {
    EXPECT_EQ(parse_backrest_version(text), std::nullopt) << text;
  }
}

TEST(BackrestVersion, OrdersByNumbersAndNotByText) {
  EXPECT_LT((BackrestVersion{2, 6}), (BackrestVersion{2, 45}));
  EXPECT_LT((BackrestVersion{2, 60}), (BackrestVersion{3, 0}));
}

TEST(BackrestVersion, HasToBeOfItsTime) {
  EXPECT_EQ(first_backrest_for(Version::of_major(11)), (BackrestVersion{2, 6}));
  EXPECT_LE(first_backrest_for(Version::of_major(15)), (BackrestVersion{2, 45}));
  EXPECT_GT(first_backrest_for(Version::of_major(16)), (BackrestVersion{2, 45}));
  EXPECT_EQ(first_backrest_for(Version::of_major(18)), (BackrestVersion{2, 55}));
}

TEST(BackrestVersion, DoesNotMatterForWhatAllKnowOrNobodyDoes) {
  EXPECT_EQ(first_backrest_for(Version::parse("9.6")), std::nullopt);
  EXPECT_EQ(first_backrest_for(Version::of_major(10)), std::nullopt);
  EXPECT_EQ(first_backrest_for(Version::of_major(99)), std::nullopt);
}

}  // namespace
}  // namespace pgrevive::cluster
