#include "restore/prepare.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <limits>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/guarded.h"
#include "base/text.h"
#include "postgres/server.h"

namespace pgrevive::restore {

namespace {

// What mkfs leaves at the top of a file system; no content.
constexpr std::string_view kLostAndFound = "lost+found";

bool is_directory(const Tree& tree, std::string_view path) {
  struct stat entry {};
  return tree.stat(path, entry) && S_ISDIR(entry.st_mode);
}

bool holds_anything(const std::filesystem::path& directory,
                    const std::vector<std::string>& not_counted = {}) {
  std::error_code error;
  if (!std::filesystem::exists(directory, error) && !error) return false;
  const Tree tree(directory);
  return std::ranges::any_of(tree.list({}), [&](const std::string& name) {
    if (std::ranges::find(not_counted, name) != not_counted.end()) return false;
    return name != kLostAndFound || !is_directory(tree, name);
  });
}

// A cluster that lost its pg_control, as one does in which pgBackRest's restore was cut off, is
// still told from a directory named by mistake: by PG_VERSION, or by the manifest that pgBackRest
// keeps there while it works.
bool was_a_cluster(const std::filesystem::path& data_directory) {
  const Tree tree(data_directory);
  struct stat entry {};
  return tree.stat("PG_VERSION", entry) || tree.stat("backup.manifest", entry);
}

std::string text_of(DirectoryState state) {
  switch (state) {
    case DirectoryState::complete:
      return "holds a PostgreSQL cluster";
    case DirectoryState::foreign:
      return "holds files that are not a PostgreSQL cluster";
    default:
      return "is not empty";
  }
}

// Whether the part of a tablespace directory that this cluster would use may be replaced.
void inspect_tablespace(const Layout& layout, const NodeLayout& node, std::size_t root,
                        const Found& found, const Options& options) {
  const auto& path = node.roots[root];
  if (!holds_anything(path / layout.tablespace_version)) return;
  if (options.delta && found.state == DirectoryState::complete) return;
  if (found.marker) {
    const auto& ours = found.marker->tablespaces;
    if (options.delta || std::ranges::find(ours, path) != ours.end()) return;
  }
  throw Error(ErrorKind::target_not_empty,
              fmt::format("tablespace directory {} of node {} holds files already",
                          (path / layout.tablespace_version).string(), node.name))
      .with_hint("give the tablespace another directory (--tablespace-map), or empty this one");
}

std::uint64_t blocks_of(std::uint64_t size) { return (size + 4095) / 4096 * 4096; }

// Sizes are a manifest's word, and a sum that wraps around would look small.
std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<std::uint64_t>::max() : sum;
}

std::uint64_t space_used(const std::filesystem::path& directory) {
  std::uint64_t used = 0;
  std::error_code error;
  for (auto at = std::filesystem::recursive_directory_iterator(
           directory, std::filesystem::directory_options::skip_permission_denied, error);
       !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    struct stat entry {};
    if (::lstat(at->path().c_str(), &entry) == 0 && S_ISREG(entry.st_mode) && entry.st_nlink == 1) {
      used += static_cast<std::uint64_t>(entry.st_blocks) * 512;
    }
  }
  return used;
}

const repository::ManifestFile* find_file(const repository::Manifest& manifest,
                                          std::string_view name) {
  const auto found =
      std::ranges::lower_bound(manifest.files, name, {}, &repository::ManifestFile::name);
  return found != manifest.files.end() && found->name == name ? &*found : nullptr;
}

bool has_path(const repository::Manifest& manifest, std::string_view name) {
  const auto found =
      std::ranges::lower_bound(manifest.paths, name, {}, &repository::ManifestPath::name);
  return found != manifest.paths.end() && found->name == name;
}

// Goes through one directory and those below it.
class Cleaner {
 public:
  Cleaner(const Nodes& nodes, const Node& node) : nodes_(nodes), node_(node) {}

  void clean(std::size_t root, const std::string& directory) {
    const auto& tree = node_.roots[root];
    for (const auto& name : tree.list(directory)) {
      const auto path = directory.empty() ? name : directory + "/" + name;
      struct stat entry {};
      if (!tree.stat(path, entry)) continue;
      switch (verdict(root, path, entry)) {
        case Verdict::keep:
          break;
        case Verdict::look_inside:
          clean(root, path);
          break;
        case Verdict::remove:
          tree.remove(path);
          ++removed;
          break;
      }
    }
  }

  std::uint64_t removed = 0;

 private:
  enum class Verdict { keep, look_inside, remove };

