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

int run_doctor(const GlobalOptions& global, bool json) {
  std::vector<std::string> warnings;
  const auto settings = chosen_settings(global, warnings);
  for (const std::string& warning : warnings) err("warning: {}\n", warning);

  auto findings = cluster::examine(settings, chosen_state_directory(global));
  if (!global.config.empty())
    for (auto& finding : findings)
      finding.remedy =
          in_words_of_config(Error(ErrorKind::usage, "").with_hint(finding.remedy)).hint();
  out("{}", json ? findings_json(findings) : findings_text(findings, stdout_terminal().width));
  return nothing_failed(findings) ? 0 : 1;
}

}  // namespace

void add_doctor(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "doctor", "Check repository and host before a start, changing nothing");
  command->add_flag("--json", parser.json, "As JSON");
  command->footer(
      "Looks at the way to the repository (name, port, TLS, clock, region, keys), what it holds\n"
      "(stanza, passphrase, backups, WAL), how fast it is, and this host (disk space, ports,\n"
      "programs, locales, memory). Each line that failed says what to do. Whether the cluster's\n"
      "own archive can be written to is what only `start` tries.\n"
      "Exit status: 0 nothing failed, 1 something did.\n\n"
      "Examples:\n"
      "  pgrevive doctor\n"
      "  pgrevive doctor --env-file staging.env --json\n"
      "  pgrevive doctor --config /etc/pgbackrest.conf --stanza main");
  command->callback(
      [&parser] { parser.work = [&parser] { return run_doctor(parser.global, parser.json); }; });
}

}  // namespace pgrevive::cli
