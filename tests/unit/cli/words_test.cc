#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/archive_get_words.h"
#include "cli/command_line.h"
#include "cli/restore_command.h"
#include "cli/restore_words.h"
#include "cli/source.h"
#include "support/temp_dir.h"

namespace pgrevive::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

template <typename Body>
std::string complaint(Body body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.text();
  }
  return "no complaint";
}

TEST(CommandLine, FindsTheCommandBehindGlobalOptions) {
  EXPECT_EQ(find_command(Words{"--cluster", "stop", "status"}), 2u);
  EXPECT_EQ(find_command(Words{"--cluster=stop", "status"}), 1u);
  EXPECT_EQ(find_command(Words{"--help"}), std::nullopt);
  EXPECT_EQ(find_command(Words{}), std::nullopt);
}

TEST(CommandLine, HandsOnWhatStandsBehindTheNode) {
  const SplitWords psql =
      split_pass_through(Words{"psql", "--cluster", "demo", "primary", "-c", "--help"});
  EXPECT_THAT(psql.ours, ElementsAre("psql", "--cluster", "demo", "primary"));
  EXPECT_THAT(psql.theirs, ElementsAre("-c", "--help"));

  const SplitWords exec = split_pass_through(Words{"exec", "replica", "--", "ls", "--", "-l"});
  EXPECT_THAT(exec.ours, ElementsAre("exec", "replica"));
  EXPECT_THAT(exec.theirs, ElementsAre("ls", "--", "-l"));

  EXPECT_THAT(split_pass_through(Words{"psql", "--help"}).theirs, IsEmpty());
  const SplitWords inside =
      split_pass_through(Words{"container", "exec", "replica", "--", "ls", "--json"});
  EXPECT_THAT(inside.ours, ElementsAre("container", "exec", "replica"));
  EXPECT_THAT(inside.theirs, ElementsAre("ls", "--json"));
  EXPECT_THAT(split_pass_through(Words{"container", "logs", "primary", "--follow"}).theirs,
              IsEmpty());
  EXPECT_THAT(split_pass_through(Words{"logs", "primary", "-f"}).theirs, IsEmpty());
}

TEST(ArchiveGetWords, TakesOptionsInBothFormsAndAnyPlace) {
  const ArchiveGetWords words = parse_archive_get(
      {"--config", "/c", "--stanza=main", "000000010000000000000001", "--fork", "/f",
       "--own-config", "/o", "pg_wal/RECOVERYXLOG", "--report=/r", "--data-directory", "/d", "--repo", "2"});

  EXPECT_EQ(words.global.config, "/c");
  EXPECT_EQ(words.global.stanza, "main");
  EXPECT_EQ(words.fork, "/f");
  EXPECT_EQ(words.own_config, "/o");
  EXPECT_EQ(words.report, "/r");
  EXPECT_EQ(words.data_directory, "/d");
  EXPECT_EQ(words.repository.repo, 2);
  EXPECT_EQ(words.name, "000000010000000000000001");
  EXPECT_EQ(words.destination, "pg_wal/RECOVERYXLOG");
}

TEST(ArchiveGetWords, RefusesWhatIsMissingOrUnknown) {
  EXPECT_THAT(complaint([] { parse_archive_get({"00000001.history"}); }), HasSubstr("%f"));
  EXPECT_THAT(complaint([] {
                parse_archive_get({"--conf", "x", "a", "b"});
              }),
              HasSubstr("no option --conf"));
  EXPECT_THAT(complaint([] {
                parse_archive_get({"a", "b", "--stanza"});
              }),
              HasSubstr("--stanza needs a value"));
  EXPECT_THAT(complaint([] { parse_archive_get({"a", "b", "--repo", "0"}); }), HasSubstr("--repo"));
}

TEST(RestoreCommand, QuotesForTheShellAndDoublesPercentSigns) {
  EXPECT_EQ(restore_command({"/usr/bin/pgrevive", "archive-get"},
                            {"--config", "/etc/pgbackrest.conf", "--stanza", "main"}),
            "exec /usr/bin/pgrevive archive-get --config /etc/pgbackrest.conf --stanza main "
            "%f \"%p\"");
  EXPECT_EQ(
      restore_command({"/my programs/pg'revive"}, {"--env-file", "/100%/.env", "--stanza", "$(x)"}),
      "exec '/my programs/pg'\\''revive' --env-file '/100%%/.env' --stanza '$(x)' %f "
      "\"%p\"");
  EXPECT_EQ(shell_quote(""), "''");
}

RestoreWords two_nodes() {
  RestoreWords words;
  words.nodes = {"primary=/srv/a/", "replica=/srv/b"};
  return words;
}

