#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

// What can be said about a command line before it is parsed: which word is the command, and where
// somebody else's words begin.
namespace pgrevive::cli {

// The index of the word that is the command; empty if only options stand there.
std::optional<std::size_t> find_command(std::span<const std::string> words);

// `psql` and `exec` (`container exec` too) hand the words behind the node on as they are, options
// too, so they must not be parsed as ours. A first "--" is the customary fence and is dropped.
struct SplitWords {
  std::vector<std::string> ours;    // up to and with the node
  std::vector<std::string> theirs;  // behind it
};
SplitWords split_pass_through(std::span<const std::string> words);

}  // namespace pgrevive::cli
