#include "restore/restore.h"

#include <chrono>
#include <cstdio>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/progress_view.h"
#include "cli/restore_command.h"
#include "cli/restore_plan.h"
#include "cli/restore_words.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cluster/target_point.h"
#include "postgres/conf_file.h"

namespace pgrevive::cli {
namespace {

// Shows a restore the way `start` shows its own.
class Display : public restore::Observer {
 public:
  explicit Display(const Terminal& terminal)
      : view_(terminal.interactive ? ProgressView::Output::terminal : ProgressView::Output::plain,
              terminal.width) {
    status_.phase = cluster::Phase::restoring;
  }

  void warning(const Notice& notice) override {
    status_.notices.push_back(notice);
    show();
  }
  void progress(const restore::Progress& progress) override {
    status_.restore = progress;
    show();
  }
  void close() { print(view_.close()); }

 private:
  void show() { print(view_.update(status_, unix_now())); }
  static void print(const std::string& text) { write_to(stdout, text); }

  cluster::SupervisorStatus status_;
  ProgressView view_;
};

// The user a data directory belongs to, whom the files we add have to belong to as well.
std::optional<Identity> owner_of(const std::filesystem::path& directory) {
  struct stat found {};
  if (geteuid() != 0 || stat(directory.c_str(), &found) != 0) return std::nullopt;
  return Identity{.uid = found.st_uid, .gid = found.st_gid, .name = {}, .home = {}};
}

// Whether `owner` can open the file, going by modes alone.
bool readable_by(const std::filesystem::path& file, const Identity& owner) {
  const auto allowed = [&](const std::filesystem::path& path, mode_t bit) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) return false;
    if (found.st_uid == owner.uid) return (found.st_mode & (bit << 6)) != 0;
    if (found.st_gid == owner.gid) return (found.st_mode & (bit << 3)) != 0;
    return (found.st_mode & bit) != 0;
  };
  std::filesystem::path directory = file.parent_path();
  for (;; directory = directory.parent_path()) {
    if (!allowed(directory, 1)) return false;
    if (directory == directory.root_path()) break;
  }
  return allowed(file, 4);
}

// Whether a server on that directory archives what it replays, as far as its own files say.
bool archives_always(const std::filesystem::path& data_directory) {
  auto settings = postgres::load_conf(data_directory / "postgresql.conf", nullptr, data_directory);
  for (auto& [name, value] : postgres::load_conf(data_directory / "postgresql.auto.conf"))
    settings[name] = value;
  const auto mode = settings.find("archive_mode");
  return mode != settings.end() && mode->second == "always";
}

// What has become of the databases that were not wanted, and what is to be done about it.
void tell_left_out(const std::vector<restore::Database>& databases) {
  if (databases.empty()) return;
  std::vector<std::string> names;
  for (const restore::Database& database : databases) names.push_back(printable(database.text()));
  out("left out, as sparse files of zeros: {}\n", fmt::join(names, ", "));
  out("  they are in the catalog, but nobody can connect to them; after recovery remove each with "
      "DROP DATABASE\n");
}

