#include "restore/recovery.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "postgres/conf_file.h"

namespace pgrevive::restore {

namespace {

constexpr std::array<std::pair<std::string_view, RecoveryType>, 9> kTypes{{
    {"default", RecoveryType::latest},
    {"immediate", RecoveryType::immediate},
    {"time", RecoveryType::time},
    {"name", RecoveryType::name},
    {"lsn", RecoveryType::lsn},
    {"xid", RecoveryType::xid},
    {"standby", RecoveryType::standby},
    {"none", RecoveryType::none},
    {"preserve", RecoveryType::preserve},
}};

// All that name a target. Others (restore_command, primary_conninfo) stay as they came, as they do
// with pgBackRest; the settings that follow override them.
constexpr std::array<std::string_view, 8> kTargetSettings{
    "recovery_target",          "recovery_target_action", "recovery_target_inclusive",
    "recovery_target_lsn",      "recovery_target_name",   "recovery_target_time",
    "recovery_target_timeline", "recovery_target_xid",
};

bool names_a_target(std::string_view line) {
  const auto text = trim(line);
  const auto end =
      std::ranges::find_if(text, [](unsigned char c) { return std::isalnum(c) == 0 && c != '_'; });
  const auto name = lower({text.begin(), end});  // names of settings are not case sensitive
  return std::ranges::find(kTargetSettings, name) != kTargetSettings.end();
}

bool has_target(RecoveryType type) {
  switch (type) {
    case RecoveryType::immediate:
    case RecoveryType::time:
    case RecoveryType::name:
    case RecoveryType::lsn:
    case RecoveryType::xid:
      return true;
    default:
      return false;
  }
}

// Files beside the data directory's own: its owner, and its mode without what only directories
// need.
class Writer {
 public:
  Writer(const std::filesystem::path& data_directory, const std::optional<Identity>& owner)
      : directory_(data_directory) {
    struct stat entry {};
    if (::stat(directory_.c_str(), &entry) != 0) {
      throw system_error(errno, fmt::format("cannot look at {}", directory_.string()));
    }
    mode_ = entry.st_mode & 0644u & ~0111u;
    user_ = owner ? owner->uid : entry.st_uid;
    group_ = owner ? owner->gid : entry.st_gid;
  }

  void write(const char* name, const std::string& text) const {
    const auto path = directory_ / name;
    write_file_atomic(path, text, mode_);
    if (::geteuid() != 0) return;
    if (::lchown(path.c_str(), user_, group_) != 0) {
      throw system_error(errno, fmt::format("cannot change the owner of {}", path.string()));
    }
    fsync_path(path);
  }

  void remove(const char* name) const {
    const auto path = directory_ / name;
    if (::unlink(path.c_str()) == 0) {
      fsync_path(directory_);
    } else if (errno != ENOENT) {
      throw system_error(errno, fmt::format("cannot remove {}", path.string()));
    }
  }

 private:
  std::filesystem::path directory_;
  mode_t mode_;
  uid_t user_;
  gid_t group_;
};

}  // namespace

std::optional<RecoveryType> parse_recovery_type(const std::string& text) {
  for (const auto& [name, type] : kTypes) {
    if (text == name) return type;
  }
  return std::nullopt;
}

void check_archive_mode(postgres::Version version, const RecoveryTarget& target) {
  if (!target.archive_mode_off || version.at_least(12)) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("--archive-mode off is not possible with PostgreSQL {}, only from 12 on",
                          version.text()))
      .with_hint("leave it out, and set archive_mode in postgresql.conf before the first start");
}