  Verdict verdict(std::size_t root, const std::string& path, const struct stat& entry) const {
    const auto& layout = nodes_.layout;
    const auto& manifest = nodes_.manifest;
    if (S_ISDIR(entry.st_mode)) {
      if (path == kLostAndFound) return Verdict::keep;
      const bool ours = has_path(manifest, layout.manifest_name(root, path));
      return ours ? Verdict::look_inside : Verdict::remove;
    }
    if (S_ISLNK(entry.st_mode)) {
      const auto linked =
          root == 0 ? layout.linked_root(layout.manifest_name(0, path)) : std::nullopt;
      const bool right =
          linked && node_.roots[0].read_link(path) == node_.layout->roots[*linked].string();
      return right ? Verdict::keep : Verdict::remove;
    }
    if (!S_ISREG(entry.st_mode)) return Verdict::remove;
    if (root == 0 && path == kMarker) return Verdict::keep;
    if (layout.preserves(root, path)) return Verdict::keep;
    if (root == 0 && path == kControlFile) return Verdict::remove;
    const auto* file = find_file(manifest, root == 0 && path == kUnpublishedControlFile
                                               ? layout.manifest_name(0, kControlFile)
                                               : layout.manifest_name(root, path));
    const bool keep = file != nullptr && layout.restores(*file) &&
                      static_cast<std::uint64_t>(entry.st_size) == file->size;
    return keep ? Verdict::keep : Verdict::remove;
  }

  const Nodes& nodes_;
  const Node& node_;
};

// Whether the file at `path` is the manifest's, byte for byte; if so it also gets its metadata.
bool keep_file(const Nodes& nodes, const Tree& tree, std::string_view path,
               const repository::ManifestFile& file, const std::stop_token& stop) {
  struct stat entry {};
  if (!tree.stat(path, entry)) return false;
  // A file with other names is another directory's as well: it is written anew, not shared.
  if (!S_ISREG(entry.st_mode) || entry.st_nlink != 1 ||
      static_cast<std::uint64_t>(entry.st_size) != file.size) {
    return false;
  }
  const auto fd = tree.open(path, O_RDONLY | O_NONBLOCK);
  if (file.size != 0) {
    codec::Sha1Hasher hasher;
    Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(file.size, 256u << 10)));
    std::uint64_t size = 0;
    while (true) {
      if (stop.stop_requested()) return false;
      const auto count = ::read(fd.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      // What cannot be read is written anew.
      if (count < 0) return false;
      if (count == 0) break;
      hasher.update(ByteView(buffer).first(static_cast<std::size_t>(count)));
      size += static_cast<std::uint64_t>(count);
    }
    if (size != file.size || hasher.value() != file.checksum) return false;
  }
  const auto full = tree.full(path);
  set_owner_and_mode(fd.get(), nodes.owners.ids(file.owner), file.mode, full);
  set_modified(fd.get(), file.timestamp, full);
  return true;
}

}  // namespace

DirectoryState inspect_directory(const std::filesystem::path& data_directory) {
  std::error_code error;
  const auto status = std::filesystem::status(data_directory, error);
  if (status.type() == std::filesystem::file_type::not_found) return DirectoryState::absent;
  if (status.type() != std::filesystem::file_type::directory) return DirectoryState::foreign;
  const Tree tree(data_directory);
  struct stat entry {};
  if (tree.stat(kMarker, entry)) return DirectoryState::interrupted;
  if (!holds_anything(data_directory)) return DirectoryState::empty;
  if (tree.stat("PG_VERSION", entry) && is_directory(tree, "global") &&
      tree.stat(kControlFile, entry)) {
    return DirectoryState::complete;
  }
  return DirectoryState::foreign;
}

std::optional<std::string> interrupted_label(const std::filesystem::path& data_directory) {
  const auto marker = load_marker(data_directory);
  if (!marker || marker->label.empty()) return std::nullopt;
  return marker->label;
}

