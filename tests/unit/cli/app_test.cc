#include "cli/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};
Outcome call(const std::vector<std::string>& words) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run(words);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(Help, EveryCommandHasAPageWithAnExampleThatFitsATerminal) {
  std::vector<std::string> commands = command_names();
  EXPECT_THAT(commands,
              testing::IsSupersetOf({"start", "stop", "restart", "status", "logs", "test",
                                     "cleanup", "exec", "psql", "help", "demo", "info", "restore",
                                     "archive-get", "prefetch", "version", "doctor"}));
  EXPECT_THAT(commands, Not(testing::Contains("supervise")));

  for (const std::string& command : commands) {
    const std::string page = help_text(command);
    EXPECT_THAT(page, HasSubstr("Usage: pgrevive " + command)) << command;
    EXPECT_THAT(page, HasSubstr("xample")) << command;
    for (const std::string& line : split(page, '\n')) {
      EXPECT_LE(line.size(), 80u) << command << ": " << line;
    }
  }
}

TEST(Program, AloneItPrintsItsHelp) {
  const Outcome outcome = call({});

  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, help_text(""));
  EXPECT_EQ(call({"--help"}).out, outcome.out);
  EXPECT_EQ(call({"help"}).out, outcome.out);
  EXPECT_EQ(call({"help", "restore"}).out, help_text("restore"));
  EXPECT_EQ(call({"restore", "--help"}).out, help_text("restore"));
  EXPECT_EQ(call({"archive-get", "--help"}).out, help_text("archive-get"));
}

TEST(Program, GuessesWhatWasMeant) {
  const Outcome command = call({"stauts"});
  EXPECT_EQ(command.code, 21);
  EXPECT_EQ(command.err,
            "error: there is no command 'stauts'\n  hint: did you mean `pgrevive status`?\n");

  const Outcome option = call({"restore", "--nodes", "a=/b"});
  EXPECT_EQ(option.code, 21);
  EXPECT_THAT(option.err,
              AllOf(HasSubstr("restore has no option --nodes"), HasSubstr("did you mean --node?")));
}

TEST(Program, ErrorsOfJsonCommandsAreJsonToo) {
  const Outcome outcome = call({"status", "--json", "--cluster", "no/such/name"});

  EXPECT_EQ(outcome.code, 21);
  EXPECT_THAT(outcome.out, HasSubstr("\"kind\": \"usage\""));
  EXPECT_THAT(outcome.err, StartsWith("error: --cluster"));
}

TEST(Program, ArchiveGetFailsAbove125WhateverIsWrong) {
  EXPECT_GT(call({"archive-get"}).code, 125);
  EXPECT_GT(call({"archive-get", "--nonsense"}).code, 125);
  EXPECT_GT(call({"--stanza", "x", "archive-get", "--data-directory", "/nowhere", "a", "b"}).code,
            125);
  EXPECT_THAT(call({"archive-get"}).err, StartsWith("error: "));
  EXPECT_THAT(call({"archive-get"}).out, IsEmpty());
}

}  // namespace
}  // namespace pgrevive::cli
