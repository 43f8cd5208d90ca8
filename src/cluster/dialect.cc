#include "cluster/dialect.h"

#include <array>
#include <string_view>
#include <utility>

namespace pgrevive::cluster {

std::string in_words_of(int server_version, std::string statement) {
  if (server_version >= 100000) return statement;
  constexpr auto kOldNames = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"pg_last_wal_replay_lsn", "pg_last_xlog_replay_location"},
      {"pg_current_wal_lsn", "pg_current_xlog_location"},
      {"pg_wal_replay_resume", "pg_xlog_replay_resume"},
      {"pg_is_wal_replay_paused", "pg_is_xlog_replay_paused"},
      {"pg_walfile_name", "pg_xlogfile_name"},
      {"pg_switch_wal", "pg_switch_xlog"},
      {"replay_lsn", "replay_location"},
  });
  for (const auto& [name, old_name] : kOldNames)
    for (auto at = statement.find(name); at != std::string::npos;
         at = statement.find(name, at + old_name.size()))
      statement.replace(at, name.size(), old_name);
  return statement;
}

}  // namespace pgrevive::cluster
