#include "base/mounts.h"

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

}  // namespace

std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory,
                                                 std::string_view table) {
  constexpr std::size_t kMountPoint = 4;
  const auto above = directory / "";
  for (const auto& line : split(table, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() <= kMountPoint) continue;
    auto place = unescaped(words[kMountPoint]);
    if (place.starts_with(above.string())) return place;
  }
  return {};
}

std::optional<std::filesystem::path> mount_below(const std::filesystem::path& directory) {
  std::error_code error;
  const auto real = std::filesystem::canonical(directory, error);
  if (error) throw system_error(error.value(), "cannot look at " + directory.string());
  return mount_below(real, read_file("/proc/self/mountinfo"));
}

}  // namespace pgrevive
