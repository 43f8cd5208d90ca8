#include "cluster/console_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using testing::HasSubstr;

Settings listening_on(const std::string& address) {
  Settings settings;
  settings.console_listen = address;
  return settings;
}

TEST(ConsoleExposure, IsToldWhereOthersThanThisHostMayLook) {
  for (const auto* address : {"0.0.0.0", "::", "192.0.2.7", "fd00::7"}) {
    const auto exposure = console_exposure(listening_on(address)).value();
    EXPECT_THAT(exposure.text,
                HasSubstr(std::string("listens on ") + address + " (CONSOLE_LISTEN), port 8080"));
    EXPECT_TRUE(tells_of_exposure(exposure));
  }
  EXPECT_FALSE(tells_of_exposure({.text = "Adminer is off"}));
}

TEST(ConsoleExposure, IsNoneOnThisHostAndOfAConsoleThatIsOff) {
  for (const auto* address : {"127.0.0.1", "127.0.0.2", "::1"})
    EXPECT_FALSE(console_exposure(listening_on(address)));
  auto off = listening_on("0.0.0.0");
  off.console_port = 0;
  EXPECT_FALSE(console_exposure(off));
}

}  // namespace
}  // namespace pgrevive::cluster
