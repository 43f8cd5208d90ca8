#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgrevive::repository {

// Whether the whole text is one JSON value. Control characters inside strings are let pass, because
// pgBackRest writes file names with them as they are; nesting is limited to 64 levels.
bool is_json(std::string_view text);

// Reads JSON text value by value, without a tree, for lines that come by the million. Every
// function reads the value that stands next and throws Error{corrupt} where it is of another kind:
//
//   JsonReader json(R"({"size":8192,"user":"postgres"})");
//   json.object([&](std::string_view key) {
//     if (key == "size") size = json.unsigned_number();
//     else json.skip();
//   });
//
// Immutable input; the reader is used by one thread at a time.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  // Calls member(key) for each member, which reads the value. The key lives until the next one.
  template <typename Member>
  void object(Member&& member) {
    expect('{', "an object");
    if (take('}')) return;
    do {
      const std::string_view key = string_into(key_);
      expect(':', "':'");
      member(key);
    } while (take(','));
    expect('}', "'}'");
  }
  template <typename Element>
  void array(Element&& element) {
    expect('[', "an array");
    if (take(']')) return;
    do {
      element();
    } while (take(','));
    expect(']', "']'");
  }

  // The decoded string; lives until the next call of string().
  std::string_view string() { return string_into(value_); }
  // A whole number from 0 to 2^64 - 1.
  std::uint64_t unsigned_number();
  // A whole number from 0 to 2^63 - 1, which is what sizes and offsets of files can be.
  std::uint64_t size_number();
  std::uint32_t small_number();  // from 0 to 2^32 - 1
  std::int64_t signed_number();
  // Unix seconds, from 1970 to the end of 2199: what is later is a lie, and no clock of ours holds
  // it.
  std::int64_t unix_time();
  bool boolean();
  // Reads the value if it is this one; else reads nothing.
  bool take_null() { return take_word("null"); }
  bool take_false() { return take_word("false"); }
  void skip();
  // Nothing may follow the value.
  void end();

 private:
  void skip_blanks();
  bool take(char wanted);
  bool take_word(std::string_view word);
  void expect(char wanted, std::string_view what);
  [[noreturn]] void fail(std::string_view wanted) const;
  std::string_view string_into(std::string& scratch);

  const char* at_;
  const char* end_;
  std::string key_, value_;  // only for strings with escapes
};

}  // namespace pgrevive::repository
