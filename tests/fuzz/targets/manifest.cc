#include "repository/manifest.h"

#include <set>

#include "fuzz/fuzz.h"
#include "fuzz/info_text.h"
#include "repository/layout.h"
#include "restore/options.h"
#include "restore/plan.h"
#include "restore/target.h"

// Any text is either refused, naming the file, or a manifest of which every index can be used,
// every name is plain and comes once, every place of a node is below one of its directories, every
// object is one of the stanza, and every job of the plan has its files in its range.
namespace {

using namespace pgrevive;

void check_entries(const repository::Manifest& manifest) {
  std::set<std::string_view> names;
  for (const auto& file : manifest.files) names.insert(file.name);
  std::string_view before;
  for (const auto& file : manifest.files) {
    fuzz::require(before < file.name, "files are in order and come once");
    before = file.name;
    fuzz::require(is_plain_path(file.name), "names are plain");
    fuzz::require(file.reference < manifest.references.size(), "references are known");
    fuzz::require(file.owner < manifest.owners.size(), "owners are known");
    fuzz::require(file.size >> 63 == 0 && (file.repo_size + file.bundle_offset) >> 63 == 0,
                  "sizes and places are below 2^63");
    fuzz::require(file.repo_size / 2 <= file.size + (32u << 10), "a stored size can be");
    fuzz::require(file.block_map_size <= file.repo_size, "a map is inside of its file");
    fuzz::require(file.block_map_size <= 64 + (file.size / 8192 + 1) * 96, "its size can be");
    for (auto slash = file.name.rfind('/'); slash != file.name.npos && slash != 0;
         slash = file.name.rfind('/', slash - 1)) {
      fuzz::require(!names.contains(file.name.substr(0, slash)), "nothing is below a file");
    }
    const auto object = repository::layout::object_of("main", manifest, file);
    fuzz::require(is_plain_path(object) && object.starts_with("backup/main/"),
                  "objects are the stanza's");
  }
  fuzz::require(manifest.references.back() == manifest.label, "the last reference is its own");
  for (const auto& label : manifest.references)
    fuzz::require(label.full() == manifest.label.full(), "all rest on one full backup");
  for (const auto& path : manifest.paths) {
    fuzz::require(path.owner < manifest.owners.size(), "owners of paths are known");
    fuzz::require(is_plain_path(path.name), "names of paths are plain");
    fuzz::require(!names.contains(path.name), "a file is no directory");
  }
  for (const auto& link : manifest.links)
    fuzz::require(is_plain_path(link.name), "names of links are plain");
  fuzz::require(manifest.data_directory().name == "pg_data", "there is a data directory");
}

void check_places(const repository::Manifest& manifest) {
  restore::NodeTarget node{.name = "primary", .data_directory = "/fuzz/data"};
  node.tablespace_root = "/fuzz/tablespaces";
  const auto layout = restore::make_layout(manifest, {node});
  for (const auto& root : layout.nodes.front().roots) {
    const auto text = root.string();
    fuzz::require(text == "/fuzz/data" || text.starts_with("/fuzz/tablespaces/"),
                  "a root is below what was given");
    fuzz::require(is_plain_path(text.substr(1)), "and leads nowhere else");
  }
  for (const auto& file : manifest.files) {
    fuzz::refusal_of([&] {
      const auto place = layout.place(file.name);
      fuzz::require(place && place->root < layout.nodes.front().roots.size(), "a file has a root");
      fuzz::require(is_plain_path(place->path), "and stays below it");
      fuzz::require(layout.manifest_name(place->root, place->path) == file.name, "there and back");
    });
  }
}

void check_plan(const repository::Manifest& manifest) {
  const restore::PlanLimits limits;
  const std::vector<restore::NodeMask> wanted(manifest.files.size(), 1);
  const auto plan = restore::make_plan(manifest, wanted, limits);
  fuzz::require(plan.files.size() == manifest.files.size(), "every file is planned once");
  std::size_t next = 0;
  for (const auto& job : plan.jobs) {
    fuzz::require(job.first == next && job.count > 0, "jobs follow each other");
    next += job.count;
    if (job.kind != restore::JobKind::range) continue;
    for (std::size_t i = job.first; i < next; ++i) {
      const auto& file = manifest.files[plan.files[i]];
      const auto begin = file.bundled() ? file.bundle_offset : 0;
      fuzz::require(begin >= job.offset && begin - job.offset <= job.length &&
                        file.repo_size <= job.length - (begin - job.offset),
                    "a file is inside of its job");
    }
  }
  fuzz::require(next == plan.files.size(), "jobs are of all files");
}

std::optional<std::string> check(std::string_view text) {
  repository::Manifest manifest;
  const auto refusal = fuzz::refusal_of([&] {
    const auto reader = repository::make_manifest_reader("backup.manifest", manifest);
    fuzz::pump(as_bytes(text), 64, *reader);
    check_entries(manifest);
  });
  if (refusal) {
    fuzz::require(refusal->find("backup.manifest") != std::string::npos, "the file is named");
    return refusal;
  }
  try {
    check_places(manifest);
  } catch (const Error& error) {
    // Tablespaces that would lie in one another are the operator's to map elsewhere.
    if (error.kind() != ErrorKind::usage) throw;
  }
  fuzz::refusal_of([&] { check_plan(manifest); });
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::check_info_text(data, size, check);
}
