#include "repository/history_order.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"

namespace pgrevive::repository {

void order_history(const std::string& name, std::vector<DatabaseHistory>& history) {
  std::ranges::sort(history, {}, &DatabaseHistory::id);
  const auto twice = std::ranges::adjacent_find(history, {}, &DatabaseHistory::id);
  if (twice != history.end()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("{}: db-id {} is in the history twice", name, twice->id));
  }
  for (const auto& database : history) {
    if (database.version != postgres::Version() && database.system_id != 0) continue;
    throw Error(
        ErrorKind::corrupt,
        fmt::format("{}: the history does not say which cluster db-id {} is", name, database.id));
  }
}

}  // namespace pgrevive::repository