TEST(RestoreWords, NodesAreNamesAndDirectories) {
  const restore::Options options = restore_options(two_nodes());

  ASSERT_EQ(options.nodes.size(), 2u);
  EXPECT_EQ(options.nodes[0].name, "primary");
  EXPECT_EQ(options.nodes[0].data_directory, "/srv/a");
  EXPECT_EQ(options.nodes[1].data_directory, "/srv/b");
  EXPECT_EQ(options.requests, 0u);  // as many as the storage likes
}

TEST(RestoreWords, EachNodeHasTablespacesOfItsOwn) {
  RestoreWords words = two_nodes();
  words.tablespace_map_all = "/ts";
  words.tablespace_map = {"replica:16385=/fast"};

  const restore::Options options = restore_options(words);

  EXPECT_EQ(options.nodes[0].tablespace_root, "/ts/primary");
  EXPECT_EQ(options.nodes[1].tablespace_root, "/ts/replica");
  EXPECT_THAT(options.nodes[0].tablespace_map, IsEmpty());
  EXPECT_EQ(options.nodes[1].tablespace_map.at("16385"), "/fast");
}

TEST(RestoreWords, BeatThoseOfAPgbackrestConf) {
  const BackrestRestore configured{
      .db_include = {"a"}, .db_exclude = {"b", "c"}, .archive_mode = "off"};
  RestoreWords words = two_nodes();
  words.db_exclude = {"d"};

  const restore::Options options = restore_options(with_configured(words, configured));
  EXPECT_THAT(options.databases.include, testing::ElementsAre("a"));
  EXPECT_THAT(options.databases.exclude, testing::ElementsAre("d"));
  EXPECT_TRUE(restore_target(with_configured(words, configured)).archive_mode_off);

  words.archive_mode = "preserve";
  EXPECT_FALSE(restore_target(with_configured(words, configured)).archive_mode_off);
  words.archive_mode = "";
  words.type = "preserve";
  EXPECT_FALSE(restore_target(with_configured(words, configured)).archive_mode_off);
}

TEST(RestoreWords, RefusesWhatCannotBe) {
  const auto with = [](auto change) {
    return complaint([&] {
      RestoreWords words = two_nodes();
      change(words);
      restore_target(words);
      restore_options(words);
    });
  };
  EXPECT_THAT(with([](auto& w) { w.nodes = {}; }), HasSubstr("at least one --node"));
  EXPECT_THAT(with([](auto& w) { w.nodes = {"/srv/a"}; }), HasSubstr("is not NAME=DIR"));
  EXPECT_THAT(with([](auto& w) { w.nodes = {"../x=/srv/a"}; }), HasSubstr("is not NAME=DIR"));
  EXPECT_THAT(with([](auto& w) {
                w.nodes = {"a=/srv/a", "a=/srv/b"};
              }),
              HasSubstr("names 'a' twice"));
  EXPECT_THAT(with([](auto& w) {
                w.nodes = {"a=/srv/a", "b=/srv/x/../a"};
              }),
              HasSubstr("the same directory"));
  EXPECT_THAT(with([](auto& w) { w.tablespace_map = {"16385=/x"}; }),
              HasSubstr("of 2 nodes into one directory"));
  EXPECT_THAT(with([](auto& w) { w.tablespace_map = {"other:16385=/x"}; }),
              HasSubstr("no node 'other'"));
  EXPECT_THAT(with([](auto& w) { w.tablespace_map = {"16385"}; }), HasSubstr("is not ID=DIR"));
  EXPECT_THAT(with([](auto& w) { w.memory = "1MiB"; }), HasSubstr("at least 16MiB"));
  EXPECT_THAT(with([](auto& w) { w.type = "soon"; }), HasSubstr("--type soon is unknown"));
  EXPECT_THAT(with([](auto& w) { w.type = "time"; }), HasSubstr("needs --target"));
  EXPECT_THAT(with([](auto& w) { w.target = "x"; }), HasSubstr("no meaning for --type default"));
  EXPECT_THAT(with([](auto& w) { w.type = "time", w.target = "tomorrow"; }),
              HasSubstr("write a time such as"));
  EXPECT_THAT(with([](auto& w) { w.type = "lsn", w.target = "12"; }), HasSubstr("write an LSN"));
  EXPECT_THAT(with([](auto& w) { w.type = "xid", w.target = "1a"; }),
              HasSubstr("write the number of a transaction"));
  EXPECT_THAT(with([](auto& w) { w.target_exclusive = true; }), HasSubstr("--target-exclusive"));
  EXPECT_THAT(with([](auto& w) { w.target_action = "dance"; }),
              HasSubstr("pause, promote, shutdown"));
  EXPECT_THAT(with([](auto& w) { w.archive_mode = "always"; }), HasSubstr("off, preserve"));
  EXPECT_THAT(with([](auto& w) { w.archive_mode = "off", w.type = "preserve"; }),
              HasSubstr("--archive-mode off cannot be"));
}

