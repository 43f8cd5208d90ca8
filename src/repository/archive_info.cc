#include "repository/archive_info.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "repository/history_order.h"
#include "repository/info_file.h"
#include "repository/json_text.h"

namespace pgrevive::repository {

namespace {

class ArchiveInfoReader : public Sink {
 public:
  ArchiveInfoReader(std::string name, ArchiveInfo& into)
      : name_(name),
        into_(into),
        text_(std::move(name),
              [this](auto section, auto key, auto value) { take(section, key, value); }) {}

  void write(ByteView bytes) override { text_.write(bytes); }

  void finish() override {
    text_.finish();
    order_history(name_, into_.history);
    if (std::ranges::find(into_.history, into_.current_id, &DatabaseHistory::id) ==
        into_.history.end()) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("{}: the current database (db-id {}) is not in its history", name_,
                              into_.current_id));
    }
  }

 private:
  void take(std::string_view section, std::string_view key, std::string_view value) {
    if (section == "db:history") {
      DatabaseHistory database;
      JsonReader id(key);
      database.id = id.small_number();
      id.end();
      JsonReader json(value);
      json.object([&](std::string_view member) {
        if (member == "db-id") {
          // The name is a slip of pgBackRest's early days: this is the system id.
          database.system_id = json.unsigned_number();
        } else if (member == "db-version") {
          database.version = postgres::Version::parse(json.string());
        } else {
          json.skip();
        }
      });
      into_.history.push_back(database);
    } else if (section == "db" && key == "db-id") {
      into_.current_id = JsonReader(value).small_number();
    } else if (section == "cipher" && key == "cipher-pass") {
      into_.wal_passphrase = Secret(std::string(JsonReader(value).string()));
    }
  }

  std::string name_;
  ArchiveInfo& into_;
  InfoFileReader text_;
};

}  // namespace

std::string ArchiveInfo::archive_id(const DatabaseHistory& database) {
  return fmt::format("{}-{}", database.version.text(), database.id);
}

std::vector<DatabaseHistory> ArchiveInfo::matching(std::uint64_t system_id,
                                                   postgres::Version version) const {
  std::vector<DatabaseHistory> found;
  std::ranges::copy_if(history, std::back_inserter(found), [&](const DatabaseHistory& database) {
    return database.system_id == system_id && database.version == version;
  });
  return found;
}

std::unique_ptr<Sink> make_archive_info_reader(std::string name, ArchiveInfo& into) {
  return std::make_unique<ArchiveInfoReader>(std::move(name), into);
}

}  // namespace pgrevive::repository
