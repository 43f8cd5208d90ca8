#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgrevive {

// Where something is mounted below that directory, which itself does not count; empty: nowhere.
// `table` is what /proc/self/mountinfo says (proc_pid_mountinfo(5)). Pure.
std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory,
                                                 std::string_view table);
// As this process sees it now, with links in the directory's own path followed. Throws
// Error{system} where there is no such directory.
std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory);

// All that is mounted on the directory or below it, likewise, named by way of `directory`. Nothing
// where there is no such directory.
std::vector<std::filesystem::path> mounts_in(const std::filesystem::path& directory);

}  // namespace pgrevive
