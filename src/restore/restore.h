#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "repository/repository.h"
#include "restore/observer.h"
#include "restore/options.h"

namespace pgrevive::restore {

struct Summary {
  repository::BackupLabel label = repository::BackupLabel::parse("19700101-000000F");
  Progress progress;
  std::chrono::milliseconds time{0};
  std::vector<Notice> warnings;
  std::vector<Database> left_out;  // databases, by OID
};

// Makes every node's data directory equal to the backup, from one pass over the repository, and
// durable. What is not made here: recovery settings and signal files (see recovery.h).
//
// While it runs, each data directory holds the file `pgrevive.restore` (which backup, which nodes)
// and no global/pg_control, so that a directory that is not whole never starts; running the same
// restore again continues it. At the end pg_control is published, with its checkpoint spoiled for
// online backups, after all else is durable.
//
// Databases that are left out become sparse files of zeros; see databases.h. They are no part of
// the bytes that are counted.
//
// Throws before the first byte is written where something can be known to be wrong: a database that
// is not there, a directory that is not empty or not ours, a running server, links into the data
// directory, too little space.
// A stop request ends it with Error{cancelled}; what was done stays for the next run.
Summary restore(const repository::Repository& repository, const repository::Manifest& manifest,
                const Options& options, Observer& observer, std::stop_token stop = {});

// The state that `pgrevive.restore` records about a directory.
enum class DirectoryState { absent, empty, interrupted, complete, foreign };
// complete: has PG_VERSION and global/pg_control. foreign: anything else that is not empty.
DirectoryState inspect_directory(const std::filesystem::path& data_directory);
// The label an interrupted restore was making; empty if there is none.
std::optional<std::string> interrupted_label(const std::filesystem::path& data_directory);

}  // namespace pgrevive::restore
