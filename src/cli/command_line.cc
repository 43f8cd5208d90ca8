#include "cli/command_line.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pgrevive::cli {
namespace {

// The global options, which all take a value in the next word or behind '='.
bool takes_next_word(std::string_view word) {
  constexpr std::array<std::string_view, 4> kGlobal{"--env-file", "--cluster", "--config",
                                                    "--stanza"};
  return std::ranges::find(kGlobal, word) != kGlobal.end();
}

std::optional<std::size_t> find_plain_word(std::span<const std::string> words, std::size_t from) {
  for (std::size_t i = from; i < words.size(); ++i) {
    if (takes_next_word(words[i])) {
      ++i;
    } else if (!words[i].starts_with('-')) {
      return i;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> find_command(std::span<const std::string> words) {
  return find_plain_word(words, 0);
}

SplitWords split_pass_through(std::span<const std::string> words) {
  SplitWords split{{words.begin(), words.end()}, {}};
  auto command = find_command(words);
  if (command && words[*command] == "container") command = find_plain_word(words, *command + 1);
  if (!command || (words[*command] != "psql" && words[*command] != "exec")) return split;
  const auto node = find_plain_word(words, *command + 1);
  if (!node) return split;

  const auto rest = static_cast<std::ptrdiff_t>(*node + 1);
  split.ours.assign(words.begin(), words.begin() + rest);
  split.theirs.assign(words.begin() + rest, words.end());
  if (!split.theirs.empty() && split.theirs.front() == "--")
    split.theirs.erase(split.theirs.begin());
  return split;
}

}  // namespace pgrevive::cli
