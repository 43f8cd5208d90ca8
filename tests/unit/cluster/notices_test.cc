#include "cluster/notices.h"

#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "restore/notices.h"
#include "support/page_words.h"

namespace pgrevive::cluster {
namespace {

std::vector<NoticeWords> all_kinds() {
  std::vector<NoticeWords> all(kNotices.begin(), kNotices.end());
  all.insert(all.end(), restore::kNotices.begin(), restore::kNotices.end());
  return all;
}

TEST(Notices, AreSaidByThePageWithTheSameValues) {
  for (const auto& kind : all_kinds()) {
    const auto word = test::word_of_page("w_" + std::string(kind.id));
    EXPECT_NE(word, "") << kind.id;
    auto values = test::values_in(kind.words);
    values.erase("error");  // which the page shows below, as it was said
    EXPECT_EQ(test::values_in(word), values) << kind.id;
  }
}

TEST(Notices, AreAllThatThePageHasWordsFor) {
  std::set<std::string> ids;
  for (const auto& kind : all_kinds())
    EXPECT_TRUE(ids.emplace(kind.id).second) << "there are two of " << kind.id;
  std::istringstream words(test::page_words());
  for (std::string line; std::getline(words, line);) {
    if (!line.starts_with("  w_")) continue;
    EXPECT_TRUE(ids.contains(line.substr(4, line.find(':') - 4))) << line;
  }
}

}  // namespace
}  // namespace pgrevive::cluster
