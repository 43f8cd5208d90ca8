#include "spool/spool.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spool/client.h"
#include "spool/report.h"
#include "spool/words.h"

namespace pgrevive::spool {
namespace {

using namespace std::chrono_literals;

constexpr const char* kName = "000000010000000000000005";

std::string text_of(const std::filesystem::path& path) {
  return read_small_file(path.string()).value_or("(nothing)");
}

TEST(Key, DependsOnAllThatASegmentMustHaveBeenPutThereFor) {
  const Key key{.boot_id = "a", .system_id = 1, .archive = {}, .fork = ""};

  EXPECT_EQ(key.text().size(), 16u);
  EXPECT_EQ(key.text(), Key(key).text());
  EXPECT_NE(key.text(), (Key{.boot_id = "b", .system_id = 1, .archive = {}, .fork = ""}.text()));
  EXPECT_NE(key.text(), (Key{.boot_id = "a", .system_id = 2, .archive = {}, .fork = ""}.text()));
  EXPECT_NE(key.text(), (Key{.boot_id = "a", .system_id = 1, .archive = "x", .fork = ""}.text()));
  EXPECT_NE(key.text(), (Key{.boot_id = "a", .system_id = 1, .archive = {}, .fork = "2\n"}.text()));
  EXPECT_FALSE(boot_id().empty());
}

TEST(IsWholeOn, IsWhatTheLineDoesNotLeave) {
  const std::string line = "3:000000010000000000000005,00000002000000000000000A";
  EXPECT_TRUE(is_whole_on(line, "000000010000000000000004"));
  EXPECT_FALSE(is_whole_on(line, "000000010000000000000005"));
  EXPECT_FALSE(is_whole_on(line, "000000010000000100000000"));
  EXPECT_TRUE(is_whole_on(line, "000000020000000000000009"));
  EXPECT_FALSE(is_whole_on(line, "00000002000000000000000A"));
  EXPECT_TRUE(is_whole_on(line, "000000030000000000000FFF"));
  EXPECT_TRUE(is_whole_on("1", "000000010000000000000005"));
}

TEST(ArchiveNamedBy, IsTheSameForTheSameArchive) {
  const auto name = archive_named_by({"--config", "/etc/x.conf", "--stanza", "main"});

  EXPECT_EQ(archive_named_by({"--stanza=main", kName, "y", "--config=/etc/../etc/./x.conf",
                              "--report", "/run/r"}),
            name);
  EXPECT_EQ(archive_named_by({"--stanza", "other", "--stanza", "main", "--config", "/etc/x.conf"}),
            name);
  const auto path = archive_named_by({"--repo-path", "/backups", "--stanza", "main"});
  EXPECT_EQ(archive_named_by({"--repo-type", "posix", "--repo-path", "/backups/x/../../backups",
                              "--cipher-pass-file", "/etc/pass", "--stanza", "main"}),
            path);
}

TEST(ArchiveNamedBy, TellsArchivesApart) {
  const std::vector<std::vector<std::string>> all = {
      {},
      {"--stanza", "main"},
      {"--config", "/etc/x.conf", "--stanza", "main"},
      {"--config", "/etc/x.conf", "--stanza", "clone"},
      {"--config", "/etc/y.conf", "--stanza", "main"},
      {"--env-file", "/etc/x.conf", "--stanza", "main"},
      {"--repo-path", "/etc/x.conf", "--stanza", "main"},
      {"--config", "/etc/x.conf", "--stanza", "main", "--repo", "2"}};
  std::set<std::string> names;
  for (const auto& words : all) names.insert(archive_named_by(words));
  EXPECT_EQ(names.size(), all.size());
}

TEST(Parse, FindsTheOptionsThatMatterAmongTheOthers) {
  const auto request = parse({"--config", "/etc/x.conf", "--stanza=main", "--report=/run/r.json",
                              "--fork", "/run/fork", kName, "pg_wal/RECOVERYXLOG"});

  ASSERT_TRUE(request);
  EXPECT_EQ(request->name, kName);
  EXPECT_EQ(request->destination, "./pg_wal/RECOVERYXLOG");
  EXPECT_EQ(request->data_directory, ".");
  EXPECT_EQ(request->fork, "/run/fork");
  EXPECT_EQ(request->report, "/run/r.json");
  EXPECT_EQ(request->archive, archive_named_by({"--config", "/etc/x.conf", "--stanza", "main"}));
}

TEST(Parse, LooksForTheDestinationInTheDataDirectory) {
  const auto request = parse({kName, "pg_wal/x", "--data-directory", "/srv/pg"});

  ASSERT_TRUE(request);
  EXPECT_EQ(request->destination, "/srv/pg/pg_wal/x");
  EXPECT_EQ(parse({kName, "/tmp/x", "--data-directory", "/srv/pg"})->destination, "/tmp/x");
}

TEST(Parse, LeavesTheRestToTheWholeProgram) {
  const std::vector<std::vector<std::string>> others = {
      {},
      {"--help"},
      {"-h"},
      {kName},
      {kName, ""},
      {kName, "x", "y"},
      {"00000002.history", "pg_wal/RECOVERYHISTORY"},
      {"000000010000000000000005.partial", "x"},
      {"000000010000000000000005.00000028.backup", "x"},
      {"00000001000000000000000a", "x"},
      {"../../../../etc/passwd0000", "x"},
      {kName, "x", "--stanza"},
      {kName, "--", "x"}};
  for (const auto& words : others) EXPECT_FALSE(parse(words)) << testing::PrintToString(words);
}

TEST(Report, IsOneJsonObject) {
  EXPECT_EQ(to_json({.name = "a",
                     .outcome = "error",
                     .error = "say \"no\"\\\n\tB\xC3\xBC\xFF\xC3+",
                     .at_ms = 5,
                     .delivered_count = 2,
                     .last_delivered = "b"}),
            "{\"name\":\"a\",\"outcome\":\"error\","
            "\"error\":\"say \\\"no\\\"\\\\\\n\\u0009B\xC3\xBC??+\","
            "\"at_ms\":5,\"delivered_count\":2,\"last_delivered\":\"b\"}\n");
}

class Spool : public testing::Test {
 protected:
  Spool() {
    std::string name = (std::filesystem::temp_directory_path() / "pgrevive-test-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    std::filesystem::create_directories(directory_ / "global");
    write_control(7, 0x5000000);
  }
  ~Spool() override { std::filesystem::remove_all(directory_); }

  void write_control(std::uint64_t id, std::uint64_t checkpoint) const {
    std::string control(64, '\0');
    std::memcpy(control.data(), &id, sizeof id);
    std::memcpy(control.data() + 32, &checkpoint, sizeof checkpoint);
    std::ofstream(directory_ / "global" / "pg_control") << control;
  }
  std::filesystem::path spool() const { return directory_ / "pg_wal" / kDirectory; }
  std::filesystem::path ready(const std::string& fork = {}) const {
    return spool() /
           Key{.boot_id = boot_id(), .system_id = 7, .archive = "main", .fork = fork}.text();
  }
  void lay(const std::string& fork = {}) const {
    std::filesystem::create_directories(ready(fork));
    std::ofstream(ready(fork) / kName) << "segment";
  }
  Request request() const {
    return {.name = kName,
            .destination = destination(),
            .data_directory = directory_,
            .archive = "main",
            .fork = {},
            .report = {}};
  }
  std::string destination() const { return directory_ / "pg_wal" / "RECOVERYXLOG"; }

  // Listens in the spool, as a prefetcher does.
  int listen() const {
    std::filesystem::create_directories(spool());
    const int directory = ::open(spool().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = socket_path(directory);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket, 4), 0);
    ::close(directory);
    return socket;
  }
  // Takes one question and answers it.
  std::jthread answer(int socket, const std::string& answers, bool lay_down) const {
    return std::jthread([this, socket, answers, lay_down] {
      const int client = ::accept(socket, nullptr, nullptr);
      char question[64];
      const auto size = ::recv(client, question, sizeof question, 0);
      EXPECT_EQ(std::string(question, static_cast<std::size_t>(size)),
                ready().filename().string() + " " + kName);
      if (lay_down) lay();
      for (const char c : answers) ::send(client, &c, 1, MSG_NOSIGNAL);
      ::close(client);
      ::close(socket);
    });
  }

