#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace pgrevive {

// Where something is mounted below that directory, which itself does not count; empty: nowhere.
// `table` is what /proc/self/mountinfo says (proc_pid_mountinfo(5)). Pure.
std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory,
                                                 std::string_view table);
// As it is now, with links in the directory's own path followed.
std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory);

}  // namespace pgrevive
