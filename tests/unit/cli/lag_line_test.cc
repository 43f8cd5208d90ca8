#include "cli/lag_line.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace pgrevive::cli {
namespace {

using Lag = console::LagSample::Lag;
constexpr std::int64_t kNow = 1'800'000'000'000;  // a whole minute

console::LagSample before(std::int64_t seconds, std::optional<std::uint64_t> bytes,
                          std::optional<double> lag) {
  return {.time_ms = kNow - seconds * 1000,
          .lags = {{"replica", Lag{.bytes = bytes, .seconds = lag}}}};
}

TEST(LagLine, ShowsTheGreatestOfEachMinuteFromTheFirstThatIsKnown) {
  const std::vector samples{
      before(900, 9'000'000, 99),   // too old
      before(180, 0, 0),            // the fourth from the end
      before(120, 500'000, 1.25),   //
      before(119, 1'000'000, 0.5),  // in the same minute, and more
      before(60, {}, {}),           // nobody knew
      before(0, 500'000, {}),       //
      before(-60, 7'000'000, 77),   // the clock was set back
  };
  EXPECT_EQ(lag_line(samples, "replica", kNow, true), "▁█ ▅  at most 1 MB, 1.2 s in 15 min");
  EXPECT_EQ(lag_line(samples, "replica", kNow, false), "at most 1 MB, 1.2 s in 15 min");
  EXPECT_EQ(lag_line(samples, "replica-2", kNow, true), "");
  EXPECT_EQ(lag_line({before(60, {}, {})}, "replica", kNow, true), "");
}

TEST(LagLine, IsAsLowAsCanBeWhereThereIsNoLagAtAll) {
  EXPECT_EQ(lag_line({before(840, 0, 0.0), before(60, 0, 0.0), before(0, 0, 0.0)}, "replica", kNow,
                     true),
            "▁            ▁▁  at most 0 B, 0.0 s in 15 min");
  EXPECT_EQ(lag_line({before(1, {}, 2.0)}, "replica", kNow, true), "at most 2.0 s in 15 min");
}

TEST(LagLine, HasNoHolesWhereAConsoleKeptASampleOfEachMinute) {
  std::vector<console::LagSample> samples;
  // Not exactly a minute apart.
  for (std::int64_t minute = 14; minute >= 0; --minute)
    samples.push_back(before(minute * 60 - (minute % 2 == 0 ? 0 : 3), 5'000'000, 123.0));
  for (const std::int64_t later : {0, 1, 30, 59}) {
    const auto line = lag_line(samples, "replica", kNow + later * 1000, true);
    EXPECT_EQ(line, "███████████████  at most 5 MB, 123.0 s in 15 min") << later;
  }
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
