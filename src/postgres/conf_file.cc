#include "postgres/conf_file.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

// The tokens of PostgreSQL's configuration scanner. The longest match wins; of equally long ones
// the first in this order does. So a bare a.b is a qualified name and no value, as in PostgreSQL,
// while a.b.c and on-call are unquoted strings.
enum class Token { name, qualified_name, quoted, unquoted, integer, real, equals, bad };

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter_or_digit(char c) { return is_letter(c) || is_digit(c); }
bool is_plain_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

template <typename Predicate>
std::size_t run_of(std::string_view text, std::size_t from, Predicate predicate) {
  const auto end =
      std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), predicate);
  return static_cast<std::size_t>(end - text.begin()) - from;
}

// Each of these gives the length of that token at the beginning of `text`, 0 if there is none.
std::size_t match_name(std::string_view text) {
  return text.empty() || !is_letter(text[0]) ? 0 : run_of(text, 0, is_letter_or_digit);
}

std::size_t match_qualified_name(std::string_view text) {
  const auto first = match_name(text);
  if (first == 0 || first == text.size() || text[first] != '.') return 0;
  const auto second = match_name(text.substr(first + 1));
  return second == 0 ? 0 : first + 1 + second;
}

std::size_t match_quoted(std::string_view text) {
  if (text.empty() || text[0] != '\'') return 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '\'') {
      if (i + 1 < text.size() && text[i + 1] == '\'') {
        ++i;
      } else {
        return i + 1;
      }
    }
  }
  return 0;
}

std::size_t match_unquoted(std::string_view text) {
  if (text.empty() || !is_letter(text[0])) return 0;
  return run_of(text, 0, [](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == ':' || c == '/';
  });
}

std::size_t sign_length(std::string_view text) {
  return !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
}

std::size_t match_integer(std::string_view text) {
  const auto sign = sign_length(text);
  auto end = sign + run_of(text, sign, is_digit);
  if (end == sign) return 0;
  if (text.substr(sign).starts_with("0x")) {
    const auto digits = run_of(text, sign + 2, is_hex_digit);
    if (digits > 0) end = sign + 2 + digits;
  }
  return end + run_of(text, end, is_plain_letter);  // a unit: 10min
}

std::size_t match_real(std::string_view text) {
  auto end = sign_length(text);
  end += run_of(text, end, is_digit);
  if (end == text.size() || text[end] != '.') return 0;
  ++end;
  end += run_of(text, end, is_digit);
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    const auto sign = sign_length(text.substr(end + 1));
    const auto digits = run_of(text, end + 1 + sign, is_digit);
    if (digits > 0) end += 1 + sign + digits;
  }
  return end;
}

struct Match {
  Token token = Token::bad;
  std::string_view text;
};

// Takes the next token off `rest`. A character that begins no token is a token of its own, bad.
Match take_token(std::string_view& rest) {
  const std::array<std::pair<Token, std::size_t>, 7> lengths{{
      {Token::name, match_name(rest)},
      {Token::qualified_name, match_qualified_name(rest)},
      {Token::quoted, match_quoted(rest)},
      {Token::unquoted, match_unquoted(rest)},
      {Token::integer, match_integer(rest)},
      {Token::real, match_real(rest)},
      {Token::equals, rest.starts_with('=') ? 1u : 0u},
  }};
  const auto* best = std::max_element(lengths.begin(), lengths.end(),
                                      [](auto& a, auto& b) { return a.second < b.second; });
  const Match match{best->second > 0 ? best->first : Token::bad,
                    rest.substr(0, std::max<std::size_t>(best->second, 1))};
  rest.remove_prefix(match.text.size());
  return match;
}

void skip_blanks(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r"), rest.size()));
}

bool at_end(std::string_view rest) { return rest.empty() || rest.starts_with('#'); }

std::string unquote(std::string_view quoted) {
  const auto text = quoted.substr(1, quoted.size() - 2);
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') {
      ++i;  // the second of a pair
      value += '\'';
    } else if (text[i] != '\\') {
      value += text[i];
    } else {
      ++i;
      switch (text[i]) {
        case 'b':
          value += '\b';
          break;
        case 'f':
          value += '\f';
          break;
        case 'n':
          value += '\n';
          break;
        case 'r':
          value += '\r';
          break;
        case 't':
          value += '\t';
          break;
        default: {
          // Up to three octal digits are a character, anything else stands for itself.
          int octal = 0;
          std::size_t digits = 0;
          while (digits < 3 && i + digits < text.size() && text[i + digits] >= '0' &&
                 text[i + digits] <= '7') {
            octal = octal * 8 + (text[i + digits] - '0');
            ++digits;
          }
          if (digits > 0) {
            value += static_cast<char>(octal);
            i += digits - 1;
          } else {
            value += text[i];
          }
        }
      }
    }
  }
  return value;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// Empty if the line cannot be read.