std::string recovery_settings(postgres::Version version, const RecoveryTarget& target,
                              const std::string& restore_command) {
  if (target.type == RecoveryType::preserve) return {};
  std::vector<postgres::Setting> settings;
  if (target.archive_mode_off) settings.push_back({"archive_mode", "off"});
  if (target.type == RecoveryType::none) return postgres::format_conf(settings);
  if (!restore_command.empty()) settings.push_back({"restore_command", restore_command});
  if (target.type == RecoveryType::standby && !version.at_least(12)) {
    settings.push_back({"standby_mode", "on"});
  }
  switch (target.type) {
    case RecoveryType::immediate:
      settings.push_back({"recovery_target", "immediate"});
      break;
    case RecoveryType::time:
      settings.push_back({"recovery_target_time", target.target});
      break;
    case RecoveryType::name:
      settings.push_back({"recovery_target_name", target.target});
      break;
    case RecoveryType::lsn:
      settings.push_back({"recovery_target_lsn", target.target});
      break;
    case RecoveryType::xid:
      settings.push_back({"recovery_target_xid", target.target});
      break;
    default:
      break;
  }
  if (has_target(target.type)) {
    if (target.exclusive) settings.push_back({"recovery_target_inclusive", "false"});
    if (!target.action.empty() && target.action != "pause") {
      settings.push_back({"recovery_target_action", target.action});
    }
  }
  // From 12 on PostgreSQL follows the newest timeline by default, which may have left the backup's
  // own before the point at which it became consistent.
  const bool stay = target.type == RecoveryType::immediate && version.at_least(12);
  if (!target.timeline.empty()) {
    // Before 12 there is no such word, and it counts as "latest": every text that begins with no
    // digit is read as 0. To stay is what is done where nothing is said.
    if (target.timeline != "current" || version.at_least(12))
      settings.push_back({"recovery_target_timeline", target.timeline});
  } else if (stay) {
    settings.push_back({"recovery_target_timeline", "current"});
  }
  return postgres::format_conf(settings);
}

std::string comment_out_recovery_settings(const std::string& old,
                                          std::chrono::system_clock::time_point now) {
  std::string text;
  for (std::size_t begin = 0; begin < old.size();) {
    const auto end = std::min(old.find('\n', begin), old.size());
    const auto line = std::string_view(old).substr(begin, end - begin);
    if (names_a_target(line)) {
      text += fmt::format("# Removed by pgrevive restore on {} # ", format_time(now));
    }
    text += line;
    text += '\n';
    begin = end + 1;
  }
  return text;
}

std::vector<std::string> recovery_files(postgres::Version version) {
  if (!version.at_least(12)) return {"recovery.conf"};
  return {"postgresql.auto.conf", "recovery.signal", "standby.signal"};
}

void write_recovery_settings(const std::filesystem::path& data_directory, postgres::Version version,
                             const RecoveryTarget& target, const std::string& restore_command,
                             const std::optional<Identity>& owner,
                             std::chrono::system_clock::time_point now) {
  check_archive_mode(version, target);
  if (target.type == RecoveryType::preserve) return;
  const Writer writer(data_directory, owner);
  auto settings = recovery_settings(version, target, restore_command);
  if (!settings.empty()) {
    settings = fmt::format("# Recovery settings written by pgrevive restore on {}\n{}",
                           format_time(now), settings);
  }

  if (!version.at_least(12)) {
    if (settings.empty()) {
      writer.remove("recovery.conf");
    } else {
      writer.write("recovery.conf", settings);
    }
    return;
  }

  const auto old = read_file_if_exists(data_directory / "postgresql.auto.conf").value_or("");
  auto text = comment_out_recovery_settings(old, now);
  if (!settings.empty()) text += (text.empty() ? "" : "\n") + settings;
  if (text != old) writer.write("postgresql.auto.conf", text);

  // The signal file comes last: it is what makes the settings count.
  const bool standby = target.type == RecoveryType::standby;
  writer.remove(standby ? "recovery.signal" : "standby.signal");
  if (target.type == RecoveryType::none) {
    writer.remove("recovery.signal");
  } else {
    writer.write(standby ? "standby.signal" : "recovery.signal", "");
  }
}

}  // namespace pgrevive::restore
