#include <thread>

#include <gtest/gtest.h>

#include "cli/commands/commands.h"
#include "http/server.h"

namespace pgrevive::cli {
namespace {

TEST(GetFromConsole, TakesAPathWithAndWithoutASlash) {
  http::Server server({}, [](const http::ServerRequest& request) {
    return http::ServerResponse{.body = request.path + "?" + request.query + "\n"};
  });
  const std::jthread thread([&](const std::stop_token& stop) { server.run(stop); });
  const auto url = "http://127.0.0.1:" + std::to_string(server.port()) + "/";
  for (const char* path : {"metrics", "/metrics", "//metrics"}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(get_from_console(url, path), 0);
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "/metrics?\n") << path;
  }
  testing::internal::CaptureStdout();
  EXPECT_EQ(get_from_console(url, "/"), 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "/?\n");
}

}  // namespace
}  // namespace pgrevive::cli
