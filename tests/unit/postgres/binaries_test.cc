#include "postgres/binaries.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::postgres {
namespace {

using test::throws;

// A directory whose `postgres` says that it is `version`.
class Binaries : public testing::Test {
 protected:
  void make(const std::string& version) {
    for (const char* name : {"postgres", "initdb", "pg_ctl"}) {
      std::ofstream(directory_ / name)
          << "#!/bin/sh\necho 'postgres (PostgreSQL) " << version << "'\n";
      std::filesystem::permissions(directory_ / name, std::filesystem::perms::owner_all);
    }
  }

  test::TempDir directory_;
};

TEST_F(Binaries, SayTheirVersion) {
  for (const auto& [said, version] :
       {std::pair{"15.20 (Debian 15.20-0+deb12u1)", "15"}, std::pair{"9.6.24", "9.6"},
        std::pair{"19beta3", "19"}, std::pair{"18devel", "18"}, std::pair{"10.23", "10"}}) {
    make(said);
    EXPECT_EQ(version_of_binaries(directory_.path()), Version::parse(version)) << said;
  }
}

TEST_F(Binaries, ThatSayNothingOfUseAreNone) {
  EXPECT_EQ(version_of_binaries(directory_.path()), std::nullopt);
  make("next week");
  EXPECT_EQ(version_of_binaries(directory_.path()), std::nullopt);
  make("15.1");
  std::filesystem::remove(directory_ / "initdb");
  EXPECT_EQ(version_of_binaries(directory_.path()), std::nullopt);
}

TEST_F(Binaries, AreTakenFromTheConfiguredDirectoryAndNoOther) {
  make("14.3");

  EXPECT_EQ(find_binaries(Version::parse("14"), directory_.path()), directory_.path());
  EXPECT_EQ(newest_installed(directory_.path()), Version::parse("14"));
  EXPECT_THAT([&] { find_binaries(Version::parse("15"), directory_.path()); },
              throws(ErrorKind::not_found, "holds PostgreSQL 14, but version 15 is needed"));
  EXPECT_THAT([&] { find_binaries(Version::parse("15"), directory_.path()); },
              throws(ErrorKind::not_found, "apt-get install postgresql-15"));
  EXPECT_THAT([&] { find_binaries(Version::parse("15"), directory_ / "none"); },
              throws(ErrorKind::not_found, "does not hold the programs"));
}

TEST(InstalledBinaries, AreFound) {
  const auto version = newest_installed();

  ASSERT_TRUE(version) << "these tests need a PostgreSQL server installed";
  EXPECT_EQ(version_of_binaries(find_binaries(*version)), version);
}

TEST(InstalledBinaries, ThatAreMissingAreNamedByPackage) {
  EXPECT_THAT([] { find_binaries(Version::of_major(99)); },
              throws(ErrorKind::not_found, "postgresql-99"));
}

}  // namespace
}  // namespace pgrevive::postgres
