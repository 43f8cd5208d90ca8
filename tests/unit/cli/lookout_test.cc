#include "cli/lookout.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

std::string time_of(std::int64_t seconds) {
  return format_time(std::chrono::system_clock::time_point(std::chrono::seconds(seconds)));
}

nlohmann::json answer() {
  return {{"read_ms", 5},
          {"place", "s3://b/p"},
          {"error", ""},
          {"recoverable", nlohmann::json::array()}};
}

TEST(SourceText, SaysFromWhenToWhenOneCanRecover) {
  auto said = answer();
  said["recoverable"] = {{{"from", 1'700'000'000}, {"to", 1'700'003'600}},
                         {{"from", 1'700'100'000}, {"to", 1'700'100'000}}};
  EXPECT_EQ(source_text(said.dump()), "s3://b/p\nrecoverable from " + time_of(1'700'000'000) +
                                          " to " + time_of(1'700'003'600) + "\nrecoverable from " +
                                          time_of(1'700'100'000) + " to " + time_of(1'700'100'000));
}

TEST(SourceText, SaysThatNothingCanBeRecoveredOrRead) {
  auto said = answer();
  EXPECT_EQ(source_text(said.dump()), "s3://b/p\nnothing in it can be recovered");
  said["error"] = "no\x1b[0m key";
  EXPECT_EQ(source_text(said.dump()),
            "s3://b/p\ncannot be read: " + printable("no\x1b[0m key", 300));
}

TEST(SourceText, IsNothingWhereNobodyReadItOrThereIsNone) {
  auto said = answer();
  said["read_ms"] = 0;
  EXPECT_EQ(source_text(said.dump()), "");
  said = answer();
  said["place"] = "";
  EXPECT_EQ(source_text(said.dump()), "");
  EXPECT_THROW(source_text("{}"), nlohmann::json::exception);
  EXPECT_THROW(source_text("<html>"), nlohmann::json::exception);
}

}  // namespace
}  // namespace pgrevive::cli
