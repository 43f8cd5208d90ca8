#include "wal/tablespace_guard.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "postgres/server.h"
#include "wal/tablespace_place.h"

namespace pgrevive::wal {

namespace {

using postgres::Lsn;
using postgres::WalSegment;

// A server may ask twice for the segment of the checkpoint that it starts from, and once more when
// it is promoted. One that asks more often has come to the end of what it was given.
constexpr std::size_t kHandedOut = 3;

std::string made(const TablespaceRecord& record) {
  return fmt::format("made {} {}", record.oid, record.path);
}

// One for each time, since another server may come to another end.
std::string cut(const WalSegment& segment, const std::filesystem::path& data_directory) {
  const auto server = read_file_if_exists(data_directory / "postmaster.pid").value_or("");
  // Process id, data directory, when it was started.
  auto lines = server.substr(0, server.find('\n'));
  for (std::size_t at = 0, line = 1; at != std::string::npos && line <= 3; ++line) {
    const auto end = server.find('\n', at);
    if (line == 3) lines += " " + server.substr(at, end - at);
    at = end == std::string::npos ? end : end + 1;
  }
  return fmt::format("cut {} {}", segment.name(), lines);
}

Error taken(const TablespaceRecord& record, const std::string& version_directory,
            const WalSegment& segment) {
  return Error(ErrorKind::target_not_empty,
               fmt::format("WAL segment {} makes tablespace {} in {}, where another cluster has "
                           "files (there is a {}): replaying it would write into them",
                           segment.name(), record.oid, printable(record.path), version_directory))
      // An exclusive target would have to see the record itself.
      .with_hint(fmt::format(
          "recover to a target before it (the last one is RECOVERY_TARGET_TYPE=lsn, "
          "RECOVERY_TARGET={}), or on another host or in a container, where that directory is "
          "empty; if nobody needs what is in it any more, empty it and start again",
          record.previous.text()));
}

}  // namespace

TablespaceGuard::TablespaceGuard(std::filesystem::path data_directory,
                                 std::string version_directory, Lsn replay_begin,
                                 std::filesystem::path memory, std::optional<Making> making)
    : data_directory_(std::move(data_directory)),
      version_directory_(std::move(version_directory)),
      replay_begin_(replay_begin),
      memory_(std::move(memory)),
      making_(std::move(making)) {}

std::optional<Lsn> TablespaceGuard::check(const std::vector<TablespaceRecord>& records,
                                          const WalSegment& segment) const {
  if (records.empty()) return {};
  TablespaceMemory memory(memory_);
  std::optional<TablespaceRecord> refused;
  for (const auto& record : records) {
    if (record.begin < replay_begin_ || record.path.empty()) continue;
    if (is_taken(record, memory)) {
      refused = record;
      break;
    }
    make(record, memory);
    if (memory.count(made(record)) == 0) memory.add(made(record));
  }
  if (refused) {
    const auto entry = cut(segment, data_directory_);
    if (refused->begin < segment.begin() || memory.count(entry) >= kHandedOut)
      throw taken(*refused, version_directory_, segment);
    memory.add(entry);
  }
  memory.save();
  if (!refused) return {};
  return refused->begin;
}

bool TablespaceGuard::is_taken(const TablespaceRecord& record,
                               const TablespaceMemory& memory) const {
  std::error_code error;
  const std::filesystem::path place = record.path;
  // What cannot be looked at cannot be written into by the server, which is the same user.
  if (!std::filesystem::exists(place / version_directory_, error)) return false;
  const auto link = std::filesystem::read_symlink(
      data_directory_ / "pg_tblspc" / std::to_string(record.oid), error);
  if (!error && std::filesystem::equivalent(link, place, error)) return false;
  return memory.count(made(record)) == 0;
}

void TablespaceGuard::make(const TablespaceRecord& record, TablespaceMemory& memory) const {
  if (!making_) return;
  const auto place = make_place(record.path, making_->keep_out);
  if (!place.obstacle.empty())
    making_->tell(fmt::format("no directory was made for tablespace {} in {}: {}", record.oid,
                              printable(record.path), printable(place.obstacle)));
  if (place.directories.empty()) return;
  memory.add_made(data_directory_, place.directories);
  memory.save();
  making_->tell(fmt::format("made the directory {} for tablespace {} of the source",
                            printable(record.path), record.oid));
}

}  // namespace pgrevive::wal
