#include "repository/backup_info.h"

#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "fuzz/info_text.h"
#include "postgres/wal_name.h"
#include "repository/info_report.h"

// Any text is either refused or a list of backups of clusters that are in its history, each found
// by its label once, which `info` can show as JSON and as text that breaks no terminal.
namespace {

using namespace pgrevive;

void check_shown(const repository::BackupInfo& info) {
  repository::StanzaReport stanza{.name = "main", .failure = {}, .databases = {}};
  for (const auto& database : info.history) {
    repository::ReportedDatabase reported{.database = database, .backups = {}};
    for (const auto& backup : info.backups) {
      if (backup.database_id == database.id)
        reported.backups.push_back({.backup = backup, .details = {}, .recovery = {}});
    }
    stanza.databases.push_back(std::move(reported));
  }
  const auto json = repository::to_json_text({stanza});
  fuzz::require(nlohmann::json::accept(json), "`info` writes JSON");
  for (const auto& line : split(repository::to_text({stanza}), '\n'))
    fuzz::require(printable(line, line.size() + 1) == line, "`info` breaks no terminal");
}

std::optional<std::string> check(std::string_view text) {
  return fuzz::refusal_of([&] {
    repository::BackupInfo info;
    const auto reader = repository::make_backup_info_reader("backup.info", info);
    fuzz::pump(as_bytes(text), 64, *reader);
    for (const auto& backup : info.backups) {
      fuzz::require(info.find(backup.label) == &backup, "a backup is found, and listed once");
      for (const auto& name : {backup.archive_start, backup.archive_stop}) {
        fuzz::require(!name || postgres::wal_file_kind(*name) == postgres::WalFileKind::segment,
                      "its WAL has the names of segments");
      }
      fuzz::require(info.database(backup.database_id) != nullptr, "its cluster is in the history");
    }
    check_shown(info);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::check_info_text(data, size, check);
}