int run_restore(const GlobalOptions& global, const RestoreWords& given) {
  // Before anything is read: what is wrong with the words themselves.
  restore_target(given);
  restore_options(given);
  const Source source = load_source(global, given.repository, "restore");
  const RestoreWords words = with_configured(given, source.restore);
  restore::RecoveryTarget target = restore_target(words);
  restore::Options options = restore_options(words);
  tell_target(words, target);
  if (options.jobs == 0 && source.process_max) options.jobs = *source.process_max;
  for (const std::string& warning : source.warnings) err("warning: {}\n", warning);

  const StopOnSignal stop;
  const Terminal terminal = stdout_terminal();
  const restore::RecoveryType wanted = target.type;
  const RestorePlan plan = plan_restore(source, words.set, std::move(target), stop.token());
  const BackupChoice& choice = plan.choice;
  const repository::Manifest& manifest = plan.manifest;
  resolve_tablespaces(options, manifest.targets);
  restore::left_out_databases(manifest, options.databases);  // refuses what is not there
  restore::check_archive_mode(manifest.version, plan.target);

  if (choice.lookup.point) out("target: {}\n", describe(*choice.lookup.point, plan.target));
  out("restoring backup {} of stanza {} into {} {}\n", choice.label.text(),
      choice.repository->stanza(), options.nodes.size(),
      options.nodes.size() == 1 ? "node" : "nodes");
  if (plan.target.type != wanted)
    out("nothing was archived behind this backup, which was made offline: it is restored as it "
        "is\n");
  auto archive_get = source.words;
  if (plan.line) archive_get.insert(archive_get.end(), {"--line", plan.line->text()});
  const std::string command = restore_command(archive_get_call(), archive_get);
  options.preserve_recovery_settings = plan.target.type == restore::RecoveryType::preserve;
  // While nothing can start on the directory: it is never whole without its recovery settings.
  options.before_publish = [&](const restore::NodeTarget& node) {
    restore::write_recovery_settings(node.data_directory, manifest.version, plan.target, command,
                                     owner_of(node.data_directory));
  };
  Display display(terminal);
  restore::Summary summary;
  try {
    summary = restore::restore(*choice.repository, manifest, options, display, stop.token());
  } catch (...) {
    display.close();
    throw;
  }
  display.close();

  if (plan.target.type != restore::RecoveryType::none &&
      plan.target.type != restore::RecoveryType::preserve) {
    for (const std::string& warning : source.recovery_warnings) {
      err("warning: {}\n", warning);
    }
  }
  for (const restore::NodeTarget& node : options.nodes) {
    const auto owner = owner_of(node.data_directory);
    if (plan.target.type == restore::RecoveryType::none ||
        plan.target.type == restore::RecoveryType::preserve) {
      continue;
    }
    // archive-get leaves out of such a segment what the line does not have.
    if (plan.line && archives_always(node.data_directory)) {
      err("warning: {} archives what it replays (archive_mode = always), and along a timeline that "
          "was named this can be a segment whose end is left out; restore with --archive-mode off, "
          "or set archive_mode to on before the server starts\n",
          node.data_directory.string());
    }
    if (owner && owner->uid != 0) {
      std::vector<std::filesystem::path> needed = source.files;
      needed.push_back(own_program());
      if (const std::filesystem::path client = archive_get_call().front(); client != needed.back())
        needed.push_back(client);
      for (const std::filesystem::path& file : needed) {
        if (!readable_by(file, *owner)) {
          err("warning: the owner of {} cannot read {}, which its restore_command needs; "
              "recovery will stop until it can\n",
              node.data_directory.string(), file.string());
        }
      }
    }
  }

  for (const restore::NodeTarget& node : options.nodes) {
    out("  {:<10} {}\n", node.name, node.data_directory.string());
  }
  const restore::Progress& done = summary.progress;
  out("restored {} in {} files in {}", format_bytes(done.bytes_total), done.files_total,
      format_duration(summary.time));
  if (done.bytes_kept > 0) out(", {} of it was there already", format_bytes(done.bytes_kept));
  out(", fetched {} in {} requests\n", format_bytes(done.fetched), done.requests);
  tell_left_out(summary.left_out);
  return 0;
}

}  // namespace

void add_repository_words(CLI::App& command, RepositoryWords& words) {
  command.add_option("--repo-path", words.repo_path, "Read the repository in this local directory")
      ->type_name("DIR");
  command.add_option("--repo-type", words.repo_type, "posix, with --repo-path")->type_name("TYPE");
  command
      .add_option("--cipher-pass-file", words.cipher_pass_file,
                  "File with the passphrase, with --repo-path (or PGREVIVE_CIPHER_PASS)")
      ->type_name("FILE");
  command.add_option("--repo", words.repo, "Use only this repository of several")
      ->type_name("N")
      ->check(CLI::Range(1, 256).description(""));
}

