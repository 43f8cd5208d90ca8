#include "cluster/containers.h"

#include <cstdlib>
#include <regex>

#include "cluster/backrest_conf.h"

namespace pgrevive::cluster::containers {
namespace {

// "its log is /pgrevive/replica/logs/postgresql.log" as what shows that log on Docker's host.
std::string without_paths_of_logs(std::string hint) {
  static const std::regex place("(its log is|look into) " + std::string(kVolumes) +
                                "/([a-z0-9-]+)/[^ ;,]*\\.log");
  return std::regex_replace(hint, place, "look into `logs $2`");
}

}  // namespace

Settings settings_for(Settings settings) {
  if (settings.replicas != 1)
    throw Error(ErrorKind::usage, "RUNTIME=docker has one replica, and REPLICAS says otherwise")
        .with_hint("leave REPLICAS out, or use RUNTIME=local");
  if (settings.wal_archive == WalArchiveMode::own && settings.own_archive.path &&
      own_archive(settings, volume_of("primary"), {}).type ==
          repository::RepositoryOptions::Type::posix)
    throw Error(ErrorKind::usage,
                "WAL_ARCHIVE_PATH is a directory, which is in no volume of RUNTIME=docker")
        .with_hint("leave it out: the archive is then in the primary's volume");
  if (!settings.tablespaces.empty())
    throw Error(ErrorKind::usage,
                "TABLESPACE_MAP names directories of this host, which no container of "
                "RUNTIME=docker sees")
        .with_hint("leave it out: tablespaces are then in the volume of their node's data");
  settings.containers = true;
  settings.postgres_binaries.clear();  // of the host
  return settings;
}

Error in_words_of_docker(const Error& error) {
  auto result = error;
  if (error.hint().find("apt-get install postgresql-") != std::string::npos)
    result.with_hint(
        "an image has the programs of one major: set DOCKER_POSTGRES_MAJOR to it, build the image "
        "anew (docker compose build postgres-cluster-restore), and start again");
  else if (error.hint().find("PGREVIVE_HOME") != std::string::npos)
    result.with_hint("the volumes lie where `docker info` says Docker Root Dir: make room there");
  else if (const auto words = without_paths_of_logs(error.hint()); words != error.hint())
    result.with_hint(words);
  return result;
}

StateDirectory volume_of(const std::string& node) {
  return StateDirectory::on_volume(kVolumes, node);
}

StateDirectory where_volumes_are() { return volume_of("primary"); }

StateDirectory seen_from_outside() {
  auto directory = where_volumes_are();
  ::setenv("PGPASSFILE", directory.user_passfile().c_str(), 1);
  return directory;
}

}  // namespace pgrevive::cluster::containers
