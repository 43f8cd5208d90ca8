#include "cluster/preview.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cluster/lost_primary.h"
#include "cluster/partial.h"
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

const Error* Preview::problem() const {
  return restore && restore->outlook.problem ? &*restore->outlook.problem : nullptr;
}

Preview make_preview(Settings settings, const StateDirectory& directory, const PointWatch& watch) {
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
  auto& restore = preview.restore.emplace(
      preview_target(settings.repository, chosen.backup, settings.target,
                     look_ahead(settings, chosen, true, watch), settings.point));
  if (problem) restore.outlook.problem = std::move(problem);
  if (!settings.databases.all()) {
    const auto repository = repository::open_repository(settings.repository);
    narrow(restore, check_choice(settings, repository,
                                 repository.load_manifest(chosen.info, chosen.backup.label))
                        .bytes);
  }
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
                                               format_bytes(preview.free_bytes)));
}

std::string to_json(const Preview& preview) {
  nlohmann::ordered_json json;
  json["restores"] = preview.restore.has_value();
  if (preview.restore) {
    json["nodes"] = preview.nodes;
    json["free_bytes"] = preview.free_bytes;
    json.update(to_value(*preview.restore));
  }
  return json.dump(2) + "\n";
}

}  // namespace pgrevive::cluster