std::vector<Found> inspect_nodes(const Layout& layout, const Options& options) {
  std::vector<Found> result;
  for (const auto& node : layout.nodes) {
    const auto& path = node.data_directory();
    Found found{.state = inspect_directory(path), .marker = {}};
    if (std::filesystem::is_directory(path) && postgres::is_running(path)) {
      throw Error(ErrorKind::busy,
                  fmt::format("a PostgreSQL server runs on {} (node {})", path.string(), node.name))
          .with_hint("stop it first");
    }
    if (found.state == DirectoryState::interrupted) found.marker = load_marker(path);
    if (found.state == DirectoryState::foreign && std::filesystem::is_directory(path)) {
      if (options.delta && was_a_cluster(path)) found.state = DirectoryState::complete;
      if (!layout.preserved.empty() && !holds_anything(path, layout.preserved))
        found.state = DirectoryState::empty;
    }
    const bool allowed = found.state == DirectoryState::absent ||
                         found.state == DirectoryState::empty ||
                         found.state == DirectoryState::interrupted ||
                         (found.state == DirectoryState::complete && options.delta);
    if (!allowed) {
      Error error(ErrorKind::target_not_empty,
                  fmt::format("data directory {} of node {} {}", path.string(), node.name,
                              text_of(found.state)));
      error.with_hint(found.state == DirectoryState::complete
                          ? "name an empty directory, or replace what is there with --delta"
                          : "name an empty directory, or check that this is the right one and "
                            "empty it");
      throw error;
    }
    for (std::size_t root = 1; root < node.roots.size(); ++root) {
      inspect_tablespace(layout, node, root, found, options);
    }
    result.push_back(std::move(found));
  }
  return result;
}

void check_space(const repository::Manifest& manifest, const Layout& layout,
                 const std::vector<Found>& found) {
  std::vector<std::uint64_t> sizes(layout.tablespaces.size() + 1);
  std::vector<const repository::ManifestFile*> largest(sizes.size());
  for (const auto& file : manifest.files) {
    if (layout.zeroes(file)) continue;
    if (const auto place = layout.place(file.name); place && layout.restores(file)) {
      sizes[place->root] = add(sizes[place->root], blocks_of(file.size));
      auto& most = largest[place->root];
      if (most == nullptr || file.size > most->size) most = &file;
    }
  }
  struct Need {
    std::filesystem::path directory;
    std::uint64_t needed = 0;
    std::uint64_t available = 0;
    const repository::ManifestFile* largest = nullptr;
  };
  std::map<dev_t, Need> needs;
  for (std::size_t i = 0; i < layout.nodes.size(); ++i) {
    const auto& node = layout.nodes[i];
    for (std::size_t root = 0; root < node.roots.size(); ++root) {
      const auto space = disk_space(node.roots[root]);
      auto& need = needs[space.device];
      if (need.directory.empty()) {
        need.directory = node.roots[root];
        need.available = space.free_bytes;
      }
      need.needed = add(need.needed, sizes[root]);
      if (need.largest == nullptr ||
          (largest[root] != nullptr && largest[root]->size > need.largest->size)) {
        need.largest = largest[root];
      }
      if (!found[i].has_files()) continue;
      need.available +=
          space_used(root == 0 ? node.roots[root] : node.roots[root] / layout.tablespace_version);
    }
  }
  for (const auto& [device, need] : needs) {
    if (need.needed <= need.available) continue;
    // A file that alone is too large may be one whose size is wrong.
    std::string share_of_largest;
    if (need.largest != nullptr && need.largest->size > need.available) {
      share_of_largest = fmt::format(" ({} for {} alone)", format_bytes(need.largest->size),
                                     printable(need.largest->name));
    }
    throw Error(ErrorKind::system,
                fmt::format("not enough space on the file system of {}: the restore needs {}{}, {} "
                            "are free",
                            need.directory.string(), format_bytes(need.needed), share_of_largest,
                            format_bytes(need.available)))
        .with_hint("free some space, or name directories on a larger file system");
  }
}

DirectoryLock::DirectoryLock(const std::filesystem::path& data_directory)
    : fd_(open_file(data_directory, O_RDONLY | O_DIRECTORY)) {
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) {
    throw system_error(errno, fmt::format("cannot lock {}", data_directory.string()));
  }
  throw Error(ErrorKind::busy,
              fmt::format("another restore is writing to {}", data_directory.string()))
      .with_hint("wait for it, or stop it");
}

