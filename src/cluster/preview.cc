#include "cluster/preview.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cluster/identity_scope.h"
#include "cluster/lost_primary.h"
#include "cluster/partial.h"
#include "cluster/preflight.h"
#include "cluster/recovery_end.h"
#include "restore/restore.h"

namespace pgrevive::cluster {

Outlook look_ahead(const Settings& settings, const ChosenBackup& chosen, bool exact,
                   const PointWatch& watch) {
  const auto repository = repository::open_repository(settings.repository);
  const auto& database = database_of(chosen);
  auto outlook = look_ahead(
      SourceArchive{
          .repository = repository, .system_id = database.system_id, .version = database.version},
      chosen.info, chosen.backup, how_chosen(settings.backup_set), settings.target, exact, watch);
  if (settings.point && settings.point->backup == chosen.backup.label.text())
    lead_to(outlook, *settings.point);
  return outlook;
}

namespace {

std::optional<std::uint64_t> stored_wal_of(const Settings& settings, const ChosenBackup& chosen,
                                           const Outlook& outlook) {
  const auto repository = repository::open_repository(settings.repository);
  const auto& database = database_of(chosen);
  return stored_wal(
      SourceArchive{
          .repository = repository, .system_id = database.system_id, .version = database.version},
      outlook);
}

// What `start` would refuse of where the nodes are to lie. Of containers it is in none of ours.
std::optional<Error> find_place_problem(const Settings& settings, const StateDirectory& directory,
                                        const ChosenBackup& chosen) {
  if (settings.containers) return {};
  try {
    const IdentityScope scope(find_owner());
    check_tablespace_map(settings, directory, chosen, NodesToMake::missing);
    for (const auto& need : space_needs(settings, directory, chosen)) check_space(need);
    return {};
  } catch (const Error& error) {
    return error;
  }
}

}  // namespace

bool Preview::refused_for_places() const {
  return place_problem && !(restore && restore->outlook.problem);
}

const Error* Preview::problem() const {
  if (restore && restore->outlook.problem) return &*restore->outlook.problem;
  return place_problem ? &*place_problem : nullptr;
}

Preview make_preview(Settings settings, const StateDirectory& directory, const PointWatch& watch,
                     Places places) {
  settings.chosen_backup.reset();  // a start of before has chosen it
  refuse_lost_primary(directory);
  Preview preview;
  for (const auto& node : node_names(settings.replicas)) {
    const auto state = restore::inspect_directory(directory.data(node));
    if (state != restore::DirectoryState::complete) ++preview.nodes;
  }
  if (restore::inspect_directory(directory.data("primary")) == restore::DirectoryState::complete)
    preview.work = Preview::Work::start_only;
  else if (!settings.restore_from_backup)
    preview.work = Preview::Work::new_empty;
  if (preview.work != Preview::Work::restore) return preview;

  auto problem = find_point(settings, directory, watch, true);
  const auto chosen = backup_for(settings, directory);
  auto outlook = look_ahead(settings, chosen, true, watch);
  const auto wal = stored_wal_of(settings, chosen, outlook);
  auto& restore =
      preview.restore.emplace(preview_target(settings.repository, chosen.backup, settings.target,
                                             std::move(outlook), settings.point, wal));
  if (problem) restore.outlook.problem = std::move(problem);
  if (!settings.databases.all()) {
    const auto repository = repository::open_repository(settings.repository);
    const auto partial = check_choice(settings, repository,
                                      repository.load_manifest(chosen.info, chosen.backup.label));
    narrow(restore, partial.bytes, partial.stored_bytes);
  }
  if (places == Places::judged)
    preview.place_problem = find_place_problem(settings, directory, chosen);
  preview.free_bytes = disk_space(directory.root()).free_bytes;
  estimate(restore, settings.repository);
  return preview;
}

std::string to_text(const Preview& preview, const std::string& cluster_name) {
  if (preview.work == Preview::Work::start_only)
    return fmt::format(
        "{} is there already: start would only start its servers, and make replicas that are "
        "missing anew, from the backup or from the primary\n",
        cluster_name);
  if (preview.work == Preview::Work::new_empty)
    return fmt::format("start would make {} anew, {} without any data\n", cluster_name,
                       preview.nodes == 1 ? "one node" : fmt::format("{} nodes", preview.nodes));
  return fmt::format("what start would do with {} (nothing was changed):\n", cluster_name) +
         to_text(*preview.restore, fmt::format("{} {} of {}; {} free", preview.nodes,
                                               preview.nodes == 1 ? "node" : "nodes",
                                               format_bytes(preview.restore->node_bytes),
                                               format_bytes(preview.free_bytes))) +
         (preview.refused_for_places()
              ? fmt::format("  problem    {}\n", preview.place_problem->what())
              : "");
}

std::string to_json(const Preview& preview) {
  nlohmann::ordered_json json;
  json["restores"] = preview.restore.has_value();
  if (preview.restore) {
    json["nodes"] = preview.nodes;
    json["free_bytes"] = preview.free_bytes;
    json.update(to_value(*preview.restore));
    if (preview.refused_for_places()) json["problem"] = problem_value(*preview.place_problem);
  }
  return json.dump(2) + "\n";
}

}  // namespace pgrevive::cluster
