#include "cluster/source_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using Map = std::map<std::string, std::string>;

SourceSettings choose(const Map& settings) {
  return choose_source_settings(
      settings,
      {.has_library = [](const std::string& name) { return name != "missing"; },
       .has_locale = [](const std::string& name) { return name == "C.UTF-8"; },
       .has_time_zone = [](const std::string& name) { return name == "America/Sao_Paulo"; }});
}

std::string value_of(const SourceSettings& settings, const std::string& name) {
  for (const auto& setting : settings.kept)
    if (setting.name == name) return setting.value;
  return "(not kept)";
}

TEST(SourceSettings, KeepsWhatMeansTheSameOnEveryHost) {
  const auto settings = choose({{"max_connections", "300"},
                                {"random_page_cost", "1.1"},
                                {"datestyle", "iso, dmy"},
                                {"enable_nestloop", "off"},
                                {"stats_fetch_consistency", "none"},
                                {"jit_provider", "llvmjit"},
                                {"min_wal_size", "320MB"},
                                {"max_wal_size", "4GB"},
                                {"default_transaction_isolation", "repeatable read"},
                                {"lc_messages", "C.UTF-8"},
                                {"timezone", "America/Sao_Paulo"}});

  EXPECT_EQ(settings.kept.size(), 11u);
  EXPECT_THAT(settings.dropped, IsEmpty());
}

struct HostBound {
  const char* name;
  const char* value;
};
class HostBoundSetting : public testing::TestWithParam<HostBound> {};

TEST_P(HostBoundSetting, StaysBehindWithAReason) {
  const auto settings = choose({{GetParam().name, GetParam().value}});

  EXPECT_THAT(settings.kept, IsEmpty());
  EXPECT_THAT(settings.dropped,
              testing::ElementsAre(testing::StartsWith(std::string(GetParam().name) + ": ")));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostBoundSetting,
    testing::Values(HostBound{"port", "5432"}, HostBound{"listen_addresses", "*"},
                    HostBound{"data_directory", "/srv/pg"},
                    HostBound{"ssl_cert_file", "/etc/ssl/server.pem"}, HostBound{"ssl", "on"},
                    HostBound{"archive_command", "scp %p prod:"}, HostBound{"archive_mode", "on"},
                    HostBound{"restore_command", "cp"}, HostBound{"primary_conninfo", "host=prod"},
                    HostBound{"primary_slot_name", "standby"},
                    HostBound{"recovery_target_time", "2020-01-01"},
                    HostBound{"synchronous_standby_names", "*"},
                    HostBound{"synchronous_commit", "remote_apply"},
                    HostBound{"shared_buffers", "64GB"}, HostBound{"autovacuum_work_mem", "8GB"},
                    HostBound{"default_transaction_isolation", "Serializable"},
                    HostBound{"stats_temp_directory", "pg_stat_tmp_of_source"},
                    HostBound{"jit_provider", "missing"}, HostBound{"log_directory", "/var/log/pg"},
                    HostBound{"fsync", "off"}, HostBound{"include_dir", "conf.d"},
                    HostBound{"wal_level", "minimal"}, HostBound{"lc_messages", "pt_BR.UTF-8"},
                    HostBound{"timezone", "Mars/Olympus"}, HostBound{"some_future_setting", "1"}),
    [](const auto& test) {
      return std::string(test.param.name) + "_" + std::to_string(test.index);
    });

TEST(SourceSettings, KeepsLogicalWalBecauseDecodingDependsOnIt) {
  EXPECT_EQ(value_of(choose({{"wal_level", "logical"}}), "wal_level"), "logical");
}

