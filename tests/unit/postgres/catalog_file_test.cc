#include "postgres/catalog_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/real_server.h"

namespace pgrevive::postgres {
namespace {

using ::testing::IsEmpty;

// What the files say and what the server says, of all of its databases.
void expect_same(test::RealServer& server, Connection& connection) {
  connection.query("checkpoint");
  std::map<std::uint32_t, DatabaseRow> expected;
  for (const auto& row :
       connection.query("select oid::text, datname, datcollate, datctype from pg_database"))
    expected[static_cast<std::uint32_t>(std::stoul(row.at(0).value_or("")))] = {
        row.at(1).value_or(""), row.at(2).value_or(""), row.at(3).value_or("")};
  const auto global = server.data_directory() / "global";
  const auto map = read_file(global / "pg_filenode.map");
  const auto pages =
      read_file(global / std::to_string(file_of_catalog(as_bytes(map), kDatabaseCatalog)));
  const auto version = Version::of_major(connection.server_version() / 10000);
  EXPECT_EQ(databases_in(as_bytes(pages), version), expected);
}

TEST(CatalogFile, TellsTheNamesOfDatabases) {
  test::RealServer server;
  server.start();
  auto connection = Connection::open(server.connection());
  for (const char* statement :
       {"create database \"a shop ü\"", "create database gone", "create database renamed",
        "drop database gone",
        "create database mixed template template0 lc_collate 'C' lc_ctype 'C.UTF-8'",
        "alter database renamed rename to \"new\"", "select count(*) from pg_database"})
    connection.query(statement);
  expect_same(server, connection);

  connection.query("vacuum full pg_database");
  expect_same(server, connection);
}

TEST(CatalogFile, OfNoPagesNamesNothing) {
  for (const char byte : {'\0', '\xff', '\x18', '\x7f'})
    EXPECT_THAT(databases_in(as_bytes(std::string(3 * 8192 + 100, byte)), Version::of_major(15)),
                IsEmpty());
  EXPECT_EQ(file_of_catalog({}, 1262), 1262u);
}

}  // namespace
}  // namespace pgrevive::postgres
