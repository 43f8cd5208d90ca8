#pragma once

#include <string>
#include <vector>

#include "repository/backup_info.h"

namespace pgrevive::repository {

// Orders a history by id. Throws Error{corrupt} where an id comes twice or a cluster
// lacks its version or its system identifier; `name` is the file's.
void order_history(const std::string& name, std::vector<DatabaseHistory>& history);

}  // namespace pgrevive::repository
