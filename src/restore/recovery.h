#pragma once

#include <filesystem>
#include <optional>
#include <string>

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
};

// Writes what makes PostgreSQL recover `data_directory` to `target` when it starts: before version
// 12 recovery.conf, from 12 on the settings at the end of postgresql.auto.conf and an empty
// recovery.signal (standby.signal for standby). Recovery settings that came with the backup are
// commented out, as pgBackRest does. `preserve` touches nothing; `none` comments out only.
void write_recovery_settings(const std::filesystem::path& data_directory, postgres::Version version,
                             const RecoveryTarget& target, const std::string& restore_command,
                             const std::optional<Identity>& owner);

}  // namespace pgrevive::restore
