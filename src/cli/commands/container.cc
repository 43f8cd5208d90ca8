#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/front_door.h"
#include "cli/point_watch.h"
#include "cli/print.h"
#include "cli/running_report.h"
#include "cli/signals.h"
#include "cluster/cleanup.h"
#include "cluster/cluster.h"
#include "cluster/console_process.h"
#include "cluster/container_node.h"
#include "cluster/container_status.h"
#include "cluster/containers.h"
#include "cluster/doctor.h"
#include "cluster/identity_scope.h"
#include "cluster/preflight.h"
#include "cluster/recovery_end.h"
#include "cluster/reindex.h"
#include "cluster/request.h"
#include "cluster/volumes.h"
#include "console/console.h"
#include "http/client.h"

namespace pgrevive::cli {
namespace {

namespace containers = cluster::containers;

cluster::Settings settings(const GlobalOptions& global) {
  std::vector<std::string> warnings;
  auto chosen = containers::settings_for(chosen_settings(global, warnings));
  for (const std::string& warning : warnings) err("warning: {}\n", warning);
  return chosen;
}

struct ContainerWords {
  std::string work;
  std::string node;
  std::int64_t since_ms = 0;
  bool watch = false;
  bool reindexed = false;
  bool ran = false;
  bool follow = false;
  bool files = false;
  std::string from;
  std::string published;
  std::size_t lines = static_cast<std::size_t>(-1);
};

// What `start` was called with about backup and target. The restore service has it from its
// environment, one word a line: it is called by Compose, and again by whoever starts it again.
constexpr const char* kStartWords = "PGREVIVE_START_WORDS";

std::optional<TargetWords> start_words() {
  const char* value = std::getenv(kStartWords);
  if (value == nullptr || *value == '\0') return {};
  TargetWords words;
  CLI::App parser("start");
  add_target_words(parser, words, "");
  auto lines = split(value, '\n');
  std::erase(lines, "");
  std::ranges::reverse(lines);  // as CLI11 wants them
  try {
    parser.parse(lines);
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::usage, std::string("start: ") + error.what());
  }
  return words;
}

// A cluster that has reached its target needs none: its service may be started again at any time,
// with the words that it was made with.
cluster::Settings told_settings(const GlobalOptions& global, bool tell) {
  auto told = settings(global);
  const auto directory = containers::where_volumes_are();
  const auto words = start_words();
  if (words && !is_recovered(directory))
    apply_target(*words, true, directory, told, tell);
  else
    keep_target(directory, told, tell);
  return told;
}

// As `start` says it where the cluster is there already.
void check_start_words(const cluster::Settings& told) {
  auto settings = told;
  if (const auto words = start_words())
    apply_target(*words, false, containers::where_volumes_are(), settings, false);
}

cluster::Settings settings_anew(const GlobalOptions& global, bool tell) {
  auto told = settings(global);
  if (const auto words = start_words())
    apply_target(*words, true, containers::where_volumes_are(), told, tell);
  return told;
}

void report_running(const cluster::StateDirectory& directory, bool reindexed) {
  const auto settings = cluster::from_json(read_file(directory.settings()));
  const auto status =
      containers::read_as_one(directory, settings).value_or(cluster::SupervisorStatus{});
  out("{}", running_report(settings, status, collations_of(settings, directory)));
  if (reindexed) check_reindexed(status);
}

// What came of a start, for programs; of one that nobody waited for there may be nothing to see
// yet.
int tell_started(const cluster::StateDirectory& directory, const std::string& act, bool ran) {
  nlohmann::ordered_json status;
  if (cluster::read_status(directory) && read_file_if_exists(directory.settings()))
    status = nlohmann::ordered_json::parse(cluster::to_json(cluster::collect_status(directory)));
  out("{}\n",
      nlohmann::ordered_json{{"done", act}, {"already_running", ran}, {"status", status}}.dump(2));
  return 0;
}

// What all nodes are: asked by a container that sees the volumes of all.
int look(const ContainerWords& words, bool json) {
  const auto directory = containers::seen_from_outside();
  if (words.work == "started" || words.work == "restarted")
    return tell_started(directory, words.work == "started" ? "start" : "restart", words.ran);
  std::error_code ignored;
  if (!std::filesystem::exists(directory.settings(), ignored)) {
    const auto status = cluster::read_status(directory);
    throw Error(ErrorKind::not_found,
                "nothing was restored yet" + (status && !status->error.empty()
                                                  ? ", the last start failed: " + status->error
                                                  : std::string()))
        .with_hint(fmt::format("`{} start` does it", front_door()));
  }
  if (words.work == "report") {
    report_running(directory, words.reindexed);
    return 0;
  }
  if (words.work == "reindex") {
    const cluster::IdentityScope scope(cluster::find_owner());
    cluster::ask_for_reindex(directory);
    return 0;
  }
  if (words.work == "reindexing") return follow_reindex(directory);
  if (words.work == "restart")
    return ask_supervisor(containers::volume_of(words.node), cluster::Act::restart, words.node,
                          json);
  if (words.work == "status")
    return words.watch ? watch_status(directory) : show_status(directory, json);
  return show_checks(directory, json, words.published);
}

// Asked by one that need not see a cluster.
int look_ahead(const GlobalOptions& global, const std::string& work, bool json) {
  const auto directory = containers::where_volumes_are();
  if (work == "check") {  // that the settings can be read
    check_start_words(settings(global));
    return 0;
  }
  if (work == "preview") {
    auto told = settings(global);
    check_start_words(told);
    return show_preview(told_settings(global, !json), directory, json);
  }
  return show_findings(cluster::examine(settings(global), directory), json);
}

int check_anew(const GlobalOptions& global) {
  auto told = settings_anew(global, true);
  containers::check_anew(told, watch_search());
  out("target: {}{}\n", cluster::describe(told.target),
      told.backup_set ? "; from backup " + *told.backup_set : "");
  return 0;
}

// What a removal of the volumes does not remove.
int check_cleanup() {
  if (const auto archive = cluster::kept_archive(containers::where_volumes_are()))
    out("WAL archive in {}, stanza {}\n", archive->describe(), archive->stanza);
  return 0;
}

int rebuild(const cluster::Settings& settings, const std::string& node, bool json) {
  const auto report = containers::rebuild_node(settings, node);
  out("{}", json ? cluster::to_value(report).dump(2) + "\n" : report_text(report));
  return 0;
}

// The script leaves the service out where there is to be none, which Compose by itself cannot.
bool console_is_wanted() {
  const char* port = std::getenv("CONSOLE_PORT");
  return port == nullptr || parse_unsigned(port) != 0u;
}

int run_console() {
  const StopOnSignal stop;
  if (!console_is_wanted()) {
    while (stop.wait_for(std::chrono::seconds(1))) continue;
    return 0;
  }
  if (const auto directory = containers::wait_for_cluster(stop.token()))
    console::serve(*directory, stop.token());
  return 0;
}

std::string own_console() {
  return fmt::format("http://127.0.0.1:{}/", cluster::kContainerConsolePort);
}

std::string trouble_of_console() {
  if (!console_is_wanted()) return {};
  const http::Client client({.no_proxy = true, .connect_timeout = std::chrono::seconds(3)});
  const auto response =
      client.perform({.url = own_console() + "healthz"}, [](const http::Response&, ByteView) {});
  if (response.failure) return "the console does not answer: " + response.failure->text;
  return response.status == 200 ? "" : "the console does not keep up with the cluster";
}

int health(const std::string& node) {
  const std::string trouble =
      node == "console" ? trouble_of_console() : containers::trouble_of(node);
  out("{}\n", trouble.empty() ? "healthy" : trouble);
  return trouble.empty() ? 0 : 1;
}

// Of containers what Docker has comes on the standard input; what nodes wrote before they had one
// each is in files.
int show_logs(const ContainerWords& words) {
  const auto volumes = containers::where_volumes_are();
  if (words.files && words.follow) return follow_log_files(volumes, words.node, words.from);
  return show_streamed_logs(STDIN_FILENO, words.node, words.follow, words.lines,
                            words.files ? &volumes : nullptr);
}

int show_token() {
  const auto token = cluster::read_console_token(containers::where_volumes_are());
  if (!token)
    throw Error(ErrorKind::not_found, "the console has no token yet")
        .with_hint("it makes one as soon as there is a cluster");
  out("{}\n", token->reveal());
  return 0;
}

int work(const GlobalOptions& global, const ContainerWords& words,
         const std::vector<std::string>& theirs, bool json) {
  const auto is = [&](std::initializer_list<std::string_view> works) {
    return std::ranges::find(works, words.work) != works.end();
  };
  // Who goes to no target is not told in which zone it is given, and reads it all the same.
  if (is({"node", "adminer", "rebuild", "follow"})) ::setenv("TZ", "UTC", 0);
  if (is({"logs"})) return show_logs(words);
  if (is({"exec"})) become_program(theirs);
  if (is({"health"})) return health(words.node);
  if (is({"follow-nodes"})) return follow_nodes(containers::where_volumes_are(), words.since_ms);
  if (is({"coming-up"})) return containers::is_coming_up(words.node) ? 0 : 1;
  if (is({"console"})) return run_console();
  if (is({"get"})) return get_from_console(own_console(), words.node);
  if (is({"token"})) return show_token();
  if (is({"status", "test", "report", "reindex", "reindexing", "restart", "started", "restarted"}))
    return look(words, json);
  if (is({"check", "preview", "doctor"})) return look_ahead(global, words.work, json);
  if (is({"check-anew"})) return check_anew(global);
  if (is({"check-cleanup"})) return check_cleanup();
  if (is({"restore"})) {
    containers::go_on_making_way();
    return containers::fill_volumes(told_settings(global, true), watch_search());
  }
  if (is({"make-way"})) {
    containers::make_way(settings_anew(global, false), watch_search());
    return 0;
  }
  const auto told = settings(global);
  if (is({"follow"}))
    return follow_service(containers::where_volumes_are(), words.since_ms, STDIN_FILENO);
  if (is({"rebuild"})) return rebuild(told, words.node, json);
  if (is({"adminer"})) return containers::run_adminer(told);
  return containers::run_node(told, words.node);
}

}  // namespace

