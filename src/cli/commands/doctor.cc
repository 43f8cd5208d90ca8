#include "cluster/doctor.h"

#include "base/error.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/doctor_text.h"
#include "cli/errors.h"
#include "cli/print.h"
#include "cli/terminal.h"

namespace pgrevive::cli {
namespace {

struct DoctorWords : TargetWords {
  bool targeted = false;  // something was said about the backup or the target
};

int run_doctor(const GlobalOptions& global, const DoctorWords& words, bool json) {
  std::vector<std::string> warnings;
  auto settings = chosen_settings(global, warnings);
  const auto directory = chosen_state_directory(global);
  if (words.targeted) {
    settings.target = recovery_target(words);
    if (!words.set.empty()) settings.backup_set = words.set;
  } else {
    keep_target(directory, settings, !json);
  }
  for (const std::string& warning : warnings) err("warning: {}\n", warning);

  auto findings = cluster::examine(settings, directory);
  for (auto& finding : examine_other_repositories(global, settings, directory, false))
    findings.push_back(std::move(finding));
  if (!global.config.empty())
    for (auto& finding : findings)
      finding.remedy =
          in_words_of_config(Error(ErrorKind::usage, "").with_hint(finding.remedy)).hint();
  return show_findings(findings, json);
}

}  // namespace

int show_findings(const std::vector<cluster::Finding>& findings, bool json) {
  out("{}", json ? findings_json(findings) : findings_text(findings, stdout_terminal().width));
  return nothing_failed(findings) ? 0 : 1;
}

void add_doctor(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "doctor", "Check repository and host before a start, changing nothing");
  auto words = std::make_shared<DoctorWords>();
  command->add_flag("--json", parser.json, "As JSON");
  add_target_words(*command, *words,
                   "default (end of the archive), immediate, time, name, lsn, xid");
  command->footer(
      "Looks at the way to the repository (name, port, TLS, clock, region, keys), what it holds\n"
      "(stanza, passphrase, backups, WAL), how fast it is, and this host (disk space, ports,\n"
      "programs, locales, memory). Each line that failed says what to do. Whether the cluster's\n"
      "own archive can be written to is what only `start` tries.\n"
      "--set, --type and --target are those of `start`.\n"
      "Exit status: 0 nothing failed, 1 something did.\n\n"
      "Examples:\n"
      "  pgrevive doctor\n"
      "  pgrevive doctor --env-file staging.env --json\n"
      "  pgrevive doctor --type time --target '2026-11-22 14:05:00+00'\n"
      "  pgrevive doctor --config /etc/pgbackrest.conf --stanza main");
  command->callback([&parser, command, words] {
    for (const char* name :
         {"--set", "--type", "--target", "--target-exclusive", "--target-timeline"}) {
      words->targeted = words->targeted || command->count(name) > 0;
    }
    parser.work = [&parser, words] { return run_doctor(parser.global, *words, parser.json); };
  });
}

}  // namespace pgrevive::cli
