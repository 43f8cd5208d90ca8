#include "cluster/first_backup.h"

#include <chrono>
#include <csignal>
#include <system_error>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/archiving.h"
#include "cluster/node_record.h"
#include "cluster/notices.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kPrimary = "primary";

// The status of a stanza that pgBackRest could not look at, which it takes for no failure. The
// other codes say what it saw, such as that there are no backups.
constexpr int kOtherTrouble = 99;

}  // namespace

FirstBackup::~FirstBackup() {
  if (!child_) return;
  child_->send(SIGTERM);
  child_->wait_for(std::chrono::seconds(10));
}

void FirstBackup::tick() {
  try {
    if (state_ == State::fresh) return begin();
    if (!child_) return;
    if (const auto status = child_->wait_for(std::chrono::milliseconds(0))) {
      child_.reset();
      go_on(*status);
    }
  } catch (const Error& error) {
    child_.reset();
    fail(error.what());
  }
}

void FirstBackup::begin() {
  state_ = State::done;
  if (site_.settings.wal_archive != WalArchiveMode::own) return;
  const auto record = NodeRecord::load(site_.directory, kPrimary).value_or(NodeRecord{});
  if (record.archives_as(WalArchiveMode::own)) start(State::looking, {"--output=json", "info"});
}

void FirstBackup::start(State state, const std::vector<std::string>& words) {
  std::error_code ignored;
  std::filesystem::remove(said(), ignored);
  auto command = backrest_command(site_, words);
  command.log = said();
  child_ = ChildProcess::start(command);
  state_ = state;
}

void FirstBackup::go_on(const ExitStatus& status) {
  if (!status.ok())
    return fail("pgbackrest: " + status.text() + ": " +
                printable(trim(read_file_if_exists(said()).value_or("")), 800));
  switch (state_) {
    case State::looking:
      if (!note_newest().empty() || !site_.settings.first_backup) {
        state_ = State::done;
        return;
      }
      site_.board.log("the first full backup into the cluster's own archive begins");
      return start(State::making, {"--type=full", "backup"});
    case State::making:
      return start(State::looking_again, {"--output=json", "info"});
    case State::looking_again: {
      const auto label = note_newest();
      if (label.empty()) return fail("pgbackrest made it, and it is not there");
      site_.board.log("the first full backup into the cluster's own archive is made: " + label);
      state_ = State::done;
      return;
    }
    case State::fresh:
    case State::done:
      break;
  }
}

std::string FirstBackup::note_newest() {
  const auto label = newest_backup_in(read_file_if_exists(said()).value_or(""));
  auto record = NodeRecord::load(site_.directory, kPrimary);
  if (record && record->own_backup != label) {
    record->own_backup = label;
    record->save(site_.directory, kPrimary);
  }
  return label;
}

void FirstBackup::fail(const std::string& why) {
  state_ = State::done;
  site_.board.warn(site_.settings.first_backup ? notice("first_backup_failed", why)
                                               : notice("own_backup_unknown", why));
}

std::filesystem::path FirstBackup::said() const {
  return site_.directory.pgbackrest() / "first-backup";
}

std::string newest_backup_in(const std::string& info) {
  // Warnings come before it.
  const auto begin = info.starts_with('[') ? 0 : info.find("\n[");
  const auto stanzas =
      nlohmann::json::parse(begin == std::string::npos ? "" : info.substr(begin), nullptr, false);
  if (!stanzas.is_array())
    throw Error(ErrorKind::corrupt,
                "what pgbackrest info says cannot be read: " + printable(trim(info), 300));
  try {
    std::string newest;
    for (const auto& stanza : stanzas) {
      const auto status = stanza.value("status", nlohmann::json::object());
      if (status.value("code", 0) == kOtherTrouble)
        throw Error(ErrorKind::unavailable,
                    "pgbackrest info: " + printable(status.value("message", ""), 300));
      for (const auto& backup : stanza.value("backup", nlohmann::json::array()))
        newest = backup.at("label").get<std::string>();
    }
    return newest;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::corrupt,
                "what pgbackrest info says cannot be read: " + printable(error.what()));
  }
}

}  // namespace pgrevive::cluster
