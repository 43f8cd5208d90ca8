#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/backup_choice.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/repository_json.h"
#include "cli/signals.h"
#include "cluster/newest_commits.h"
#include "cluster/target_preview.h"
#include "repository/info_report.h"
#include "repository/open.h"

namespace pgrevive::cli {
namespace {

struct InfoWords : TargetWords {
  RepositoryWords repository;
  std::string output = "text";
  bool newest_commit = false;
  bool targeted = false;  // a target was named, be it the default one
  bool recovery_points = false;
};

std::vector<repository::StanzaReport> report(const repository::RepositoryOptions& options,
                                             bool one_stanza, const InfoWords& words) {
  repository::ReportOptions wanted;
  wanted.recovery_points = words.output == "text" || words.recovery_points;
  // The text has it always; the JSON is pgBackRest's where nobody asks for more.
  if (words.output == "text" || words.newest_commit) wanted.newest_commit = cluster::newest_commit;
  if (!words.set.empty()) wanted.set = repository::BackupLabel::parse(words.set);
  if (one_stanza) return {repository::report_stanza(repository::open_repository(options), wanted)};
  return repository::report_repository(repository::open_storage(options), options.cipher_passphrase,
                                       wanted);
}

// What a recovery to the target would be, and where it is out of reach, why.
cluster::TargetPreview preview_of(const IndexedRepository& entry, const InfoWords& words,
                                  const restore::RecoveryTarget& target, std::stop_token stop) {
  const auto set = words.set.empty() ? std::nullopt : std::optional(words.set);
  auto choice = choose_backup(entry, set, target);
  look_up_point(choice, set, target, stop, true);
  auto outlook = look_ahead(choice, target, true, stop);
  if (!outlook)
    throw Error(ErrorKind::corrupt,
                "backup.info does not say which cluster backup " + choice.label.text() + " is of");
  const auto wal = stored_wal(choice, *outlook);
  auto preview = cluster::preview_target(entry.options, choice.backup(), target,
                                         *std::move(outlook), choice.lookup.point, wal);
  cluster::estimate(preview, entry.options);
  return preview;
}

std::string to_text(const cluster::TargetPreview& preview) {
  return "what a restore to that target would be (nothing was changed):\n" +
         cluster::to_text(preview, format_bytes(preview.node_bytes) + " for each node");
}

// Of several repositories it is enough that one leads to the target. The WAL that is looked at is
// the one beside the backup.
int run_target(const GlobalOptions& global, const InfoWords& words) {
  const auto target = recovery_target(words);
  using restore::RecoveryType;
  if (target.type == RecoveryType::standby || target.type == RecoveryType::none ||
      target.type == RecoveryType::preserve)
    throw Error(ErrorKind::usage, "--type " + words.type + " is no target")
        .with_hint("info tells of default, immediate, time, name, lsn and xid");
  const bool json = words.output == "json";
  if (!json) tell_target(words, target);
  const Source source = load_source(global, words.repository, "info");
  for (const std::string& warning : source.warnings) err("warning: {}\n", warning);

  const StopOnSignal stop;
  const bool several = source.repositories.size() > 1;
  auto reports = nlohmann::ordered_json::array();
  bool reachable = false;
  std::optional<Error> problem;
  for (const IndexedRepository& entry : source.repositories) {
    try {
      const auto preview = preview_of(entry, words, target, stop.token());
      if (json) {
        nlohmann::ordered_json report = {{"repo_key", entry.index}};
        report.update(to_value(preview));
        reports.push_back(std::move(report));
      } else {
        out("{}{}", several ? fmt::format("repository {}: ", entry.index) : "", to_text(preview));
      }
      reachable = reachable || !preview.outlook.problem;
      if (preview.outlook.problem && !problem) problem = preview.outlook.problem;
      if (several && preview.outlook.problem && !json)
        err("repository {}: {}\n", entry.index, preview.outlook.problem->text());
    } catch (Error& error) {
      if (!several || error.kind() == ErrorKind::cancelled) throw;
      err("warning: repository {}: {}\n", entry.index, error.text());
      // What leads where from there is not known.
      if (json)
        reports.push_back({{"repo_key", entry.index},
                           {"repository", entry.options.describe()},
                           {"reachable", nullptr},
                           {"problem", {{"message", error.what()}, {"hint", error.hint()}}}});
      if (!problem) problem = error;
    }
  }
  if (json) out("{}\n", reports.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  if (reachable) return 0;
  if (json) return static_cast<int>(problem->kind());
  throw *problem;
}

int run_info(const GlobalOptions& global, const InfoWords& words) {
  if (!words.set.empty()) {
    try {
      repository::BackupLabel::parse(words.set);
    } catch (const Error&) {
      throw Error(ErrorKind::usage, fmt::format("--set {} is not a backup label", words.set))
          .with_hint("it looks like 20240115-020000F; `pgrevive info` lists those that there are");
    }
  }
  const Source source = load_source(global, words.repository, "info");
  for (const std::string& warning : source.warnings) err("warning: {}\n", warning);

  // Without a stanza that was asked for, everything the repository holds is of interest.
  const bool one_stanza = !global.stanza.empty() || !words.set.empty();
  bool good = true;
  std::vector<nlohmann::json> reports;
  for (const IndexedRepository& entry : source.repositories) {
    const auto stanzas = report(entry.options, one_stanza, words);
    for (const auto& stanza : stanzas) {
      good = good && stanza.status == repository::StanzaStatus::ok;
    }
    if (words.output == "json") {
      reports.push_back(with_repository_key(repository::to_json(stanzas), entry.index));
      continue;
    }
    out("{}{}: {}\n\n{}",
        reports.empty() && entry.index == source.repositories.front().index ? "" : "\n",
        source.repositories.size() > 1 ? fmt::format("repository {}", entry.index) : "repository",
        entry.options.describe(), repository::to_text(stanzas));
  }
  if (words.output == "json") {
    // One line without more: that is what pgBackRest prints and monitoring tools read.
    out("{}\n",
        merge_repositories(reports).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return 0;
  }
  return good ? 0 : 1;
}

}  // namespace

void add_info(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("info", "Show what the repository holds");
  auto words = std::make_shared<InfoWords>();
  command->add_option("--output", words->output, "text (default) or json, in pgBackRest's shape")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}).description(""));
  command->add_flag("--json", parser.json, "The same as --output json");
  command->add_flag("--newest-commit", words->newest_commit,
                    "Also in the JSON: the newest commit of each timeline in the archive, for "
                    "which its last WAL segments are read");
  add_target_words(*command, *words,
                   "default (end of the archive), immediate, time, name, lsn, xid");
  command->get_option("--set")->description(
      "Only this backup, with its databases and tablespaces; with a target, the one to begin with");
  command->add_flag("--recovery-points", words->recovery_points,
                    "Also in the JSON: from when and how far each backup can be recovered, and the "
                    "gaps in the WAL, for which the archive is listed");
  add_repository_words(*command, words->repository);
  command->footer(
      "With --type it tells what a restore to that target would be: backup, bytes, WAL, timeline, "
      "time, and\nwhat is missing. It fails where the target is out of reach, and names what is "
      "not.\n\n"
      "Exit status of the text: 0 all stanzas are fine, 1 one is not. The JSON says it itself.\n\n"
      "Examples:\n"
      "  pgrevive info\n"
      "  pgrevive info --set 20261122-020000F\n"
      "  pgrevive info --repo-path /backups --output json\n"
      "  pgrevive info --type default\n"
      "  pgrevive info --type time --target \"2026-11-22 14:05 America/Sao_Paulo\" --json");
  command->callback([&parser, command, words] {
    for (const char* name : {"--type", "--target", "--target-exclusive", "--target-timeline"})
      words->targeted = words->targeted || command->count(name) > 0;
    if (parser.json) words->output = "json";
    parser.json = words->output == "json";
    parser.work = [&parser, words] {
      return words->targeted ? run_target(parser.global, *words) : run_info(parser.global, *words);
    };
  });
}

}  // namespace pgrevive::cli
