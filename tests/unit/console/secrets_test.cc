#include "console/secrets.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(without_secrets("alter role a password e'x'", {}), "alter role a password e'***'");
  // Bare, as in a URL, in a value of another language, and at the end of a string of SQL.
  EXPECT_EQ(without_secrets("postgres://h/d?password=xy&user=u", {}),
            "postgres://h/d?password=***&user=u");
  EXPECT_EQ(without_secrets(R"("host=h password=xy", "port")", {}),
            R"("host=h password=***", "port")");
  EXPECT_EQ(without_secrets("'host=h password=xy' and on; password=z;", {}),
            "'host=h password=***' and on; password=***;");
  EXPECT_EQ(without_secrets("alter role a password null; set password_encryption", {}),
            "alter role a password null; set password_encryption");
  EXPECT_EQ(without_secrets("select 'it''s', tok-123tok-123", secrets), "select '***', ******");
  EXPECT_EQ(without_secrets("password authentication failed for user \"a\"", secrets),
            "password authentication failed for user \"a\"");
}

// Each may quote what a server has logged.
TEST(MaskErrors, LeavesNoSecretInWhatWentWrong) {
  const std::string said = "server ended: statement: select 'tok-123'::int, password 'x'";
  const std::string masked = "server ended: statement: select '***'::int, password '***'";
  View view;
  view.failure = said;
  auto& supervisor = view.status.supervisor;
  supervisor.error = said;
  supervisor.request = cluster::RequestReport{.error = said};
  supervisor.reindex = cluster::ReindexProgress{.failures = {said}};
  supervisor.notices = {
      {.id = "x", .text = said, .values = {{"error", said}, {"node", "tok-123"}}}};
  view.status.nodes = {{.made_because = said, .error = said}};
  view.status.archiving = said;
  view.status.restores = {{.error = said}};
  view.status.collations.emplace();
  view.status.collations->databases.emplace_back().error = said;

  mask_errors(view, {"tok-123"});

  EXPECT_EQ(view.failure, masked);
  EXPECT_EQ(supervisor.error, masked);
  EXPECT_EQ(supervisor.request->error, masked);
  EXPECT_EQ(supervisor.reindex->failures.front(), masked);
  EXPECT_EQ(supervisor.notices.front().text, masked);
  EXPECT_EQ(supervisor.notices.front().values.at("error"), masked);
  EXPECT_EQ(supervisor.notices.front().values.at("node"), "tok-123") << "which is no one's words";
  EXPECT_EQ(view.status.nodes.front().error, masked);
  EXPECT_EQ(view.status.nodes.front().made_because, masked);
  EXPECT_EQ(view.status.archiving, masked);
  EXPECT_EQ(view.status.restores.front().error, masked);
  EXPECT_EQ(view.status.collations->databases.front().error, masked);
}

TEST(MaskErrors, LeavesNoSecretInWhyARestoreWouldBeRefused) {
  cluster::Preview preview;
  preview.restore = cluster::TargetPreview{
      .backup = {.label = repository::BackupLabel::parse("20261122-020000F")}};
  const auto problem = Error(ErrorKind::corrupt, "not tok-123").with_hint("give it tok-123");
  preview.restore->outlook.problem = problem;
  preview.place_problem = problem;

  mask_errors(preview, {"tok-123"});

  for (const auto& said : {*preview.restore->outlook.problem, *preview.place_problem}) {
    EXPECT_STREQ(said.what(), "not ***");
    EXPECT_EQ(said.hint(), "give it ***");
    EXPECT_EQ(said.kind(), ErrorKind::corrupt);
  }
}

TEST(KnownSecrets, BeginWithTheLongest) {
  const test::TempDir home;
  const cluster::StateDirectory state(home / "c");
  cluster::Settings settings;
  settings.password = Secret("hunter2");
  settings.repository.cipher_passphrase = Secret("hunter2-and-more");
  const auto secrets = known_secrets(state, settings);
  EXPECT_EQ(secrets, (std::vector<std::string>{"hunter2-and-more", "hunter2"}));
  EXPECT_EQ(without_secrets("hunter2-and-more, hunter2", secrets), "***, ***");
}

}  // namespace
}  // namespace pgrevive::console