TEST(RestoreWords, TablespacesMayBeNamed) {
  RestoreWords words;
  words.nodes = {"db=/srv/a"};
  words.tablespace_map = {"fast=/f", "16386=/g"};
  restore::Options options = restore_options(words);
  const std::vector<repository::ManifestTarget> targets{{.name = "pg_data"},
                                                        {.name = "pg_tblspc/16385",
                                                         .is_link = true,
                                                         .tablespace_oid = 16385,
                                                         .tablespace_name = "fast"},
                                                        {.name = "pg_tblspc/16386",
                                                         .is_link = true,
                                                         .tablespace_oid = 16386,
                                                         .tablespace_name = "slow"}};

  resolve_tablespaces(options, targets);

  EXPECT_EQ(options.nodes[0].tablespace_map.at("16385"), "/f");
  EXPECT_EQ(options.nodes[0].tablespace_map.at("16386"), "/g");

  words.tablespace_map = {"fats=/f"};
  options = restore_options(words);
  EXPECT_THAT(complaint([&] { resolve_tablespaces(options, targets); }),
              HasSubstr("16385 (fast), 16386 (slow)"));
}

TEST(RestoreWords, ATimeWithoutAZoneGetsThatOfThisHost) {
  RestoreWords words;
  words.type = "time";
  words.target = "2026-11-22 14:05:00+01";
  EXPECT_EQ(recovery_target(words).target, "2026-11-22 14:05:00+01");

  setenv("TZ", "CET-1", 1);
  tzset();
  words.target = "2026-11-22 14:05:00";
  EXPECT_EQ(recovery_target(words).target, "2026-11-22 13:05:00+00");
  unsetenv("TZ");
  tzset();
}

TEST(Source, ADirectoryGivenInWordsNeedsNothingElse) {
  const test::TempDir directory;
  write_file_atomic(directory.path() / "pass", "phrase\n");
  RepositoryWords words{.repo_type = "posix",
                        .repo_path = directory.path(),
                        .cipher_pass_file = directory.path() / "pass",
                        .repo = {}};

  const Source source = load_source({.env_file = {}, .cluster = {}, .config = {}, .stanza = "prod"},
                                    words, "restore");

  ASSERT_EQ(source.repositories.size(), 1u);
  EXPECT_EQ(source.repositories[0].options.path, directory.path());
  EXPECT_EQ(source.repositories[0].options.stanza, "prod");
  EXPECT_EQ(source.repositories[0].options.cipher_passphrase.reveal(), "phrase");
  EXPECT_THAT(source.words, ElementsAre("--repo-type", "posix", "--repo-path",
                                        directory.path().string(), "--cipher-pass-file",
                                        (directory.path() / "pass").string(), "--stanza", "prod"));
}

TEST(Source, WordsForArchiveGetHoldTheFileAndNoSecret) {
  const test::TempDir directory;
  write_file_atomic(directory.path() / "x.conf",
                    "[global]\nrepo1-path=/a\nrepo2-path=/"
                    "b\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=hidden\n[prod]\n");

  const Source source = load_source(
      {.env_file = {}, .cluster = {}, .config = directory.path() / "x.conf", .stanza = {}},
      {.repo_type = {}, .repo_path = {}, .cipher_pass_file = {}, .repo = 1}, "restore");

  EXPECT_EQ(source.repositories.size(), 1u);
  EXPECT_THAT(source.words, ElementsAre("--config", (directory.path() / "x.conf").string(),
                                        "--stanza", "prod", "--repo", "1"));
}

TEST(Source, ChoosesTheStanza) {
  EXPECT_EQ(choose_stanza("asked", {{"PGBACKREST_STANZA", "env"}}, {"only"}), "asked");
  EXPECT_EQ(choose_stanza("", {{"PGBACKREST_STANZA", "env"}}, {"only"}), "env");
  EXPECT_EQ(choose_stanza("", {}, {"only"}), "only");
  EXPECT_EQ(choose_stanza("", {}, {"a", "main"}), "main");
  EXPECT_EQ(choose_stanza("", {}, {}), "main");
  EXPECT_THAT(complaint([] {
                choose_stanza("", {}, {"a", "b"});
              }),
              HasSubstr("several stanzas: a, b"));
}

}  // namespace
}  // namespace pgrevive::cli
