#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/file.h"

namespace pgrevive::test {

inline const std::string& page_words() {
  static const auto words = read_file(TEST_DATA_DIR "/../../src/console/page/src/words.ts");
  return words;
}

// A line of the page's words: `  p_lag: '...',`; empty: there is none.
inline std::string word_of_page(const std::string& name) {
  const auto& words = page_words();
  const auto begin = words.find("\n  " + name + ": '");
  return begin == std::string::npos ? "" : words.substr(begin, words.find('\n', begin + 1) - begin);
}

// What stands {so} in it.
inline std::set<std::string> values_in(std::string_view words) {
  std::set<std::string> names;
  for (auto at = words.find('{'); at != words.npos; at = words.find('{', at + 1))
    names.emplace(words.substr(at + 1, words.find('}', at) - at - 1));
  return names;
}

}  // namespace pgrevive::test
