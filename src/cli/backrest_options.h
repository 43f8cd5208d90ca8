#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The names of pgBackRest's options, in all the spellings they have had.
namespace pgrevive::cli {

// The current spelling of an option's name, with its index ("repo1-s3-bucket"); empty if pgBackRest
// has no such option.
std::string current_name(std::string_view name);

// Whether an option, in its current spelling, may stand several times in a section; we use none of
// those.
bool is_list(std::string_view name);

// "repo2-s3-key" -> {2, "s3-key"}; "repo-s3-key" has index 1.
struct Indexed {
  std::uint64_t index = 1;
  std::string_view rest;
};
std::optional<Indexed> indexed(std::string_view name, std::string_view group);

}  // namespace pgrevive::cli
