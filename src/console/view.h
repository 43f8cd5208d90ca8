#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cluster/onlooker.h"
#include "repository/info_report.h"

// What the console shows, as values.
namespace pgrevive::console {

// What the source's repository held when it was last looked into.
struct RepositoryView {
  std::int64_t read_ms = 0;  // Unix milliseconds; 0: nobody looked yet
  std::string place;         // "s3://bucket/path"; empty, without an error: there is no source
  std::string error;         // why it could not be read
  std::optional<repository::StanzaReport> stanza;
};

// The moments between which the archive leads from some backup, without a hole, up to the newest
// commit in it, or where nobody could read that to a backup. Unix seconds, the oldest first;
// empty: nothing can be recovered.
struct Window {
  std::int64_t from = 0;
  std::int64_t to = 0;
};
std::vector<Window> recoverable_windows(const RepositoryView& repository);

// Why there is nothing to tell of a stanza that was there when the cluster was made of it, in
// whatever way it is gone, or of where its WAL leads to; empty: it is there, be it without backups.
std::string why_unreadable(const repository::StanzaReport& stanza);

// When the newest backup stopped, Unix seconds.
std::optional<std::int64_t> newest_backup(const RepositoryView& repository);

nlohmann::json to_value(const RepositoryView& repository);

// The last look that succeeded.
struct View : cluster::Sight {
  std::string failure;  // of the looks since then; empty: there was none, or only one
};
nlohmann::json to_value(const View& view);

}  // namespace pgrevive::console
