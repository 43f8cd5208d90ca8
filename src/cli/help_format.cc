#include "cli/help_format.h"

#include <fmt/format.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

constexpr std::size_t kLeft = 26;
constexpr std::size_t kWidth = 80;

}  // namespace

std::string help_row(const std::string& left, const std::string& right) {
  std::string text;
  std::string line = fmt::format("  {:<{}}", left, kLeft - 2);
  if (left.size() + 3 > kLeft) {
    text = "  " + left + "\n";
    line = std::string(kLeft, ' ');
  }
  bool empty = true;
  for (const std::string& word : split(right, ' ')) {
    if (!empty && line.size() + 1 + word.size() > kWidth) {
      text += line + "\n";
      line = std::string(kLeft, ' ');
      empty = true;
    }
    line += (empty ? "" : " ") + word;
    empty = false;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return text + line + "\n";
}

std::string wrap(const std::string& text) {
  std::string result;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) result += line + "\n";
    line.clear();
  };
  for (const std::string& given : split(text, '\n')) {
    if (given.empty() || given.front() == ' ') {
      flush();
      result += given + "\n";
      continue;
    }
    for (const std::string& word : split(given, ' ')) {
      if (!line.empty() && line.size() + 1 + word.size() > kWidth) flush();
      line += (line.empty() ? "" : " ") + word;
    }
  }
  flush();
  return result;
}

std::string HelpFormat::make_footer(const CLI::App* command) const {
  return wrap(command->get_footer());
}

std::string HelpFormat::make_option(const CLI::Option* option, bool is_positional) const {
  std::string left = is_positional ? option->get_name(true) : option->get_name(false, true);
  if (!is_positional && option->get_items_expected_max() > 0) left += " " + option->get_type_name();
  return help_row(left, option->get_description());
}

std::string HelpFormat::make_subcommand(const CLI::App* command) const {
  return help_row(command->get_name(), command->get_description());
}

}  // namespace pgrevive::cli
