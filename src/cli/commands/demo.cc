#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/commands/demo_source.h"
#include "cli/env_settings.h"
#include "cli/follow.h"
#include "cli/front_door.h"
#include "cli/print.h"
#include "cli/running_report.h"
#include "cli/status_text.h"
#include "cluster/cluster.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

constexpr const char* kName = "demo";

struct DemoWords {
  bool clean = false;
  int scale = 5;
  int primary_port = 5433;
  int replica_port = 5434;
  int adminer_port = 8081;
  int console_port = 8080;
};

std::string env_text(const DemoWords& words, const std::string& name, const DemoSource& source,
                     const Secret& password) {
  return fmt::format(
      "# Made by `pgrevive demo`.\n"
      "CLUSTER_NAME={}\nPOSTGRES_PASSWORD={}\nPOSTGRES_DB=shop\nPOSTGRES_PRIMARY_PORT={}\n"
      "POSTGRES_REPLICA_PORT={}\nADMINER_PORT={}\nCONSOLE_PORT={}\nREPO_TYPE=posix\nREPO_PATH='{}'"
      "\n"
      "PGBACKREST_STANZA=main\n",
      name, password.reveal(), words.primary_port, words.replica_port, words.adminer_port,
      words.console_port, source.repository().string());
}

// Rows of the source beside those of every node; true if they are the same. A replica may be a
// moment behind its primary.
bool compare_rows(const std::vector<DemoSource::Rows>& expected,
                  const cluster::Settings& settings) {
  postgres::ConnectionOptions server;
  server.host = "127.0.0.1";
  server.user = settings.user;
  server.password = settings.password;

  bool same = true;
  std::vector<std::vector<std::string>> table_rows{{"table", "source"}};
  for (const DemoSource::Rows& rows : expected) {
    table_rows.push_back({rows.table, std::to_string(rows.count)});
  }
  const auto names = cluster::node_names(settings.replicas);
  for (std::size_t node = 0; node < names.size(); ++node) {
    server.port =
        node == 0 ? settings.primary_port : settings.replica_port + static_cast<int>(node) - 1;
    std::vector<DemoSource::Rows> found = DemoSource::count(server);
    for (int look = 0; look < 50 && found != expected; ++look) {
      std::this_thread::sleep_for(200ms);
      found = DemoSource::count(server);
    }
    same = same && found == expected;
    table_rows[0].push_back(names[node]);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto entry = std::ranges::find(found, expected[i].table, &DemoSource::Rows::table);
      table_rows[i + 1].push_back(entry == found.end() ? "-" : std::to_string(entry->count));
    }
  }
  std::vector<std::size_t> right;
  for (std::size_t i = 1; i < table_rows[0].size(); ++i) right.push_back(i);
  out("\nrows\n{}", table(table_rows, right));
  return same;
}

int clean(const cluster::StateDirectory& directory, const DemoSource& source) {
  std::error_code ignored;
  bool anything = false;
  if (std::filesystem::exists(directory.marker(), ignored)) {
    cluster::stop(directory, 120s);
    for (const std::string& path : cluster::cleanup(directory).removed) {
      out("removed {}\n", path);
    }
    anything = true;
  }
  if (source.remove()) {
    out("removed {}\n", source.root().string());
    anything = true;
  }
  if (!anything) out("there is no demo\n");
  return 0;
}

int run_demo(GlobalOptions global, const DemoWords& words) {
  if (global.cluster.empty()) global.cluster = kName;
  const cluster::StateDirectory directory = chosen_state_directory(global);
  const DemoSource source(directory.root().string() + "-source");
  if (words.clean) return clean(directory, source);

  std::error_code ignored;
  const bool existed = std::filesystem::exists(directory.marker(), ignored);
  if (existed && cluster::supervisor_running(directory)) {
    out("the demo is running already\n");
  } else if (const auto rows = source.rows(); !rows && !existed) {
    const auto began = std::chrono::steady_clock::now();
    source.make(words.scale, [](const std::string& what) { out("  {}\n", what); });
    out("source made and gone in {}; what is left of it is {}\n",
        format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - began)),
        source.repository().string());
  }
  // The password stays what it was for a cluster that has been made with it.
  if (!read_file_if_exists(source.env_file())) {
    write_file_atomic(source.env_file(), env_text(words, global.cluster, source, make_secret(12)),
                      0600);
  }
  const EnvFile env = load_env(source.env_file());
  const cluster::Settings settings = settings_from_env(env, {});
  if (const int code = launch_and_follow(settings, directory); code != 0) return code;

  out("\n");
  const auto checks = cluster::run_checks(directory);
  out("{}", checks_text(checks));
  bool good = std::ranges::none_of(checks, [](const cluster::Check& check) {
    return check.result == cluster::Check::Result::failed;
  });
  // Somebody may have worked on a cluster that was there before, so only a fresh one must be equal.
  if (const auto rows = source.rows(); rows && !existed && !compare_rows(*rows, settings)) {
    throw Error(ErrorKind::corrupt, "the restored cluster does not have the rows of its source");
  }
  const std::string name = settings.cluster_name;
  out("\nThe password of {} is in {}\nLook around:  {} psql primary\nRemove it:    {} demo "
      "--clean\n",
      settings.user, source.env_file().string(), call_for(name),
      name == kName ? front_door() : call_for(name));
  return good ? 0 : 1;
}

}  // namespace

void add_demo(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "demo", "Make a sample source, back it up, drop it, and bring it back");
  auto words = std::make_shared<DemoWords>();
  command->add_flag("--clean", words->clean, "Remove the demo, its source's repository too");
  const auto port = [&](const char* name, int& value, const char* what) {
    command->add_option(name, value, what)
        ->type_name("PORT")
        ->check(CLI::Range(1, 65535).description(""));
  };
  port("--primary-port", words->primary_port, "The primary's port (default 5433)");
  port("--replica-port", words->replica_port, "The replica's port (default 5434)");
  command
      ->add_option("--adminer-port", words->adminer_port, "Adminer's port (default 8081, 0: none)")
      ->type_name("PORT")
      ->check(CLI::Range(0, 65535).description(""));
  command
      ->add_option("--console-port", words->console_port,
                   "The console's port (default 8080, 0: none)")
      ->type_name("PORT")
      ->check(CLI::Range(0, 65535).description(""));
  command->add_option("--scale", words->scale, "Size of the sample, 15 MB each (default 5)")
      ->type_name("N")
      ->check(CLI::Range(1, 10000).description(""));
  command->footer(
      "Needs no credentials. Makes a PostgreSQL cluster, has pgBackRest back it up into a\n"
      "local directory, removes the cluster, and does the main job on that repository.\n\n"
      "Examples:\n"
      "  pgrevive demo\n"
      "  pgrevive demo --primary-port 6433 --replica-port 6434 --adminer-port 0\n"
      "  pgrevive demo --clean");
  command->callback([&parser, words] {
    parser.work = [&parser, words] { return run_demo(parser.global, *words); };
  });
}

}  // namespace pgrevive::cli
