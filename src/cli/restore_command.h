#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pgrevive::cli {

// A word for a POSIX shell: as it is where that is safe, else between single quotes.
std::string shell_quote(const std::string& word);

// The restore_command that has PostgreSQL call `ARCHIVE_GET... WORDS... %f "%p"`. PostgreSQL
// replaces %-escapes before the shell sees the line, so a '%' of ours is doubled. With `exec`,
// because Debian's shell would otherwise start one process more for every segment.
std::string restore_command(const std::vector<std::string>& archive_get,
                            const std::vector<std::string>& words);

// How archive-get is called: by its client, where that lies beside the running program, else by the
// program and the command's name.
std::vector<std::string> archive_get_call();

// The running program's own path.
std::filesystem::path own_program();

}  // namespace pgrevive::cli