  std::filesystem::path directory_;
};

TEST_F(Spool, GivesWhatLiesReady) {
  lay();

  EXPECT_TRUE(take(request()));

  EXPECT_EQ(text_of(destination()), "segment");
  EXPECT_FALSE(std::filesystem::exists(ready() / kName));
}

TEST_F(Spool, GivesNothingWhereThereIsNone) {
  EXPECT_FALSE(take(request()));
  std::filesystem::create_directories(ready());
  EXPECT_FALSE(take(request()));
}

TEST_F(Spool, IsNotForAnotherCluster) {
  lay();
  write_control(8, 0x5000000);

  EXPECT_FALSE(take(request()));
}

TEST_F(Spool, IsNotForWhoAsksAnotherArchive) {
  lay();
  auto other = request();
  other.archive = "clone";

  EXPECT_FALSE(take(other));
  EXPECT_TRUE(take(request()));
}

TEST_F(Spool, IsForTheForkItWasFilledFor) {
  lay("2\n1\t0/3000000\tx\n");
  std::ofstream(directory_ / "fork") << "2\n1\t0/3000000\tx\n";
  std::ofstream(directory_ / "other") << "2\n1\t0/2000000\tx\n";
  auto wanted = request();

  EXPECT_FALSE(take(wanted));
  wanted.fork = directory_ / "nosuch";
  EXPECT_FALSE(take(wanted));
  wanted.fork = directory_ / "other";
  EXPECT_FALSE(take(wanted));
  wanted.fork = directory_ / "fork";
  EXPECT_TRUE(take(wanted));
}

TEST_F(Spool, GivesNothingToAClusterThatLostItsBackupLabel) {
  lay();
  write_control(7, 0xDEAD);
  EXPECT_FALSE(take(request()));

  std::ofstream(directory_ / "backup_label") << "START";
  EXPECT_TRUE(take(request()));
}

TEST_F(Spool, WaitsForWhatIsOnItsWay) {
  const auto prefetcher = answer(listen(), "..+", true);

  EXPECT_TRUE(take(request()));
  EXPECT_EQ(text_of(destination()), "segment");
}

TEST_F(Spool, TakesNoForAnAnswer) {
  const auto prefetcher = answer(listen(), ".-", false);

  EXPECT_FALSE(take(request()));
}

TEST_F(Spool, SeesThatAPrefetcherDies) {
  const auto prefetcher = answer(listen(), ".", false);

  EXPECT_FALSE(take(request()));
}

TEST_F(Spool, SeesThatNobodyListensAnyMore) {
  ::close(listen());
  ASSERT_TRUE(std::filesystem::exists(spool() / kSocket));

  EXPECT_FALSE(take(request()));
}

TEST_F(Spool, WaitsForAStuckPrefetcherOnlyOnce) {
  const int socket = listen();

  EXPECT_FALSE(take(request(), {.silence = 50ms, .all = 10s}));

  EXPECT_FALSE(std::filesystem::exists(spool() / kSocket));
  ::close(socket);
}

TEST_F(Spool, DoesNotBelieveAPrefetcherThatLaidNothingDown) {
  const auto prefetcher = answer(listen(), "+", false);

  EXPECT_FALSE(take(request()));
}

TEST_F(Spool, ReportsGoOnCounting) {
  const auto file = (directory_ / "report.json").string();
  ASSERT_TRUE(write_report(file, "A", "delivered", ""));
  ASSERT_TRUE(write_report(file, "B", "delivered", ""));
  ASSERT_TRUE(write_report(file, "C", "error", "\"delivered_count\":9,\"last_delivered\":\"X\""));
  ASSERT_TRUE(write_report(file, "D", "absent", ""));

  const auto text = text_of(file);
  EXPECT_THAT(text, testing::StartsWith("{\"name\":\"D\",\"outcome\":\"absent\",\"error\":\"\","));
  EXPECT_THAT(text, testing::EndsWith(",\"delivered_count\":2,\"last_delivered\":\"B\"}\n"));
  EXPECT_FALSE(write_report((directory_ / "nosuch" / "r.json").string(), "A", "absent", ""));
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace pgrevive::spool
