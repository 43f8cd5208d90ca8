#include "cluster/archive_probe.h"

#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/archiving.h"
#include "cluster/backrest_conf.h"
#include "cluster/node_record.h"
#include "cluster/switchover.h"

namespace pgrevive::cluster {
namespace {

// Beside archive/ and backup/, which stanza-create wants to find empty.
constexpr const char* kProbe = "pgrevive-probe";

std::string choices(const Settings& settings, const repository::RepositoryOptions& archive) {
  if (archive.type == repository::RepositoryOptions::Type::posix)
    return "set WAL_ARCHIVE=off to run without an archive of its own, or WAL_ARCHIVE_PATH to a "
           "directory that the servers' user may write";
  const std::string rights = "keys that may write there too (s3:PutObject and s3:DeleteObject)";
  if (settings.wal_archive == WalArchiveMode::source)
    return "use " + rights + ", or set WAL_ARCHIVE=own or WAL_ARCHIVE=off";
  return "set WAL_ARCHIVE_S3_ACCESS_KEY and WAL_ARCHIVE_S3_SECRET_KEY to " + rights +
         ", WAL_ARCHIVE_S3_BUCKET to another bucket, WAL_ARCHIVE_PATH to a path that they may "
         "write "
         "in, WAL_ARCHIVE_TYPE=posix for a local directory, or WAL_ARCHIVE=off to run without an "
         "archive of its own";
}

Error refused(const Settings& settings, const repository::RepositoryOptions& archive,
              const Output& output) {
  const auto said = std::string(trim(output.out + output.err));
  const bool denied = said.find("AccessDenied") != std::string::npos ||
                      said.find("403") != std::string::npos ||
                      said.find("Permission denied") != std::string::npos;
  return Error(denied ? ErrorKind::denied : ErrorKind::unavailable,
               "WAL_ARCHIVE=" + name_of(settings.wal_archive) +
                   " needs a place to write, and the cluster " + settings.cluster_name +
                   " cannot write to " + archive.describe() + ": " + printable(said, 600))
      .with_hint(choices(settings, archive) + "; nothing has been restored yet");
}

}  // namespace

void probe_own_archive(const Settings& settings, const StateDirectory& directory,
                       const Marker& marker, const Identity& owner) {
  if (!settings.archives()) return;
  const auto record = load_primary_record(directory);
  const auto archive = own_archive(settings, directory, marker.archive_suffix);
  const bool known =
      settings.wal_archive != WalArchiveMode::own || (record && has_made_stanza(*record, archive));
  if (record && record->archives_as(settings.wal_archive) && known) return;
  if (archive.type == repository::RepositoryOptions::Type::posix &&
      archive.path == directory.archive())
    return;

  auto environment = backrest_environment(archive);
  environment["PGBACKREST_LOG_LEVEL_FILE"] = "off";
  environment["PGBACKREST_LOG_LEVEL_CONSOLE"] = "warn";
  Command command{.program = "pgbackrest",
                  .environment = std::move(environment),
                  .directory = "/",
                  .without_core = true};
  if (::geteuid() != owner.uid) command.identity = owner;
  command.arguments = {"--no-config", "repo-put", kProbe};
  if (const auto output = run(command, "may be removed\n", std::chrono::minutes(2));
      !output.status.ok())
    throw refused(settings, archive, output);
  command.arguments = {"--no-config", "repo-rm", kProbe};
  if (const auto output = run(command, {}, std::chrono::minutes(2)); !output.status.ok())
    throw refused(settings, archive, output);
}

}  // namespace pgrevive::cluster
