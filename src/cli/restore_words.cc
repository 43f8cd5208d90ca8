#include "cli/restore_words.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/print.h"
#include "cli/target_check.h"
#include "cli/value_text.h"

namespace pgrevive::cli {
namespace {

using restore::RecoveryType;

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void add_tablespace(restore::Options& options, const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == word.size()) {
    throw Error(ErrorKind::usage, fmt::format("--tablespace-map {} is not ID=DIR", word))
        .with_hint("ID is the tablespace's OID or name; for one node of several write NODE:ID=DIR");
  }
  std::string id = word.substr(0, equals);
  const std::filesystem::path directory = whole_path(word.substr(equals + 1));

  restore::NodeTarget* node = nullptr;
  if (const std::size_t colon = id.find(':'); colon != std::string::npos) {
    const std::string name = id.substr(0, colon);
    const auto found = std::ranges::find_if(
        options.nodes, [&](const restore::NodeTarget& entry) { return entry.name == name; });
    if (found == options.nodes.end()) {
      throw Error(ErrorKind::usage,
                  fmt::format("--tablespace-map {}: there is no node '{}'", word, name));
    }
    node = &*found;
    id.erase(0, colon + 1);
  } else if (options.nodes.size() > 1) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--tablespace-map {} would put the tablespaces of {} nodes into one directory",
                    word, options.nodes.size()))
        .with_hint(
            "say which node it is for (NODE:ID=DIR), or use --tablespace-map-all DIR, which "
            "gives each node a subdirectory");
  } else {
    node = &options.nodes.front();
  }
  if (!node->tablespace_map.emplace(id, directory).second) {
    throw Error(ErrorKind::usage, fmt::format("--tablespace-map names tablespace {} twice", id));
  }
}

}  // namespace

restore::RecoveryTarget recovery_target(const TargetWords& words) {
  const auto fail = [](const std::string& message, const std::string& hint = {}) {
    return std::move(Error(ErrorKind::usage, message).with_hint(hint));
  };
  restore::RecoveryTarget target;
  const auto type = restore::parse_recovery_type(words.type);
  if (!type) {
    throw fail(fmt::format("--type {} is unknown", printable(words.type, 40)),
               "it is one of default, immediate, time, name, lsn, xid, standby, none, preserve");
  }
  target.type = *type;
  const bool takes_target = *type == RecoveryType::time || *type == RecoveryType::name ||
                            *type == RecoveryType::lsn || *type == RecoveryType::xid;
  if (takes_target && words.target.empty()) {
    throw fail(fmt::format("--type {} needs --target", words.type));
  }
  if (!takes_target && !words.target.empty()) {
    throw fail(fmt::format("--target has no meaning for --type {}", words.type),
               "give --type time, name, lsn or xid with it");
  }
  target.target = words.target;
  if (const std::string remedy =
          read_target_text(*type, target.target, std::chrono::system_clock::now());
      !remedy.empty()) {
    throw fail(
        fmt::format("--target {} cannot be for --type {}", printable(words.target, 60), words.type),
        remedy);
  }
  if (words.target_exclusive && (!takes_target || *type == RecoveryType::name)) {
    throw fail("--target-exclusive has a meaning for --type time, lsn and xid only");
  }
  if (!words.target_action.empty() && words.target_action != "pause" &&
      words.target_action != "promote" && words.target_action != "shutdown") {
    throw fail(fmt::format("--target-action {} is unknown", printable(words.target_action, 40)),
               "it is one of pause, promote, shutdown");
  }
  if (!words.target_action.empty() && !takes_target && *type != RecoveryType::immediate) {
    throw fail(fmt::format("--target-action has no meaning for --type {}", words.type));
  }
  target.exclusive = words.target_exclusive;
  target.timeline = words.target_timeline;
  target.action = words.target_action;
  return target;
}

void tell_target(const TargetWords& words, const restore::RecoveryTarget& target) {
  if (target.type == RecoveryType::time && target.target != words.target)
    out("target: {} ({})\n", target.target, printable(words.target, 60));
}

