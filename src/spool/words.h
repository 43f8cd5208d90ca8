#pragma once

#include <string>
#include <utility>
#include <vector>

namespace pgrevive::spool {

// The words of an archive-get, all of whose options have a value ("--name value", "--name=value").
struct Words {
  std::vector<std::pair<std::string, std::string>> options;  // in order; the last of a name counts
  std::vector<std::string> names;
  bool strange = false;  // something else stands there, which the whole program has to judge
};

Words split(const std::vector<std::string>& words);

// Whether a line of timelines, as --line has it, leaves the timeline of that segment in none of its
// segments up to this one: else the whole program has to judge what is handed out.
bool is_whole_on(const std::string& line, const std::string& segment);

}  // namespace pgrevive::spool
