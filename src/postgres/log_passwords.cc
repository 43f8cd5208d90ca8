#include "postgres/log_passwords.h"

#include <algorithm>
#include <cstddef>

#include "base/text.h"

namespace pgrevive::postgres {
namespace {

// Where a password lies in a line; empty: there is none.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// What is looked for from `at` on, or the end of the line.
std::size_t next(std::string_view line, std::string_view what, std::size_t at) {
  return std::min(line.find(what, at), line.size());
}

// Also where a statement goes on, on the next line.
std::size_t behind_spaces(std::string_view line, std::size_t at) {
  return std::min(line.find_first_not_of(" \t\r\n", at), line.size());
}

// The end of what stands in single quotes from `at` on: two of them are one in it, and so is one
// behind a backslash where that `escapes`.
std::size_t end_of_string(std::string_view line, std::size_t at, bool escapes) {
  for (; at < line.size(); ++at) {
    if (escapes && line[at] == '\\')
      ++at;
    else if (line.substr(at).starts_with("''"))
      ++at;
    else if (line[at] == '\'')
      return at;
  }
  return line.size();
}

// "$$" or "$tag$" that stands there; empty where none does.
std::string_view dollar_quote(std::string_view line, std::size_t at) {
  if (at >= line.size() || line[at] != '$') return {};
  const auto end = line.find('$', at + 1);
  if (end == std::string_view::npos) return {};
  const auto tag = line.substr(at + 1, end - at - 1);
  const auto is_of_tag = [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  return std::ranges::all_of(tag, is_of_tag) ? line.substr(at, end + 1 - at) : std::string_view();
}

// A string of SQL: 'x', E'x', U&'x', $$x$$, $tag$x$tag$.
Span sql_string(std::string_view line, std::size_t at) {
  if (const auto quote = dollar_quote(line, at); !quote.empty())
    return {at + quote.size(), next(line, quote, at + quote.size())};
  const auto rest = lower(line.substr(at, 3));
  const bool escapes = rest.starts_with("e'");
  if (escapes) at += 1;
  if (rest.starts_with("u&'")) at += 2;
  if (at >= line.size() || line[at] != '\'') return {};
  return {at + 1, end_of_string(line, at + 1, escapes)};
}

// A quote and the backslashes before it, of which there are more with each string that the JSON
// stands in.
struct Quote {
  std::size_t escapes = 0;
  char mark = '\0';
};

Quote quote_at(std::string_view line, std::size_t at) {
  Quote quote;
  for (; at < line.size() && line[at] == '\\'; ++at) ++quote.escapes;
  if (at < line.size() && (line[at] == '"' || line[at] == '\'')) quote.mark = line[at];
  return quote;
}

// A quote within the value has 2n + 1 backslashes where its own have n, and a backslash at the
// value's end has 2n + 2 more.
std::size_t end_of_json(std::string_view line, std::size_t begin, const Quote& quote) {
  std::size_t escapes = 0;
  for (auto at = begin; at < line.size(); ++at) {
    if (line[at] == quote.mark && escapes % (2 * (quote.escapes + 1)) == quote.escapes)
      return at - quote.escapes;
    escapes = line[at] == '\\' ? escapes + 1 : 0;
  }
  return line.size();
}

// The value of a key, whose closing quote stands at `at`.
Span json_value(std::string_view line, std::size_t at) {
  const auto key = quote_at(line, at);
  if (key.mark == '\0') return {};
  at = behind_spaces(line, at + key.escapes + 1);
  if (line.substr(at).starts_with("=>"))
    at += 2;
  else if (line.substr(at).starts_with(':'))
    at += 1;
  else
    return {};
  at = behind_spaces(line, at);
  const auto value = quote_at(line, at);
  if (value.mark != '\0') {
    const auto begin = at + value.escapes + 1;
    return {begin, end_of_json(line, begin, value)};
  }
  if (at < line.size() && (line[at] == '-' || (line[at] >= '0' && line[at] <= '9')))
    return {at, std::min(line.find_first_of(" \t\r\n,}]", at), line.size())};
  return {};
}

// The password that follows the word, which ends at `at`.
Span password_at(std::string_view line, std::size_t at) {
  if (const auto value = json_value(line, at); value.begin != value.end) return value;
  bool equals = false;
  // Also of a named argument: "=>", ":=".
  for (; at < line.size(); ++at) {
    const auto rest = line.substr(at);
    if (rest.front() == '=')
      equals = true;
    else if (behind_spaces(rest, 0) == 0 && !rest.starts_with(":=") &&
             !(rest.front() == '>' && equals))
      break;
  }
  // In a connection string that is a string of SQL itself, each quote stands twice.
  if (equals && line.substr(at).starts_with("''")) return {at + 2, next(line, "''", at + 2)};
  if (const auto string = sql_string(line, at); string.begin != 0) return string;
  if (!equals) return {};
  return {at, std::min(line.find_first_of(" \t\r\n'\"&;", at), line.size())};
}

// With every password masked that `find` knows behind one of the words.
template <typename Find>
std::string masked_behind(std::string_view word, std::string_view line, std::string_view mask,
                          Find&& find) {
  const auto small = lower(line);
  std::string result;
  std::size_t done = 0;
  for (auto at = small.find(word); at != std::string::npos; at = small.find(word, at)) {
    const Span password = find(line, at + word.size());
    if (password.begin == password.end) {
      at += word.size();
      continue;
    }
    result += line.substr(done, password.begin - done);
    result += mask;
    done = at = password.end;
  }
  result += line.substr(done);
  return result;
}

// Of a URI, whose authority begins at `at`: behind the user to the last '@', since not everybody
// escapes one.
Span password_of_uri(std::string_view line, std::size_t at) {
  const auto end = std::min(line.find_first_of("/?# \t\r\n\"", at), line.size());
  const auto authority = line.substr(at, end - at);
  const auto host = authority.rfind('@');
  const auto user = authority.find(':');
  if (host == std::string_view::npos || user > host) return {};
  return {at + user + 1, at + host};
}

// Of what is remembered of a message that may go on.
constexpr std::size_t kLongestMessage = 1 << 20;

}  // namespace

std::string without_passwords(std::string_view line, std::string_view mask) {
  auto result = masked_behind("password", line, mask, password_at);
  for (const char* scheme : {"postgres://", "postgresql://"})
    result = masked_behind(scheme, result, mask, password_of_uri);
  return result;
}

std::string LogMask::shown_message() const {
  if (message_.empty()) return {};
  // A string that is not closed goes to the end, but no further than its last line.
  std::string_view message = message_;
  if (message.ends_with('\n')) message.remove_suffix(1);
  return mask_(message) + '\n';
}

std::string LogMask::add(std::string_view lines) {
  if (lines.empty()) return {};
  std::string result;
  auto shown = static_cast<std::size_t>(std::ranges::count(shown_message(), '\n'));
  const auto end_message = [&] {
    const auto whole = shown_message();
    std::string_view text;
    for (text = whole; shown > 0 && !text.empty(); --shown)
      text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    shown = 0;
    result += text;
  };
  while (!lines.empty()) {
    const auto line = lines.substr(0, std::min(lines.find('\n'), lines.size() - 1) + 1);
    lines.remove_prefix(line.size());
    if (line.starts_with('\t')) {
      if (!message_.empty()) message_ += line;
      continue;
    }
    end_message();
    message_ = line;
  }
  end_message();
  if (message_.size() > kLongestMessage) message_.clear();
  return result;
}

}  // namespace pgrevive::postgres
