#include "base/notice.h"

#include <array>

#include <gtest/gtest.h>

namespace pgrevive {
namespace {

constexpr auto kTable = std::to_array<NoticeWords>({
    {"plain", "there is no php"},
    {"twice", "{node} follows {line}; {node} is a replica"},
});

template <typename... Values>
Notice notice(NoticeKind<kTable, sizeof...(Values)> kind, const Values&... values) {
  return make_notice(kind.words(), {std::string_view(values)...});
}

TEST(Notice, IsItsWordsAndWhatIsPutIntoThem) {
  EXPECT_EQ(notice("plain"), (Notice{.id = "plain", .text = "there is no php"}));
  EXPECT_EQ(notice("twice", "replica", std::string("{2}")),
            (Notice{.id = "twice",
                    .text = "replica follows {2}; replica is a replica",
                    .values = {{"node", "replica"}, {"line", "{2}"}}}));
}

TEST(Notice, HasAsManyValuesAsItsWordsHaveNames) {
  EXPECT_EQ(names_in("none"), 0u);
  EXPECT_EQ(names_in("{a} and {b}, {a} again, {ab}"), 3u);
}

}  // namespace
}  // namespace pgrevive