std::optional<Setting> parse_line(std::string_view rest) {
  const auto name = take_token(rest);
  if (name.token != Token::name && name.token != Token::qualified_name) return std::nullopt;
  skip_blanks(rest);
  if (rest.starts_with('=')) {
    rest.remove_prefix(1);
    skip_blanks(rest);
  }
  if (at_end(rest)) return std::nullopt;
  const auto value = take_token(rest);
  if (value.token == Token::bad || value.token == Token::equals ||
      value.token == Token::qualified_name) {
    return std::nullopt;
  }
  skip_blanks(rest);
  if (!at_end(rest)) return std::nullopt;
  return Setting{lower(name.text),
                 value.token == Token::quoted ? unquote(value.text) : std::string(value.text)};
}

// PostgreSQL reads the main file at depth 0 and files within files down to 10.
constexpr int kDeepestInclude = 10;

class Loader {
 public:
  Loader(std::vector<std::string>* problems, const std::filesystem::path& within)
      : problems_(problems), within_(within.lexically_normal()) {}

  void load(const std::filesystem::path& file, int depth, bool may_be_missing) {
    if (depth > kDeepestInclude) {
      problem(fmt::format("{}: files include each other more than {} deep", file.string(),
                          kDeepestInclude));
      return;
    }
    std::optional<std::string> text;
    try {
      text = read_file_if_exists(file);
    } catch (const Error& error) {
      problem(error.what());
      return;
    }
    if (!text) {
      if (!may_be_missing) problem(fmt::format("{} does not exist", file.string()));
      return;
    }
    std::vector<std::string> unread;
    for (auto& setting : parse_conf(*text, &unread)) {
      const auto named = file.parent_path() / setting.value;  // an absolute value stays as it is
      const bool includes = setting.name == "include" || setting.name == "include_if_exists" ||
                            setting.name == "include_dir";
      if (includes && is_outside(named)) {
        problem(fmt::format("{} {}: it names a place of the source's host", setting.name,
                            setting.value));
      } else if (setting.name == "include") {
        load(named, depth + 1, false);
      } else if (setting.name == "include_if_exists") {
        load(named, depth + 1, true);
      } else if (setting.name == "include_dir") {
        load_directory(named, depth + 1);
      } else {
        settings_[setting.name] = std::move(setting.value);
      }
    }
    for (const auto& line : unread) problem(file.string() + ": " + line);
  }

  std::map<std::string, std::string> take() { return std::move(settings_); }

 private:
  bool is_outside(const std::filesystem::path& path) const {
    if (within_.empty()) return false;
    const auto relative = path.lexically_normal().lexically_relative(within_);
    return relative.empty() || *relative.begin() == "..";
  }

  // The files of a directory that end in .conf and do not begin with a dot, in byte order.
  void load_directory(const std::filesystem::path& directory, int depth) {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      const auto name = entry->path().filename().string();
      std::error_code ignored;
      if (name.ends_with(".conf") && !name.starts_with('.') && !entry->is_directory(ignored)) {
        files.push_back(entry->path());
      }
    }
    if (error) {
      problem(fmt::format("cannot read {}: {}", directory.string(), error.message()));
      return;
    }
    std::ranges::sort(files, {}, &std::filesystem::path::native);
    for (const auto& file : files) load(file, depth, false);
  }

  void problem(std::string text) {
    if (problems_ != nullptr) problems_->push_back(std::move(text));
  }

  std::vector<std::string>* problems_;
  std::filesystem::path within_;
  std::map<std::string, std::string> settings_;
};

}  // namespace

std::vector<Setting> parse_conf(std::string_view text, std::vector<std::string>* problems) {
  std::vector<Setting> settings;
  int number = 0;
  for (const auto& line : split(text, '\n')) {
    ++number;
    std::string_view rest = line;
    skip_blanks(rest);
    if (at_end(rest)) continue;
    if (auto setting = parse_line(rest)) {
      settings.push_back(std::move(*setting));
    } else if (problems != nullptr) {
      problems->push_back(fmt::format("line {} cannot be read: {}", number, printable(line)));
    }
  }
  return settings;
}

std::map<std::string, std::string> load_conf(const std::filesystem::path& file,
                                             std::vector<std::string>* problems,
                                             const std::filesystem::path& within) {
  Loader loader(problems, within);
  loader.load(file, 0, false);
  return loader.take();
}

std::string quote_value(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    switch (c) {
      case '\'':
        quoted += "''";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      // A value cannot run over the end of its line.
      case '\n':
        quoted += "\\n";
        break;
      case '\r':
        quoted += "\\r";
        break;
      default:
        quoted += c;
    }
  }
  return quoted + "'";
}

std::string format_conf(const std::vector<Setting>& settings) {
  std::string text;
  for (const auto& [name, value] : settings) {
    text += fmt::format("{} = {}\n", name, quote_value(value));
  }
  return text;
}

}  // namespace pgrevive::postgres
