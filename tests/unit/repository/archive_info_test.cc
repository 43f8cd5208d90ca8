#include "repository/archive_info.h"

#include <gtest/gtest.h>

#include "support/throws.h"
#include "unit/repository/info_text.h"

namespace pgrevive::repository {
namespace {

ArchiveInfo read(const std::string& sections) {
  ArchiveInfo info;
  const auto reader = make_archive_info_reader("a.info", info);
  reader->write(as_bytes(test::seal(sections)));
  reader->finish();
  return info;
}

TEST(ArchiveInfo, FindsEveryIdThatHeldACluster) {
  const auto info = read(
      "[cipher]\ncipher-pass=\"p\"\n\n[db]\ndb-id=3\n\n[db:history]\n"
      "1={\"db-id\":18446744073709551615,\"db-version\":\"9.6\"}\n"
      "2={\"db-id\":18446744073709551615,\"db-version\":\"10\"}\n"
      "3={\"db-id\":18446744073709551615,\"db-version\":\"9.6\"}\n");

  const auto found = info.matching(18446744073709551615u, postgres::Version::parse("9.6"));

  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(ArchiveInfo::archive_id(found[0]), "9.6-1");
  EXPECT_EQ(ArchiveInfo::archive_id(found[1]), "9.6-3");
  EXPECT_EQ(info.current_id, 3u);
  EXPECT_EQ(info.wal_passphrase.reveal(), "p");
  EXPECT_TRUE(info.matching(1, postgres::Version::parse("9.6")).empty());
}

TEST(ArchiveInfo, RefusesAHistoryWithoutTheCurrentDatabase) {
  EXPECT_THAT(
      [] { read("[db]\ndb-id=2\n\n[db:history]\n1={\"db-id\":7,\"db-version\":\"15\"}\n"); },
      test::throws(ErrorKind::corrupt, "is not in its history"));
  EXPECT_THAT(
      [] { read("[db]\ndb-id=1\n\n[db:history]\nx={\"db-id\":7,\"db-version\":\"15\"}\n"); },
      test::throws(ErrorKind::corrupt, "[db:history] x"));
  const std::string line = "1={\"db-id\":7,\"db-version\":\"15\"}\n";
  EXPECT_THAT([&] { read("[db]\ndb-id=1\n\n[db:history]\n" + line + line); },
              test::throws(ErrorKind::corrupt, "db-id 1 is in the history twice"));
  EXPECT_THAT([] { read("[db]\ndb-id=1\n\n[db:history]\n1={\"db-id\":7}\n"); },
              test::throws(ErrorKind::corrupt, "does not say which cluster db-id 1 is"));
}

}  // namespace
}  // namespace pgrevive::repository
