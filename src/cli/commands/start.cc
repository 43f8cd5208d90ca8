#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/point_watch.h"
#include "cli/print.h"
#include "cli/restore_command.h"
#include "cluster/anew.h"
#include "cluster/leftovers.h"
#include "cluster/lost_primary.h"
#include "cluster/node_record.h"
#include "cluster/preflight.h"
#include "cluster/preview.h"
#include "cluster/recovery_end.h"

namespace pgrevive::cli {
namespace {

struct StartWords : TargetWords, Following {
  bool preview = false;
  bool anew = false;
  bool yes = false;
  bool targeted = false;  // something was said about the backup or the target
};

void confirm_anew(const std::string& name, std::FILE* told) {
  write_to(told, fmt::format("This throws the data of cluster {} away and makes it anew of the "
                             "source's backups, which\n"
                             "cannot be undone. Type the cluster's name to go on: ",
                             name));
  std::string answer;
  if (!std::getline(std::cin, answer)) write_to(told, "\n");
  if (trim(answer) != name) {
    throw Error(ErrorKind::cancelled, "nothing was changed")
        .with_hint("type the name of the cluster, or use --yes where nobody can be asked");
  }
}

void note_failed(const cluster::Settings& settings, const cluster::StateDirectory& directory,
                 const Error& why) {
  try {
    cluster::note_failed_start(settings, directory, why);
    cluster::bring_console_back(settings, directory, own_program());
  } catch (const Error& error) {
    err("warning: {}\n", error.text());
  }
}

// Nothing is thrown away before it is known that the new cluster can be made. A start that fails
// after that has nobody to tell where the console asked for it, which is gone.
int make_anew(cluster::Settings settings, const cluster::StateDirectory& directory,
              const StartWords& words) {
  std::FILE* told = words.json ? stderr : stdout;
  std::optional<cluster::ChangeLock> held;
  if (words.yes) held = cluster::lock_anew(settings, directory);
  auto anew = cluster::check_anew(settings, directory, watch_search());
  write_to(told, fmt::format("target: {}{}\n", cluster::describe(settings.target),
                             settings.backup_set ? "; from backup " + *settings.backup_set : ""));
  if (!words.yes) {
    confirm_anew(settings.cluster_name, told);
    // Others were not kept waiting for the answer, and what was true before it need not be now.
    held = cluster::lock_anew(settings, directory);
    anew = cluster::check_anew(settings, directory, watch_search(), cluster::Search::known);
  }
  bool cleared = false;
  try {
    for (const auto& path : cluster::clear_for_anew(settings, directory, anew.marker, *held).kept)
      write_to(told, fmt::format("kept    {}\n", path));
    cleared = true;
    return launch_anew_and_follow(settings, directory, words, anew, *std::move(held));
  } catch (const std::exception& failure) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    // What a supervisor has said of it itself stays; that of the old one is not about this.
    const bool noted = cleared && cluster::read_status(directory);
    if (!noted && !cluster::supervisor_running(directory))
      note_failed(settings, directory,
                  error != nullptr ? *error : Error(ErrorKind::system, failure.what()));
    throw;
  }
}

void warn_of_other_repositories(const GlobalOptions& global, const cluster::Settings& settings,
                                const cluster::StateDirectory& directory, bool anew) {
  for (const auto& finding : examine_other_repositories(global, settings, directory, anew)) {
    if (finding.result != cluster::Finding::Result::warning) continue;
    err("warning: {}\n", finding.detail);
    if (!finding.remedy.empty()) err("hint: {}\n", finding.remedy);
  }
}

int run_start(const GlobalOptions& global, const StartWords& words) {
  std::vector<std::string> warnings;
  cluster::Settings settings = chosen_settings(global, warnings);
  const cluster::StateDirectory directory = chosen_state_directory(global);
  if (words.targeted) {
    apply_target(words, words.anew, directory, settings, !words.json);
  } else if (!words.anew) {
    keep_target(directory, settings, !words.json);
  }
  for (const std::string& warning : warnings) err("warning: {}\n", warning);
  warn_of_other_repositories(global, settings, directory, words.anew);
  if (words.anew) return make_anew(settings, existing_state_directory(global), words);
  return launch_and_follow(settings, directory, words);
}

// Fails as start would where the target is out of reach, but says all that it knows before.
int run_preview(const GlobalOptions& global, const StartWords& words) {
  std::vector<std::string> warnings;
  cluster::Settings settings = chosen_settings(global, warnings);
  const cluster::StateDirectory directory = chosen_state_directory(global);
  if (words.targeted) {
    apply_target(words, words.anew, directory, settings, !words.json);
  } else {
    keep_target(directory, settings, !words.json);
  }
  for (const std::string& warning : warnings) err("warning: {}\n", warning);
  warn_of_other_repositories(global, settings, directory, words.anew);
  return show_preview(settings, directory, words.json);
}

constexpr const char* kStopSeconds = "Seconds to wait for the servers to end (default 120)";

std::string stop_text(bool ran) { return ran ? "stopped" : "nothing was running"; }

int run_stop(const cluster::StateDirectory& directory, int seconds, bool json) {
  const bool ran = cluster::stop(directory, std::chrono::seconds(seconds));
  if (json)
    out("{}\n", nlohmann::ordered_json{{"done", "stop"}, {"ran", ran}}.dump(2));
  else
    out("{}\n", stop_text(ran));
  return 0;
}

}  // namespace

