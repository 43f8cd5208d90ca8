#include "cluster/adminer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

TEST(LocalAddress, IsWhereAClientOfThisHostFindsTheServers) {
  EXPECT_EQ(local_address("localhost"), "127.0.0.1");
  EXPECT_EQ(local_address("*"), "127.0.0.1");
  EXPECT_EQ(local_address("10.0.0.5, 127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(local_address("10.0.0.5"), "10.0.0.5");
  EXPECT_EQ(local_address("::"), "::1");
  EXPECT_EQ(local_address(""), "");
}

TEST(AdminerPage, OffersTheServersThePrimaryFirst) {
  const auto page =
      adminer_page({{"primary (5433)", "127.0.0.1:5433"}, {"replica (5434)", "127.0.0.1:5434"}},
                   "postgres", "it's");

  const auto primary = page.find("'127.0.0.1:5433' => 'primary (5433)'");
  const auto replica = page.find("'127.0.0.1:5434' => 'replica (5434)'");
  EXPECT_NE(primary, std::string::npos);
  EXPECT_LT(primary, replica);
  EXPECT_THAT(page, testing::HasSubstr("$pgrevive_database = 'it\\'s';"));
}

TEST(AdminerUrl, NamesAnAddressThatCanBeOpened) {
  Settings settings;
  EXPECT_EQ(adminer_url(settings), "http://127.0.0.1:8081/");
  settings.adminer_listen = "0.0.0.0";
  EXPECT_EQ(adminer_url(settings), "http://127.0.0.1:8081/");
  settings.adminer_listen = "::1";
  EXPECT_EQ(adminer_url(settings), "http://[::1]:8081/");
  settings.adminer_port = 0;
  EXPECT_EQ(adminer_url(settings), "");
}

}  // namespace
}  // namespace pgrevive::cluster
