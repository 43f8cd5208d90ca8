#pragma once

#include <string>
#include <vector>

namespace pgrevive::cli {

// The whole program: `words` are its arguments without its own name. Prints what went wrong, and
// returns the exit code; never throws.
int run(const std::vector<std::string>& words);

// The words of a help page, as `--help` of that command prints them; "" is the program's own.
std::string help_text(const std::string& command);

// All commands a person may give, in the order of the help page.
std::vector<std::string> command_names();

}  // namespace pgrevive::cli
