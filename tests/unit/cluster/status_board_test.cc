#include "cluster/status_board.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

TEST(StatusBoard, ShowsAWarningOnceHoweverOftenItIsSaid) {
  const test::TempDir place;
  const StateDirectory state(place.path());
  make_directories(state.run());
  StatusBoard board(state, {});
  const auto warning = [](const std::string& node) {
    return Notice{.id = "told", .text = node + " is late", .values = {{"node", node}}};
  };

  for (const auto* node : {"replica", "replica-2", "replica"}) board.warn(warning(node));

  EXPECT_EQ(status_from_json(read_file(state.status())).notices,
            (std::vector<Notice>{warning("replica"), warning("replica-2")}));
}

}  // namespace
}  // namespace pgrevive::cluster
