#include "cluster/collations.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::cluster {
namespace {

using nlohmann::json;

json to_value(const ChangedCollation& collation) {
  return {{"oid", collation.oid},
          {"schema", collation.schema},
          {"name", collation.name},
          {"provider", collation.provider},
          {"source_version", collation.source_version},
          {"host_version", collation.host_version}};
}

json to_value(const AffectedIndex& index) {
  return {{"schema", index.schema},         {"name", index.name},   {"table", index.table},
          {"collations", index.collations}, {"valid", index.valid}, {"locks", index.locks}};
}

json to_value(const DatabaseFindings& database) {
  json collations = json::array();
  for (const auto& collation : database.collations) collations.push_back(to_value(collation));
  json indexes = json::array();
  for (const auto& index : database.indexes) indexes.push_back(to_value(index));
  json partitioned = json::array();
  for (const auto& table : database.partitioned)
    partitioned.push_back(
        {{"schema", table.schema}, {"name", table.name}, {"collations", table.collations}});
  return {{"database", database.database},
          {"missing_locales", database.missing_locales},
          {"reachable", database.reachable},
          {"error", database.error},
          {"collations", collations},
          {"unused", database.unused},
          {"indexes", indexes},
          {"partitioned", partitioned}};
}

DatabaseFindings database_from(const json& j) {
  DatabaseFindings database;
  database.database = j.at("database").get<std::string>();
  database.missing_locales = j.at("missing_locales").get<std::vector<std::string>>();
  database.reachable = j.at("reachable").get<bool>();
  database.error = j.at("error").get<std::string>();
  for (const auto& one : j.at("collations"))
    database.collations.push_back({.oid = one.at("oid").get<Oid>(),
                                   .schema = one.at("schema").get<std::string>(),
                                   .name = one.at("name").get<std::string>(),
                                   .provider = one.at("provider").get<std::string>(),
                                   .source_version = one.at("source_version").get<std::string>(),
                                   .host_version = one.at("host_version").get<std::string>()});
  database.unused = j.at("unused").get<std::size_t>();
  for (const auto& one : j.at("indexes"))
    database.indexes.push_back({.schema = one.at("schema").get<std::string>(),
                                .name = one.at("name").get<std::string>(),
                                .table = one.at("table").get<std::string>(),
                                .collations = one.at("collations").get<std::vector<Oid>>(),
                                .valid = one.at("valid").get<bool>(),
                                .locks = one.at("locks").get<bool>()});
  for (const auto& one : j.at("partitioned"))
    database.partitioned.push_back({.schema = one.at("schema").get<std::string>(),
                                    .name = one.at("name").get<std::string>(),
                                    .collations = one.at("collations").get<std::vector<Oid>>()});
  return database;
}

std::string shown(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (std::ranges::all_of(name, plain)) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string DatabaseFindings::trouble() const {
  if (!error.empty() || reachable) return error;
  return missing_locales.empty() ? "" : "this host has no locale " + missing_locales.front();
}

void DatabaseFindings::leave_out_unused() {
  std::set<Oid> used = {kDefaultCollation};
  for (const auto& index : indexes) used.insert(index.collations.begin(), index.collations.end());
  for (const auto& table : partitioned)
    used.insert(table.collations.begin(), table.collations.end());
  unused += std::erase_if(
      collations, [&](const ChangedCollation& collation) { return !used.contains(collation.oid); });
}

std::size_t CollationFindings::indexes() const {
  std::size_t count = 0;
  for (const auto& database : databases) count += database.indexes.size();
  return count;
}

std::optional<CollationFindings> CollationFindings::load(const std::filesystem::path& file) {
  const auto text = read_file_if_exists(file);
  if (!text) return {};
  try {
    return collation_findings_from(json::parse(*text));
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt, file.string() + " cannot be read: " + printable(error.what()));
  }
}

void CollationFindings::save(const std::filesystem::path& file) const {
  // 0644 as status.json: who may enter the state directory may read it.
  write_file_atomic(
      file, to_value(*this).dump(2, ' ', false, json::error_handler_t::replace) + '\n', 0644);
}

bool is_changed(const std::optional<std::string>& kept, const std::optional<std::string>& actual) {
  return kept != actual;
}

std::string shown(const std::string& schema, const std::string& name) {
  return shown(schema) + "." + shown(name);
}

json to_value(const CollationFindings& findings) {
  json databases = json::array();
  for (const auto& database : findings.databases) databases.push_back(to_value(database));
  return {{"looked_ms", findings.looked_ms},
          {"databases", databases},
          {"not_comparable", findings.not_comparable}};
}

CollationFindings collation_findings_from(const json& j) {
  CollationFindings findings;
  findings.looked_ms = j.at("looked_ms").get<std::int64_t>();
  for (const auto& database : j.at("databases"))
    findings.databases.push_back(database_from(database));
  findings.not_comparable = j.at("not_comparable").get<std::vector<std::string>>();
  return findings;
}

}  // namespace pgrevive::cluster
