#include "repository/backup_info.h"

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "postgres/wal_name.h"
#include "repository/history_order.h"
#include "repository/info_file.h"
#include "repository/json_text.h"

namespace pgrevive::repository {

namespace {

std::optional<std::string> optional_text(JsonReader& json) {
  if (json.take_null()) return {};
  return std::string(json.string());
}

std::optional<std::string> optional_segment(JsonReader& json) {
  auto name = optional_text(json);
  if (name && postgres::wal_file_kind(*name) != postgres::WalFileKind::segment) {
    throw Error(ErrorKind::corrupt,
                fmt::format("'{}' is not the name of a WAL segment", printable(*name)));
  }
  return name;
}

Backup parse_backup(std::string_view label, std::string_view value) {
  Backup backup{.label = BackupLabel::parse(label)};
  std::optional<std::uint64_t> repository_size;
  JsonReader json(value);
  json.object([&](std::string_view key) {
    if (key == "backrest-format") {
      backup.backrest_format = json.small_number();
    } else if (key == "backrest-version") {
      backup.backrest_version = json.string();
    } else if (key == "backup-annotation") {
      if (json.take_null()) return;
      json.object([&](std::string_view name) {
        std::string kept(name);
        backup.annotations.insert_or_assign(std::move(kept), std::string(json.string()));
      });
    } else if (key == "backup-archive-start") {
      backup.archive_start = optional_segment(json);
    } else if (key == "backup-archive-stop") {
      backup.archive_stop = optional_segment(json);
    } else if (key == "backup-error") {
      if (!json.take_null()) backup.error = json.boolean();
    } else if (key == "backup-info-repo-size") {
      repository_size = json.size_number();
    } else if (key == "backup-info-repo-size-delta") {
      backup.repository_size_delta = json.size_number();
    } else if (key == "backup-info-repo-size-map") {
      if (!json.take_null()) backup.repository_size_map = json.size_number();
    } else if (key == "backup-info-repo-size-map-delta") {
      if (!json.take_null()) backup.repository_size_map_delta = json.size_number();
    } else if (key == "backup-info-size") {
      backup.size = json.size_number();
    } else if (key == "backup-info-size-delta") {
      backup.size_delta = json.size_number();
    } else if (key == "backup-lsn-start") {
      if (const auto lsn = optional_text(json)) backup.lsn_start = postgres::Lsn::parse(*lsn);
    } else if (key == "backup-lsn-stop") {
      if (const auto lsn = optional_text(json)) backup.lsn_stop = postgres::Lsn::parse(*lsn);
    } else if (key == "backup-prior") {
      if (const auto prior = optional_text(json)) backup.prior = BackupLabel::parse(*prior);
    } else if (key == "backup-reference") {
      if (json.take_null()) return;
      json.array([&] { backup.references.push_back(BackupLabel::parse(json.string())); });
    } else if (key == "backup-timestamp-start") {
      backup.timestamp_start = json.unix_time();
    } else if (key == "backup-timestamp-stop") {
      backup.timestamp_stop = json.unix_time();
    } else if (key == "db-id") {
      backup.database_id = json.small_number();
    } else if (key == "option-online") {
      backup.online = json.boolean();
    } else {
      json.skip();
    }
  });
  json.end();
  // With block incremental the recorded number leaves out what lies in other backups' super blocks,
  // so it is not the size of anything; pgBackRest does not show it either.
  if (!backup.repository_size_map) backup.repository_size = repository_size;
  return backup;
}

DatabaseHistory parse_history(std::string_view id, std::string_view value) {
  DatabaseHistory database;
  JsonReader id_json(id);
  database.id = id_json.small_number();
  id_json.end();
  JsonReader json(value);
  json.object([&](std::string_view key) {
    if (key == "db-system-id") {
      database.system_id = json.unsigned_number();
    } else if (key == "db-version") {
      database.version = postgres::Version::parse(json.string());
    } else if (key == "db-catalog-version") {
      database.catalog_version = json.small_number();
    } else if (key == "db-control-version") {
      database.control_version = json.small_number();
    } else {
      json.skip();
    }
  });
  json.end();
  return database;
}

class BackupInfoReader : public Sink {
 public:
  BackupInfoReader(std::string name, BackupInfo& into)
      : name_(name),
        into_(into),
        text_(std::move(name),
              [this](auto section, auto key, auto value) { take(section, key, value); }) {}

  void write(ByteView bytes) override { text_.write(bytes); }

  void finish() override {
    text_.finish();
    order_history(name_, into_.history);
    if (into_.database(into_.current_id) == nullptr) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{}: the current database (db-id {}) is not in its history", name_,
                              into_.current_id));
    }
    std::ranges::sort(into_.backups, [](const Backup& a, const Backup& b) {
      return std::tie(a.timestamp_stop, a.label) < std::tie(b.timestamp_stop, b.label);
    });
    std::set<BackupLabel> labels;
    for (const auto& backup : into_.backups) {
      if (!labels.insert(backup.label).second) {
        throw Error(ErrorKind::corrupt,
                    fmt::format("{}: backup {} is listed twice", name_, backup.label.text()));
      }
      if (into_.database(backup.database_id) == nullptr) {
        throw Error(
            ErrorKind::corrupt,
            fmt::format("{}: backup {} is of a database (db-id {}) that is not in the history",
                        name_, backup.label.text(), backup.database_id));
      }
    }
  }

 private:
  void take(std::string_view section, std::string_view key, std::string_view value) {
    if (section == "backup:current") {
      into_.backups.push_back(parse_backup(key, value));
    } else if (section == "db:history") {
      into_.history.push_back(parse_history(key, value));
    } else if (section == "db" && key == "db-id") {
      into_.current_id = JsonReader(value).small_number();
    } else if (section == "cipher" && key == "cipher-pass") {
      into_.manifest_passphrase = Secret(std::string(JsonReader(value).string()));
    }
  }

  std::string name_;
  BackupInfo& into_;
  InfoFileReader text_;
};

}  // namespace

const Backup* BackupInfo::find(const BackupLabel& label) const {
  const auto found = std::ranges::find(backups, label, &Backup::label);
  return found == backups.end() ? nullptr : &*found;
}

const DatabaseHistory* BackupInfo::database(std::uint32_t id) const {
  const auto found = std::ranges::find(history, id, &DatabaseHistory::id);
  return found == history.end() ? nullptr : &*found;
}

std::unique_ptr<Sink> make_backup_info_reader(std::string name, BackupInfo& into) {
  return std::make_unique<BackupInfoReader>(std::move(name), into);
}

}  // namespace pgrevive::repository
