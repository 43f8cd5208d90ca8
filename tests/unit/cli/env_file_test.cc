#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/env_names.h"
#include "cli/env_settings.h"
#include "support/temp_dir.h"

namespace pgrevive::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

EnvFile parse(std::string_view text) { return parse_env(text, "/here/.env"); }

std::string value_of(std::string_view line) {
  const EnvFile file = parse(line);
  EXPECT_TRUE(file.problems.empty()) << file.problems.front().text;
  return file.entries.empty() ? "nothing" : file.entries.front().value;
}

constexpr const char* kComplete =
    "POSTGRES_PASSWORD=secret\n"
    "S3_BUCKET=backups\n"
    "S3_REGION=eu-west-1\n"
    "S3_ACCESS_KEY=AKIA1\n"
    "S3_SECRET_KEY=key/+=\n";

cluster::Settings settings(const std::string& more, EnvNeeds needs = {}) {
  return settings_from_env(parse(kComplete + more), needs);
}

// The message of the one Error that a file gives.
std::string complaint(const std::string& text, EnvNeeds needs = {}) {
  try {
    settings_from_env(parse(text), needs);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "no complaint";
}

TEST(EnvFile, ReadsEveryFormOfAValue) {
  EXPECT_EQ(value_of("A=b"), "b");
  EXPECT_EQ(value_of("  export A = b c  "), "b c");
  EXPECT_EQ(value_of("A="), "");
  EXPECT_EQ(value_of("A=b # comment"), "b");
  EXPECT_EQ(value_of("A=b#c"), "b#c");
  EXPECT_EQ(value_of("A=#c"), "");
  EXPECT_EQ(value_of("A='b #\\\"c'  # comment"), "b #\\\"c");
  EXPECT_EQ(value_of("A=\"b \\\"c\\\" \\$d \\\\ \\n\\q\""), "b \"c\" $d \\ \n\\q");
  EXPECT_EQ(value_of("A=''"), "");
  EXPECT_EQ(value_of("A=b=c=="), "b=c==");
  EXPECT_EQ(value_of("\xEF\xBB\xBF"
                     "A=b\r\n"),
            "b");
}

TEST(EnvFile, SkipsCommentsAndBlankLines) {
  const EnvFile file = parse("# A=1\r\n\r\n   \n  # B=2\nC=3");

  ASSERT_EQ(file.entries.size(), 1u);
  EXPECT_EQ(file.entries[0].name, "C");
  EXPECT_EQ(file.entries[0].line, 5);
}

TEST(EnvFile, NamesTheLineThatCannotBeReadAndNeverShowsIt) {
  const EnvFile file =
      parse("S3_BUCKET=a\nwJalrXUtnFEMI\nS3_SECRET_KEY='open\nS3_BUCKET=b\nwJal/rXU==\nA='x'y\n");

  std::vector<int> lines;
  for (const EnvProblem& problem : file.problems) {
    lines.push_back(problem.line);
    EXPECT_THAT(problem.text, AllOf(Not(HasSubstr("wJal")), Not(HasSubstr("open"))))
        << problem.text;
  }
  EXPECT_THAT(lines, ElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(file.problems[2].text, HasSubstr("first on line 1"));
}

TEST(EnvFile, GivesTheReferencesDefaults) {
  const cluster::Settings made = settings("");

  EXPECT_EQ(made.cluster_name, "postgres-cluster");
  EXPECT_EQ(made.user, "postgres");
  EXPECT_EQ(made.database, "testdb");
  EXPECT_EQ(made.primary_port, 5433);
  EXPECT_EQ(made.replica_port, 5434);
  EXPECT_EQ(made.adminer_port, 8081);
  EXPECT_EQ(made.replicas, 1);
  EXPECT_TRUE(made.restore_from_backup);
  EXPECT_EQ(made.repository.stanza, "main");
  EXPECT_EQ(made.repository.type, repository::RepositoryOptions::Type::s3);
  EXPECT_EQ(made.repository.s3.endpoint, "s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(made.repository.s3.prefix, "/pgbackrest");
  EXPECT_TRUE(made.repository.s3.verify_tls);
  EXPECT_FALSE(made.backup_set);
}

TEST(EnvFile, TakesEveryName) {
  const cluster::Settings made = settings(
      "RUNTIME=docker\nCLUSTER_NAME=copy-2\nPOSTGRES_USER=admin\nPOSTGRES_DB=shop\nPOSTGRES_"
      "PRIMARY_PORT=6001\n"
      "POSTGRES_REPLICA_PORT=6002\nADMINER_PORT=0\nADMINER_LISTEN=0.0.0.0\nCONSOLE_PORT=0\n"
      "CONSOLE_LISTEN=[::]\nCONSOLE_HOSTS='a.example, b'\nREPLICAS=2\nREPLICA_REBUILD=backup\n"
      "LISTEN_ADDRESSES=*\nALLOWED_NETWORKS=10.0.0.0/8, fd00::1\nPGBACKREST_STANZA=prod\n"
      "PGBACKREST_PROCESS_MAX=8\nREPO_CIPHER_PASS=pass\nS3_SESSION_TOKEN=token\n"
      "S3_ENDPOINT=http://127.0.0.1:9000/\nS3_PATH=/"
      "elsewhere\nS3_URI_STYLE=path\nS3_VERIFY_TLS=no\n"
      "RESTORE_SET=20240115-020000F\nRECOVERY_TARGET_TYPE=time\n"
      "RECOVERY_TARGET='2026-11-22 14:05:00+00'\nRECOVERY_TARGET_EXCLUSIVE=y\n"
      "DB_INCLUDE='shop, odd name,16400'\nDB_EXCLUDE=old\nDB_DROP_LEFT_OUT=true\n"
      "TABLESPACE_MAP='fast=/ssd/, replica-2:16385=/disk'\nTABLESPACE_MAP_ALL=/srv\n"
      "RECOVERY_TARGET_TIMELINE=latest\nWAL_ARCHIVE=source\nWAL_ARCHIVE_PATH=/"
      "wal\nRETENTION_FULL=5\n"
      "RETENTION_DIFF=6\nSHARED_BUFFERS=256MB\nEFFECTIVE_CACHE_SIZE=1GB\nMAINTENANCE_WORK_MEM="
      "64MB\n"
      "WORK_MEM=4MB\nMAX_WAL_SENDERS=10\nMAX_REPLICATION_SLOTS=11\nPOSTGRES_BIN=/opt/pg/bin\n");

  EXPECT_EQ(made.cluster_name, "copy-2");
  EXPECT_EQ(made.user, "admin");
  EXPECT_EQ(made.password.reveal(), "secret");
  EXPECT_EQ(made.database, "shop");
  EXPECT_EQ(made.primary_port, 6001);
  EXPECT_EQ(made.replica_port, 6002);
  EXPECT_EQ(made.adminer_port, 0);
  EXPECT_EQ(made.adminer_listen, "0.0.0.0");
  EXPECT_EQ(made.console_port, 0);
  EXPECT_EQ(made.console_listen, "::");
  EXPECT_THAT(made.console_hosts, ElementsAre("a.example", "b"));
  EXPECT_EQ(made.replicas, 2);
  EXPECT_EQ(made.replica_rebuild, cluster::ReplicaRebuild::backup);
  ASSERT_EQ(made.tablespaces.entries.size(), 2u);
  EXPECT_EQ(made.tablespaces.entries[0].node, "");
  EXPECT_EQ(made.tablespaces.entries[0].tablespace, "fast");
  EXPECT_EQ(made.tablespaces.entries[0].directory, "/ssd");
  EXPECT_EQ(made.tablespaces.entries[1].node, "replica-2");
  EXPECT_EQ(made.tablespaces.entries[1].tablespace, "16385");
  EXPECT_EQ(made.tablespaces.entries[1].directory, "/disk");
  EXPECT_EQ(made.tablespaces.all, "/srv");
  EXPECT_EQ(made.listen_addresses, "*");
  EXPECT_THAT(made.allowed_networks, ElementsAre("10.0.0.0/8", "fd00::1/128"));
  EXPECT_EQ(made.repository.stanza, "prod");
  EXPECT_EQ(made.process_max, 8u);
  EXPECT_EQ(made.repository.cipher_passphrase.reveal(), "pass");
  EXPECT_EQ(made.repository.s3.bucket, "backups");
  EXPECT_EQ(made.repository.s3.region, "eu-west-1");
  EXPECT_EQ(made.repository.s3.access_key.reveal(), "AKIA1");
  EXPECT_EQ(made.repository.s3.secret_key.reveal(), "key/+=");
  EXPECT_EQ(made.repository.s3.session_token.reveal(), "token");
  EXPECT_EQ(made.repository.s3.endpoint, "http://127.0.0.1:9000");
  EXPECT_EQ(made.repository.s3.prefix, "/elsewhere");
  EXPECT_EQ(made.repository.s3.uri_style, storage::UriStyle::path);
  EXPECT_FALSE(made.repository.s3.verify_tls);
  EXPECT_EQ(made.backup_set, "20240115-020000F");
  EXPECT_EQ(made.target.type, restore::RecoveryType::time);
  EXPECT_EQ(made.target.target, "2026-11-22 14:05:00+00");
  EXPECT_TRUE(made.target.exclusive);
  EXPECT_EQ(made.target.timeline, "latest");
  EXPECT_THAT(made.databases.include, ElementsAre("shop", "odd name", "16400"));
  EXPECT_THAT(made.databases.exclude, ElementsAre("old"));
  EXPECT_TRUE(made.drop_left_out);
  EXPECT_EQ(made.wal_archive, cluster::WalArchiveMode::source);
  EXPECT_EQ(made.own_archive.path, "/wal");
  EXPECT_EQ(made.retention_full, 5);
  EXPECT_EQ(made.retention_diff, 6);
  EXPECT_EQ(made.shared_buffers, "256MB");
  EXPECT_EQ(made.effective_cache_size, "1GB");
  EXPECT_EQ(made.maintenance_work_mem, "64MB");
  EXPECT_EQ(made.work_mem, "4MB");
  EXPECT_EQ(made.max_wal_senders, 10);
  EXPECT_EQ(made.max_replication_slots, 11);
  EXPECT_EQ(made.postgres_binaries, "/opt/pg/bin");
}

TEST(EnvFile, TakesABucketAndKeysOfTheOwnArchive) {
  const cluster::OwnArchive own =
      settings(
          "WAL_ARCHIVE_TYPE=s3\nWAL_ARCHIVE_PATH=/wal\nWAL_ARCHIVE_CIPHER_PASS=pass\n"
          "WAL_ARCHIVE_S3_BUCKET=own\nWAL_ARCHIVE_S3_ENDPOINT=https://minio:9000/\n"
          "WAL_ARCHIVE_S3_REGION=us\nWAL_ARCHIVE_S3_ACCESS_KEY=WRITER\n"
          "WAL_ARCHIVE_S3_SECRET_KEY=writers\nWAL_ARCHIVE_S3_SESSION_TOKEN=token\n"
          "WAL_ARCHIVE_S3_URI_STYLE=host\nWAL_ARCHIVE_S3_VERIFY_TLS=false\n")
          .own_archive;

  EXPECT_EQ(own.type, repository::RepositoryOptions::Type::s3);
  EXPECT_EQ(own.path, "/wal");
  EXPECT_EQ(own.cipher_passphrase.reveal(), "pass");
  EXPECT_EQ(own.bucket, "own");
  EXPECT_EQ(own.endpoint, "https://minio:9000");
  EXPECT_EQ(own.region, "us");
  EXPECT_EQ(own.access_key.reveal(), "WRITER");
  EXPECT_EQ(own.secret_key.reveal(), "writers");
  EXPECT_EQ(own.session_token.reveal(), "token");
  EXPECT_EQ(own.uri_style, storage::UriStyle::host);
  EXPECT_EQ(own.verify_tls, false);
}

TEST(EnvFile, LeavesToTheOwnArchiveWhatTheSourceHas) {
  const cluster::OwnArchive own = settings("").own_archive;

  EXPECT_FALSE(own.type);
  EXPECT_FALSE(own.has_s3_of_its_own());
  EXPECT_FALSE(own.uri_style);
  EXPECT_FALSE(own.verify_tls);
}

TEST(EnvFile, TellsAllProblemsAtOnceWithTheirLines) {
  const std::string text = complaint(
      "POSTGRES_PASSWORD=changeme\n"
      "S3_BUCKET=your-bucket\n"
      "S3_REGIN=eu-west-1\n"
      "POSTGRES_PRIMARY_PORT=70000\n"
      "SHARED_BUFFERS=256mb\n"
      "S3_VERIFY_TLS=maybe\n"
      "FAVOURITE_COLOUR=blue\n"
      "S3_ACCESS_KEY=\n");

  EXPECT_EQ(
      text,
      "/here/.env has 10 problems:\n"
      "  line 1: POSTGRES_PASSWORD still holds the example's placeholder; write the superuser's "
      "password\n"
      "  line 2: S3_BUCKET still holds the placeholder \"your-bucket\"; write the bucket's name\n"
      "  line 3: S3_REGIN is not a name we know; did you mean S3_REGION?\n"
      "  line 4: POSTGRES_PRIMARY_PORT=70000 cannot be; write a whole number from 1 to 65535\n"
      "  line 5: SHARED_BUFFERS=256mb cannot be; write a number and one of kB, MB, GB, TB as "
      "PostgreSQL spells them, such as 256MB\n"
      "  line 6: S3_VERIFY_TLS=maybe cannot be; write true or false\n"
      "  line 7: FAVOURITE_COLOUR is not a name we know; remove the line (.env.cluster.example "
      "lists all names)\n"
      "  line 8: S3_ACCESS_KEY is empty; write the access key's id\n"
      "  S3_REGION is missing; write the bucket's region, such as us-east-1\n"
      "  S3_SECRET_KEY is missing; write the secret access key");
}

TEST(EnvFile, NeverShowsASecret) {
  const std::string text = complaint(
      "POSTGRES_PASSWORD=your-hidden-1\nS3_SECRET_KEY=\"hidden-2\nREPO_CIPHER_PASS=<hidden-3>\n"
      "hiddenhiddenhidden4=x\nS3_SECRET_KEYS=hidden-5\n");

  EXPECT_THAT(text, Not(HasSubstr("hidden")));
  EXPECT_THAT(text, HasSubstr("did you mean S3_SECRET_KEY?"));
}

struct Bad {
  const char* name;
  const char* line;
  const char* message;
};
class BadEnvValue : public testing::TestWithParam<Bad> {};

TEST_P(BadEnvValue, IsRefusedWithItsRemedy) {
  EXPECT_THAT(complaint(kComplete + std::string(GetParam().line)), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadEnvValue,
    testing::Values(
        Bad{"port_zero", "POSTGRES_PRIMARY_PORT=0", "from 1 to 65535"},
        Bad{"port_text", "ADMINER_PORT=http", "from 0 to 65535"},
        Bad{"ports_equal", "POSTGRES_REPLICA_PORT=5433",
            "the primary and the replica would both be on port 5433"},
        Bad{"replica_on_adminer", "REPLICAS=2\nADMINER_PORT=5435",
            "replica 2 and Adminer would both be on port 5435"},
        Bad{"ports_run_out", "REPLICAS=4\nPOSTGRES_REPLICA_PORT=65533", "pass 65535"},
        Bad{"replicas", "REPLICAS=5", "from 0 to 4"},
        Bad{"replica_rebuild", "REPLICA_REBUILD=delta", "auto, backup or primary"},
        Bad{"cluster_name", "CLUSTER_NAME=../etc", "letters, digits"},
        Bad{"exclusive",
            "RECOVERY_TARGET_TYPE=name\nRECOVERY_TARGET=x\nRECOVERY_TARGET_EXCLUSIVE=y",
            "time, lsn or xid only"},
        Bad{"runtime", "RUNTIME=podman", "local or docker"},
        Bad{"cluster_dot", "CLUSTER_NAME=..", "letters, digits"},
        Bad{"network", "ALLOWED_NETWORKS=10.0.0.0/8,everyone", "\"everyone\" is not a network"},
        Bad{"console_hosts", "CONSOLE_HOSTS=http://a", "is not a host name"},
        Bad{"adminer_listen", "ADMINER_LISTEN=localhost", "write an IP address"},
        Bad{"repo_type", "REPO_TYPE=gcs", "write s3, or posix"},
        Bad{"repo_path_missing", "REPO_TYPE=posix",
            "REPO_PATH is missing; write the repository's directory (REPO_TYPE is posix)"},
        Bad{"repo_path_relative", "REPO_TYPE=posix\nREPO_PATH=backups", "beginning with /"},
        Bad{"endpoint_scheme", "S3_ENDPOINT=ftp://x", "http:// or https://"},
        Bad{"endpoint_path", "S3_ENDPOINT=https://x/bucket", "a host with an optional port"},
        Bad{"uri_style", "S3_URI_STYLE=virtual", "write auto, host or path"},
        Bad{"ca_file", "S3_CA_FILE=/nowhere/ca.pem", "there is no such file"},
        Bad{"set", "RESTORE_SET=yesterday", "write a label"},
        Bad{"target_type", "RECOVERY_TARGET_TYPE=soon", "write default, immediate"},
        Bad{"target_standby", "RECOVERY_TARGET_TYPE=standby", "write default, immediate"},
        Bad{"target_missing", "RECOVERY_TARGET_TYPE=lsn", "needs RECOVERY_TARGET beside it"},
        Bad{"target_time", "RECOVERY_TARGET_TYPE=time\nRECOVERY_TARGET=tomorrow",
            "write a time such as"},
        Bad{"target_lsn", "RECOVERY_TARGET_TYPE=lsn\nRECOVERY_TARGET=0", "write an LSN"},
        Bad{"target_alone", "RECOVERY_TARGET=x", "needs RECOVERY_TARGET_TYPE"},
        Bad{"db_include", "DB_INCLUDE=shop,,old", "names of databases with commas"},
        Bad{"tablespace_map", "TABLESPACE_MAP=fast", "write TABLESPACE=DIRECTORY"},
        Bad{"tablespace_map_relative", "TABLESPACE_MAP=fast=ssd", "write TABLESPACE=DIRECTORY"},
        Bad{"tablespace_map_node", "TABLESPACE_MAP=replica-2:fast=/ssd",
            "there is no node replica-2 (the nodes are primary, replica)"},
        Bad{"tablespace_map_all", "TABLESPACE_MAP_ALL=srv", "beginning with /"},
        Bad{"wal_archive", "WAL_ARCHIVE=on", "write own, source or off"},
        Bad{"wal_archive_path", "WAL_ARCHIVE_PATH=wal", "beginning with /"},
        Bad{"archive_type", "WAL_ARCHIVE_TYPE=azure", "write s3, or posix"},
        Bad{"archive_key_alone", "WAL_ARCHIVE_S3_ACCESS_KEY=W",
            "WAL_ARCHIVE_S3_SECRET_KEY is missing; write the secret of the access key that writes "
            "there (keys come as a pair)"},
        Bad{"archive_token_alone", "WAL_ARCHIVE_S3_SESSION_TOKEN=T",
            "WAL_ARCHIVE_S3_ACCESS_KEY is missing"},
        Bad{"archive_endpoint", "WAL_ARCHIVE_S3_ENDPOINT=x/bucket", "a host with an optional port"},
        Bad{"archive_ca_file", "WAL_ARCHIVE_S3_CA_FILE=/nowhere/ca.pem", "there is no such file"},
        Bad{"archive_bucket_of_a_directory", "WAL_ARCHIVE_TYPE=posix\nWAL_ARCHIVE_S3_BUCKET=own",
            "WAL_ARCHIVE_S3_BUCKET is of a bucket, and WAL_ARCHIVE_TYPE is posix"},
        Bad{"archive_bucket_of_the_source", "WAL_ARCHIVE=source\nWAL_ARCHIVE_S3_BUCKET=own",
            "WAL_ARCHIVE_S3_BUCKET is of WAL_ARCHIVE=own"},
        Bad{"retention", "RETENTION_FULL=0", "from 1 to"},
        Bad{"process_max", "PGBACKREST_PROCESS_MAX=0", "from 1 to 999"},
        Bad{"size_without_unit", "WORK_MEM=4", "kB, MB, GB, TB"},
        Bad{"few_senders", "MAX_WAL_SENDERS=1", "need at least 2"},
        Bad{"few_slots", "REPLICAS=2\nMAX_REPLICATION_SLOTS=1", "each of the 2 replicas needs one"},
        Bad{"postgres_bin", "POSTGRES_BIN=bin", "beginning with /"},
        Bad{"stanza", "PGBACKREST_STANZA=a/b", "without blanks"},
        Bad{"restore_flag", "RESTORE_FROM_BACKUP=perhaps", "write true or false"},
        Bad{"lower_case", "s3_bukket=x", "did you mean S3_BUCKET?"}),
    [](const auto& test) { return test.param.name; });

TEST(EnvFile, AsksOnlyForWhatIsNeeded) {
  // A new empty cluster needs no repository, and its placeholders do not matter.
  EXPECT_FALSE(
      settings_from_env(
          parse("RESTORE_FROM_BACKUP=false\nPOSTGRES_PASSWORD=x\nS3_BUCKET=your-bucket"), {})
          .restore_from_backup);
  // `info` needs no password.
  EXPECT_EQ(
      settings_from_env(
          parse("REPO_TYPE=posix\nREPO_PATH=/r\nPOSTGRES_PASSWORD=changeme\nS3_BUCKET=your-bucket"),
          {.cluster = false, .repository = true})
          .repository.path,
      "/r");
  // With a pgbackrest.conf the repository's names may be missing.
  EXPECT_EQ(settings_from_env(parse("POSTGRES_PASSWORD=x"), {.cluster = true, .repository = false})
                .password.reveal(),
            "x");
  // Which of its backups is another matter.
  EXPECT_EQ(settings_from_env(parse("POSTGRES_PASSWORD=x\nRESTORE_SET=20240115-020000F"),
                              {.cluster = true, .repository = false})
                .backup_set,
            "20240115-020000F");
}

TEST(EnvFile, TakesWhatAContainersEnvironmentSays) {
  const test::TempDir directory;
  write_file_atomic(directory.path() / "key", "from a file\n");
  const std::map<std::string, std::string> environment = {
      {"S3_BUCKET", "from the environment"},
      {"S3_SECRET_KEY_FILE", directory.path() / "key"},
      {"S3_BUCKET_FILE", "/of/no/secret"},
      {"POSTGRES_PASSWORD", "itself"},
      {"POSTGRES_PASSWORD_FILE", "/not/looked/at"},
      {"UNKNOWN", "x"}};
  EnvFile file = parse("S3_BUCKET=from .env\nS3_REGION=eu\n");
  add_environment(file, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return {};
    return found->second;
  });
  EXPECT_EQ(file.find("S3_BUCKET")->value, "from the environment");
  EXPECT_EQ(file.find("S3_REGION")->value, "eu");
  EXPECT_EQ(file.find("S3_SECRET_KEY")->value, "from a file");
  EXPECT_EQ(file.find("POSTGRES_PASSWORD")->value, "itself");
  EXPECT_EQ(file.entries.size(), 4u);
}

TEST(EnvFile, LeavesDockerComposeItsVariables) {
  EXPECT_NO_THROW(settings("COMPOSE_PROJECT_NAME=x\nDOCKER_BUILDKIT=1\nDOCKER_LISTEN=0.0.0.0\n"));
  EXPECT_THAT(complaint(std::string(kComplete) + "DOCKER_POSTGRES_MAYOR=17\n"),
              testing::HasSubstr("did you mean DOCKER_POSTGRES_MAJOR?"));
}

TEST(EnvFile, TakesSecretsFromFilesOfTheirOwn) {
  const test::TempDir directory;
  const auto path = directory.path() / ".env";
  write_file_atomic(directory.path() / "key", "in a file\r\n");

  write_file_atomic(path, "S3_SECRET_KEY_FILE=key\nS3_ACCESS_KEY=\nS3_ACCESS_KEY_FILE='" +
                              (directory.path() / "key").string() + "'\nREPO_CIPHER_PASS_FILE=\n");
  const auto file = load_env(path);
  EXPECT_THAT(file.problems, testing::IsEmpty());
  EXPECT_EQ(file.find("S3_SECRET_KEY")->value, "in a file");
  EXPECT_EQ(file.find("S3_ACCESS_KEY")->value, "in a file");
  EXPECT_EQ(file.entries.size(), 2u);

  write_file_atomic(path, "S3_SECRET_KEY_FILE=none\nS3_ACCESS_KEY_FILE=key\nS3_ACCESS_KEY=x\n");
  const auto wrong = load_env(path);
  ASSERT_EQ(wrong.problems.size(), 2u);
  EXPECT_THAT(wrong.problems[0].text, testing::AllOf(testing::HasSubstr("S3_SECRET_KEY_FILE: "),
                                                     testing::HasSubstr("none")));
  EXPECT_THAT(wrong.problems[1].text, testing::HasSubstr("(line 3) say the same"));
}

TEST(EnvFile, FindsTheCaFileBesideItself) {
  const test::TempDir directory;
  write_file_atomic(directory.path() / "ca.pem", "x");

  const EnvFile file =
      parse_env(std::string(kComplete) + "S3_CA_FILE=ca.pem\n", directory.path() / ".env");

  EXPECT_EQ(settings_from_env(file, {}).repository.s3.ca_file, directory.path() / "ca.pem");
}

TEST(EnvFile, SaysHowToMakeAMissingOne) {
  const test::TempDir directory;

  try {
    load_env(directory.path() / ".env");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_THAT(error.hint(), HasSubstr("cp .env.cluster.example .env"));
  }
}

TEST(EnvFile, TellsTheClusterNameWhateverElseIsWrong) {
  EXPECT_EQ(cluster_name_from_env(parse("CLUSTER_NAME=demo\nS3_BUKET=x\nnonsense\n")), "demo");
  EXPECT_EQ(cluster_name_from_env(parse("")), "postgres-cluster");
  EXPECT_THROW(cluster_name_from_env(parse("CLUSTER_NAME=/etc")), Error);
}

// The example stands in the checkout's root, three folders above the test data.
std::string example() {
  return read_file(std::filesystem::path(TEST_DATA_DIR).parent_path().parent_path() /
                   ".env.cluster.example");
}

TEST(ExampleFile, HoldsEveryNameOnce) {
  std::vector<std::string> found;
  std::string uncommented;
  for (std::string line : split(example(), '\n')) {
    if (line.starts_with('#')) line.erase(0, 1);
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos || line.find_first_of(" ,;") < equals) continue;
    if (line.substr(0, equals) != "NAME" && line.substr(0, equals) != "NOME")
      found.push_back(line.substr(0, equals));
  }

  EXPECT_THAT(found, testing::UnorderedElementsAreArray(env_names()));
}

TEST(ExampleFile, AsItIsNamesExactlyWhatHasToBeFilledIn) {
  const std::string text = complaint(example());

  for (const char* name :
       {"S3_BUCKET", "S3_REGION", "S3_ACCESS_KEY", "S3_SECRET_KEY", "POSTGRES_PASSWORD"}) {
    EXPECT_THAT(text, HasSubstr(std::string(name) + " still holds"));
  }
  EXPECT_THAT(text, HasSubstr("has 5 problems"));
}

}  // namespace
}  // namespace pgrevive::cli
