#include "cluster/doctor.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <tuple>

#include <gmock/gmock.h>

#include "base/error.h"
#include "cluster/configuration.h"
#include "cluster/doctor_host.h"
#include "cluster/doctor_way.h"
#include "cluster/findings.h"
#include "cluster/host.h"
#include "cluster/needed_locales.h"
#include "cluster/preflight.h"
#include "cluster/throughput.h"
#include "repository/layout.h"
#include "storage/posix.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

using Result = Finding::Result;
using std::chrono::microseconds;
using std::chrono::seconds;
using storage::S3Options;
using storage::UriStyle;
using storage::s3::Cause;
using storage::s3::Probe;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
const auto kNow = std::chrono::system_clock::from_time_t(1'795'000'000);

const S3Options kOptions{.bucket = "b", .endpoint = "s3.example", .region = "us-east-1"};

Probe good_probe() {
  return {.host = "s3.example:9000",
          .resolved = microseconds(1'000),
          .address = "10.0.0.1",
          .port = 9000,
          .connected = microseconds(3'000),
          .secured = microseconds(9'000),
          .certificate = {{.subject = "CN = s3",
                           .issuer = "CN = ca",
                           .expires = kNow + std::chrono::days(100)}},
          .clock_ahead = seconds(0)};
}

std::vector<Result> results(const std::vector<Finding>& findings) {
  std::vector<Result> list;
  for (const auto& finding : findings) list.push_back(finding.result);
  return list;
}

const Finding& named(const std::vector<Finding>& findings, const std::string& name) {
  return *std::ranges::find(findings, name, &Finding::name);
}

TEST(Way, IsFineWhereTheBucketAnswers) {
  const auto way = judge_way(kOptions, good_probe(), kNow);

  EXPECT_THAT(results(way), testing::Each(Result::ok));
  EXPECT_EQ(named(way, "DNS").detail, "s3.example is 10.0.0.1, 1.0 ms");
  EXPECT_EQ(named(way, "endpoint").detail, "port 9000 answers, 2.0 ms");
  EXPECT_THAT(named(way, "TLS chain").detail, HasSubstr("CN = s3, by CN = ca, until 2027-02-"));
}

// What the request was turned away for fails; before it all is fine and behind it nothing is known.
TEST(Way, EndsWhereTheRequestWasTurnedAway) {
  const std::vector causes{Cause::resolve,     Cause::connect, Cause::tls,
                           Cause::server,      Cause::clock,   Cause::region,
                           Cause::credentials, Cause::bucket,  Cause::permission};
  for (std::size_t i = 0; i < causes.size(); ++i) {
    auto probe = good_probe();
    probe.cause = causes[i];
    probe.error = Error(ErrorKind::denied, "no").with_hint("do");

    const auto way = judge_way(kOptions, probe, kNow);

    ASSERT_EQ(way.size(), causes.size());
    for (std::size_t j = 0; j < way.size(); ++j) {
      EXPECT_EQ(way[j].result, j < i ? Result::ok : (j == i ? Result::failed : Result::not_run))
          << way[j].name << " where " << way[i].name << " failed";
      if (j > i) {
        EXPECT_EQ(way[j].detail, "needs " + way[i].name);
      }
    }
    EXPECT_EQ(way[i].remedy, "do");
  }
}

TEST(Way, AFailureAlwaysHasARemedy) {
  auto probe = good_probe();
  probe.cause = Cause::server;
  probe.error = Error(ErrorKind::unavailable, "503");
  EXPECT_THAT(named(judge_way(kOptions, probe, kNow), "S3 service").remedy, Not(IsEmpty()));

  probe.cause = Cause::bucket;
  probe.working_style = UriStyle::path;
  EXPECT_THAT(named(judge_way(kOptions, probe, kNow), "URI style").remedy,
              HasSubstr("S3_URI_STYLE=path"));
}

TEST(Way, ACaFileThatCannotBeReadIsBeforeEverything) {
  Probe probe{.host = "s3.example", .cause = Cause::tls};
  probe.error = Error(ErrorKind::usage, "cannot read");

  const auto way = judge_way(kOptions, probe, kNow);

  EXPECT_EQ(way[0].result, Result::not_run) << "nobody has asked for the name yet";
  EXPECT_EQ(way[1].result, Result::not_run);
  EXPECT_EQ(way[2].result, Result::failed);
}

TEST(Way, WarnsOfWhatWillFailSoon) {
  auto probe = good_probe();
  probe.certificate->expires = kNow + std::chrono::days(3);
  EXPECT_EQ(named(judge_way(kOptions, probe, kNow), "TLS chain").result, Result::warning);

  for (const auto& [ahead, result, words] :
       {std::tuple{seconds(1), Result::ok, "within a second"},
        std::tuple{seconds(-40), Result::ok, "40.0 s behind"},
        std::tuple{seconds(120), Result::warning, "2 min 00 s ahead of"},
        std::tuple{seconds(-120), Result::warning, "2 min 00 s behind"}}) {
    probe.clock_ahead = ahead;
    const auto clock = named(judge_way(kOptions, probe, kNow), "clock");
    EXPECT_EQ(clock.result, result) << ahead.count();
    EXPECT_THAT(clock.detail, HasSubstr(words));
  }
  probe.clock_ahead.reset();
  EXPECT_EQ(named(judge_way(kOptions, probe, kNow), "clock").result, Result::not_applicable);
}

TEST(Way, TlsThatIsNotVerifiedIsAWarningAndPlainHttpHasNone) {
  auto options = kOptions;
  options.verify_tls = false;
  EXPECT_EQ(named(judge_way(options, good_probe(), kNow), "TLS chain").result, Result::warning);

  auto probe = good_probe();
  probe.tls = false;
  EXPECT_EQ(named(judge_way(kOptions, probe, kNow), "TLS chain").result, Result::not_applicable);
}

TEST(Way, NamesTheHostThatIsConnectedTo) {
  auto options = kOptions;
  options.connect_host = "proxy.example";
  EXPECT_THAT(named(judge_way(options, good_probe(), kNow), "DNS").detail,
              HasSubstr("proxy.example is"));

  auto probe = good_probe();
  probe.host = "[::1]:9000";
  EXPECT_THAT(named(judge_way(kOptions, probe, kNow), "DNS").detail, HasSubstr("[::1] is"));
}

TEST(Way, ALocalDirectoryHasNone) {
  const auto way = no_way("a local directory");
  EXPECT_THAT(results(way), testing::Each(Result::not_applicable));
  EXPECT_EQ(way.size() + 1, judge_way(kOptions, good_probe(), kNow).size()) << "all but list";
}

TEST(Space, IsShortBeforeItIsTooLittle) {
  const SpaceNeed need{.directory = "/d", .nodes = 2, .bytes = 200, .free_bytes = 220};
  EXPECT_EQ(judge_space(need).result, Result::ok);

  auto tight = need;
  tight.free_bytes = 219;
  EXPECT_EQ(judge_space(tight).result, Result::warning);
  EXPECT_THAT(judge_space(tight).remedy, Not(IsEmpty()));

  auto small = need;
  small.free_bytes = 199;
  EXPECT_THAT([&] { judge_space(small); }, test::throws(ErrorKind::system, "2 nodes"));
}

TEST(Memory, IsSharedByTheNodes) {
  EXPECT_EQ(judge_memory(2, kGiB, 8 * kGiB).result, Result::ok);
  EXPECT_EQ(judge_memory(2, 2 * kGiB, 8 * kGiB).result, Result::ok) << "half of it";
  EXPECT_EQ(judge_memory(2, 3 * kGiB, 8 * kGiB).result, Result::warning);
  EXPECT_EQ(judge_memory(1, 5 * kGiB, 8 * kGiB).result, Result::warning);
  EXPECT_EQ(judge_memory(2, 5 * kGiB, 8 * kGiB).result, Result::failed);
  EXPECT_EQ(judge_memory(5, ~std::uint64_t{0}, 8 * kGiB).result, Result::failed);
}

TEST(MemorySize, IsAsPostgresqlConfHasIt) {
  EXPECT_EQ(parse_memory_size("256MB"), 256u << 20);
  EXPECT_EQ(parse_memory_size(" 1 GB "), kGiB);
  EXPECT_EQ(parse_memory_size("8kB"), 8192u);
  EXPECT_EQ(parse_memory_size("12B"), 12u);
  for (const char* text : {"", "256", "MB", "-1MB", "1.5GB", "1 gb", "99999999999TB"}) {
    EXPECT_EQ(parse_memory_size(text), std::nullopt) << text;
  }
}

TEST(Locales, AreThoseThatTheDatabasesNeed) {
  const auto has = [](const std::string& name) { return name != "pt_BR.UTF-8"; };
  EXPECT_EQ(judge_locales({}, has).result, Result::warning);
  const auto all = judge_locales({{1, {"shop", "C.UTF-8", "de_DE.utf8"}}}, has);
  EXPECT_EQ(all.result, Result::ok);
  EXPECT_THAT(all.detail, HasSubstr("C.UTF-8, de_DE.utf8"));

  const auto lacking = judge_locales({{1, {"shop", "pt_BR.UTF-8", "pt_BR.UTF-8"}},
                                      {2, {"other", "C", "C"}},
                                      {3, {"mixed", "C", "pt_BR.UTF-8"}}},
                                     has);
  EXPECT_EQ(lacking.result, Result::failed);
  EXPECT_THAT(lacking.detail, HasSubstr("pt_BR.UTF-8"));
  EXPECT_THAT(lacking.detail, HasSubstr("mixed, shop"));
  EXPECT_THAT(lacking.detail, Not(HasSubstr("other")));
  EXPECT_THAT(lacking.remedy, HasSubstr("'pt_BR.UTF-8 UTF-8' in /etc/locale.gen"));
  EXPECT_THAT(lacking.remedy, Not(HasSubstr("restart")));
}

TEST(Locales, AreMissedBeforeAStartOnlyWhereItWouldComeToNothing) {
  const auto has = [](const std::string& name) { return name != "pt_BR.UTF-8"; };
  const postgres::DatabaseRow postgres{"postgres", "C", "C"};
  const postgres::DatabaseRow with{"template1", "pt_BR.UTF-8", "pt_BR.UTF-8"};
  const postgres::DatabaseRow without{"template1", "C", "C"};
  const postgres::DatabaseRow shop{"shop", "C", "pt_BR.UTF-8"};
  const auto refused = [&](const Databases& databases, const std::string& set_up) {
    try {
      refuse_without_locales(databases, set_up, has);
      return std::string();
    } catch (const Error& error) {
      return error.text();
    }
  };

  EXPECT_EQ(refused({}, "shop"), "");
  EXPECT_THAT(
      refused({{1, without}, {5, postgres}, {9, shop}}, "shop"),
      AllOf(HasSubstr("nobody can connect to shop"), HasSubstr("install the locale pt_BR")));
  EXPECT_EQ(refused({{1, without}, {5, postgres}, {9, shop}}, "new"), "");
  EXPECT_THAT(refused({{1, with}, {5, postgres}}, "new"), HasSubstr("connect to template1"))
      << "of which it would be made";
  EXPECT_EQ(refused({{1, with}, {5, postgres}, {9, {"app", "C", "C"}}}, "app"), "")
      << "we are let in by postgres";
  EXPECT_THAT(refused({{1, with}, {9, {"app", "C", "C"}}}, "app"), HasSubstr("template1"))
      << "there is no postgres";
  EXPECT_EQ(refused({{1, without}, {9, shop}, {8, {"shop", "C", "C"}}}, "shop"), "")
      << "which of the two rows is the present one is not known";
}

TEST(Memory, IsRefusedWhereOneServerCannotHaveIt) {
  EXPECT_TRUE(gives_shared_memory(1u << 20, 3));
  EXPECT_FALSE(gives_shared_memory(std::uint64_t{1} << 62, 1)) << "no process has the addresses";
  Settings settings;
  settings.shared_buffers = "16MB";
  EXPECT_NO_THROW(check_memory(settings, Mapping::tried));
  settings.shared_buffers = "512TB";
  EXPECT_THROW(check_memory(settings, Mapping::not_tried), Error);
}

TEST(FindingsList, ALookThatThrowsIsAFailureWithARemedy) {
  Findings findings;

  EXPECT_TRUE(findings.look("a", [] { return fine("x"); }));
  EXPECT_TRUE(findings.look("b", [] { return warning("x", "y"); }));
  EXPECT_FALSE(findings.look("c", []() -> Finding { throw Error(ErrorKind::system, "z"); }));
  EXPECT_FALSE(findings.look("d", []() -> Finding { throw std::runtime_error("w"); }));
  EXPECT_FALSE(findings.look("e", [] { return not_run("a"); }));

  const auto list = findings.take();
  EXPECT_THAT(results(list), ElementsAre(Result::ok, Result::warning, Result::failed,
                                         Result::failed, Result::not_run));
  EXPECT_EQ(list[2].detail, "z");
  EXPECT_THAT(list[2].remedy, HasSubstr("29"));
  EXPECT_THAT(list[3].remedy, Not(IsEmpty()));
}

// A repository's backup directory as far as a sample looks at it.
class SampleTest : public testing::Test {
 protected:
  void write(const std::string& path, std::size_t size) {
    const auto file = directory_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << std::string(size, 'x');
  }
  std::optional<Sample> measure(const repository::Backup& backup, std::uint64_t most) {
    return measure_throughput(*storage::open_posix(directory_.path()), "main", backup, most,
                              seconds(10));
  }

  test::TempDir directory_;
  repository::Backup full_{.label = repository::BackupLabel::parse("20240115-020000F")};
  repository::Backup incremental_{
      .label = repository::BackupLabel::parse("20240115-020000F_20240116-060000I"),
      .references = {repository::BackupLabel::parse("20240115-020000F")}};
};

TEST_F(SampleTest, ReadsTheLargestObjectUpToItsEnd) {
  write("backup/main/20240115-020000F/pg_data/base/1/1", 10);
  write("backup/main/20240115-020000F/pg_data/base/2/2", 5'000'000);

  const auto sample = measure(full_, 32u << 20);

  ASSERT_TRUE(sample);
  EXPECT_THAT(sample->object, HasSubstr("base/2/2"));
  EXPECT_EQ(sample->bytes, 5'000'000u);
  EXPECT_EQ(sample->requests, 3u) << "no more than there are pieces";
  EXPECT_GT(sample->bytes_per_second(), 0);
}

TEST_F(SampleTest, ReadsNoMoreThanItMay) {
  write("backup/main/20240115-020000F/bundle/1", 5'000'000);

  EXPECT_EQ(measure(full_, 3'000'000)->bytes, 3'000'000u);
}

TEST_F(SampleTest, LooksIntoTheBackupsThatItBuildsOn) {
  write("backup/main/20240115-020000F_20240116-060000I/bundle/1", 10);
  write("backup/main/20240115-020000F/bundle/1", 1'000);

  EXPECT_EQ(measure(incremental_, 32u << 20)->bytes, 1'000u);
}

TEST_F(SampleTest, ABackupWithoutObjectsHasNone) { EXPECT_FALSE(measure(full_, 1'000)); }

}  // namespace
}  // namespace pgrevive::cluster