void apply_target(const TargetWords& words, bool anew, const cluster::StateDirectory& directory,
                  cluster::Settings& settings, bool tell) {
  if (!settings.restore_from_backup) {
    throw Error(ErrorKind::usage, "RESTORE_FROM_BACKUP is false, so there is nothing to recover")
        .with_hint("leave --set, --type and --target out");
  }
  const auto target = recovery_target(words);
  if (!anew && (is_recovered(directory) || cluster::supervisor_running(directory))) {
    throw Error(ErrorKind::usage,
                fmt::format("the cluster {} is there already, and a backup or target can only be "
                            "chosen for a new one",
                            settings.cluster_name))
        .with_hint(
            "make one beside it with --cluster NAME and other ports, or throw this one away "
            "with --anew");
  }
  if (tell) tell_target(words, target);
  settings.target = target;
  settings.target_given = true;
  if (!words.set.empty())
    settings.backup_set = words.set;
  else if (anew)  // what made the cluster that is thrown away says nothing about the next
    settings.backup_set.reset();
}

int show_preview(const cluster::Settings& settings, const cluster::StateDirectory& directory,
                 bool json) {
  cluster::refuse_half_removed(directory);
  const auto preview =
      cluster::make_preview(settings, directory, watch_search(), cluster::Places::judged);
  out("{}", json ? cluster::to_json(preview) : cluster::to_text(preview, settings.cluster_name));
  const Error* problem = preview.problem();
  if (problem == nullptr) return 0;
  if (json) return static_cast<int>(problem->kind());
  throw *problem;
}

