#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "cluster/settings.h"
#include "cluster/state_directory.h"

// Texts of pgbackrest.conf. All pure; throw Error{usage} for values the file cannot hold.
namespace pgrevive::cluster {

// Describes the source repository, for archive-get and for `pgbackrest info`.
std::string source_conf(const Settings& settings, const std::filesystem::path& data_directory);

// A section that tells pgBackRest's `info`, and no other command, of the source as that repository.
std::string source_for_info(const Settings& settings, int number);

// Where the cluster archives: into the source's repository, or beside it. In a bucket that is the
// source's path plus "-CLUSTER_NAME", else the cluster's own state directory, unless the settings
// name a path. `life` (Marker::archive_suffix) keeps it apart in a bucket from the archive of an
// earlier cluster of the same name, which outlives its cleanup.
repository::RepositoryOptions own_archive(const Settings& settings, const StateDirectory& directory,
                                          const std::string& life);

// Describes the cluster's own archive, for pgBackRest itself.
std::string own_archive_conf(const Settings& settings, const StateDirectory& directory,
                             const std::string& life, const std::filesystem::path& socket_directory,
                             const std::string& superuser);

// How a pgBackRest that reads no configuration file is told of a repository.
std::map<std::string, std::optional<std::string>> backrest_environment(
    const repository::RepositoryOptions& repository);

// Why pgBackRest (Debian 12 has 2.45) cannot write the cluster's own archive there; empty if it
// can, as far as the settings tell.
std::string own_archive_obstacle(const Settings& settings, const StateDirectory& directory);

}  // namespace pgrevive::cluster
