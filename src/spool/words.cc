#include "spool/words.h"

namespace pgrevive::spool {

Words split(const std::vector<std::string>& words) {
  Words result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (!word.starts_with('-')) {
      result.names.push_back(word);
      continue;
    }
    const auto equals = word.find('=');
    const bool has_value = equals != std::string::npos || i + 1 < words.size();
    if (!word.starts_with("--") || word == "--" || word == "--help" || !has_value) {
      result.strange = true;
      return result;
    }
    result.options.emplace_back(word.substr(0, equals),
                                equals != std::string::npos ? word.substr(equals + 1) : words[++i]);
  }
  return result;
}

bool is_whole_on(const std::string& line, const std::string& segment) {
  constexpr std::size_t kTimelineDigits = 8;
  for (auto begin = line.find(':'); begin != std::string::npos;) {
    const auto end = line.find(',', begin + 1);
    const auto left = line.substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
    if (left.compare(0, kTimelineDigits, segment, 0, kTimelineDigits) == 0) return segment < left;
    begin = end;
  }
  return true;
}

}  // namespace pgrevive::spool
