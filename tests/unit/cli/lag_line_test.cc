#include "cli/lag_line.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace pgrevive::cli {
namespace {

using Lag = console::LagSample::Lag;
constexpr std::int64_t kNow = 10'000'000;

console::LagSample before(std::int64_t seconds, std::optional<std::uint64_t> bytes,
                          std::optional<double> lag) {
  return {.time_ms = kNow - seconds * 1000,
          .lags = {{"replica", Lag{.bytes = bytes, .seconds = lag}}}};
}

TEST(LagLine, ShowsTheGreatestOfEachHalfMinuteFromTheFirstThatIsKnown) {
  const std::vector samples{
      before(901, 9'000'000, 99),  // too old
      before(119, 0, 0),           // the fourth step from the end
      before(80, 500'000, 1.25),   //
      before(70, 1'000'000, 0.5),  // in the same step, and more
      before(59, {}, {}),          // nobody knew
      before(10, 500'000, {}),     //
      before(-5, 7'000'000, 77),   // the clock was set back
  };
  EXPECT_EQ(lag_line(samples, "replica", kNow, true), "▁█ ▅  at most 1 MB, 1.2 s in 15 min");
  EXPECT_EQ(lag_line(samples, "replica", kNow, false), "at most 1 MB, 1.2 s in 15 min");
  EXPECT_EQ(lag_line(samples, "replica-2", kNow, true), "");
  EXPECT_EQ(lag_line({before(59, {}, {})}, "replica", kNow, true), "");
}

TEST(LagLine, IsAsLowAsCanBeWhereThereIsNoLagAtAll) {
  EXPECT_EQ(
      lag_line({before(899, 0, 0.0), before(31, 0, 0.0), before(0, 0, 0.0)}, "replica", kNow, true),
      "▁                           ▁▁  at most 0 B, 0.0 s in 15 min");
  EXPECT_EQ(lag_line({before(1, {}, 2.0)}, "replica", kNow, true), "at most 2.0 s in 15 min");
}

// What the environment has is put back.
class Utf8Locale : public testing::Test {
 protected:
  Utf8Locale() {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      kept_.push_back(value != nullptr ? std::optional<std::string>(value) : std::nullopt);
      ::unsetenv(name);
    }
  }
  ~Utf8Locale() override {
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      ::unsetenv(kNames[i]);
      if (kept_[i]) ::setenv(kNames[i], kept_[i]->c_str(), 1);
    }
  }
  static constexpr const char* kNames[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  std::vector<std::optional<std::string>> kept_;
};

TEST_F(Utf8Locale, IsWhatTheFirstVariableThatIsSetSays) {
  EXPECT_FALSE(utf8_locale());
  ::setenv("LANG", "pt_BR.UTF-8", 1);
  EXPECT_TRUE(utf8_locale());
  ::setenv("LC_CTYPE", "", 1);
  EXPECT_TRUE(utf8_locale());
  ::setenv("LC_CTYPE", "C", 1);
  EXPECT_FALSE(utf8_locale());
  ::setenv("LC_ALL", "C.utf8", 1);
  EXPECT_TRUE(utf8_locale());
}

}  // namespace
}  // namespace pgrevive::cli
