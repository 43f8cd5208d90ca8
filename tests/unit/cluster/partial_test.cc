#include "cluster/partial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/memory_storage.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

class CheckChoice : public testing::Test {
 protected:
  CheckChoice() {
    manifest_.databases = {{"shop", 16400}, {"old", 16401}, {"postgres", 5}, {"template1", 1}};
    const auto add = [&](const char* name, std::uint64_t size) {
      manifest_.files.push_back({.name = name, .size = size});
    };
    add("pg_data/base/1/PG_VERSION", 3);
    add("pg_data/base/16400/1259", 1000);
    add("pg_data/base/16400/PG_VERSION", 3);
    add("pg_data/base/16401/1259", 70'000);
    add("pg_data/base/16401/PG_VERSION", 3);
    add("pg_data/base/5/PG_VERSION", 3);
    add("pg_tblspc/16390/PG_15_202209061/16401/16500", 500'000);
    settings_.database = "shop";
  }

  // Asked for nothing where the manifest knows the names.
  repository::Repository repository_{std::make_shared<test::MemoryStorage>(), "main", Secret()};
  repository::Manifest manifest_;
  Settings settings_;
};

TEST_F(CheckChoice, AsksForTheSpaceOfWhatIsRestored) {
  EXPECT_EQ(check_choice(settings_, repository_, manifest_).bytes, 571'012u);

  settings_.databases.include = {"shop"};
  const auto partial = check_choice(settings_, repository_, manifest_);
  EXPECT_EQ(partial.bytes, 1012u);
  ASSERT_EQ(partial.left_out.size(), 1u);
  EXPECT_EQ(partial.left_out[0].text(), "old (16401)");
}

TEST_F(CheckChoice, RefusesWhatAClusterCannotDoWithout) {
  const auto refuses = [&](restore::DatabaseChoice choice, const char* why) {
    settings_.databases = std::move(choice);
    EXPECT_THAT([&] { check_choice(settings_, repository_, manifest_); }, test::throws(ErrorKind::usage, why));
  };
  refuses({.exclude = {"postgres"}}, "cannot do without postgres (5)");
  refuses({.include = {"shop"}, .exclude = {"1"}}, "cannot do without template1 (1)");
  refuses({.include = {"old"}}, "POSTGRES_DB=shop would be left out");
  refuses({.exclude = {"16400"}}, "POSTGRES_DB=shop would be left out");
  refuses({.include = {"new"}}, "does not exist");
}

TEST_F(CheckChoice, LetsAPostgresDbBeMadeAnew) {
  settings_.database = "new";
  settings_.databases.exclude = {"old"};
  EXPECT_EQ(check_choice(settings_, repository_, manifest_).bytes, 1012u);
}

}  // namespace
}  // namespace pgrevive::cluster
