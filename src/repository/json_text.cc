#include "repository/json_text.h"

#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "base/unix_time.h"

namespace pgrevive::repository {

namespace {

constexpr int kMaxDepth = 64;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<unsigned> hex4(const char* at, const char* end) {
  if (end - at < 4) return {};
  unsigned value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at[i];
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A' + 10);
    } else {
      return {};
    }
    value = value * 16 + digit;
  }
  return value;
}

// Each skip_ function returns where the thing that begins at `at` ends, or null if it is none.

const char* skip_string(const char* at, const char* end) {
  if (at == end || *at != '"') return nullptr;
  for (++at; at != end; ++at) {
    if (*at == '"') return at + 1;
    if (*at != '\\') continue;
    if (++at == end) return nullptr;
    switch (*at) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        break;
      case 'u':
        if (!hex4(at + 1, end)) return nullptr;
        at += 4;
        break;
      default:
        return nullptr;
    }
  }
  return nullptr;
}

const char* skip_digits(const char* at, const char* end) {
  if (at == end || !is_digit(*at)) return nullptr;
  while (at != end && is_digit(*at)) ++at;
  return at;
}

const char* skip_number(const char* at, const char* end) {
  if (at != end && *at == '-') ++at;
  if (at != end && *at == '0') {
    ++at;
  } else if (at = skip_digits(at, end); at == nullptr) {
    return nullptr;
  }
  if (at != end && *at == '.') {
    at = skip_digits(at + 1, end);
    if (at == nullptr) return nullptr;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    at = skip_digits(at, end);
  }
  return at;
}

const char* skip_word(const char* at, const char* end, std::string_view word) {
  if (static_cast<std::size_t>(end - at) < word.size()) return nullptr;
  return std::string_view(at, word.size()) == word ? at + word.size() : nullptr;
}

const char* past_blanks(const char* at, const char* end) {
  while (at != end && is_blank(*at)) ++at;
  return at;
}

const char* skip_value(const char* at, const char* end, int depth) {
  at = past_blanks(at, end);
  if (at == end || depth > kMaxDepth) return nullptr;
  switch (*at) {
    case '"':
      return skip_string(at, end);
    case 't':
      return skip_word(at, end, "true");
    case 'f':
      return skip_word(at, end, "false");
    case 'n':
      return skip_word(at, end, "null");
    case '{':
    case '[':
      break;
    default:
      return skip_number(at, end);
  }

  const bool object = *at == '{';
  const char close = object ? '}' : ']';
  at = past_blanks(at + 1, end);
  if (at != end && *at == close) return at + 1;
  while (true) {
    if (object) {
      at = skip_string(past_blanks(at, end), end);
      if (at == nullptr) return nullptr;
      at = past_blanks(at, end);
      if (at == end || *at != ':') return nullptr;
      ++at;
    }
    at = skip_value(at, end, depth + 1);
    if (at == nullptr) return nullptr;
    at = past_blanks(at, end);
    if (at == end) return nullptr;
    if (*at == close) return at + 1;
    if (*at != ',') return nullptr;
    ++at;
  }
}

