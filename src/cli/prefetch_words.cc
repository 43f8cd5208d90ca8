#include "cli/prefetch_words.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/value_text.h"

namespace pgrevive::cli {
namespace {

struct NamedPath {
  std::string name;
  std::filesystem::path path;
};

NamedPath named_path(const std::string& word, const std::string& option) {
  const std::size_t equals = word.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == word.size()) {
    throw Error(ErrorKind::usage,
                fmt::format("{} {} is not NAME=PATH", option, printable(word, 80)));
  }
  return {.name = word.substr(0, equals),
          .path = std::filesystem::absolute(word.substr(equals + 1)).lexically_normal()};
}

}  // namespace

std::vector<wal::PrefetchedNode> prefetched_nodes(const PrefetchWords& words) {
  std::vector<wal::PrefetchedNode> nodes;
  const auto find = [&](const std::string& name) {
    return std::ranges::find(nodes, name, &wal::PrefetchedNode::name);
  };
  for (const std::string& word : words.nodes) {
    const NamedPath node = named_path(word, "--node");
    if (find(node.name) != nodes.end())
      throw Error(ErrorKind::usage, fmt::format("--node names '{}' twice", node.name));
    nodes.push_back({.name = node.name, .data_directory = node.path, .fork = {}});
  }
  if (nodes.empty()) {
    throw Error(ErrorKind::usage, "prefetch needs at least one --node NAME=DIR");
  }
  for (const std::string& word : words.forks) {
    const NamedPath fork = named_path(word, "--fork");
    const auto node = find(fork.name);
    if (node == nodes.end())
      throw Error(ErrorKind::usage, fmt::format("--fork {}: there is no such node", word));
    node->fork = fork.path;
  }
  return nodes;
}

std::uint64_t spool_bytes(const PrefetchWords& words) {
  const auto size = parse_backrest_size(words.spool_size);
  if (!size || *size == 0) {
    throw Error(ErrorKind::usage,
                fmt::format("--spool-size {} is not a size", printable(words.spool_size, 40)))
        .with_hint("write for example 512MiB or 4GiB");
  }
  return *size;
}

}  // namespace pgrevive::cli
