#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "spool/spool.h"

namespace pgrevive::wal {

// Whether the server whose directory it is has to recover yet, or does so for ever.
bool in_recovery(const std::filesystem::path& data_directory);

// The prefetcher's side of one server's spool (layout: spool/spool.h). Makes it, empties it of what
// a prefetcher before us left, and removes it with all that is in it when it is destroyed.
//
// Segments are made at temporary(), and wait at kept() or lie ready(), which is where archive-get
// takes them from. Paths may be asked for by any thread; all else is for one.
class SpoolDirectory {
 public:
  // Throws Error{busy} when another prefetcher works for that server, Error{denied} when the data
  // directory belongs to another user, who could not read what we put there.
  explicit SpoolDirectory(const std::filesystem::path& data_directory);
  SpoolDirectory(const SpoolDirectory&) = delete;
  SpoolDirectory& operator=(const SpoolDirectory&) = delete;
  ~SpoolDirectory();

  // From here on what is ready can be taken, by who knows the same key.
  void open(const spool::Key& key);
  const std::string& key() const { return key_; }  // empty: not open yet

  std::filesystem::path temporary(const std::string& name) const { return root_ / (name + ".tmp"); }
  std::filesystem::path kept(const std::string& name) const { return root_ / "kept" / name; }
  std::filesystem::path ready(const std::string& name) const { return root_ / key_ / name; }
  const std::filesystem::path& path() const { return root_; }

  int socket() const { return socket_.get(); }
  // A client that thought us dead has removed the socket.
  void mend_socket();
  // An accepted connection, or empty.
  std::optional<Fd> accept() const;

  int watch() const { return watch_.get(); }
  // What was taken since the last call.
  std::vector<std::string> taken() const;

 private:
  void listen();

  std::filesystem::path root_;
  std::optional<FileLock> lock_;
  Fd directory_;
  Fd socket_;
  Fd watch_;
  std::string key_;
};

}  // namespace pgrevive::wal
