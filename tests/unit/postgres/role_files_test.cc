#include "postgres/role_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/real_server.h"
#include "support/temp_dir.h"

namespace pgrevive::postgres {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(RoleFiles, NameTheSuperusersThatMayLogIn) {
  test::RealServer server;
  server.start();
  auto connection = Connection::open(server.connection());
  for (const char* statement :
       {"create role \"The Boss ü\" superuser login", "create role idle superuser nologin",
        "create role worker login", "create role renamed superuser login", "checkpoint"})
    connection.query(statement);
  const auto version = Version::of_major(connection.server_version() / 10000);
  EXPECT_THAT(superusers_on_disk(server.data_directory(), version),
              UnorderedElementsAre("postgres", "The Boss ü", "renamed"));

  // Into another file, without the old row versions.
  for (const char* statement :
       {"alter role renamed rename to \"new\"", "vacuum full pg_authid", "checkpoint"})
    connection.query(statement);
  EXPECT_THAT(superusers_on_disk(server.data_directory(), version),
              UnorderedElementsAre("postgres", "The Boss ü", "new"));
}

TEST(RoleFiles, ThatAreNoneNameNobody) {
  const test::TempDir directory;
  const auto version = Version::of_major(15);
  EXPECT_THAT(superusers_on_disk(directory.path(), version), IsEmpty());
  make_directories(directory / "global");
  write_file_atomic(directory / "global" / "pg_filenode.map", "short");
  EXPECT_THAT(superusers_on_disk(directory.path(), version), IsEmpty());
  for (const char byte : {'\0', '\xff', '\x18', '\x7f'}) {
    write_file_atomic(directory / "global" / "1260", std::string(3 * 8192 + 100, byte));
    EXPECT_THAT(superusers_on_disk(directory.path(), version), IsEmpty());
  }
}

}  // namespace
}  // namespace pgrevive::postgres
