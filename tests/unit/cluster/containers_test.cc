#include "cluster/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cluster/preflight.h"
#include "postgres/binaries.h"

namespace pgrevive::cluster {
namespace {

TEST(Containers, TakeSettingsButForTheHostsPrograms) {
  Settings told;
  told.postgres_binaries = "/opt/pg/bin";
  const auto settings = containers::settings_for(told);
  EXPECT_TRUE(settings.containers);
  EXPECT_EQ(settings.postgres_binaries, "");
  EXPECT_EQ(settings.primary_port, told.primary_port);
}

TEST(Containers, RefuseWhatTheServicesDoNotHave) {
  Settings replicas;
  replicas.replicas = 2;
  EXPECT_THROW(containers::settings_for(replicas), Error);

  Settings archive;
  archive.repository.type = repository::RepositoryOptions::Type::posix;
  archive.own_archive.path = "/srv/archive";
  EXPECT_THROW(containers::settings_for(archive), Error);
  archive.repository.type = repository::RepositoryOptions::Type::s3;
  archive.repository.s3.bucket = "backups";
  EXPECT_EQ(containers::settings_for(archive).own_archive.path, "/srv/archive");
  archive.own_archive.type = repository::RepositoryOptions::Type::posix;
  EXPECT_THROW(containers::settings_for(archive), Error);
}

TEST(Containers, LeaveThePortsOfAdminerAndConsoleToTheirOwn) {
  const auto users = [](const Settings& settings) {
    std::vector<std::string> found;
    for (const auto& wanted : wanted_ports(settings)) found.push_back(wanted.user);
    return found;
  };
  EXPECT_THAT(users({}), testing::ElementsAre("primary", "replica", "Adminer", "the console"));
  EXPECT_THAT(users(containers::settings_for({})), testing::ElementsAre("primary", "replica"));
}

TEST(Containers, SayWhatHelpsWithAnImage) {
  const auto hint = [](const std::string& of_host) {
    return containers::in_words_of_docker(Error(ErrorKind::not_found, "no").with_hint(of_host)).hint();
  };
  try {
    postgres::find_binaries(postgres::Version::parse("9.4"), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(hint(error.hint()), testing::HasSubstr("DOCKER_POSTGRES_MAJOR"));
  }
  EXPECT_THAT(hint("set PGREVIVE_HOME to a directory"), testing::HasSubstr("Docker Root Dir"));
  EXPECT_EQ(hint("check S3_BUCKET"), "check S3_BUCKET");
  // Whose path none of Docker's host is.
  EXPECT_EQ(hint("its log is /pgrevive/replica/logs/postgresql.log"), "look into `logs replica`");
  EXPECT_EQ(hint("its log is /pgrevive/primary/pgrevive/logs/supervisor.log; `start` goes on"),
            "look into `logs primary`; `start` goes on");
  EXPECT_EQ(hint("look into /srv/pg/primary/logs/postgresql.log"),
            "look into /srv/pg/primary/logs/postgresql.log");
}

TEST(Containers, FindNodesByTheirNames) {
  EXPECT_EQ(host_of({}, "primary"), "postgres-cluster-primary");
  Settings other;
  other.cluster_name = "staging";
  EXPECT_EQ(host_of(other, "adminer"), "staging-adminer");
}

}  // namespace
}  // namespace pgrevive::cluster
