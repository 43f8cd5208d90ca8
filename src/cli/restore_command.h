#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pgrevive::cli {

// A word for a POSIX shell: as it is where that is safe, else between single quotes.
std::string shell_quote(const std::string& word);

// The restore_command that has PostgreSQL call `program archive-get WORDS... %f "%p"`. PostgreSQL
// replaces %-escapes before the shell sees the line, so a '%' of ours is doubled.
std::string restore_command(const std::filesystem::path& program,
                            const std::vector<std::string>& words);

// The running program's own path.
std::filesystem::path own_program();

}  // namespace pgrevive::cli
