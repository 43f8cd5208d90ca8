#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cluster/cluster.h"
#include "cluster/marker.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

class Status : public testing::Test {
 protected:
  Status() {
    make_directories(state_.run());
    make_directories(state_.data("primary"));
    write_file_atomic(state_.settings(), to_json(Settings{.wal_archive = WalArchiveMode::off}));
    Marker{.cluster_name = "a", .owner = ::geteuid(), .socket_directory = state_.run()}.save(
        state_);
  }
  // As a supervisor left it at that time that is no more.
  void leave(const SupervisorStatus& status, std::int64_t seconds) {
    write_file_atomic(state_.status(), to_json(status));
    const std::array<timespec, 2> times{
        {{.tv_sec = seconds, .tv_nsec = 500'000'000}, {.tv_sec = seconds, .tv_nsec = 500'000'000}}};
    ASSERT_EQ(::utimensat(AT_FDCWD, state_.status().c_str(), times.data(), 0), 0);
  }

  test::TempDir root_;
  StateDirectory state_{root_ / "state"};
};

TEST_F(Status, EndsThePhaseOfASupervisorThatWasKilled) {
  SupervisorStatus left{.phase = Phase::restoring,
                        .phases = {{Phase::preparing, 1000, 2000}, {Phase::restoring, 2000, 0}}};
  leave(left, 5);
  auto seen = collect_status(state_, Look::quick).supervisor;
  EXPECT_EQ(seen.phase, Phase::restoring);
  EXPECT_EQ(seen.phases[0].ended_ms, 2000);
  EXPECT_EQ(seen.phases[1].ended_ms, 5500);

  leave(left, 1);  // the clock was set back
  seen = collect_status(state_, Look::quick).supervisor;
  EXPECT_EQ(seen.phases[1].ended_ms, 2000);

  left.phase = left.phases[1].phase = Phase::stopped;
  leave(left, 5);
  seen = collect_status(state_, Look::quick).supervisor;
  EXPECT_EQ(seen.phases[1].ended_ms, 0) << "it is so still";
}

}  // namespace
}  // namespace pgrevive::cluster
