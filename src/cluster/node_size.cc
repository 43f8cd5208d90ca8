#include "cluster/node_size.h"

#include <algorithm>
#include <system_error>

#include "base/text.h"
#include "cluster/partial.h"
#include "repository/open.h"
#include "restore/databases.h"
#include "restore/target.h"

namespace pgrevive::cluster {
namespace {

// The OID in "pg_tblspc/16385/...".
std::optional<std::uint32_t> tablespace_of(std::string_view name) {
  constexpr std::string_view kBelow = "pg_tblspc/";
  if (!name.starts_with(kBelow)) return {};
  name.remove_prefix(kBelow.size());
  const auto oid = parse_unsigned(name.substr(0, name.find('/')));
  if (!oid) return {};
  return static_cast<std::uint32_t>(*oid);
}

// Somebody may have mounted or linked something there before the node was made.
bool lies_apart(const StateDirectory& directory, const std::string& node) {
  const auto data = disk_space(directory.data(node)).device;
  const auto tablespaces = directory.tablespaces(node);
  if (disk_space(tablespaces).device != data) return true;
  std::error_code absent;
  const std::filesystem::directory_iterator entries(tablespaces, absent);
  return !absent && std::ranges::any_of(entries, [&](const auto& entry) {
    return disk_space(entry.path()).device != data;
  });
}

}  // namespace

NodeSize NodeSize::of(const repository::Manifest& manifest,
                      const std::vector<std::uint32_t>& left_out) {
  NodeSize size;
  for (const auto& file : manifest.files) {
    if (restore::is_zeroed(file.name, left_out)) continue;
    size.bytes += file.size;
    if (const auto oid = tablespace_of(file.name)) size.tablespaces[*oid].bytes += file.size;
  }
  for (const auto& target : manifest.targets)
    if (const auto found = size.tablespaces.find(target.tablespace_oid);
        found != size.tablespaces.end())
      found->second.name = target.tablespace_name;
  return size;
}

std::vector<Demand> NodeSize::demands(const Settings& settings, const StateDirectory& directory,
                                      const std::string& node) const {
  std::vector<Demand> parts = {{.place = directory.data(node), .bytes = bytes}};
  for (const auto& [oid, part] : tablespaces) {
    parts.front().bytes -= std::min(parts.front().bytes, part.bytes);
    const auto mapped = settings.tablespaces.place_of(settings.cluster_name, node, oid, part.name);
    parts.push_back({.place = mapped.value_or(directory.tablespaces(node) /
                                              restore::tablespace_directory_name(oid, part.name)),
                     .bytes = part.bytes});
  }
  std::vector<Demand> demands;
  for (const auto& found : by_file_system(parts))
    demands.push_back({.place = found.place, .bytes = found.bytes});
  return demands;
}

NodeSize size_of_nodes(const Settings& settings, const StateDirectory& directory,
                       const std::vector<std::string>& nodes, const ChosenBackup& chosen) {
  const bool apart =
      !settings.tablespaces.empty() ||
      std::ranges::any_of(nodes, [&](const auto& node) { return lies_apart(directory, node); });
  if (settings.databases.all() && !apart) return {.bytes = chosen.backup.size, .tablespaces = {}};
  const auto repository = repository::open_repository(settings.repository);
  const auto manifest = repository.load_manifest(chosen.info, chosen.backup.label);
  std::vector<std::uint32_t> left_out;
  if (!settings.databases.all())
    for (const auto& database : check_choice(settings, repository, manifest).left_out)
      left_out.push_back(database.oid);
  std::ranges::sort(left_out);
  return NodeSize::of(manifest, left_out);
}

}  // namespace pgrevive::cluster
