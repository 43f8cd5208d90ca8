#include "restore/target.h"

#include <algorithm>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "restore/marker.h"
#include "restore/nodes.h"
#include "restore/notices.h"
#include "restore/tree.h"

namespace pgrevive::restore {

namespace {

constexpr std::string_view kData = "pg_data";
constexpr std::string_view kTablespaces = "pg_tblspc";
constexpr std::string_view kLinks = "pg_data/pg_tblspc/";

bool begins_below(std::string_view name, std::string_view directory) {
  return name.size() > directory.size() && name.starts_with(directory) &&
         name[directory.size()] == '/';
}

std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code error;
  auto result = std::filesystem::weakly_canonical(path, error);
  if (error) result = path.lexically_normal();
  // "/a/" has an empty last component, which would hide that "/a/b" lies in it.
  return result.has_filename() ? result : result.parent_path();
}

std::filesystem::path tablespace_directory(const NodeTarget& node,
                                           const repository::ManifestTarget& target) {
  const auto oid = std::to_string(target.tablespace_oid);
  for (const auto& key : {oid, std::string(target.tablespace_name)}) {
    if (const auto mapped = node.tablespace_map.find(key); mapped != node.tablespace_map.end()) {
      return mapped->second;
    }
  }
  if (!node.tablespace_root.empty()) {
    return node.tablespace_root /
           tablespace_directory_name(target.tablespace_oid, target.tablespace_name);
  }
  return std::filesystem::path(target.path);
}

void require_absolute(const NodeTarget& node, const std::filesystem::path& path) {
  if (path.is_absolute()) return;
  throw Error(ErrorKind::usage, fmt::format("directory '{}' of node {} is not an absolute path",
                                            path.string(), node.name));
}

void check_map(const NodeTarget& node,
               const std::vector<const repository::ManifestTarget*>& known) {
  for (const auto& [key, path] : node.tablespace_map) {
    const bool found = std::ranges::any_of(known, [&key = key](const auto* target) {
      return key == std::to_string(target->tablespace_oid) || key == target->tablespace_name;
    });
    if (!found) {
      std::string names;
      for (const auto* target : known) {
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", target->tablespace_oid,
                             printable(target->tablespace_name));
      }
      throw Error(ErrorKind::usage, fmt::format("the backup has no tablespace {}", key))
          .with_hint(names.empty() ? "it has no tablespaces at all" : "it has: " + names);
    }
  }
}

// What must not overlap: the data directory of each node, and of each tablespace directory the part
// that this cluster owns.
void check_apart(const Layout& layout) {
  struct Claim {
    const NodeLayout* node;
    std::filesystem::path shown;
    std::filesystem::path path;
    bool tablespace;
  };
  std::vector<Claim> claims;
  for (const auto& node : layout.nodes) {
    for (std::size_t root = 0; root < node.roots.size(); ++root) {
      auto path = resolved(node.roots[root]);
      if (root != 0) path /= layout.tablespace_version;
      claims.push_back({&node, node.roots[root], std::move(path), root != 0});
    }
  }
  for (std::size_t i = 0; i < claims.size(); ++i) {
    for (std::size_t j = 0; j < claims.size(); ++j) {
      if (i == j || !lies_in(claims[i].path, claims[j].path)) continue;
      const auto& inner = claims[i];
      const auto& outer = claims[j];
      const auto kind = [](const Claim& claim) {
        return claim.tablespace ? "tablespace directory" : "data directory";
      };
      Error error(ErrorKind::usage,
                  fmt::format("{} {} of node {} lies in {} {} of node {}", kind(inner),
                              inner.shown.string(), inner.node->name, kind(outer),
                              outer.shown.string(), outer.node->name));
      error.with_hint(inner.tablespace || outer.tablespace
                          ? "give each node its own directory for each tablespace "
                            "(--tablespace-map NODE:ID=DIR or --tablespace-map-all)"
                          : "give each node its own data directory");
      throw error;
    }
  }
}

}  // namespace

std::string tablespace_directory_name(std::uint32_t oid, std::string_view name) {
  const bool usable = is_plain_path(name) && name.find('/') == std::string_view::npos;
  return usable ? std::string(name) : std::to_string(oid);
}

bool Layout::preserves(std::size_t root, std::string_view path) const {
  return root == 0 && std::ranges::find(preserved, path) != preserved.end();
}

