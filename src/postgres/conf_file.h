#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgrevive::postgres {

// One setting of a postgresql.conf, its value unquoted.
struct Setting {
  std::string name;  // lower case
  std::string value;
  bool operator==(const Setting&) const = default;
};

// Reads the text of a postgresql.conf or postgresql.auto.conf by PostgreSQL's own rules: name, an
// optional '=', a value that is bare or between single quotes (with '' and backslash escapes),
// comments. `include` directives come out as settings named include, include_dir,
// include_if_exists. A line that cannot be read is skipped and named in `problems` (if given).
std::vector<Setting> parse_conf(std::string_view text,
                                std::vector<std::string>* problems = nullptr);

// The same with the files that include directives name read in their place, relative to the file;
// a later setting replaces an earlier one of the same name. What is missing or cannot be read, the
// file itself too, is named in `problems` and left out. So is a file that lies outside of `within`,
// if that is given: of a copy it is the original that knows what is there. Links are not followed
// for that.
std::map<std::string, std::string> load_conf(const std::filesystem::path& file,
                                             std::vector<std::string>* problems = nullptr,
                                             const std::filesystem::path& within = {});

// A value between single quotes, with quotes and backslashes doubled and line ends escaped, ready
// for postgresql.conf.
std::string quote_value(std::string_view value);

// "name = 'value'\n" for each, in order.
std::string format_conf(const std::vector<Setting>& settings);

}  // namespace pgrevive::postgres
