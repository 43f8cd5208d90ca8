#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/notice.h"
#include "postgres/conf_file.h"

namespace pgrevive::cluster {

// What of the source's configuration a restored node runs with. Everything that is bound to the
// source's host, its network or its role stays behind: paths, certificates, ports, archiving,
// replication, memory sizes, libraries that are missing here or that act on their own. One that has
// to be loaded for its data is kept from acting by a setting.
struct SourceSettings {
  std::vector<postgres::Setting> kept;  // ordered by name
  std::vector<std::string> dropped;     // "port: the cluster has its own", ordered by name
};

// What can be asked about this host, to tell whether a value works here.
struct HostFacts {
  std::function<bool(const std::string&)> has_library;  // "x", "plugins/x"
  std::function<bool(const std::string&)> has_locale;
  std::function<bool(const std::string&)> has_time_zone;
};

// Pure, but for what `facts` are asked.
SourceSettings choose_source_settings(const std::map<std::string, std::string>& settings,
                                      const HostFacts& facts);

// What a setting of a role or a database ("name=value", as pg_db_role_setting has it) breaks here;
// empty: nothing. These come with the data and stay. `whose` it is: "ALTER ROLE app".
std::optional<Notice> own_setting_trouble(const std::string& whose, const std::string& setting,
                                          const HostFacts& facts);

}  // namespace pgrevive::cluster