bool Layout::restores(const repository::ManifestFile& file) const {
  if (file.name == "pg_data/tablespace_map") return false;
  const auto where = place(file.name);
  if (!where) return true;
  // Names that are ours while a restore is under way: a file of the backup there would make the
  // directory look whole too early, or replace its pg_control.
  if (where->root == 0 && (where->path == kMarker || where->path == kUnpublishedControlFile))
    return false;
  return !preserves(where->root, where->path);
}

bool Layout::zeroes(const repository::ManifestFile& file) const {
  return is_zeroed(file.name, left_out);
}

std::optional<Place> Layout::place(std::string_view manifest_name) const {
  const auto outside = [&] {
    return Error(ErrorKind::corrupt,
                 fmt::format("the manifest names a path that leads nowhere allowed: {}",
                             printable(manifest_name)));
  };
  if (manifest_name == kData) return Place{0, {}};
  if (manifest_name == kTablespaces) return std::nullopt;
  if (begins_below(manifest_name, kData)) {
    const auto path = manifest_name.substr(kData.size() + 1);
    if (!is_plain_path(path)) throw outside();
    return Place{0, path};
  }
  if (!begins_below(manifest_name, kTablespaces)) throw outside();
  const auto rest = manifest_name.substr(kTablespaces.size() + 1);
  const auto slash = rest.find('/');
  const auto oid = parse_unsigned(rest.substr(0, slash));
  const auto found = std::ranges::find_if(
      tablespaces, [&](std::uint32_t tablespace) { return oid && tablespace == *oid; });
  if (found == tablespaces.end()) throw outside();
  const auto root = static_cast<std::size_t>(found - tablespaces.begin()) + 1;
  if (slash == std::string_view::npos) return Place{root, {}};
  const auto path = rest.substr(slash + 1);
  if (!is_plain_path(path)) throw outside();
  // Only this cluster's part of a tablespace directory is ours to write in.
  if (path != tablespace_version && !begins_below(path, tablespace_version)) throw outside();
  return Place{root, path};
}

std::string Layout::manifest_name(std::size_t root, std::string_view path) const {
  auto name =
      root == 0 ? std::string(kData) : fmt::format("{}/{}", kTablespaces, tablespaces[root - 1]);
  return path.empty() ? name : fmt::format("{}/{}", name, path);
}

std::optional<std::size_t> Layout::linked_root(std::string_view manifest_name) const {
  if (!manifest_name.starts_with(kLinks)) return std::nullopt;
  const auto oid = parse_unsigned(manifest_name.substr(kLinks.size()));
  for (std::size_t i = 0; i < tablespaces.size(); ++i) {
    if (oid && tablespaces[i] == *oid) return i + 1;
  }
  return std::nullopt;
}

Layout make_layout(const repository::Manifest& manifest, const std::vector<NodeTarget>& nodes) {
  if (nodes.empty()) throw Error(ErrorKind::usage, "no node to restore was named");
  if (nodes.size() > 32) throw Error(ErrorKind::usage, "more than 32 nodes in one restore");

  std::vector<const repository::ManifestTarget*> tablespaces;
  Layout layout;
  for (const auto& target : manifest.targets) {
    if (target.tablespace_oid != 0) {
      tablespaces.push_back(&target);
    } else if (target.is_link) {
      const auto name = printable(target.name);
      const auto path = printable(target.path);
      layout.warnings.push_back(
          target.file.empty() ? notice("link_to_directory", name, path)
                              : notice("link_to_file", name, path + "/" + printable(target.file)));
    }
  }
  std::ranges::sort(tablespaces, {}, [](const auto* target) { return target->tablespace_oid; });
  for (const auto* target : tablespaces) layout.tablespaces.push_back(target->tablespace_oid);
  layout.tablespace_version =
      fmt::format("PG_{}_{}", manifest.version.text(), manifest.catalog_version);

  std::set<std::string> names;
  for (const auto& node : nodes) {
    if (!names.insert(node.name).second) {
      throw Error(ErrorKind::usage, fmt::format("node {} is named twice", node.name));
    }
    require_absolute(node, node.data_directory);
    check_map(node, tablespaces);
    NodeLayout made{.name = node.name, .roots = {node.data_directory.lexically_normal()}};
    for (const auto* target : tablespaces) {
      auto directory = tablespace_directory(node, *target);
      require_absolute(node, directory);
      made.roots.push_back(directory.lexically_normal());
    }
    layout.nodes.push_back(std::move(made));
  }
  check_apart(layout);
  return layout;
}

}  // namespace pgrevive::restore
