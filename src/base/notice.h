#pragma once

#include <cstddef>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

namespace pgrevive {

// Something that a person should know, with what its sentence is made of beside the words, for who
// says it in another language.
struct Notice {
  std::string id;    // of its kind; empty: nobody knows it, and there is only the text
  std::string text;  // in English, without a full stop
  // "place", "node", ...; "error" is in English, as somebody else said it.
  std::map<std::string, std::string> values = {};

  bool operator==(const Notice&) const = default;
};

// A kind of notice and what it says: "{node} is copied from the primary: {error}".
struct NoticeWords {
  std::string_view id;
  std::string_view words;
};

// How many names `words` has, however often each.
constexpr std::size_t names_in(std::string_view words) {
  std::size_t count = 0;
  for (auto at = words.find('{'); at != words.npos; at = words.find('{', at + 1))
    if (words.find(words.substr(at, words.find('}', at) - at + 1)) == at) ++count;
  return count;
}

// The kind of that id in a table of them. With an id that is not there, or another number of values
// than its words have names, nothing is compiled. So a module's table has all that it can say, and
// who translates that need look nowhere else.
template <const auto& table, std::size_t values>
class NoticeKind {
 public:
  consteval NoticeKind(const char* id) : words_(&find(id)) {
    if (names_in(words_->words) != values) throw "a notice has other values than its words have";
  }
  const NoticeWords& words() const { return *words_; }

 private:
  static consteval const NoticeWords& find(std::string_view id) {
    for (const auto& words : table)
      if (words.id == id) return words;
    throw "there is no such notice";
  }

  const NoticeWords* words_;
};

// The values in the order in which their names come first.
Notice make_notice(const NoticeWords& words, std::initializer_list<std::string_view> values);

}  // namespace pgrevive
