#include "wal/tablespace_guard.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "postgres/server.h"

namespace pgrevive::wal {

namespace {

using postgres::Lsn;
using postgres::WalSegment;

// A server may ask twice for the segment of the checkpoint that it starts from, and once more when
// it is promoted. One that asks more often has come to the end of what it was given.
constexpr std::size_t kHandedOut = 3;

// The file's entries; each ends with a zero, since a path may hold all else.
std::vector<std::string> load(const std::filesystem::path& file) {
  std::vector<std::string> entries;
  const auto text = read_file_if_exists(file).value_or("");
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\0', at), text.size());
    entries.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return entries;
}

void save(const std::filesystem::path& file, const std::vector<std::string>& entries) {
  std::string text;
  for (const auto& entry : entries) text += entry + '\0';
  write_file_atomic(file, text);
}

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
                                 std::filesystem::path memory)
    : data_directory_(std::move(data_directory)),
      version_directory_(std::move(version_directory)),
      replay_begin_(replay_begin),
      memory_(std::move(memory)) {}

std::optional<Lsn> TablespaceGuard::check(const std::vector<TablespaceRecord>& records,
                                          const WalSegment& segment) const {
  if (records.empty()) return {};
  auto memory = load(memory_);
  const auto known = memory.size();
  std::optional<TablespaceRecord> refused;
  for (const auto& record : records) {
    if (record.begin < replay_begin_ || record.path.empty()) continue;
    if (is_taken(record, memory)) {
      refused = record;
      break;
    }
    if (std::ranges::find(memory, made(record)) == memory.end()) memory.push_back(made(record));
  }
  if (refused) {
    const auto entry = cut(segment, data_directory_);
    const auto times = static_cast<std::size_t>(std::ranges::count(memory, entry));
    if (refused->begin < segment.begin() || times >= kHandedOut)
      throw taken(*refused, version_directory_, segment);
    memory.push_back(entry);
  }
  if (memory.size() != known) save(memory_, memory);
  if (!refused) return {};
  return refused->begin;
}

bool TablespaceGuard::is_taken(const TablespaceRecord& record,
                               const std::vector<std::string>& memory) const {
  std::error_code error;
  const std::filesystem::path place = record.path;
  // What cannot be looked at cannot be written into by the server, which is the same user.
  if (!std::filesystem::exists(place / version_directory_, error)) return false;
  const auto link = std::filesystem::read_symlink(
      data_directory_ / "pg_tblspc" / std::to_string(record.oid), error);
  if (!error && std::filesystem::equivalent(link, place, error)) return false;
  return std::ranges::find(memory, made(record)) == memory.end();
}

}  // namespace pgrevive::wal
