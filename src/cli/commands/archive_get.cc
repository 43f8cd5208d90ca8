#include "wal/archive_get.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/archive_get_words.h"
#include "cli/commands/commands.h"
#include "cli/errors.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "postgres/control_file.h"
#include "repository/open.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

// Which cluster this data directory is. The server may be writing pg_control while we read it, so a
// wrong checksum is looked at again before it is believed.
postgres::ControlFile load_control_file(const std::filesystem::path& data_directory) {
  const std::filesystem::path path = data_directory / "global" / "pg_control";
  for (int attempt = 1;; ++attempt) {
    const std::string bytes = read_file(path);
    try {
      return postgres::ControlFile::parse(as_bytes(bytes));
    } catch (Error& error) {
      if (error.kind() != ErrorKind::corrupt || attempt == 5) {
        error.add_frame(fmt::format("reading {}", path.string()));
        throw;
      }
    }
    std::this_thread::sleep_for(20ms);
  }
}

// All repositories in order. One that cannot be opened is only a failure if no other delivers, and
// then `absent` is not proven either.
wal::Outcome get(const ArchiveGetWords& words) {
  const std::filesystem::path data_directory =
      words.data_directory.empty() ? std::filesystem::current_path() : words.data_directory;
  const postgres::ControlFile control = load_control_file(data_directory);
  std::error_code ignored;
  if (control.checkpoint == postgres::kSpoiledCheckpoint &&
      !std::filesystem::exists(data_directory / "backup_label", ignored)) {
    throw Error(ErrorKind::corrupt, fmt::format("{} has no backup_label", data_directory.string()))
        .with_hint(
            "somebody removed it, and without it recovery would begin at the wrong place; "
            "restore the data directory again");
  }

  const Source source = load_source(words.global, words.repository, "archive-get");
  std::vector<std::unique_ptr<repository::Repository>> repositories;
  std::vector<std::unique_ptr<repository::WalArchive>> archives;
  std::vector<const repository::WalArchive*> usable;
  std::optional<Error> trouble;
  for (const IndexedRepository& entry : source.repositories) {
    try {
      repositories.push_back(
          std::make_unique<repository::Repository>(repository::open_repository(entry.options)));
      archives.push_back(std::make_unique<repository::WalArchive>(
          *repositories.back(), repositories.back()->load_archive_info(), control.system_id,
          control.version));
      usable.push_back(archives.back().get());
    } catch (Error& error) {
      error.add_frame(fmt::format("opening {}", entry.options.describe()));
      if (!trouble) trouble = error;
    }
  }
  if (usable.empty()) throw *trouble;

  wal::Request request{.name = words.name,
                       .destination = words.destination.is_absolute()
                                          ? words.destination
                                          : data_directory / words.destination,
                       .fork = std::nullopt,
                       .system_id = control.system_id,
                       .version = control.version};
  if (!words.fork.empty()) request.fork = wal::Fork::load(words.fork);
  const wal::Outcome outcome = wal::archive_get(usable, control.wal_segment_size, request);
  if (outcome == wal::Outcome::absent && trouble) throw *trouble;
  return outcome;
}

// Tells whoever watches over this server what came of the request; they see the old report or the
// new one. That it cannot be written is no reason to fail a recovery.
void write_report(const ArchiveGetWords& words, std::string_view outcome,
                  const std::string& error) {
  if (words.report.empty()) return;
  try {
    std::int64_t delivered_count = 0;
    std::string last_delivered;
    if (const auto before = read_file_if_exists(words.report)) {
      const auto json = nlohmann::json::parse(*before, nullptr, false);
      if (json.is_object()) {
        delivered_count = json.value("delivered_count", std::int64_t{0});
        last_delivered = json.value("last_delivered", std::string());
      }
    }
    if (outcome == "delivered") {
      ++delivered_count;
      last_delivered = words.name;
    }
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const nlohmann::ordered_json report{{"name", words.name},
                                        {"outcome", outcome},
                                        {"error", error},
                                        {"at_ms", now.count()},
                                        {"delivered_count", delivered_count},
                                        {"last_delivered", last_delivered}};
    write_file_atomic(words.report,
                      report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                      0644);
  } catch (const std::exception& failure) {
    err("warning: {}\n", failure.what());
  }
}

}  // namespace

int archive_get(const std::vector<std::string>& words) noexcept {
  try {
    ArchiveGetWords parsed;
    try {
      ignore_broken_pipes();
      parsed = parse_archive_get(words);
      const wal::Outcome outcome = get(parsed);
      write_report(parsed, outcome == wal::Outcome::delivered ? "delivered" : "absent", "");
      return wal::exit_status(outcome);
    } catch (const Error& error) {
      err("{}", error_text(error));
      write_report(parsed, "error", error.text());
      return wal::exit_status(error);
    }
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "error: %s\n", exception.what());
  } catch (...) {
    std::fputs("error: something unknown went wrong\n", stderr);
  }
  // Above 125 as all errors are, so that PostgreSQL stops instead of taking it for "no such file".
  return wal::exit_status(Error(ErrorKind::internal, ""));
}

void add_archive_get(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("archive-get", "Fetch one WAL file (this is a restore_command)");
  // The real parsing is parse_archive_get's; here stands what --help shows.
  auto words = std::make_shared<ArchiveGetWords>();
  command->add_option("SEGMENT", words->name, "Name of the WAL file, %f in restore_command");
  command->add_option("PATH", words->destination, "Where to write it, %p in restore_command");
  command->add_option("--fork", words->fork, "Let only WAL through that this fork file allows")
      ->type_name("FILE");
  command->add_option("--report", words->report, "Write what came of it into this file, as JSON")
      ->type_name("FILE");
  command
      ->add_option("--data-directory", words->data_directory,
                   "The server's data directory (default: working directory)")
      ->type_name("DIR");
  add_repository_words(*command, words->repository);
  command->footer(
      "Exit status: 0 the file is there; 1 it is proven absent from every repository;\n"
      "above 125 anything else, so that PostgreSQL stops rather than opens with data\n"
      "missing.\n\n"
      "Example, in postgresql.conf:\n"
      "  restore_command =\n"
      "    'pgrevive archive-get --config /etc/pgbackrest.conf --stanza main %f \"%p\"'");
}

}  // namespace pgrevive::cli