void add_start(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "start", "Bring the cluster up: restore what is empty, start what is there");
  auto words = std::make_shared<StartWords>();
  command->add_flag("-d,--detach", words->detach, "Return at once; the work goes on");
  CLI::Option* preview =
      command->add_flag("--preview", words->preview,
                        "Only say what would happen: backup, WAL, sizes, time; change nothing");
  command->add_flag("--json", parser.json,
                    "What came of it as JSON, and the way there on standard error");
  command
      ->add_flag("--reindex", words->reindex,
                 "Rebuild the indexes that depend on collations of which this host has another "
                 "version than the source; of a cluster that runs too")
      ->excludes(preview);
  CLI::Option* anew =
      command
          ->add_flag("--anew", words->anew,
                     "Throw the cluster's data away and make it anew of the backups")
          ->excludes(preview);
  command->add_flag("-y,--yes", words->yes, "With --anew: do not ask")->needs(anew);
  add_target_words(*command, *words,
                   "default (end of the archive), immediate, time, name, lsn, xid");
  command->footer(
      "Running it again does no harm: a half-made restore is continued, and what runs is left\n"
      "alone. Ctrl-C stops the watching, not the work.\n\n"
      "--set, --type and --target are for a cluster that is made anew, and count before\n"
      "RESTORE_SET and RECOVERY_TARGET* of .env. One that is there is thrown away with --anew, as\n"
      "soon as all that start checks beforehand is known to be well. With WAL_ARCHIVE=source, or\n"
      "where WAL_ARCHIVE_PATH holds WAL already, --anew is refused and nothing changes.\n\n"
      "Examples:\n"
      "  pgrevive start\n"
      "  pgrevive start --preview\n"
      "  pgrevive start --env-file staging.env --detach\n"
      "  pgrevive start --reindex\n"
      "  pgrevive start --config /etc/pgbackrest.conf --stanza main\n"
      "  pgrevive start --type time --target '2026-11-22 14:05:00+00'\n"
      "  pgrevive start --type time --target '2026-11-22 14:05 America/Sao_Paulo'\n"
      "  pgrevive start --anew --type time --target '2026-11-22 14:05:00+00'\n"
      "  pgrevive start --type time --target '10 minutes before yesterday 14:05'");
  command->callback([&parser, command, words] {
    for (const char* name :
         {"--set", "--type", "--target", "--target-exclusive", "--target-timeline"}) {
      words->targeted = words->targeted || command->count(name) > 0;
    }
    parser.work = [&parser, words] {
      words->json = parser.json;
      return words->preview ? run_preview(parser.global, *words) : run_start(parser.global, *words);
    };
  });
}

void add_stop(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("stop", "Stop all servers of the cluster");
  auto seconds = std::make_shared<int>(120);
  command->add_option("--timeout", *seconds, kStopSeconds)
      ->type_name("S")
      ->check(CLI::Range(1, 86400).description(""));
  command->add_flag("--json", parser.json, "As JSON");
  command->footer("Examples:\n  pgrevive stop\n  pgrevive --cluster demo stop");
  command->callback([&parser, seconds] {
    parser.work = [&parser, seconds] {
      return run_stop(existing_state_directory(parser.global), *seconds, parser.json);
    };
  });
}

void add_restart(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("restart", "Stop the cluster and start it with what .env says");
  auto seconds = std::make_shared<int>(120);
  auto node = std::make_shared<std::string>();
  command->add_option("NODE", *node,
                      "Only the server of this node, with the configuration as it is");
  command->add_flag("--json", parser.json,
                    "What came of it as JSON, and the way there on standard error");
  command->add_option("--timeout", *seconds, kStopSeconds)
      ->type_name("S")
      ->check(CLI::Range(1, 86400).description(""));
  command->footer("Examples:\n  pgrevive restart\n  pgrevive restart replica");
  command->callback([&parser, seconds, node] {
    parser.work = [&parser, seconds, node] {
      if (!node->empty())
        return ask_supervisor(parser.global, cluster::Act::restart, *node, parser.json);
      // What is wrong in .env has to be known while the cluster still runs.
      std::vector<std::string> warnings;
      cluster::Settings settings = chosen_settings(parser.global, warnings);
      for (const std::string& warning : warnings) err("warning: {}\n", warning);
      const cluster::StateDirectory directory = existing_state_directory(parser.global);
      keep_target(directory, settings, !parser.json);
      // And a replica that may be all that is left is of more use while it runs.
      cluster::refuse_lost_primary(directory);
      cluster::check_own_archive(settings, directory);
      cluster::check_what_was_made(settings, directory);
      const bool ran = cluster::stop(directory, std::chrono::seconds(*seconds));
      if (!parser.json) out("{}\n", stop_text(ran));
      return launch_and_follow(settings, directory, {.json = parser.json, .act = "restart"});
    };
  });
}

void add_supervise(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("supervise", "");
  command->group("");  // not for people: `start` calls it
  auto root = std::make_shared<std::filesystem::path>();
  command->add_option("STATE_DIRECTORY", *root)->required();
  command->callback([&parser, root] {
    parser.work = [root] { return cluster::supervise(cluster::StateDirectory(*root)); };
  });
}

}  // namespace pgrevive::cli
