#include "base/notice.h"

namespace pgrevive {

Notice make_notice(const NoticeWords& words, std::initializer_list<std::string_view> values) {
  Notice notice{.id = std::string(words.id)};
  const auto text = words.words;
  const auto* next = values.begin();
  std::size_t done = 0;
  for (auto at = text.find('{'); at != text.npos; at = text.find('{', done)) {
    const auto end = text.find('}', at);
    const auto [value, first] =
        notice.values.try_emplace(std::string(text.substr(at + 1, end - at - 1)));
    if (first) value->second = *next++;
    notice.text.append(text.substr(done, at - done)).append(value->second);
    done = end + 1;
  }
  notice.text.append(text.substr(done));
  return notice;
}

}  // namespace pgrevive
