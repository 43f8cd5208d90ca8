#include "cli/app.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/command_line.h"
#include "cli/commands/commands.h"
#include "cli/errors.h"
#include "cli/front_door.h"
#include "cli/help_format.h"
#include "cli/print.h"
#include "cli/signals.h"

namespace pgrevive::cli {
namespace {

// The parser with all commands, and what parsing a line leaves behind.
struct Program {
  Program() {
    app.name("pgrevive");
    app.formatter(std::make_shared<HelpFormat>());
    app.description(
        "pgrevive makes a running PostgreSQL primary and its replicas out of a pgBackRest\n"
        "repository, in one pass over the backup.");
    app.require_subcommand(0, 1);
    app.fallthrough();
    app.set_help_flag("-h,--help", "Print this help");
    app.add_option("--env-file", global.env_file,
                   "Settings (default: .env in the working directory)")
        ->type_name("FILE");
    app.add_option("--cluster", global.cluster,
                   "Name of the cluster (default: CLUSTER_NAME of .env)")
        ->type_name("NAME");
    app.add_option("--config", global.config, "Take the repository from this pgbackrest.conf")
        ->type_name("FILE");
    app.add_option("--stanza", global.stanza, "Stanza in the repository")->type_name("NAME");
    app.add_flag("--version", version, "Print the version");
    app.footer(
        "A cluster from your backups:\n"
        "  cp .env.cluster.example .env       and fill it in, then\n"
        "  pgrevive start\n"
        "Without any backups at hand: pgrevive demo\n\n"
        "Settings are those in .env; variables of the environment do not override them. With\n"
        "--config, PGBACKREST_* count before the file, as pgBackRest has it.\n\n"
        "`pgrevive COMMAND --help` explains a command, with examples.");

    add_start(parser);
    add_stop(parser);
    add_restart(parser);
    add_switchover(parser);
    add_rebuild(parser);
    add_status(parser);
    add_logs(parser);
    add_test(parser);
    add_psql(parser);
    add_exec(parser);
    add_cleanup(parser);
    add_console(parser);
    add_doctor(parser);
    add_demo(parser);
    add_info(parser);
    add_restore(parser);
    add_archive_get(parser);
    add_prefetch(parser);
    add_version(parser);
    add_supervise(parser);
    add_container(parser);
    add_serve_console(parser);
    CLI::App* help = app.add_subcommand("help", "Print this help, or that of a command");
    help->add_option("COMMAND", help_for, "The command to explain");
    help->footer("Examples:\n  pgrevive help\n  pgrevive help restore");
    help->callback([this] {
      work = [this] {
        out("{}", page(help_for));
        return 0;
      };
    });
    for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
      command->fallthrough();
      command->set_help_flag("-h,--help", "Print this help");
    }
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (!command->get_group().empty()) result.push_back(command->get_name());
    }
    return result;
  }

  std::string page(const std::string& command) {
    // Not app.help(): that is the page of the command that was parsed, once there is one.
    if (command.empty()) {
      return app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal);
    }
    check_command(command);
    return app.get_subcommand(command)->help("pgrevive");
  }

  void check_command(const std::string& word) const {
    const auto same =
        app.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; });
    if (!same.empty()) return;
    Error error(ErrorKind::usage, fmt::format("there is no command '{}'", printable(word, 60)));
    const auto guess = closest(word, names());
    throw std::move(error).with_hint(
        guess ? fmt::format("did you mean `{} {}`?", front_door(), *guess)
              : fmt::format("`{} help` lists all commands", front_door()));
  }

  CLI::App app;
  GlobalOptions global;
  std::function<int()> work;
  bool json = false;
  bool version = false;
  std::string help_for;
  std::vector<std::string> theirs;
  Parser parser{app, global, work, json, theirs};
};

// CLI11's complaint in our words.
Error usage_error(const Program& program, const CLI::ParseError& error) {
  const CLI::App* command = &program.app;
  if (const auto chosen = program.app.get_subcommands(); !chosen.empty()) command = chosen.front();
  std::string message = error.what();
  std::string hint =
      command == &program.app
          ? fmt::format("`{} help` lists commands and options", front_door())
          : fmt::format("`{} {} --help` explains it", front_door(), command->get_name());
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    // remaining() is filled in by the parse that failed.
    std::vector<std::string> rest = program.app.remaining(true);
    if (!rest.empty()) {
      const std::string word = rest.front().substr(0, rest.front().find('='));
      message =
          fmt::format("{} has no {} {}", command == &program.app ? "pgrevive" : command->get_name(),
                      word.starts_with('-') ? "option" : "place for", printable(word, 60));
      std::vector<std::string> known;
      for (const CLI::App* level : {command, &program.app}) {
        for (const CLI::Option* option : level->get_options()) {
          for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
        }
      }
      if (const auto guess = closest(word, known); guess && word.starts_with("--")) {
        hint = fmt::format("did you mean {}?", *guess);
      }
    }
  }
  if (!message.empty() && message[0] >= 'A' && message[0] <= 'Z') {
    message[0] = static_cast<char>(message[0] + 32);
  }
  return std::move(Error(ErrorKind::usage, message).with_hint(hint));
}

int run_program(Program& program, const std::vector<std::string>& words) {
  SplitWords split = split_pass_through(words);
  program.theirs = std::move(split.theirs);
  if (const auto command = find_command(split.ours)) program.check_command(split.ours[*command]);

  try {
    // CLI11 takes its words from the end.
    std::vector<std::string> reversed(split.ours.rbegin(), split.ours.rend());
    program.app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = program.app.get_subcommands();
    out("{}", program.page(chosen.empty() ? "" : chosen.front()->get_name()));
    return 0;
  } catch (const CLI::ParseError& error) {
    throw usage_error(program, error);
  }
  if (program.version) {
    out("pgrevive {}\n", PGREVIVE_VERSION);
    return 0;
  }
  if (!program.work) {
    out("{}", program.page(""));
    return 0;
  }
  return program.work();
}

}  // namespace

int run(const std::vector<std::string>& words) {
  // PostgreSQL calls archive-get once for each segment: the parser is not even built for it.
  if (const auto command = find_command(words); command && words[*command] == "archive-get") {
    std::vector<std::string> rest = words;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(*command));
    const bool help = std::ranges::any_of(
        rest, [](const std::string& word) { return word == "--help" || word == "-h"; });
    if (!help) return archive_get(rest);
  }

  Program program;
  const auto told = [&](const Error& error) {
    if (program.json) out("{}", error_json(error));
    err("{}", error_text(error));
    return error.exit_code();
  };
  try {
    ignore_broken_pipes();
    end_on_signals_as_first_process();
    return run_program(program, words);
  } catch (const Error& error) {
    return told(program.global.config.empty() ? error : in_words_of_config(error));
  } catch (const std::filesystem::filesystem_error& error) {
    return told(system_error(error.code().value(), error.path1().string()));
  } catch (const std::exception& exception) {
    // Only a bug of ours gets here: every failure of the world around us is an Error.
    return told(Error(ErrorKind::internal, exception.what()));
  }
}

std::string help_text(const std::string& command) {
  Program program;
  return program.page(command);
}

std::vector<std::string> command_names() { return Program().names(); }

}  // namespace pgrevive::cli