void add_target_words(CLI::App& command, TargetWords& words, const std::string& types) {
  command.add_option("--set", words.set, "Backup to restore (default: the newest that fits)")
      ->type_name("LABEL");
  command.add_option("--type", words.type, "Recover to: " + types)->type_name("TYPE");
  command.add_option("--target", words.target, "Where recovery ends, for time, name, lsn, xid")
      ->type_name("TARGET");
  command.add_flag("--target-exclusive", words.target_exclusive, "Stop just before the target");
  command
      .add_option("--target-timeline", words.target_timeline,
                  "Timeline to follow: latest, current or a number")
      ->type_name("TLI");
}

void add_restore(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "restore", "Make data directories out of a backup, several in one pass");
  auto words = std::make_shared<RestoreWords>();
  command->add_option("--node", words->nodes, "A data directory to make (repeat for more)")
      ->type_name("NAME=DIR")
      ->take_all()
      ->allow_extra_args(false);
  add_target_words(*command, *words,
                   "default (end of the archive), immediate, time, name, lsn, xid, standby, none, "
                   "preserve");
  command
      ->add_option("--target-action", words->target_action,
                   "At the target: pause (default), promote, shutdown")
      ->type_name("ACTION");
  command
      ->add_option("--tablespace-map", words->tablespace_map,
                   "Where a tablespace goes, by OID or name (repeat for more)")
      ->type_name("[NODE:]ID=DIR")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--tablespace-map-all", words->tablespace_map_all,
                   "Put all tablespaces below DIR/NODE")
      ->type_name("DIR");
  command
      ->add_option("--db-include", words->db_include,
                   "Restore this database and the system's own only, by name or OID (repeat for "
                   "more)")
      ->type_name("DB")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--db-exclude", words->db_exclude,
                   "Restore all databases but this one (repeat for more)")
      ->type_name("DB")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--archive-mode", words->archive_mode,
                   "off: what is restored does not archive; preserve (default): as its source")
      ->type_name("MODE");
  command->add_flag("--delta", words->delta,
                    "Keep files that are right already, remove what the backup does not hold");
  command->add_option("--jobs", words->jobs, "Decoding threads (default: processors)")
      ->type_name("N")
      ->check(CLI::Range(1u, 999u).description(""));
  command
      ->add_option("--requests", words->requests,
                   "Requests in flight (default: 32, of a directory 4)")
      ->type_name("N")
      ->check(CLI::Range(1u, 1024u).description(""));
  command
      ->add_option("--memory", words->memory,
                   "Ceiling for the manifest and data in flight (default 256MiB)")
      ->type_name("SIZE");
  add_repository_words(*command, words->repository);
  command->footer(
      "An interrupted restore is continued by running the same command again.\n"
      "Databases that are left out become sparse files of zeros: WAL replay goes on, nobody can "
      "connect\nto them, and DROP DATABASE removes them after recovery.\n\n"
      "Examples:\n"
      "  pgrevive restore --node primary=/srv/pg/primary --node replica=/srv/pg/replica\n"
      "  pgrevive restore --config /etc/pgbackrest.conf --node db=/srv/pg \\\n"
      "      --type time --target \"2026-11-22 14:05:00+00\" --target-action promote\n"
      "  pgrevive restore --repo-path /backups --node a=/srv/a --node b=/srv/b \\\n"
      "      --tablespace-map-all /srv/tablespaces --set 20261122-020000F\n"
      "  pgrevive restore --node trial=/srv/trial --db-include shop --archive-mode off\n"
      "  pgrevive restore --node a=/srv/a --node b=/srv/b \\\n"
      "      --tablespace-map a:fast=/ssd/a --tablespace-map b:fast=/disk/b");
  command->callback([&parser, words] {
    parser.work = [&parser, words] { return run_restore(parser.global, *words); };
  });
}

}  // namespace pgrevive::cli
