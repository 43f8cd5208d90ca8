#include "restore/publish.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "postgres/control_file.h"
#include "restore/notices.h"

namespace pgrevive::restore {

namespace {

// Without backup_label a cluster restored from an online backup would start from the wrong
// checkpoint and be corrupt; with this pg_control it refuses.
void spoil(const Nodes& nodes, const Tree& tree, const repository::ManifestFile& file) {
  const auto fd = tree.open(kUnpublishedControlFile, O_RDWR);
  const auto path = tree.full(kUnpublishedControlFile);
  Bytes bytes(static_cast<std::size_t>(file.size));
  if (::pread(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw system_error(errno, fmt::format("cannot read back {}", path.string()));
  }
  const auto spoiled = postgres::spoil_checkpoint(bytes);
  if (::pwrite(fd.get(), spoiled.data(), spoiled.size(), 0) !=
      static_cast<ssize_t>(spoiled.size())) {
    throw system_error(errno, fmt::format("cannot write {}", path.string()));
  }
  set_owner_and_mode(fd.get(), nodes.owners.ids(file.owner), file.mode, path);
  set_modified(fd.get(), file.timestamp, path);
}

}  // namespace

void publish(const Nodes& nodes, const FileSystems& file_systems, Report& report) {
  const auto& files = nodes.manifest.files;
  const auto control =
      std::ranges::lower_bound(files, "pg_data/global/pg_control", {},
                               [](const repository::ManifestFile& file) { return file.name; });
  const bool has_control = control != files.end() && control->name == "pg_data/global/pg_control";
  if (!has_control) {
    report.warning(notice("no_pg_control"));
  } else if (nodes.manifest.online) {
    for (const auto& node : nodes.nodes) spoil(nodes, node.roots[0], *control);
  }

  report.message("making everything durable");
  file_systems.sync();
  for (const auto& node : nodes.nodes) {
    if (has_control) {
      node.roots[0].rename(kUnpublishedControlFile, kControlFile);
      node.roots[0].fsync_directory("global");
    }
    // Until this is durable the directory counts as interrupted, and another run completes it.
    node.roots[0].unlink(kMarker);
    node.roots[0].fsync_directory({});
  }
}

}  // namespace pgrevive::restore
