#include "cluster/onlooker.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

using namespace std::chrono_literals;

TEST(DataSizes, AreKnownOnceTheyAreCounted) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(state.data("primary") / "base");
  make_directories(state.tablespaces("primary") / "1");
  make_directories(state.data("replica"));
  write_file_atomic(state.data("primary") / "base" / "1", std::string(1000, 'x'));
  write_file_atomic(state.tablespaces("primary") / "1" / "2", std::string(100, 'x'));
  DataSizes sizes(state);
  EXPECT_TRUE(sizes.known().empty());

  sizes.count({"primary", "replica"});
  for (auto end = std::chrono::steady_clock::now() + 20s;
       sizes.known().size() < 2 && std::chrono::steady_clock::now() < end;)
    std::this_thread::sleep_for(1ms);

  EXPECT_EQ(sizes.known(),
            (std::map<std::string, std::uint64_t>{{"primary", 1100}, {"replica", 0}}));
}

TEST(DataSizes, ThatAreStoppedTellNoPart) {
  const test::TempDir directory;
  const StateDirectory state(directory.path());
  make_directories(state.data("primary"));
  write_file_atomic(state.data("primary") / "1", std::string(1000, 'x'));
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_EQ(data_bytes(state, "primary", stopped.get_token()), 0u);
}

}  // namespace
}  // namespace pgrevive::cluster
