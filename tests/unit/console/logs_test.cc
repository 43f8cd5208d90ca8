#include "console/logs.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cluster/settings.h"
#include "support/temp_dir.h"

namespace pgrevive::console {
namespace {

class Logs : public testing::Test {
 protected:
  Logs() : state_(directory_.path() / "c") {
    make_directories(state_.logs("primary"));
    make_directories(state_.secrets());
    cluster::Settings settings;
    settings.password = Secret("hunter22");
    write_file_atomic(state_.settings(), to_json(settings));
  }
  void set(const std::function<void(cluster::Settings&)>& change) {
    cluster::Settings settings;
    change(settings);
    write_file_atomic(state_.settings(), to_json(settings));
  }
  nlohmann::json ask(const std::string& query) {
    http::ServerRequest request;
    request.path = "/api/v1/logs";
    request.query = query;
    const auto response = logs(state_, request);
    EXPECT_EQ(response.status, 200) << response.body;
    return nlohmann::json::parse(response.body);
  }
  void write(const std::string& text) {
    write_file_atomic(state_.logs("primary") / "postgresql.log", text);
  }

  test::TempDir directory_;
  cluster::StateDirectory state_;
};

TEST_F(Logs, GiveTheLastLinesAndThenWhatIsNew) {
  write("one\ntwo hunter22\nthr");
  auto said = ask("of=primary&lines=1");
  EXPECT_EQ(said["lines"], nlohmann::json({"two ***"}));

  write("one\ntwo hunter22\nthree\nfour\n");
  said = ask("of=primary&from=" + std::to_string(said["next"].get<int>()));
  EXPECT_EQ(said["lines"], nlohmann::json({"three", "four"}));

  write("anew\n");  // shorter than what was read
  said = ask("of=primary&from=" + std::to_string(said["next"].get<int>()));
  EXPECT_EQ(said["lines"], nlohmann::json({"anew"}));
}

TEST_F(Logs, AreSearchedInWhateverCase) {
  write("LOG: ready\nFATAL: no\nERROR: fatal too\n");
  EXPECT_EQ(ask("of=primary&search=Fatal")["lines"],
            nlohmann::json({"FATAL: no", "ERROR: fatal too"}));
  // Nobody finds out what was masked by searching for it.
  write("hunter22\n");
  EXPECT_EQ(ask("of=primary&search=hunter")["lines"], nlohmann::json::array());
}

TEST_F(Logs, MaskEachSecretOfTheCluster) {
  set([](cluster::Settings& settings) {
    settings.password = Secret("it's-own");
    settings.repository.cipher_passphrase = Secret("repository-pass");
    settings.repository.s3.secret_key = Secret("repository-key");
    settings.repository.s3.session_token = Secret("repository-session");
    settings.own_archive.cipher_passphrase = Secret("archive-pass");
    settings.own_archive.secret_key = Secret("archive-key");
    settings.own_archive.session_token = Secret("archive-session");
  });
  write_file_atomic(state_.secrets() / "console.token", "console-token\n");
  write_file_atomic(state_.replication_passfile(), "*:*:*:replicator:streaming-pass\n");
  write_file_atomic(state_.user_passfile(), "localhost:1:db:user:user-pass\n");
  write(
      "it's-own it''s-own repository-pass repository-key repository-session archive-pass "
      "archive-key\n"
      "archive-session console-token streaming-pass user-pass replicator localhost\n");
  EXPECT_EQ(ask("of=primary")["lines"], nlohmann::json({"*** *** *** *** *** *** ***",
                                                        "*** *** *** *** replicator localhost"}));
}

TEST_F(Logs, TellNothingOfALineFromItsMiddleOn) {
  // Where the word before a password is left out, nobody would know that it is one.
  const std::string line = "STATEMENT: alter role x password 'open sesame'; select 'hunter22'\n";
  const std::string text = "first\n" + line + "last\n";
  write(text);
  for (std::size_t from = 0; from <= text.size(); ++from) {
    const auto said = ask("of=primary&from=" + std::to_string(from));
    for (const char* part : {"sesame", "esame'", "unter22"})
      EXPECT_EQ(said.dump().find(part), std::string::npos) << from << said;
    EXPECT_EQ(said["lines"].size(), from == 0 ? 3u : from <= 6 ? 2u : from <= 6 + line.size() ? 1u : 0u)
        << from << said;
    EXPECT_EQ(said["next"], text.size());
  }
  // Nor where so much of a line was written that its beginning is out of reach.
  const std::string begin = "alter role x password '";
  write(begin + std::string(300 << 10, 'y'));
  auto said = ask("of=primary");
  EXPECT_EQ(said["lines"].size(), 0u);
  write(begin + std::string(300 << 10, 'y') + " sesame'\nlast\n");
  said = ask("of=primary&from=" + std::to_string(said["next"].get<int>()));
  EXPECT_EQ(said["lines"], nlohmann::json({"last"}));
}

TEST_F(Logs, MaskWhatStandsOnAnotherLineThanTheWordBeforeIt) {
  const std::string head = "STATEMENT:  alter role bob password\n";
  const std::string rest = "\t'open sesame'\n\tvalid until 'z'\n";
  const std::string text = head + rest + "last\n";
  write(text);
  EXPECT_EQ(ask("of=primary")["lines"],
            nlohmann::json({"STATEMENT:  alter role bob password", "\\x09'***'",
                            "\\x09valid until 'z'", "last"}));
  EXPECT_EQ(ask("of=primary&lines=3")["lines"],
            nlohmann::json({"\\x09'***'", "\\x09valid until 'z'", "last"}));
  EXPECT_EQ(ask("of=primary&search=sesame")["lines"], nlohmann::json::array());
  // Where the word was not read, nothing is told of what belongs to it; that is said by where the
  // lines begin.
  for (auto from = head.size(); from <= head.size() + rest.size(); ++from) {
    const auto said = ask("of=primary&from=" + std::to_string(from));
    EXPECT_EQ(said["lines"], nlohmann::json({"last"}));
    EXPECT_EQ(said["searched_from"], head.size() + rest.size());
    EXPECT_EQ(said["next"], text.size());
  }
  write(head);
  auto said = ask("of=primary");
  write(head + rest);
  said = ask("of=primary&from=" + std::to_string(said["next"].get<int>()));
  EXPECT_EQ(said["lines"], nlohmann::json::array());
  EXPECT_EQ(said["searched_from"], head.size() + rest.size());
  EXPECT_EQ(said["next"], head.size() + rest.size());
  const auto lines = last_log_lines(state_, "primary", 2);
  EXPECT_EQ(lines, (std::vector<std::string>{"\\x09'***'", "\\x09valid until 'z'"}));
}

TEST_F(Logs, MaskNothingThatIsTooShortToBeASecret) {
  set([](cluster::Settings& settings) { settings.password = Secret("abc"); });
  write("abc is where it begins\n");
  EXPECT_EQ(ask("of=primary")["lines"], nlohmann::json({"abc is where it begins"}));
}

TEST_F(Logs, HaveBounds) {
  std::string many;
  for (int i = 0; i < 1500; ++i) many += "line " + std::to_string(i) + "\n";
  write(many);
  EXPECT_EQ(ask("of=primary")["lines"].size(), 100u);
  EXPECT_EQ(ask("of=primary&lines=5000")["lines"].size(), 1000u);
  EXPECT_EQ(ask("of=primary&lines=5000")["lines"].back(), "line 1499");

  write(std::string(5000, 'x') + "\x1b[31m\n");
  const auto line = ask("of=primary")["lines"][0].get<std::string>();
  EXPECT_LT(line.size(), 2100u);

  // Of a file that is long only the end is read, from a line's beginning on; more for a search.
  const std::string begin = "the first line\n" + std::string(300 << 10, 'y') + " behind it\n";
  write(begin + "the last line\n");
  EXPECT_EQ(ask("of=primary")["lines"], nlohmann::json({"the last line"}));
  EXPECT_EQ(ask("of=primary&from=3")["lines"], nlohmann::json({"the last line"}));
  EXPECT_EQ(ask("of=primary&search=first")["lines"], nlohmann::json({"the first line"}));
  write("the first line\n" + std::string((8 << 20) + 100, 'y') + "\nthe last line\n");
  EXPECT_EQ(ask("of=primary&search=line")["lines"], nlohmann::json({"the last line"}));
}

TEST_F(Logs, ShowNothingThatATerminalOrAPageWouldObey) {
  write("red \x1b[31mtext\n");
  const auto line = ask("of=primary")["lines"][0].get<std::string>();
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST_F(Logs, EndWithTheLastLinesForWhoDoesNotAsk) {
  EXPECT_TRUE(last_log_lines(state_, "primary", 2).empty());  // nothing was written yet
  write("one\ntwo hunter22\nthree \x1b[31m\nfou");
  const auto lines = last_log_lines(state_, "primary", 2);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "two ***");
  EXPECT_EQ(lines[1].find('\x1b'), std::string::npos);
  EXPECT_TRUE(last_log_lines(state_, "nobody", 2).empty());
}

TEST_F(Logs, AreOfNodesFirstAndOfTheSupervisorUnasked) {
  set([](cluster::Settings& settings) { settings.replicas = 1; });
  const auto said = ask("");
  EXPECT_EQ(said["of"], "supervisor");
  EXPECT_EQ(said["logs"], nlohmann::json({"primary", "replica", "restore", "restore-replica",
                                          "supervisor", "prefetch", "console"}));
}

TEST_F(Logs, OfNobodyAreRefusedAndOfNothingEmpty) {
  EXPECT_EQ(ask("of=replica")["lines"], nlohmann::json::array());
  http::ServerRequest request;
  request.query = "of=../../secrets/x";
  EXPECT_EQ(logs(state_, request).status, 400);
}

}  // namespace
}  // namespace pgrevive::console
