#include "cluster/node_record.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/progress_json.h"
#include "postgres/lsn.h"

namespace pgrevive::cluster {

using nlohmann::json;

namespace {

json to_value(const SourceState& state) {
  json j = json::object();
  for (const auto& [timeline, segment] : state) j[std::to_string(timeline)] = segment;
  return j;
}

std::optional<SourceState> source_state_from(const json& j) {
  if (j.is_null()) return {};
  SourceState state;
  if (j.is_string()) {  // records once had only the newest place of all timelines
    const auto segment = j.get<std::string>();
    if (!segment.empty())
      state[postgres::Timeline::parse_hex(segment.substr(0, 8)).value()] = segment;
    return state;
  }
  for (const auto& [timeline, segment] : j.items())
    state[static_cast<std::uint32_t>(parse_unsigned(timeline).value_or(0))] =
        segment.get<std::string>();
  return state;
}

}  // namespace

std::optional<NodeRecord> NodeRecord::load(const StateDirectory& directory,
                                           const std::string& node) {
  const auto path = directory.node_record(node);
  const auto text = read_file_if_exists(path);
  if (!text) return {};
  return parse(*text, path);
}

NodeRecord NodeRecord::parse(const std::string& text, const std::filesystem::path& path) {
  try {
    const json j = json::parse(text);
    NodeRecord record;
    record.unfinished = j.at("unfinished").get<bool>();
    record.backup_label = j.at("backup_label").get<std::string>();
    record.made_ms = j.at("made_ms").get<std::int64_t>();
    record.online = j.at("online").get<bool>();
    record.archive_start = j.at("archive_start").get<std::string>();
    record.archive_stop = j.at("archive_stop").get<std::string>();
    record.lsn_stop = j.at("lsn_stop").get<std::string>();
    record.source_user = j.at("source_user").get<std::string>();
    for (const auto& database : j.value("left_out", json::array()))
      record.left_out.push_back({.oid = database.at("oid").get<std::uint32_t>(),
                                 .name = database.at("name").get<std::string>()});
    record.line = j.value("line", 0u);
    record.furthest = FurthestEnd::parse(j.value("furthest", ""));
    record.recovery_target = j.value("recovery_target", "");
    record.promoting = j.at("promoting").get<bool>();
    record.promoted = j.at("promoted").get<bool>();
    record.set_up = j.at("set_up").get<bool>();
    record.archiving = j.at("archiving").get<bool>();
    record.archived_as = j.value("archived_as", "own");
    if (const auto found = j.find("source_newest"); found != j.end())
      record.source_newest = source_state_from(*found);
    record.archive_place = j.value("archive_place", "");
    record.own_backup = j.value("own_backup", "");
    record.took_over = j.value("took_over", false);
    record.superuser = j.at("superuser").get<std::string>();
    record.databases = j.at("databases").get<std::vector<std::string>>();
    if (const auto& end = j.at("recovery_end"); !end.is_null())
      record.recovery_end = recovery_end_from(end);
    record.joined = j.at("joined").get<bool>();
    record.after_promotion = j.value("after_promotion", false);
    record.made_because = j.value("made_because", "");
    record.no_backup = j.value("no_backup", "");
    record.copied_bytes = j.value("copied_bytes", std::uint64_t{0});
    record.copied_ms = j.value("copied_ms", std::int64_t{0});
    return record;
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt, path.string() + " cannot be read: " + printable(error.what()));
  }
}

void NodeRecord::save(const StateDirectory& directory, const std::string& node) const {
  json without = json::array();
  for (const auto& database : left_out)
    without.push_back({{"oid", database.oid}, {"name", database.name}});
  const json j = {{"unfinished", unfinished},
                  {"backup_label", backup_label},
                  {"made_ms", made_ms},
                  {"online", online},
                  {"archive_start", archive_start},
                  {"archive_stop", archive_stop},
                  {"lsn_stop", lsn_stop},
                  {"source_user", source_user},
                  {"left_out", without},
                  {"line", line},
                  {"furthest", furthest.text()},
                  {"recovery_target", recovery_target},
                  {"promoting", promoting},
                  {"promoted", promoted},
                  {"set_up", set_up},
                  {"archiving", archiving},
                  {"archived_as", archived_as},
                  {"source_newest", source_newest ? to_value(*source_newest) : json(nullptr)},
                  {"archive_place", archive_place},
                  {"own_backup", own_backup},
                  {"took_over", took_over},
                  {"superuser", superuser},
                  {"databases", databases},
                  {"recovery_end", recovery_end ? to_value(*recovery_end) : json(nullptr)},
                  {"joined", joined},
                  {"after_promotion", after_promotion},
                  {"made_because", made_because},
                  {"no_backup", no_backup},
                  {"copied_bytes", copied_bytes},
                  {"copied_ms", copied_ms}};
  write_file_atomic(directory.node_record(node),
                    j.dump(2, ' ', false, json::error_handler_t::replace) + '\n');
}

}  // namespace pgrevive::cluster
