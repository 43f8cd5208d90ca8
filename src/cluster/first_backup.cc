#include "cluster/first_backup.h"

#include <chrono>
#include <csignal>

#include "base/error.h"
#include "cluster/archiving.h"
#include "cluster/backrest_conf.h"
#include "cluster/node_record.h"
#include "repository/layout.h"
#include "repository/open.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kPrimary = "primary";

std::string newest_in(const repository::RepositoryOptions& archive) {
  const auto repository = repository::open_repository(archive);
  // pgBackRest makes it with the stanza.
  if (!repository.storage().stat(repository::layout::backup_info(archive.stanza))) return {};
  const auto info = repository.load_backup_info();
  return info.backups.empty() ? "" : info.backups.back().label.text();
}

}  // namespace

FirstBackup::~FirstBackup() {
  if (!backup_) return;
  backup_->send(SIGTERM);
  backup_->wait_for(std::chrono::seconds(10));
}

void FirstBackup::tick() {
  try {
    if (!begun_) {
      begun_ = true;
      begin();
    } else if (backup_) {
      if (const auto status = backup_->wait_for(std::chrono::milliseconds(0))) end(*status);
    }
  } catch (const Error& error) {
    backup_.reset();
    fail(error.what());
  }
}

void FirstBackup::begin() {
  if (site_.settings.wal_archive != WalArchiveMode::own) return;
  const auto record = NodeRecord::load(site_.directory, kPrimary).value_or(NodeRecord{});
  if (!record.archives_as(WalArchiveMode::own) || !note_newest().empty()) return;
  if (!site_.settings.first_backup) return;
  site_.board.log("the first full backup into the cluster's own archive begins");
  auto command = backrest_command(site_, {"--type=full", "backup"});
  command.log = site_.directory.pgbackrest() / "log" / "first-backup.log";
  backup_ = ChildProcess::start(command);
}

void FirstBackup::end(const ExitStatus& status) {
  backup_.reset();
  if (!status.ok())
    return fail("pgbackrest backup: " + status.text() + ", see " +
                (site_.directory.pgbackrest() / "log" / "first-backup.log").string());
  const auto label = note_newest();
  if (label.empty()) return fail("pgbackrest made it, and it is not there");
  site_.board.log("the first full backup into the cluster's own archive is made: " + label);
}

std::string FirstBackup::note_newest() {
  const auto label =
      newest_in(own_archive(site_.settings, site_.directory, site_.marker.archive_suffix));
  auto record = NodeRecord::load(site_.directory, kPrimary);
  if (record && record->own_backup != label) {
    record->own_backup = label;
    record->save(site_.directory, kPrimary);
  }
  return label;
}

void FirstBackup::fail(const std::string& why) {
  const std::string what = site_.settings.first_backup
                               ? "the first backup into the cluster's own archive failed: "
                               : "whether there is a backup in the cluster's own archive is not "
                                 "known: ";
  site_.board.warn(what + why);
}

}  // namespace pgrevive::cluster
