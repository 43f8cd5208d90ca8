#include "base/secret.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace pgrevive {
namespace {

TEST(MakeSecret, IsUrlSafeAndAsLongAsItsBytes) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const std::pair<int, std::size_t> lengths[] = {{1, 2}, {2, 3}, {3, 4}, {16, 22}, {24, 32}};
  for (const auto& [bytes, length] : lengths) {
    const std::string text = make_secret(bytes).reveal();
    EXPECT_EQ(text.size(), length);
    EXPECT_EQ(text.find_first_not_of(alphabet), std::string::npos) << text;
  }
}

TEST(MakeSecret, NeverGivesTheSameTwiceAndUsesTheWholeAlphabet) {
  std::set<std::string> seen;
  std::set<char> letters;
  for (int i = 0; i < 500; ++i) {
    const std::string text = make_secret().reveal();
    seen.insert(text);
    letters.insert(text.begin(), text.end());
  }
  EXPECT_EQ(seen.size(), 500u);
  EXPECT_EQ(letters.size(), 64u);
}

TEST(Secret, IsComparedByItsText) {
  EXPECT_EQ(Secret("a"), Secret("a"));
  EXPECT_NE(Secret("a"), Secret("b"));
  EXPECT_TRUE(Secret().empty());
}

}  // namespace
}  // namespace pgrevive
