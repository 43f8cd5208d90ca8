#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "cli/source.h"
#include "postgres/control_file.h"
#include "repository/repository.h"

namespace pgrevive::cli {

// The WAL archives of one cluster, in the order of their repositories.
struct OpenArchives {
  std::vector<std::unique_ptr<repository::Repository>> repositories;
  std::vector<std::unique_ptr<repository::WalArchive>> archives;
  std::optional<Error> trouble;  // the first that could not be opened, and why

  std::vector<const repository::WalArchive*> all() const;
};

// Throws only if none can be opened.
OpenArchives open_archives(const Source& source, const postgres::ControlFile& control);

}  // namespace pgrevive::cli
