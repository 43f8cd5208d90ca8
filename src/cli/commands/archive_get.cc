#include "wal/archive_get.h"

#include <cerrno>
#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/archive_get_words.h"
#include "cli/archives.h"
#include "cli/commands/commands.h"
#include "cli/errors.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cluster/node_files.h"
#include "cluster/state_directory.h"
#include "postgres/control_file.h"
#include "spool/report.h"

namespace pgrevive::cli {
namespace {

// The cluster's own archive, as that pgbackrest.conf tells it.
Source load_own_archive(const std::filesystem::path& config, const ArchiveGetWords& words) {
  return load_source(
      {.env_file = {}, .cluster = {}, .config = config, .stanza = words.global.stanza}, {},
      "archive-get");
}

// Into a repository goes nothing but what pgBackRest writes.
std::optional<wal::TablespaceGuard::Making> making(const ArchiveGetWords& words,
                                                   const Source& source) {
  if (words.keep_out.empty()) return {};
  wal::TablespaceGuard::Making making{
      .keep_out = {words.keep_out},
      .tell = [](const std::string& text) { err("warning: {}\n", text); }};
  const auto keep_out = [&](const Source& of) {
    for (const auto& [number, options] : of.repositories)
      if (!options.path.empty()) making.keep_out.push_back(options.path);
  };
  keep_out(source);
  std::error_code ignored;
  const auto own = cluster::StateDirectory(words.keep_out).pgbackrest_conf();
  if (std::filesystem::exists(own, ignored)) keep_out(load_own_archive(own, words));
  return making;
}

// All repositories in order. One that cannot be opened is only a failure if no other delivers, and
// then `absent` is not proven either.
wal::Outcome get(const ArchiveGetWords& words) {
  const std::filesystem::path data_directory =
      words.data_directory.empty() ? std::filesystem::current_path() : words.data_directory;
  const postgres::ControlFile control = cluster::load_control_file(data_directory);
  std::error_code ignored;
  if (control.checkpoint == postgres::kSpoiledCheckpoint &&
      !std::filesystem::exists(data_directory / "backup_label", ignored)) {
    throw Error(ErrorKind::corrupt, fmt::format("{} has no backup_label", data_directory.string()))
        .with_hint(
            "somebody removed it, and without it recovery would begin at the wrong place; "
            "restore the data directory again");
  }

  std::optional<wal::Fork> fork;
  if (!words.fork.empty()) fork = wal::Fork::load(words.fork);
  const bool own = fork && !words.own_config.empty() && fork->is_own(words.name);
  const Source source = own ? load_own_archive(words.own_config, words)
                            : load_source(words.global, words.repository, "archive-get");
  const OpenArchives open = open_archives(source, control);
  wal::Request request{.name = words.name,
                       .destination = words.destination.is_absolute()
                                          ? words.destination
                                          : data_directory / words.destination,
                       .fork = std::move(fork),
                       .own = own,
                       .system_id = control.system_id,
                       .version = control.version};
  if (!words.line.empty()) request.line = wal::FollowedLine::parse(words.line);
  std::optional<wal::TablespaceGuard> guard;
  if (!words.tablespaces.empty()) {
    guard.emplace(data_directory,
                  fmt::format("PG_{}_{}", control.version.text(), control.catalog_version),
                  std::filesystem::exists(data_directory / "backup_label", ignored)
                      ? postgres::Lsn()  // it says where replay begins, and pg_control does not
                      : control.redo,
                  words.tablespaces, making(words, source));
    request.guard = &*guard;
  }
  const wal::Outcome outcome = wal::archive_get(open.all(), control.wal_segment_size, request);
  if (outcome == wal::Outcome::absent && open.trouble) throw *open.trouble;
  return outcome;
}

// Tells whoever watches over this server what came of the request; they see the old report or the
// new one. That it cannot be written is no reason to fail a recovery.
void write_report(const ArchiveGetWords& words, std::string_view outcome,
                  const std::string& error) {
  if (words.report.empty()) return;
  if (!spool::write_report(words.report.string(), words.name, outcome, error)) {
    err("warning: {}\n", system_error(errno, "cannot write " + words.report.string()).what());
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
  command
      ->add_option("--own-config", words->own_config,
                   "Take WAL of the fork's own timeline from the archive that this\n"
                   "pgbackrest.conf names, instead of none")
      ->type_name("FILE");
  command
      ->add_option("--line", words->line,
                   "The timeline that the server follows, and behind a colon the segments in\n"
                   "which that line left each older one, as restore writes it: what older\n"
                   "timelines went on to write is not handed out")
      ->type_name("LINE");
  command->add_option("--report", words->report, "Write what came of it into this file, as JSON")
      ->type_name("FILE");
  command
      ->add_option("--guard-tablespaces", words->tablespaces,
                   "Refuse WAL that would make a tablespace where another cluster has one;\n"
                   "FILE remembers what was let through")
      ->type_name("FILE");
  command
      ->add_option("--make-tablespaces-outside", words->keep_out,
                   "With --guard-tablespaces: make the directories of tablespaces that the host\n"
                   "lacks; none in DIR, in a repository or in a database cluster")
      ->type_name("DIR");
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
