#include "console/watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cluster/settings.h"
#include "support/temp_dir.h"

namespace pgrevive::console {
namespace {

// Its path is in what goes wrong.
TEST(RepositoryWatcher, TellsNoSecretWithAFailure) {
  const test::TempDir home;
  const auto repository = home / "hunter22";
  make_directories(repository / "backup" / "main");
  write_file_atomic(repository / "backup" / "main" / "backup.info", "nothing of the kind");
  const cluster::StateDirectory state(home / "c");
  make_directories(state.root());
  cluster::Settings settings;
  settings.password = Secret("hunter22");
  settings.repository.type = repository::RepositoryOptions::Type::posix;
  settings.repository.path = repository.string();
  settings.repository.stanza = "main";
  write_file_atomic(state.settings(), to_json(settings));

  RepositoryWatcher watcher(state, [] { return false; });
  const auto told = to_value(*watcher.read());

  ASSERT_FALSE(told["stanza"].is_null()) << told;
  EXPECT_THAT(told["stanza"]["problem"].get<std::string>(), testing::HasSubstr("/***/")) << told;
  EXPECT_THAT(told["stanza"]["problem"].get<std::string>(),
              testing::Not(testing::HasSubstr("hunter22")));
}

}  // namespace
}  // namespace pgrevive::console