void append_utf8(std::string& text, unsigned code) {
  const auto put = [&](unsigned byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// Appends what `raw`, a well-formed string without its quotes, stands for.
void decode_string(std::string_view raw, std::string& text) {
  const char* at = raw.data();
  const char* const end = at + raw.size();
  const auto code_unit = [&] {
    const auto unit = hex4(at, end);
    if (!unit) throw Error(ErrorKind::corrupt, "bad \\u escape in a string");
    at += 4;
    return *unit;
  };
  while (at != end) {
    if (*at != '\\') {
      text.push_back(*at++);
      continue;
    }
    const char escape = at[1];
    at += 2;
    switch (escape) {
      case 'b':
        text.push_back('\b');
        break;
      case 'f':
        text.push_back('\f');
        break;
      case 'n':
        text.push_back('\n');
        break;
      case 'r':
        text.push_back('\r');
        break;
      case 't':
        text.push_back('\t');
        break;
      case 'u': {
        unsigned code = code_unit();
        if (code >= 0xD800 && code < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
          at += 2;
          const unsigned low = code_unit();
          if (low < 0xDC00 || low > 0xDFFF)
            throw Error(ErrorKind::corrupt, "half a surrogate pair in a string");
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else if (code >= 0xD800 && code <= 0xDFFF) {
          throw Error(ErrorKind::corrupt, "half a surrogate pair in a string");
        }
        append_utf8(text, code);
        break;
      }
      default:
        text.push_back(escape);
        break;  // '"', '\\' and '/'
    }
  }
}

}  // namespace

bool is_json(std::string_view text) {
  const char* const end = text.data() + text.size();
  const char* at = skip_value(text.data(), end, 0);
  return at != nullptr && past_blanks(at, end) == end;
}

void JsonReader::skip_blanks() { at_ = past_blanks(at_, end_); }

bool JsonReader::take(char wanted) {
  skip_blanks();
  if (at_ == end_ || *at_ != wanted) return false;
  ++at_;
  return true;
}

bool JsonReader::take_word(std::string_view word) {
  skip_blanks();
  const char* const next = skip_word(at_, end_, word);
  if (next == nullptr) return false;
  at_ = next;
  return true;
}

void JsonReader::expect(char wanted, std::string_view what) {
  if (!take(wanted)) fail(what);
}

void JsonReader::fail(std::string_view wanted) const {
  const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  throw Error(ErrorKind::corrupt,
              fmt::format("expected {} and found '{}'", wanted, printable(rest, 40)));
}

std::string_view JsonReader::string_into(std::string& scratch) {
  skip_blanks();
  const char* const begin = at_ + 1;
  bool escapes = false;
  if (at_ == end_ || *at_ != '"') fail("a string");
  const char* next = begin;
  while (next != end_ && *next != '"') {
    if (*next == '\\') {
      escapes = true;
      break;
    }
    ++next;
  }
  if (!escapes && next != end_) {
    at_ = next + 1;
    return {begin, static_cast<std::size_t>(next - begin)};
  }
  next = skip_string(at_, end_);
  if (next == nullptr) fail("a string");
  at_ = next;
  scratch.clear();
  decode_string({begin, static_cast<std::size_t>(next - 1 - begin)}, scratch);
  return scratch;
}

std::uint64_t JsonReader::unsigned_number() {
  skip_blanks();
  const char* const begin = at_;
  std::uint64_t value = 0;
  while (at_ != end_ && is_digit(*at_)) {
    const auto digit = static_cast<std::uint64_t>(*at_ - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
      at_ = begin;
      fail("a number below 2^64");
    }
    value = value * 10 + digit;
    ++at_;
  }
  if (at_ == begin || (at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E'))) {
    at_ = begin;
    fail("a whole number from 0 on");
  }
  return value;
}

std::uint64_t JsonReader::size_number() {
  skip_blanks();
  const char* const begin = at_;
  const std::uint64_t value = unsigned_number();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    at_ = begin;
    fail("a size below 2^63");
  }
  return value;
}

std::uint32_t JsonReader::small_number() {
  skip_blanks();
  const char* const begin = at_;
  const std::uint64_t value = unsigned_number();
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    at_ = begin;
    fail("a number below 2^32");
  }
  return static_cast<std::uint32_t>(value);
}

std::int64_t JsonReader::signed_number() {
  if (!take('-')) return static_cast<std::int64_t>(size_number());
  return -static_cast<std::int64_t>(size_number());
}

std::int64_t JsonReader::unix_time() {
  skip_blanks();
  const char* const begin = at_;
  const std::uint64_t value = unsigned_number();
  if (value >= static_cast<std::uint64_t>(kUnixTimeEnd)) {
    at_ = begin;
    fail("a time before 2200");
  }
  return static_cast<std::int64_t>(value);
}

bool JsonReader::boolean() {
  if (take_word("true")) return true;
  if (take_word("false")) return false;
  fail("true or false");
}

void JsonReader::skip() {
  const char* const next = skip_value(at_, end_, 0);
  if (next == nullptr) fail("a value");
  at_ = next;
}

void JsonReader::end() {
  skip_blanks();
  if (at_ != end_) fail("the end of the value");
}

}  // namespace pgrevive::repository
