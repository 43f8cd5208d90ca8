#include "wal/tablespace_memory.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/file.h"

namespace pgrevive::wal {
namespace {

constexpr std::string_view kDirectory = "directory ";
constexpr std::string_view kMapped = "mapped ";

// A directory by what renames keep and copies do not; nothing where it cannot be looked at.
std::optional<std::string> identity_of(std::string_view what,
                                       const std::filesystem::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) return {};
  return fmt::format("{} {}:{}", what, info.st_dev, info.st_ino);
}

std::optional<std::string> identity_of_data(const std::filesystem::path& directory) {
  return identity_of("data", directory);
}

std::optional<std::string> identity_of_place(const std::filesystem::path& file) {
  return identity_of("beside", file.parent_path());
}

}  // namespace

// Each entry ends with a zero, since a path may hold all else.
TablespaceMemory::TablespaceMemory(std::filesystem::path file) : file_(std::move(file)) {
  const auto text = read_file_if_exists(file_).value_or("");
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\0', at), text.size());
    entries_.push_back(text.substr(at, end - at));
    at = end + 1;
  }
}

std::size_t TablespaceMemory::count(const std::string& entry) const {
  return static_cast<std::size_t>(std::ranges::count(entries_, entry));
}

void TablespaceMemory::add(std::string entry) {
  entries_.push_back(std::move(entry));
  changed_ = true;
}

void TablespaceMemory::add_once(std::string entry) {
  if (count(entry) == 0) add(std::move(entry));
}

void TablespaceMemory::add_owner(const std::filesystem::path& data_directory) {
  if (auto identity = identity_of_data(data_directory)) add_once(*std::move(identity));
  if (auto identity = identity_of_place(file_)) add_once(*std::move(identity));
}

void TablespaceMemory::add_made(const std::filesystem::path& data_directory,
                                const std::vector<std::filesystem::path>& directories) {
  add_owner(data_directory);
  for (const auto& directory : directories) add_once(std::string(kDirectory) + directory.string());
}

void TablespaceMemory::add_mapped(const std::filesystem::path& data_directory,
                                  const std::filesystem::path& place) {
  add_owner(data_directory);
  add_once(std::string(kMapped) + place.string());
}

void TablespaceMemory::save() {
  if (!changed_) return;
  std::string text;
  for (const auto& entry : entries_) text += entry + '\0';
  write_file_atomic(file_, text);
  changed_ = false;
}

TablespaceMemory::Places TablespaceMemory::places_of(
    const std::filesystem::path& data_directory) const {
  Places places;
  std::error_code ignored;
  const bool gone =
      !std::filesystem::exists(std::filesystem::symlink_status(data_directory, ignored));
  const auto owner = gone ? identity_of_place(file_) : identity_of_data(data_directory);
  if (!owner || count(*owner) == 0) return places;
  for (const auto& entry : entries_) {
    if (entry.starts_with(kDirectory))
      places.made.emplace_back(entry.substr(kDirectory.size()));
    else if (entry.starts_with(kMapped))
      places.mapped.emplace_back(entry.substr(kMapped.size()));
  }
  return places;
}

}  // namespace pgrevive::wal
