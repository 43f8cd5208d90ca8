#include "base/secret.h"

#include <set>
#include <string>

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

TEST(KeepMemoryPrivate, HoldsForTheProcess) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the leak sanitizer could not do its work";
#endif
  // In a child, since it cannot be taken back for all that others here may want to see.
  const pid_t child = ::fork();
  if (child == 0) {
    keep_memory_private();
    ::_exit(::prctl(PR_GET_DUMPABLE));
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Secret, IsComparedByItsText) {
  EXPECT_EQ(Secret("a"), Secret("a"));
  EXPECT_NE(Secret("a"), Secret("b"));
  EXPECT_TRUE(Secret().empty());
}

}  // namespace
}  // namespace pgrevive
