#include <iostream>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cluster/request.h"

// What the supervisor is asked to do with one node of a cluster that runs.
namespace pgrevive::cli {
namespace {

void confirm_rebuild(const std::string& node) {
  out("This throws the data of {} away and makes it anew. Type yes to go on: ", node);
  std::string answer;
  if (!std::getline(std::cin, answer)) out("\n");
  if (trim(answer) != "yes") {
    throw Error(ErrorKind::cancelled, "nothing was changed")
        .with_hint("type the word yes, or use --yes where nobody can be asked");
  }
}

}  // namespace

std::string report_text(const cluster::RequestReport& report) {
  const auto time = format_duration(std::chrono::milliseconds(report.ended_ms - report.began_ms));
  if (report.act == "switchover")
    return fmt::format("{} and primary have changed places in {}\n", report.node, time);
  return fmt::format("{} of {}: done in {}\n", report.act, report.node, time);
}

int ask_supervisor(const GlobalOptions& global, cluster::Act act, const std::string& node,
                   bool json) {
  return ask_supervisor(existing_state_directory(global), act, node, json);
}

int ask_supervisor(const cluster::StateDirectory& directory, cluster::Act act,
                   const std::string& node, bool json) {
  const StopOnSignal stop;
  const auto report =
      cluster::ask(directory, act, node, [&] { return !stop.token().stop_requested(); });
  if (json) {
    out("{}\n", cluster::to_value(report).dump(2));
  } else {
    out("{}", report_text(report));
  }
  return 0;
}

void add_switchover(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "switchover", "Let a replica and the primary change places, losing nothing");
  auto node = std::make_shared<std::string>("replica");
  command->add_option("NODE", *node, "The replica that becomes the primary (default: replica)");
  command->add_flag("--json", parser.json, "As JSON");
  command->footer(
      "The primary ends cleanly, the replica is proven to have all it wrote, is promoted, and the\n"
      "old primary joins it as a replica. Names and ports say what a node does, so the port of "
      "the\n"
      "primary leads to the new one. Where something is missing (a replica does not stream, the\n"
      "primary has slots of others, WAL is not archived) all stays as it was. Takes some seconds, "
      "in which nobody can connect.\n\n"
      "Examples:\n  pgrevive switchover\n  pgrevive switchover replica-2 --json");
  command->callback([&parser, node] {
    parser.work = [&parser, node] {
      return ask_supervisor(parser.global, cluster::Act::switchover, *node, parser.json);
    };
  });
}

void add_rebuild(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("rebuild", "Throw a replica's data away and make it anew");
  auto node = std::make_shared<std::string>("replica");
  auto yes = std::make_shared<bool>(false);
  command->add_option("NODE", *node, "The replica (default: replica)");
  command->add_flag("-y,--yes", *yes, "Do not ask");
  command->add_flag("--json", parser.json, "As JSON");
  command->footer(
      "For a replica that is damaged, was promoted by hand, or cannot follow any more.\n\n"
      "Examples:\n  pgrevive rebuild\n  pgrevive rebuild replica-2 --yes");
  command->callback([&parser, node, yes] {
    parser.work = [&parser, node, yes] {
      existing_state_directory(parser.global);
      if (!*yes) confirm_rebuild(*node);
      return ask_supervisor(parser.global, cluster::Act::rebuild, *node, parser.json);
    };
  });
}

}  // namespace pgrevive::cli
