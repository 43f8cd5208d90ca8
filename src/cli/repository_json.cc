#include "cli/repository_json.h"

#include <algorithm>

namespace pgrevive::cli {
namespace {

using nlohmann::json;

constexpr int kMixed = 4;

void set_key(json& value, int key) {
  if (value.is_object()) {
    for (auto& [name, member] : value.items()) {
      if (name == "repo-key") {
        member = key;
      } else {
        set_key(member, key);
      }
    }
  } else if (value.is_array()) {
    for (json& member : value) set_key(member, key);
  }
}

std::int64_t stopped(const json& backup) { return backup["timestamp"]["stop"].get<std::int64_t>(); }

}  // namespace

json with_repository_key(json stanzas, int key) {
  set_key(stanzas, key);
  for (json& stanza : stanzas) {
    for (json& repository : stanza["repo"]) repository["key"] = key;
  }
  return stanzas;
}

json merge_repositories(const std::vector<json>& reports) {
  json merged = json::array();
  for (const json& report : reports) {
    for (const json& stanza : report) {
      const auto same = std::ranges::find_if(
          merged, [&](const json& other) { return other["name"] == stanza["name"]; });
      if (same == merged.end()) {
        merged.push_back(stanza);
        continue;
      }
      for (const char* list : {"archive", "backup", "db", "repo"}) {
        for (const json& entry : stanza[list]) (*same)[list].push_back(entry);
      }
      if ((*same)["cipher"] != stanza["cipher"]) (*same)["cipher"] = "mixed";
      if ((*same)["status"]["code"] != stanza["status"]["code"]) {
        (*same)["status"]["code"] = kMixed;
        (*same)["status"]["message"] = "different across repos";
      }
    }
  }
  for (json& stanza : merged) {
    auto& backups = stanza["backup"].get_ref<json::array_t&>();
    std::ranges::stable_sort(backups, {}, stopped);
  }
  std::ranges::stable_sort(merged.get_ref<json::array_t&>(), {},
                           [](const json& stanza) { return stanza["name"].get<std::string>(); });
  return merged;
}

}  // namespace pgrevive::cli
