#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/private_memory.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cluster/cluster.h"

namespace pgrevive::cli {
namespace {

// Root becomes the user that runs the servers, who may pass through their socket without a
// password. For others nothing happens.
void become_owner(const cluster::StateDirectory& directory) {
  if (geteuid() != 0) return;
  struct stat root {};
  if (stat(directory.root().c_str(), &root) != 0) {
    throw system_error(errno, fmt::format("cannot look at {}", directory.root().string()));
  }
  if (root.st_uid == 0) return;
  const passwd* user = getpwuid(root.st_uid);
  const gid_t group = user != nullptr ? user->pw_gid : root.st_gid;
  if ((user != nullptr && initgroups(user->pw_name, group) != 0) || setgid(group) != 0 ||
      setuid(root.st_uid) != 0) {
    throw system_error(errno,
                       fmt::format("cannot become the owner of {}", directory.root().string()));
  }
  keep_memory_private();
  if (user != nullptr) {
    setenv("HOME", user->pw_dir, 1);
    setenv("USER", user->pw_name, 1);
    setenv("LOGNAME", user->pw_name, 1);
  }
}

[[noreturn]] void become(const cluster::StateDirectory& directory, const std::string& node,
                         std::vector<std::string> words) {
  // First: what the owner wrote into the directory decides which programs are run below.
  become_owner(directory);
  const auto environment = cluster::node_environment(directory, node);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  // The owner may not be allowed into the directory we were called from.
  if (access(".", R_OK | X_OK) != 0 && chdir(directory.root().c_str()) != 0 && chdir("/") != 0) {
    throw system_error(errno, "cannot leave the working directory");
  }
  become_program(std::move(words));
}

}  // namespace

void become_program(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::fflush(stdout);
  signal(SIGPIPE, SIG_DFL);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  // EACCES says also that a directory of PATH may not be looked into, such as one of root's.
  if (error == ENOENT ||
      (error == EACCES && words[0].find('/') == std::string::npos && !find_program(words[0]))) {
    throw Error(ErrorKind::not_found, fmt::format("there is no program {}", words[0]))
        .with_hint(words[0] == "psql" ? "install the package postgresql-client" : "");
  }
  throw system_error(error, fmt::format("cannot run {}", words[0]));
}

void add_psql(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand("psql", "Open psql on a node");
  auto node = std::make_shared<std::string>("primary");
  command->add_option("NODE", *node, "primary (default), replica, replica-2, ...");
  command->footer(
      "Words behind the node go to psql as they are.\n\n"
      "Examples:\n"
      "  pgrevive psql primary\n"
      "  pgrevive psql replica -c 'select pg_is_in_recovery()'\n"
      "  pgrevive --cluster demo psql primary -d shop");
  command->callback([&parser, node] {
    parser.work = [&parser, node]() -> int {
      std::vector<std::string> words{"psql"};
      words.insert(words.end(), parser.theirs.begin(), parser.theirs.end());
      become(existing_state_directory(parser.global), *node, std::move(words));
    };
  });
}

void add_exec(Parser& parser) {
  CLI::App* command =
      parser.app.add_subcommand("exec", "Run a shell or a command with a node's environment");
  auto node = std::make_shared<std::string>("primary");
  command->add_option("NODE", *node, "primary (default), replica, replica-2, ...");
  command->footer(
      "Sets PGHOST, PGPORT, PGUSER, PGDATABASE and PGDATA, and puts the server's programs first "
      "in\n"
      "PATH. Without a command it is a shell.\n\n"
      "Examples:\n"
      "  pgrevive exec primary\n"
      "  pgrevive exec replica -- pg_controldata\n"
      "  pgrevive exec primary -- sh -c 'pg_dump --schema-only > schema.sql'");
  command->callback([&parser, node] {
    parser.work = [&parser, node]() -> int {
      std::vector<std::string> words = parser.theirs;
      if (words.empty()) {
        const char* shell = std::getenv("SHELL");
        words.emplace_back(shell != nullptr && *shell != '\0' ? shell : "/bin/sh");
      }
      become(existing_state_directory(parser.global), *node, std::move(words));
    };
  });
}

}  // namespace pgrevive::cli
