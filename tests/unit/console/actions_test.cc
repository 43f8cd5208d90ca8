#include "console/actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "cluster/settings.h"
#include "support/temp_dir.h"

namespace pgrevive::console {
namespace {

// There is no directory for the log of the command, so it is never run.
TEST(Restore, ThatCannotBeRunLeavesNoCopyOfThePrograms) {
  const test::TempDir home;
  const cluster::StateDirectory state(home / "c");
  make_directories(state.program().parent_path());
  write_file_atomic(state.program(), "#!/bin/sh\n", 0755);
  cluster::Settings settings;
  settings.cluster_name = "c";
  write_file_atomic(state.settings(), to_json(settings));
  http::ServerRequest request;
  request.query = "confirm=c";

  const auto response = act(state, "restore", request);

  EXPECT_EQ(response.status, 409) << response.body;
  EXPECT_THAT(response.body, testing::HasSubstr(state.run().string()));
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(home.path()))
    left.push_back(entry.path());
  EXPECT_THAT(left, testing::ElementsAre(state.root()));
}

TEST(Actions, TellNoSecretWithAFailure) {
  const test::TempDir home;
  const cluster::StateDirectory state(home / "hunter22");
  make_directories(state.root());
  cluster::Settings settings;
  settings.cluster_name = "hunter22";
  settings.password = Secret("hunter22");
  write_file_atomic(state.settings(), to_json(settings));
  http::ServerRequest request;
  request.query = "confirm=hunter22";

  // It names the directory that it cannot write to.
  const auto response = act(state, "restore", request);

  EXPECT_EQ(response.status, 409) << response.body;
  EXPECT_THAT(response.body, testing::HasSubstr("***"));
  EXPECT_THAT(response.body, testing::Not(testing::HasSubstr("hunter22")));
}

}  // namespace
}  // namespace pgrevive::console
