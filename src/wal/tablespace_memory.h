#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace pgrevive::wal {

// A file beside each data directory that keeps what is known of its tablespaces: what the guard let
// through (wal/tablespace_guard.h), and which directories are for them. It has to be removed when
// another data directory is made, and is for one process at a time.
class TablespaceMemory {
 public:
  // Empty where there is no such file.
  explicit TablespaceMemory(std::filesystem::path file);

  std::size_t count(const std::string& entry) const;
  void add(std::string entry);  // also once more

  // Directories that were made for the server of `data_directory`, which is there, each behind the
  // one that it lies in. What was made is only ours once that is saved: one that is killed in
  // between leaves an empty directory that nobody removes, rather than a claim to what somebody
  // else may make there.
  void add_made(const std::filesystem::path& data_directory,
                const std::vector<std::filesystem::path>& directories);
  // A tablespace that a person has put there; its directory may have been there before.
  void add_mapped(const std::filesystem::path& data_directory, const std::filesystem::path& place);

  // Throws what writing throws. Does nothing where nothing was added.
  void save();

  struct Places {
    std::vector<std::filesystem::path> made;
    std::vector<std::filesystem::path> mapped;
  };
  // What was added for `data_directory`. Nothing where that is a copy of the one it was added for:
  // the places are the original's. Of one that is gone it is still known where the file itself is
  // no copy.
  Places places_of(const std::filesystem::path& data_directory) const;

 private:
  void add_once(std::string entry);
  void add_owner(const std::filesystem::path& data_directory);

  std::filesystem::path file_;
  std::vector<std::string> entries_;
  bool changed_ = false;
};

}  // namespace pgrevive::wal
