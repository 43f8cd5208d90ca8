#include "cli/cluster_choice.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/env_settings.h"
#include "cli/front_door.h"
#include "cli/print.h"
#include "cluster/node_record.h"
#include "cluster/other_repository.h"
#include "cluster/preflight.h"
#include "cluster/recovery_end.h"

namespace pgrevive::cli {
namespace {

std::filesystem::path home() {
  const char* value = std::getenv("PGREVIVE_HOME");
  return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
}

std::filesystem::path env_path(const GlobalOptions& global) {
  return global.env_file.empty() ? default_env_file() : global.env_file;
}

// Where the cluster came from, if it was restored and `start` was told (with --config, perhaps).
std::optional<repository::RepositoryOptions> known_repository(
    const cluster::StateDirectory& directory) {
  const auto stored = read_file_if_exists(directory.settings());
  if (!stored) return {};
  auto settings = cluster::from_json(*stored);
  if (!settings.restore_from_backup) return {};
  return std::move(settings.repository);
}

}  // namespace

std::string chosen_cluster(const GlobalOptions& global) {
  if (!global.cluster.empty()) {
    if (const std::string wrong = cluster_name_problem(global.cluster); !wrong.empty()) {
      throw Error(ErrorKind::usage,
                  fmt::format("--cluster {} cannot be", printable(global.cluster, 60)))
          .with_hint(wrong);
    }
    return global.cluster;
  }
  const std::filesystem::path env = env_path(global);
  return env.empty() ? cluster::Settings{}.cluster_name : cluster_name_from_env(load_env(env));
}

cluster::StateDirectory chosen_state_directory(const GlobalOptions& global) {
  return cluster::StateDirectory::locate(chosen_cluster(global), home());
}

cluster::StateDirectory existing_state_directory(const GlobalOptions& global) {
  const std::string name = chosen_cluster(global);
  cluster::StateDirectory directory = cluster::StateDirectory::locate(name, home());
  std::error_code error;
  if (std::filesystem::exists(directory.marker(), error)) return directory;
  if (error == std::errc::permission_denied) {
    throw Error(ErrorKind::denied, fmt::format("cannot look into {}", directory.root().string()))
        .with_hint("the cluster was started by another user; run this as that user or as root");
  }

  std::vector<std::string> others;
  for (std::filesystem::directory_iterator entry(directory.root().parent_path(), error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::exists(cluster::StateDirectory(entry->path()).marker(), ignored)) {
      others.push_back(entry->path().filename());
    }
  }
  std::ranges::sort(others);
  throw Error(ErrorKind::not_found,
              fmt::format("there is no cluster '{}' (no {})", name, directory.root().string()))
      .with_hint(others.empty()
                     ? fmt::format("`{} start` makes one out of your .env, `{} demo` without any",
                                   front_door(), front_door())
                     : fmt::format("there is {}; choose it with --cluster NAME, or make this one "
                                   "with `{} start`",
                                   fmt::join(others, ", "), front_door()));
}

cluster::Settings chosen_settings(const GlobalOptions& global, std::vector<std::string>& warnings) {
  const std::filesystem::path env = env_path(global);
  const std::string name = chosen_cluster(global);
  const auto directory = cluster::StateDirectory::locate(name, home());
  const bool env_is_its_own =
      !env.empty() && (!global.env_file.empty() || cluster_name_from_env(load_env(env)) == name);

  cluster::Settings settings;
  std::optional<std::string> stored;
  if (!env_is_its_own) stored = read_file_if_exists(directory.settings());
  if (stored) {
    settings = cluster::from_json(*stored);
    settings.chosen_backup.reset();  // for the start of then
  } else if (!env.empty()) {
    const EnvFile file = load_env(env);
    std::optional<repository::RepositoryOptions> known;
    if (global.config.empty() && !env_names_repository(file)) known = known_repository(directory);
    settings = settings_from_env(
        file, {.cluster = true, .repository = global.config.empty() && !known.has_value()});
    settings.cluster_name = name;
    if (known) settings.repository = *std::move(known);
  } else {
    throw Error(ErrorKind::usage, "there is no .env to say what to start")
        .with_hint(
            fmt::format("make one with `cp .env.cluster.example .env`, fill it in, and run this "
                        "again; `{} demo` needs none",
                        front_door()));
  }

  if (!global.config.empty()) {
    Source source = load_source(global, {}, "restore");
    warnings.insert(warnings.end(), source.warnings.begin(), source.warnings.end());
    if (source.repositories.size() > 1) {
      warnings.push_back(
          fmt::format("the configuration has {} repositories; the cluster uses repo{}",
                      source.repositories.size(), source.repositories.front().index));
    }
    settings.repository = std::move(source.repositories.front().options);
    if (settings.databases.all()) {
      settings.databases = {.include = std::move(source.restore.db_include),
                            .exclude = std::move(source.restore.db_exclude)};
    }
    if (source.process_max) settings.process_max = *source.process_max;
  } else if (!global.stanza.empty()) {
    settings.repository.stanza = global.stanza;
  }
  return settings;
}

std::vector<cluster::Finding> examine_other_repositories(const GlobalOptions& global,
                                                         const cluster::Settings& settings,
                                                         const cluster::StateDirectory& directory,
                                                         bool anew) {
  if (global.config.empty() || !settings.restore_from_backup) return {};
  if (!anew && !cluster::needs_restore(settings, directory)) return {};
  const auto repositories = load_source(global, {}, "restore").repositories;
  std::vector<cluster::NamedRepository> named;
  for (const auto& [index, options] : repositories)
    named.push_back({fmt::format("repo{}", index), options});
  return cluster::examine_others(named.front(), {named.begin() + 1, named.end()});
}

bool is_recovered(const cluster::StateDirectory& directory) {
  const auto primary = cluster::NodeRecord::load(directory, "primary");
  return primary && primary->promoted;
}

void keep_target(const cluster::StateDirectory& directory, cluster::Settings& settings, bool tell) {
  const auto text = read_file_if_exists(directory.settings());
  if (!text || is_recovered(directory)) return;
  const auto stored = cluster::from_json(*text);
  if (!stored.target_given) return;
  settings.target = stored.target;
  settings.backup_set = stored.backup_set;
  settings.target_given = true;
  if (!tell) return;
  out("the target is still what start was told: {} (another --type changes it)\n",
      cluster::describe(stored.target));
}

}  // namespace pgrevive::cli