restore::RecoveryTarget restore_target(const RestoreWords& words) {
  restore::RecoveryTarget target = recovery_target(words);
  if (!words.archive_mode.empty() && words.archive_mode != "off" &&
      words.archive_mode != "preserve") {
    throw Error(ErrorKind::usage,
                fmt::format("--archive-mode {} is unknown", printable(words.archive_mode, 40)))
        .with_hint("it is one of off, preserve");
  }
  target.archive_mode_off = words.archive_mode == "off";
  if (target.archive_mode_off && target.type == RecoveryType::preserve) {
    throw Error(ErrorKind::usage,
                "--archive-mode off cannot be with --type preserve, which leaves the settings as "
                "they are")
        .with_hint("set archive_mode in the settings that are preserved");
  }
  return target;
}

restore::Options restore_options(const RestoreWords& words) {
  restore::Options options;
  for (const std::string& word : words.nodes) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals + 1 == word.size() ||
        !is_node_name(std::string_view(word).substr(0, equals))) {
      throw Error(ErrorKind::usage, fmt::format("--node {} is not NAME=DIR", printable(word, 80)))
          .with_hint("for example --node primary=/var/lib/postgresql/15/primary");
    }
    restore::NodeTarget node{.name = word.substr(0, equals),
                             .data_directory = whole_path(word.substr(equals + 1))};
    for (const restore::NodeTarget& other : options.nodes) {
      if (other.name == node.name) {
        throw Error(ErrorKind::usage, fmt::format("--node names '{}' twice", node.name));
      }
      if (other.data_directory == node.data_directory) {
        throw Error(ErrorKind::usage, fmt::format("--node {} and --node {} are the same directory",
                                                  other.name, node.name));
      }
    }
    options.nodes.push_back(std::move(node));
  }
  if (options.nodes.empty()) {
    throw Error(ErrorKind::usage, "restore needs at least one --node NAME=DIR")
        .with_hint("for example --node primary=/srv/primary --node replica=/srv/replica");
  }
  for (const std::string& word : words.tablespace_map) add_tablespace(options, word);
  if (!words.tablespace_map_all.empty()) {
    for (restore::NodeTarget& node : options.nodes) {
      node.tablespace_root = whole_path(words.tablespace_map_all) / node.name;
    }
  }
  options.databases = {.include = words.db_include, .exclude = words.db_exclude};
  options.delta = words.delta;
  options.jobs = words.jobs;
  if (words.requests != 0) options.requests = words.requests;
  if (!words.memory.empty()) {
    const auto size = parse_backrest_size(words.memory);
    if (!size || *size < (16u << 20)) {
      throw Error(ErrorKind::usage,
                  fmt::format("--memory {} cannot be", printable(words.memory, 40)))
          .with_hint("write a size of at least 16MiB, such as 256MiB");
    }
    options.memory = *size;
  }
  return options;
}

RestoreWords with_configured(RestoreWords words, const BackrestRestore& configured) {
  if (words.db_include.empty()) words.db_include = configured.db_include;
  if (words.db_exclude.empty()) words.db_exclude = configured.db_exclude;
  // As pgBackRest, which then has no place to write it to, and no complaint.
  if (words.archive_mode.empty() && words.type != "preserve") {
    words.archive_mode = configured.archive_mode;
  }
  return words;
}

void resolve_tablespaces(restore::Options& options,
                         const std::vector<repository::ManifestTarget>& targets) {
  std::vector<std::string> known;
  for (const auto& target : targets) {
    if (target.tablespace_oid != 0) {
      known.push_back(fmt::format("{} ({})", target.tablespace_oid, target.tablespace_name));
    }
  }
  for (restore::NodeTarget& node : options.nodes) {
    std::map<std::string, std::filesystem::path> resolved;
    for (const auto& [id, directory] : node.tablespace_map) {
      const auto found =
          std::ranges::find_if(targets, [&id = id](const repository::ManifestTarget& target) {
            return target.tablespace_oid != 0 &&
                   (std::to_string(target.tablespace_oid) == id || target.tablespace_name == id);
          });
      if (found == targets.end()) {
        throw Error(ErrorKind::usage,
                    fmt::format("the backup has no tablespace '{}'", printable(id, 60)))
            .with_hint(known.empty() ? "it has none at all"
                                     : fmt::format("it has {}", fmt::join(known, ", ")));
      }
      if (!resolved.emplace(std::to_string(found->tablespace_oid), directory).second) {
        throw Error(ErrorKind::usage,
                    fmt::format("--tablespace-map names tablespace {} twice, by its "
                                "OID and by its name",
                                id));
      }
    }
    node.tablespace_map = std::move(resolved);
  }
}

}  // namespace pgrevive::cli
