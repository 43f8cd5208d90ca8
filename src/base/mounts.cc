#include "base/mounts.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive {

namespace {

// A blank, a tab, a line's end and a backslash are written as \040, \011, \012 and \134.
std::string unescaped(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '7'; };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && digit(text[i + 1]) && digit(text[i + 2]) &&
        digit(text[i + 3])) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::filesystem::path> mount_points(std::string_view table) {
  constexpr std::size_t kMountPoint = 4;
  std::vector<std::filesystem::path> places;
  for (const auto& line : split(table, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() > kMountPoint) places.emplace_back(unescaped(words[kMountPoint]));
  }
  return places;
}

bool is_in(const std::filesystem::path& place, const std::filesystem::path& directory) {
  return std::ranges::mismatch(directory, place).in1 == directory.end();
}

std::string table_of_this_process() { return read_file("/proc/self/mountinfo"); }

}  // namespace

std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory,
                                                 std::string_view table) {
  for (const auto& place : mount_points(table))
    if (place != directory && is_in(place, directory)) return place;
  return {};
}

std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory) {
  std::error_code error;
  const auto real = std::filesystem::canonical(directory, error);
  if (error) throw system_error(error.value(), "cannot look at " + directory.string());
  return mount_below(real, table_of_this_process());
}

std::vector<std::filesystem::path> mounts_in(const std::filesystem::path& directory) {
  std::error_code error;
  const auto real = std::filesystem::canonical(directory, error);
  std::vector<std::filesystem::path> found;
  if (error) return found;
  for (const auto& place : mount_points(table_of_this_process()))
    if (is_in(place, real))
      found.push_back(place == real ? directory : directory / place.lexically_relative(real));
  return found;
}

}  // namespace pgrevive
