#include "spool/spool.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>

#include <fcntl.h>
#include <unistd.h>

#include "spool/words.h"

namespace pgrevive::spool {

std::string Key::text() const {
  // FNV-1a. Nobody has a reason to look for two that are the same.
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](std::string_view part) {
    for (const char c : part) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 0x100000001b3;
    }
  };
  for (const auto& part : {boot_id, std::to_string(system_id), archive}) {
    add(part);
    add(std::string_view("\0", 1));
  }
  add(fork);
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[hash >> shift & 15];
  return digits;
}

std::string archive_named_by(const std::vector<std::string>& words) {
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : split(words).options) values[name] = value;
  // The first of them is what counts (load_source() in cli/source.h).
  std::string text;
  for (const char* place : {"--repo-path", "--config", "--env-file"}) {
    const auto& path = values[place];
    if (path.empty()) continue;
    std::error_code ignored;
    text = std::string(place) + " " +
           std::filesystem::absolute(path, ignored).lexically_normal().string();
    break;
  }
  for (const char* name : {"--stanza", "--repo"}) text += "\n" + values[name];
  return text;
}

std::string boot_id() {
  return read_small_file("/proc/sys/kernel/random/boot_id").value_or(std::string());
}

std::string socket_path(int spool_fd) {
  return "/proc/self/fd/" + std::to_string(spool_fd) + "/" + kSocket;
}

bool is_segment_name(std::string_view name) {
  return name.size() == 24 && std::ranges::all_of(name, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
         });
}

std::optional<std::string> read_small_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  char piece[4096];
  ssize_t size = 0;
  do {
    size = ::read(fd, piece, sizeof piece);
    if (size > 0) text.append(piece, static_cast<std::size_t>(size));
  } while (size > 0 || (size < 0 && errno == EINTR));
  ::close(fd);
  if (size < 0) return {};
  return text;
}

}  // namespace pgrevive::spool
