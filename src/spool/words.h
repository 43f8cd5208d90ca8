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

}  // namespace pgrevive::spool
