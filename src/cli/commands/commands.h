#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/restore_words.h"
#include "cli/source.h"
#include "cluster/doctor.h"
#include "cluster/request.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// One source file for each command. A command adds itself to the parser, and where its word was
// given, `work` is what it does; it prints its results, throws Error, and returns the exit code.
namespace pgrevive::cli {

struct Parser {
  CLI::App& app;
  GlobalOptions& global;
  std::function<int()>& work;
  bool& json;                        // its output is JSON, so an error has to be as well
  std::vector<std::string>& theirs;  // words for the program that psql and exec become
};

void add_start(Parser& parser);
void add_stop(Parser& parser);
void add_restart(Parser& parser);
void add_switchover(Parser& parser);
void add_rebuild(Parser& parser);
void add_status(Parser& parser);
void add_logs(Parser& parser);
void add_test(Parser& parser);
void add_cleanup(Parser& parser);
void add_exec(Parser& parser);
void add_psql(Parser& parser);
void add_console(Parser& parser);
void add_serve_console(Parser& parser);
void add_doctor(Parser& parser);
void add_demo(Parser& parser);
void add_info(Parser& parser);
void add_restore(Parser& parser);
void add_archive_get(Parser& parser);
void add_prefetch(Parser& parser);
void add_supervise(Parser& parser);
void add_container(Parser& parser);
void add_version(Parser& parser);

// Has the supervisor do something with a node, waits, and prints what came of it.
int ask_supervisor(const GlobalOptions& global, cluster::Act act, const std::string& node,
                   bool json);
int ask_supervisor(const cluster::StateDirectory& directory, cluster::Act act,
                   const std::string& node, bool json);

// Shows what comes on a descriptor as `logs` does: each line is one of a log's, "primary\ttext",
// and `names` are all logs, "primary,replica". To its end, and then the last lines of all; to be
// followed, as it comes. With `volumes` the files of nodes of those names are shown in between, and
// how far they were read goes to stderr.
int show_streamed_logs(int descriptor, const std::string& names, bool follow, std::size_t lines,
                       const cluster::StateDirectory* volumes = nullptr);
// What is written to such files, from those places on, until somebody interrupts it.
int follow_log_files(const cluster::StateDirectory& volumes, const std::string& names,
                     const std::string& places);

// From here on this process is that program. Throws Error where it cannot be run.
[[noreturn]] void become_program(std::vector<std::string> words);

// What `status` and `test` print of a cluster, and their exit code.
int show_status(const cluster::StateDirectory& directory, bool json);
int show_checks(const cluster::StateDirectory& directory, bool json,
                const std::string& published = {});
int watch_status(const cluster::StateDirectory& directory);
// Prints what the console at that address (http://HOST:PORT/) answers to a GET of `path`. Returns 0
// where that is 200.
int get_from_console(const std::string& url, const std::string& path);
// The same of `start --preview` and `doctor`.
int show_preview(const cluster::Settings& settings, const cluster::StateDirectory& directory,
                 bool json);
int show_findings(const std::vector<cluster::Finding>& findings, bool json);

// Adds --repo-type, --repo-path, --cipher-pass-file and --repo.
void add_repository_words(CLI::App& command, RepositoryWords& words);

// Adds --set, --type, --target, --target-exclusive and --target-timeline. `types` are those that
// the command takes, for its help.
void add_target_words(CLI::App& command, TargetWords& words, const std::string& types);

// Puts the words of `start` about backup and target into `settings`. They count before what .env
// says, all together: half a target of each would be neither. Throws Error{usage} where the cluster
// is there already, and not made `anew`. `tell` prints which moment a time in words stands for.
void apply_target(const TargetWords& words, bool anew, const cluster::StateDirectory& directory,
                  cluster::Settings& settings, bool tell);

// What came of a request, for people.
std::string report_text(const cluster::RequestReport& report);

// archive-get without the parser, which PostgreSQL calls for every segment: `words` are all but the
// command's own. Prints what went wrong; the exit code is for PostgreSQL.
int archive_get(const std::vector<std::string>& words) noexcept;

}  // namespace pgrevive::cli
