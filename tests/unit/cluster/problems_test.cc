#include "cluster/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/page_words.h"

namespace pgrevive::cluster {
namespace {

ClusterStatus sound() {
  ClusterStatus status;
  status.supervisor_running = true;
  status.supervisor.phase = Phase::running;
  status.nodes = {{.name = "primary", .role = "primary", .state = "accepting"},
                  {.name = "replica",
                   .role = "replica",
                   .state = "accepting",
                   .replication = "streaming",
                   .lag_bytes = 100,
                   .lag_seconds = 0.1}};
  return status;
}

std::vector<std::string> ids(const ClusterStatus& status) {
  std::vector<std::string> result;
  for (const auto& problem : find_problems(status)) {
    result.push_back(problem.id + (problem.subject.empty() ? "" : " " + problem.subject));
    EXPECT_FALSE(problem.text.empty());
  }
  return result;
}

TEST(Problems, ThereAreNoneOfASoundCluster) {
  EXPECT_TRUE(ids(sound()).empty());
  EXPECT_TRUE(healthy(sound()));
}

// The page says each in another language too, with nothing in it that nobody tells.
void is_said_by_the_page(const Problem& problem) {
  for (const char* kind : {"p_", "r_"}) {
    const auto word = test::word_of_page(kind + problem.id);
    EXPECT_NE(word, "") << kind << problem.id;
    for (const auto& value : test::values_in(word)) {
      const bool either = value == "lag_bytes" || value == "lag_seconds";
      EXPECT_TRUE(value == "subject" || either || problem.values.contains(value)) << word;
    }
  }
}

struct Wrong {
  const char* name;
  void (*make)(ClusterStatus&);
  std::vector<std::string> ids;
  bool healthy = false;
};
class WrongCluster : public testing::TestWithParam<Wrong> {};

TEST_P(WrongCluster, HasItsProblem) {
  auto status = sound();
  GetParam().make(status);
  EXPECT_EQ(ids(status), GetParam().ids);
  EXPECT_EQ(healthy(status), GetParam().healthy);
  for (const auto& problem : find_problems(status)) is_said_by_the_page(problem);
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongCluster,
    testing::Values(
        Wrong{"stopped",
              [](ClusterStatus& s) {
                s.supervisor_running = false;
                for (auto& node : s.nodes) node.state = "down";
              },
              {"stopped"}},
        Wrong{"unattended", [](ClusterStatus& s) { s.supervisor_running = false; }, {"unattended"}},
        Wrong{"unattended_without_a_primary",
              [](ClusterStatus& s) {
                s.supervisor_running = false;
                s.nodes.front().state = "down";
              },
              {"unattended", "node_down primary"}},
        Wrong{"failed",
              [](ClusterStatus& s) {
                s.supervisor_running = false;
                s.supervisor.phase = Phase::failed;
                s.supervisor.error = "the disk is full\n  while restoring";
              },
              {"failed"}},
        Wrong{"half_removed",
              [](ClusterStatus& s) {
                s.half_removed = {"/home/.primary.gone"};
                s.supervisor_running = false;
                s.supervisor.phase = Phase::failed;
              },
              {"half_removed"}},
        Wrong{"restoring",
              [](ClusterStatus& s) {
                s.supervisor.phase = Phase::restoring;
                for (auto& node : s.nodes) node.state = "restoring";
              },
              {}},
        Wrong{"node_down",
              [](ClusterStatus& s) { s.nodes[1].state = "down"; },
              {"node_down replica"}},
        Wrong{"promoted",
              [](ClusterStatus& s) { s.nodes[1].role = "primary"; },
              {"promoted replica"}},
        Wrong{"disconnected",
              [](ClusterStatus& s) { s.nodes[1].replication = "disconnected"; },
              {"not_streaming replica"}},
        Wrong{"archiving", [](ClusterStatus& s) { s.archiving_ok = false; }, {"archiving"}},
        Wrong{"adminer", [](ClusterStatus& s) { s.adminer_url = "http://x/"; }, {"adminer"}},
        Wrong{"lag",
              [](ClusterStatus& s) { s.nodes[1].lag_bytes = 2ull << 30; },
              {"lag replica"},
              true},
        Wrong{"long_lag",
              [](ClusterStatus& s) { s.nodes[1].lag_seconds = 61; },
              {"lag replica"},
              true},
        Wrong{"disk",
              [](ClusterStatus& s) {
                s.nodes[0].disk_total_bytes = 1000;
                s.nodes[0].disk_free_bytes = 49;
              },
              {"disk primary"},
              true}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace pgrevive::cluster
