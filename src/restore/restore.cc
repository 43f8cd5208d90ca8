#include "restore/restore.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "restore/engine.h"
#include "restore/notices.h"
#include "restore/plan.h"
#include "restore/prepare.h"
#include "restore/publish.h"
#include "restore/recovery.h"

namespace pgrevive::restore {

namespace {

constexpr std::uint64_t kLargestControlFile = 64u << 10;

// Not strict on purpose: a backup that can be restored is worth more than one that is well formed.
void check_manifest(const repository::Manifest& manifest) {
  if (manifest.files.empty() || manifest.references.empty()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest of backup {} lists no files", manifest.label.text()));
  }
  for (const auto& file : manifest.files) {
    // It is read as a whole when it is published. PostgreSQL's has 8 kB.
    if (file.name == "pg_data/global/pg_control" && file.size > kLargestControlFile) {
      throw Error(ErrorKind::corrupt, fmt::format("the manifest's size of {} cannot be: {}",
                                                  file.name, format_bytes(file.size)));
    }
    if (file.reference >= manifest.references.size()) {
      throw Error(ErrorKind::corrupt, fmt::format("the manifest does not say which backup holds {}",
                                                  printable(file.name)));
    }
  }
}

// Whoever owns a data directory that was there before us; else the owner that the backup names, if
// this host knows it; else us.
Ids fallback_owner(const repository::Manifest& manifest, const Layout& layout) {
  struct stat entry {};
  for (const auto& node : layout.nodes) {
    if (::stat(node.data_directory().c_str(), &entry) == 0) return {entry.st_uid, entry.st_gid};
  }
  Ids ids{::geteuid(), ::getegid()};
  for (const auto& path : manifest.paths) {
    if (path.name != "pg_data") continue;
    const auto& owner = manifest.owner_of(path);
    ids.user = find_user(std::string(owner.user)).value_or(ids.user);
    ids.group = find_group(std::string(owner.group)).value_or(ids.group);
  }
  return ids;
}

void tell_beginning(const repository::Manifest& manifest, const Layout& layout,
                    const std::vector<Database>& left_out, const std::vector<Found>& found,
                    Report& report) {
  std::uint64_t bytes = 0, zeroed = 0, files = 0, pages = 0;
  std::string first_bad;
  for (const auto& file : manifest.files) {
    if (!layout.restores(file)) continue;
    ++files;
    if (layout.zeroes(file)) {
      zeroed += file.size;
      continue;
    }
    bytes += file.size;
    if (file.page_checksums_ok == false) {
      if (pages++ == 0) first_bad = printable(file.name);
    }
  }
  report.expect(files, bytes);
  report.message(fmt::format("restoring backup {}: {} in {} files", manifest.label.text(),
                             format_bytes(bytes), files));
  for (const auto& database : left_out) {
    report.message(
        fmt::format("left out: database {}, as sparse files of zeros", printable(database.text())));
  }
  if (zeroed != 0) report.message(fmt::format("left out in all: {}", format_bytes(zeroed)));
  for (std::size_t i = 0; i < layout.nodes.size(); ++i) {
    const auto& node = layout.nodes[i];
    report.message(fmt::format("node {}: {}", node.name, node.data_directory().string()));
    for (std::size_t root = 1; root < node.roots.size(); ++root) {
      report.message(fmt::format("node {}: tablespace {} in {}", node.name,
                                 layout.tablespaces[root - 1], node.roots[root].string()));
    }
    if (!found[i].marker) continue;
    const auto& label = found[i].marker->label;
    report.message(label == manifest.label.text() || label.empty()
                       ? fmt::format("node {}: continuing an interrupted restore", node.name)
                       : fmt::format("node {}: an interrupted restore of {} is here; what both "
                                     "backups share is kept",
                                     node.name, label));
  }
  if (pages != 0) {
    report.warning(notice("page_errors", std::to_string(pages), first_bad));
  }
}

Nodes open_nodes(const repository::Manifest& manifest, const Layout& layout, const Owners& owners) {
  Nodes nodes{.manifest = manifest, .layout = layout, .owners = owners, .nodes = {}, .writers = {}};
  for (const auto& node : layout.nodes) {
    Node open{.layout = &node, .roots = {}};
    for (const auto& root : node.roots) {
      make_directories(root, 0700);
      open.roots.emplace_back(root);
    }
    nodes.nodes.push_back(std::move(open));
  }
  nodes.writers = find_writers(nodes.nodes);
  return nodes;
}

NodeMask with_files(const std::vector<Found>& found) {
  NodeMask mask = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].has_files()) mask |= NodeMask{1} << i;
  }
  return mask;
}

}  // namespace

Summary restore(const repository::Repository& repository, const repository::Manifest& manifest,
                const Options& options, Observer& observer, std::stop_token stop) {
  const auto began = std::chrono::steady_clock::now();
  Report report(observer);
  const auto limits = limits_of(options, manifest, repository.storage().advice());

  // Everything that can be known to be wrong, before anything changes.
  check_manifest(manifest);
  auto layout = make_layout(manifest, options.nodes);
  if (options.preserve_recovery_settings) layout.preserved = recovery_files(manifest.version);
  auto left_out = left_out_databases(manifest, options.databases);
  for (const auto& database : left_out) layout.left_out.push_back(database.oid);
  auto found = inspect_nodes(layout, options);
  check_space(manifest, layout, found);

  // From here on the directories are ours: nobody else restores into them, and none can start.
  const Owners owners(manifest, options, fallback_owner(manifest, layout));
  std::vector<DirectoryLock> locks;
  for (const auto& node : layout.nodes) {
    if (!std::filesystem::exists(node.data_directory())) {
      make_directories(node.data_directory(), 0700);
    }
    locks.emplace_back(node.data_directory());
  }
  found = inspect_nodes(layout, options);  // again: another restore may have ended just before
  tell_beginning(manifest, layout, left_out, found, report);
  for (const auto& warning : layout.warnings) report.warning(warning);
  for (const auto& warning : owners.warnings()) report.warning(warning);
  for (const auto& node : layout.nodes) {
    begin_node(Marker::of(repository.stanza(), manifest, node), node.data_directory());
  }

  // Empty of anything but what can be kept, and with every directory in place.
  const auto nodes = open_nodes(manifest, layout, owners);
  FileSystems file_systems;
  for (const auto& node : nodes.nodes) {
    clean_node(nodes, node, report);
    make_node_directories(nodes, node, file_systems);
  }
  const auto wanted = survey(nodes, with_files(found), limits.jobs, report, stop);

  // The one pass over the repository.
  const auto plan = make_plan(manifest, wanted, limits.shares(manifest.compress_type).plan,
                              [&](const auto& file) { return layout.zeroes(file); });
  report.expect_fetched(plan.stored_bytes);
  run_plan(repository, nodes, plan, wanted, limits, report, stop);

  if (options.before_publish) {
    for (const auto& node : options.nodes) options.before_publish(node);
  }
  publish(nodes, file_systems, report);
  report.last_progress();

  return {.label = manifest.label,
          .progress = report.progress(),
          .time = std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::steady_clock::now() - began),
          .warnings = report.warnings(),
          .left_out = std::move(left_out)};
}

}  // namespace pgrevive::restore
