#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "postgres/version.h"

namespace pgrevive::restore {

// pgBackRest's --type.
enum class RecoveryType { latest, immediate, time, name, lsn, xid, standby, none, preserve };
std::optional<RecoveryType> parse_recovery_type(const std::string& text);  // "default" is latest

struct RecoveryTarget {
  RecoveryType type = RecoveryType::latest;
  std::string target;  // for time, name, lsn, xid
  bool exclusive = false;
  std::string timeline;  // "latest", "current", a number; empty: pgBackRest's default
  std::string action;    // "pause", "promote", "shutdown"; empty: pause
  // pgBackRest's --archive-mode=off: what is restored does not archive, whatever its source did.
  bool archive_mode_off = false;

  bool operator==(const RecoveryTarget&) const = default;
};

// The files of a data directory that hold recovery settings in that version.
std::vector<std::string> recovery_files(postgres::Version version);

// Throws Error{unsupported} where archiving is to be off and a version before 12 has no place to
// say so.
void check_archive_mode(postgres::Version version, const RecoveryTarget& target);

// Writes what makes PostgreSQL recover `data_directory` to `target` when it starts: before version
// 12 recovery.conf, from 12 on the settings at the end of postgresql.auto.conf and an empty
// recovery.signal (standby.signal for standby). Recovery settings that came with the backup are
// commented out, as pgBackRest does. `preserve` touches nothing; `none` comments out only, and
// turns archiving off where that was asked for. Throws as check_archive_mode() does.
//
// The files belong to `owner` if given and we are root, else to whoever owns the data directory,
// and group and others may read them if they may read the data directory. `now` dates the notes in
// them. Each file is replaced as a whole and durably; doing it again overrides what it did before.
void write_recovery_settings(
    const std::filesystem::path& data_directory, postgres::Version version,
    const RecoveryTarget& target, const std::string& restore_command,
    const std::optional<Identity>& owner,
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

// The two texts as pure functions: the settings that make up the target, in the order in which they
// are written, and postgresql.auto.conf (`old`) with its recovery settings commented out.
std::string recovery_settings(postgres::Version version, const RecoveryTarget& target,
                              const std::string& restore_command);
std::string comment_out_recovery_settings(const std::string& old,
                                          std::chrono::system_clock::time_point now);

}  // namespace pgrevive::restore