void FileSystems::add(const Fd& directory, const std::filesystem::path& path) {
  struct stat entry {};
  if (::fstat(directory.get(), &entry) != 0) {
    throw system_error(errno, fmt::format("cannot look at {}", path.string()));
  }
  if (points_.contains(entry.st_dev)) return;
  Fd copy(::fcntl(directory.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) throw system_error(errno, fmt::format("cannot open {}", path.string()));
  points_.emplace(entry.st_dev, Point{std::move(copy), path});
}

void FileSystems::sync() const {
  for (const auto& [device, point] : points_) {
    if (::syncfs(point.fd.get()) != 0) {
      throw system_error(errno,
                         fmt::format("cannot sync the file system of {}", point.path.string()))
          .with_hint("what was written may be lost; run the same command again");
    }
  }
}

void begin_node(const Marker& marker, const std::filesystem::path& data_directory) {
  write_file_atomic(data_directory / kMarker, marker.text());
  const Tree tree(data_directory);
  if (is_directory(tree, "global")) {
    tree.unlink(kControlFile);
    tree.fsync_directory("global");
  }
}

void clean_node(const Nodes& nodes, const Node& node, Report& report) {
  Cleaner cleaner(nodes, node);
  cleaner.clean(0, "");
  for (std::size_t root = 1; root < node.roots.size(); ++root) {
    const auto& part = nodes.layout.tablespace_version;
    struct stat entry {};
    if (!node.roots[root].stat(part, entry)) continue;
    if (S_ISDIR(entry.st_mode)) {
      cleaner.clean(root, part);
    } else {
      node.roots[root].remove(part);
    }
  }
  if (cleaner.removed != 0) {
    report.message(
        fmt::format("removed {} files and directories from {} that the backup does not "
                    "hold or that have another size there",
                    cleaner.removed, node.layout->data_directory().string()));
  }
}

void make_node_directories(const Nodes& nodes, const Node& node, FileSystems& file_systems) {
  for (const auto& path : nodes.manifest.paths) {
    const auto place = nodes.layout.place(path.name);
    if (!place) continue;
    const auto& tree = node.roots[place->root];
    if (!place->path.empty()) tree.make_directory(place->path, 0700);
    const auto fd = tree.open_directory(place->path);
    const auto full = tree.full(place->path);
    // A manifest may name any directory for a tablespace, and where others have something there it is
    // not its to say who may enter.
    const bool shared = place->root != 0 && place->path.empty() &&
                        holds_anything(full, {nodes.layout.tablespace_version});
    if (!shared) set_owner_and_mode(fd.get(), nodes.owners.ids(path.owner), path.mode, full);
    file_systems.add(fd, full);
  }
  for (const auto& tree : node.roots) file_systems.add(tree.open_directory({}), tree.root());

  for (std::size_t root = 1; root < node.roots.size(); ++root) {
    const auto path = fmt::format("pg_tblspc/{}", nodes.layout.tablespaces[root - 1]);
    const auto& tree = node.roots[0];
    struct stat entry {};
    // What is there after the clean-up is right.
    if (!tree.stat(path, entry)) tree.make_link(path, node.layout->roots[root].string());
    const auto name = nodes.layout.manifest_name(0, path);
    const auto link =
        std::ranges::find(nodes.manifest.links, name, &repository::ManifestLink::name);
    if (link == nodes.manifest.links.end()) continue;
    if (const auto owner = nodes.owners.ids(link->owner)) {
      tree.set_link_owner(path, owner->user, owner->group);
    }
  }
}

std::vector<NodeMask> survey(const Nodes& nodes, NodeMask has_files, unsigned jobs, Report& report,
                             std::stop_token stop) {
  const auto& files = nodes.manifest.files;
  std::vector<NodeMask> wanted(files.size(), nodes.all());
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!nodes.layout.restores(files[i])) wanted[i] = 0;
  }
  if (has_files == 0) return wanted;

  std::atomic<std::size_t> next{0};
  Guarded<std::exception_ptr> failure;
  const auto work = [&] {
    try {
      for (auto i = next++; i < files.size() && !stop.stop_requested(); i = next++) {
        // To make a file of zeros anew is less than to look whether it is one.
        if (wanted[i] == 0 || nodes.layout.zeroes(files[i])) continue;
        const auto place = nodes.write_place(files[i]);
        for (std::size_t node = 0; node < nodes.nodes.size(); ++node) {
          const auto bit = NodeMask{1} << node;
          if ((has_files & bit) == 0) continue;
          const auto& tree = nodes.nodes[node].roots[place.root];
          if (keep_file(nodes, tree, place.path, files[i], stop)) wanted[i] &= ~bit;
        }
        if (wanted[i] == 0) report.kept(files[i].size);
      }
    } catch (...) {
      next = files.size();
      auto first = failure.lock();
      if (!*first) *first = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(jobs, 1u); ++i) threads.emplace_back(work);
  }
  if (const auto error = *failure.lock()) std::rethrow_exception(error);
  if (stop.stop_requested()) {
    throw Error(ErrorKind::cancelled, "the restore was stopped")
        .with_hint("run the same command again: it continues where it stopped");
  }
  return wanted;
}

}  // namespace pgrevive::restore
