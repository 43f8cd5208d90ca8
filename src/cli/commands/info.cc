#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/repository_json.h"
#include "repository/info_report.h"
#include "repository/open.h"
#include "wal/transaction_times.h"

namespace pgrevive::cli {
namespace {

struct InfoWords {
  RepositoryWords repository;
  std::string output = "text";
  std::string set;
  bool newest_commit = false;
};

// The text has it always; the JSON is pgBackRest's where nobody asks for more.
std::optional<std::int64_t> newest_commit(const repository::WalArchive& archive,
                                          const repository::ArchivedSegment& segment) {
  wal::TransactionTimes times;
  archive.read_segment(segment, times);
  return times.times() ? times.times()->last_commit : std::nullopt;
}

std::vector<repository::StanzaReport> report(const repository::RepositoryOptions& options,
                                             bool one_stanza, const InfoWords& words) {
  repository::ReportOptions wanted;
  wanted.recovery_points = words.output == "text";
  if (words.output == "text" || words.newest_commit) wanted.newest_commit = newest_commit;
  if (!words.set.empty()) wanted.set = repository::BackupLabel::parse(words.set);
  if (one_stanza) return {repository::report_stanza(repository::open_repository(options), wanted)};
  return repository::report_repository(repository::open_storage(options), options.cipher_passphrase,
                                       wanted);
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
  command->add_option("--set", words->set, "Only this backup, with its databases and tablespaces")
      ->type_name("LABEL");
  command->add_flag("--newest-commit", words->newest_commit,
                    "Also in the JSON: the newest commit of each timeline in the archive, for\n"
                    "which its last WAL segments are read");
  add_repository_words(*command, words->repository);
  command->footer(
      "Exit status of the text: 0 all stanzas are fine, 1 one is not. The JSON says it itself.\n\n"
      "Examples:\n"
      "  pgrevive info\n"
      "  pgrevive info --set 20261122-020000F\n"
      "  pgrevive info --repo-path /backups --output json");
  command->callback([&parser, words] {
    if (parser.json) words->output = "json";
    parser.json = words->output == "json";
    parser.work = [&parser, words] { return run_info(parser.global, *words); };
  });
}

}  // namespace pgrevive::cli
