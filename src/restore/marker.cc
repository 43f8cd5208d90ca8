#include "restore/marker.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace pgrevive::restore {

Marker Marker::of(const std::string& stanza, const repository::Manifest& manifest,
                  const NodeLayout& node) {
  return {.label = manifest.label.text(),
          .stanza = stanza,
          .system_id = manifest.system_id,
          .node = node.name,
          .tablespaces = {node.roots.begin() + 1, node.roots.end()}};
}

std::string Marker::text() const {
  nlohmann::ordered_json json;
  json["what"] = "a restore by pgrevive is under way here; run it again to complete it";
  json["label"] = label;
  json["stanza"] = stanza;
  json["system-id"] = system_id;
  json["node"] = node;
  json["tablespaces"] = nlohmann::ordered_json::array();
  for (const auto& path : tablespaces) json["tablespaces"].push_back(path.string());
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<Marker> load_marker(const std::filesystem::path& data_directory) {
  const auto text = read_file_if_exists(data_directory / kMarker);
  if (!text) return std::nullopt;
  Marker marker;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return marker;
  const auto string_of = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  marker.label = string_of("label");
  marker.stanza = string_of("stanza");
  marker.node = string_of("node");
  if (const auto id = json.find("system-id"); id != json.end() && id->is_number_unsigned()) {
    marker.system_id = id->get<std::uint64_t>();
  }
  if (const auto list = json.find("tablespaces"); list != json.end() && list->is_array()) {
    for (const auto& path : *list) {
      if (path.is_string()) marker.tablespaces.emplace_back(path.get<std::string>());
    }
  }
  return marker;
}

}  // namespace pgrevive::restore