void add_container(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("container", "");
  // Not for people: the services of docker-compose.yml call it, and docker-runtime.sh.
  command->group("");
  auto words = std::make_shared<ContainerWords>();
  command->add_option("WORK", words->work)
      ->required()
      ->check(CLI::IsMember({"restore",       "follow",      "node",     "adminer",   "health",
                             "status",        "test",        "report",   "check",     "preview",
                             "doctor",        "check-anew",  "make-way", "rebuild",   "restart",
                             "reindex",       "reindexing",  "console",  "get",       "token",
                             "check-cleanup", "coming-up",   "started",  "restarted", "logs",
                             "exec",          "follow-nodes"}));
  command->add_option("NODE", words->node);
  command->add_option("--since-ms", words->since_ms);
  command->add_flag("-w,--watch", words->watch);
  command->add_flag("--reindexed", words->reindexed);
  command->add_flag("--ran", words->ran);
  command->add_flag("--follow", words->follow);
  command->add_flag("--files", words->files);
  command->add_option("--from", words->from);
  command->add_option("--lines", words->lines);
  command->add_option("--published", words->published);
  command->add_flag("--json", parser.json);
  command->callback([&parser, words] {
    parser.work = [&parser, words] {
      try {
        return work(parser.global, *words, parser.theirs, parser.json);
      } catch (const Error& error) {
        throw containers::in_words_of_docker(error);
      }
    };
  });
}

}  // namespace pgrevive::cli