TEST(SourceSettings, LeavesOutLibrariesThatAreMissingOrActOnTheirOwn) {
  const auto settings = choose(
      {{"shared_preload_libraries", "pg_stat_statements, $libdir/missing, \"$libdir/pg_cron\""},
       {"cron.database_name", "app"},
       {"missing.setting", "1"},
       {"pg_stat_statements.max", "10000"}});

  EXPECT_EQ(value_of(settings, "shared_preload_libraries"), "pg_stat_statements");
  EXPECT_EQ(value_of(settings, "pg_stat_statements.max"), "10000");
  // ALTER SYSTEM takes a setting only once its library is loaded.
  EXPECT_EQ(value_of(settings, "cron.database_name"), "app");
  EXPECT_EQ(settings.kept.size(), 3u);
  EXPECT_THAT(
      settings.dropped,
      Contains(testing::StartsWith("shared_preload_libraries: pg_cron would act on its own")));
  EXPECT_THAT(settings.dropped, Contains(HasSubstr("missing is not installed here")));
  EXPECT_THAT(settings.dropped, Contains("missing.setting: its library is not loaded"));
}

TEST(SourceSettings, HoldsBackTheJobsOfALibraryThatItsDataNeeds) {
  const Map source = {{"shared_preload_libraries", "timescaledb"},
                      {"timescaledb.max_background_workers", "16"},
                      {"timescaledb.max_cached_chunks_per_hypertable", "9"}};
  const auto held =
      testing::StartsWith("timescaledb.max_background_workers: 0 here, since its jobs");

  const auto settings = choose(source);
  EXPECT_EQ(value_of(settings, "shared_preload_libraries"), "timescaledb");
  EXPECT_EQ(value_of(settings, "timescaledb.max_background_workers"), "0");
  EXPECT_EQ(value_of(settings, "timescaledb.max_cached_chunks_per_hypertable"), "9");
  EXPECT_EQ(settings.kept.size(), 3u);
  EXPECT_THAT(settings.dropped, testing::ElementsAre(held));

  // Also where it has to be installed first.
  const auto later = choose_source_settings(
      source,
      {.has_library = [](const auto&) { return false; }, .has_locale = {}, .has_time_zone = {}});
  EXPECT_EQ(value_of(later, "timescaledb.max_background_workers"), "0");
  EXPECT_EQ(later.kept.size(), 1u);
  EXPECT_THAT(later.dropped, Contains(held));
}

TEST(SourceSettings, LeavesOutWhatActsOnTheServersThatItKnows) {
  for (const std::string library : {"citus", "pgactive", "pg_task", "pglogical_ticker"}) {
    const auto settings = choose({{"shared_preload_libraries", library + ",auto_explain"}});

    EXPECT_EQ(value_of(settings, "shared_preload_libraries"), "auto_explain");
    EXPECT_THAT(settings.dropped, Contains(HasSubstr(library + " would act on its own")));
  }
}

TEST(SourceSettings, OfARoleOrADatabaseAreTroubleWhereTheyBreakSessions) {
  const auto trouble = [](const std::string& setting) {
    const auto told = own_setting_trouble(
        "ALTER ROLE app", setting,
        {.has_library =
             [](const std::string& name) { return name == "here" || name == "plugins/local"; },
         .has_locale = {},
         .has_time_zone = {}});
    return told ? told->text : "";
  };

  EXPECT_EQ(trouble("session_preload_libraries=\"$libdir/gone\", here, away"),
            "ALTER ROLE app: session_preload_libraries names what is not installed here (gone, "
            "away): no session begins with it");
  EXPECT_EQ(trouble("session_preload_libraries=here"), "");
  EXPECT_EQ(trouble("session_preload_libraries=\"\""), "");
  EXPECT_EQ(trouble("local_preload_libraries=local"), "");
  EXPECT_THAT(trouble("local_preload_libraries=here"), HasSubstr("not installed here (here)"));
  EXPECT_THAT(trouble("default_transaction_isolation=SERIALIZABLE"), HasSubstr("on a replica"));
  EXPECT_EQ(trouble("default_transaction_isolation=repeatable read"), "");
  EXPECT_EQ(trouble("work_mem=1GB"), "");
}

}  // namespace
}  // namespace pgrevive::cluster
