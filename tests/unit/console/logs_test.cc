#include "console/logs.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cluster/settings.h"
#include "support/temp_dir.h"

namespace pgrevive::console {
namespace {

TEST(WithoutSecrets, MasksPasswordsOfStatementsAndWhatIsKnown) {
  const std::vector<std::string> secrets{"tok-123", "it''s"};
  EXPECT_EQ(without_secrets("STATEMENT: alter role a PASSWORD 'x''y' valid until 'z'", secrets),
            "STATEMENT: alter role a PASSWORD '***' valid until 'z'");
  EXPECT_EQ(without_secrets("password='unended", {}), "password='***");
  EXPECT_EQ(without_secrets("connection 'host=h password=xy port=1' publication p", {}),
            "connection 'host=h password=*** port=1' publication p");
  EXPECT_EQ(without_secrets("connection 'password=''x y'' port=1', password=z", {}),
            "connection 'password=''***'' port=1', password=***");
  EXPECT_EQ(without_secrets("alter role a password E'x' in role b, password $$y$$", {}),
            "alter role a password E'***' in role b, password $$***$$");
  EXPECT_EQ(without_secrets("alter role a password null; set password_encryption", {}),
            "alter role a password null; set password_encryption");
  EXPECT_EQ(without_secrets("select 'it''s', tok-123tok-123", secrets), "select '***', ******");
  EXPECT_EQ(without_secrets("password authentication failed for user \"a\"", secrets),
            "password authentication failed for user \"a\"");
}

class Logs : public testing::Test {
 protected:
  Logs() : state_(directory_.path() / "c") {
    make_directories(state_.logs("primary"));
    make_directories(state_.secrets());
    cluster::Settings settings;
    settings.password = Secret("hunter22");
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

TEST_F(Logs, OfNobodyAreRefusedAndOfNothingEmpty) {
  EXPECT_EQ(ask("of=replica")["lines"], nlohmann::json::array());
  http::ServerRequest request;
  request.query = "of=../../secrets/x";
  EXPECT_EQ(logs(state_, request).status, 400);
}

}  // namespace
}  // namespace pgrevive::console
