#include "cluster/anew.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/file.h"
#include "cluster/cleanup.h"
#include "cluster/console_process.h"
#include "cluster/identity_scope.h"
#include "cluster/preflight.h"
#include "support/temp_dir.h"
#include "support/throws.h"

namespace pgrevive::cluster {
namespace {

namespace fs = std::filesystem;

// Holds a port that nobody had.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd_.get(), generic, size) != 0 || ::listen(fd_.get(), 1) != 0 ||
        ::getsockname(fd_.get(), generic, &size) != 0)
      throw std::runtime_error("no port to listen on");
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  Fd fd_;
  int port_ = 0;
};

class AnewTest : public testing::Test {
 protected:
  AnewTest() {
    settings_.cluster_name = "a";
    settings_.wal_archive = WalArchiveMode::off;
    settings_.console_port = settings_.adminer_port = 0;
    settings_.repository.path = root_ / "repository";
    for (const auto& path :
         {directory_.data("primary"), directory_.run(), directory_.restores().parent_path()})
      make_directories(path);
    write_file_atomic(directory_.data("primary") / "PG_VERSION", "15");
    write_file_atomic(directory_.settings(), to_json(settings_));
    write_file_atomic(directory_.restores(), "[]");
    write_file_atomic(directory_.supervisor_log(), "old\n");
    marker_ = make_marker("a", directory_, owner_, 1);
    marker_.save(directory_);
    // To whom all of it belongs, as of a cluster that root has started.
    if (::geteuid() == 0) {
      fs::permissions(root_.path(), fs::perms(0755));
      for (const auto& entry : fs::recursive_directory_iterator(directory_.root()))
        give(entry.path());
      give(directory_.root());
    }
  }

  void give(const fs::path& path) const {
    if (::lchown(path.c_str(), owner_.uid, owner_.gid) != 0)
      throw std::runtime_error("cannot give a file away");
  }

  void expect_refused(ErrorKind kind, const std::string& text) {
    EXPECT_THAT([&] { check_anew(settings_, directory_, {}); }, test::throws(kind, text));
    EXPECT_TRUE(fs::exists(directory_.data("primary") / "PG_VERSION"));
    EXPECT_TRUE(fs::exists(directory_.settings()));
  }

  test::TempDir root_;
  StateDirectory directory_{root_ / "state"};
  Identity owner_ = find_owner();
  Settings settings_;
  Marker marker_;
};

TEST_F(AnewTest, IsRefusedToAClusterInTheSourcesStanza) {
  settings_.wal_archive = WalArchiveMode::source;
  expect_refused(ErrorKind::usage, "WAL_ARCHIVE=source");
}

TEST_F(AnewTest, IsRefusedWhereANamedPlaceHoldsTheWalOfTheOldCluster) {
  settings_.wal_archive = WalArchiveMode::own;
  settings_.own_archive.type = repository::RepositoryOptions::Type::posix;
  settings_.own_archive.path = root_ / "archive";
  const auto info = root_ / "archive/archive" / settings_.repository.stanza / "archive.info";
  make_directories(info.parent_path());
  write_file_atomic(info, "[backrest]\n");
  expect_refused(ErrorKind::target_not_empty, "holds the WAL of another cluster");
}

TEST_F(AnewTest, IsRefusedWhereSomebodyElseHasThePort) {
  const Listener other;
  settings_.listen_addresses = "127.0.0.1";
  settings_.primary_port = other.port();
  expect_refused(ErrorKind::busy, "POSTGRES_PRIMARY_PORT");
}

TEST_F(AnewTest, IsRefusedWhereDataLiesBehindALink) {
  fs::rename(directory_.data("primary"), root_ / "larger");
  fs::create_directory_symlink(root_ / "larger", directory_.data("primary"));
  expect_refused(ErrorKind::target_not_empty, "data is a link");
}

TEST_F(AnewTest, IsRefusedWhereDataIsAMount) {
  if (::mount(directory_.data("primary").c_str(), directory_.data("primary").c_str(), nullptr,
              MS_BIND, nullptr) != 0)
    GTEST_SKIP() << "only root can mount";
  expect_refused(ErrorKind::busy, "unmount it");
  ::umount(directory_.data("primary").c_str());
}

// As the console of a cluster that root has started.
TEST_F(AnewTest, KeepsWhatTheClusterIsInADirectoryOfWhichTheOwnerCannotMakeAnother) {
  settings_.primary_port = 7777;
  write_file_atomic(directory_.root() / "notes.txt", "mine");
  make_directories(directory_.secrets());
  for (const auto* secret : {"console.token", "replication"})
    write_file_atomic(directory_.secrets() / secret, "a secret");
  if (::geteuid() == 0) {
    for (const auto& entry : fs::directory_iterator(directory_.secrets())) give(entry.path());
    give(directory_.secrets());
  }
  {
    const IdentityScope scope(owner_);
    const auto done =
        clear_for_anew(settings_, directory_, marker_, lock_anew(settings_, directory_));
    EXPECT_THAT(done.kept, testing::ElementsAre(testing::HasSubstr("notes.txt")));
  }
  EXPECT_FALSE(fs::exists(directory_.node("primary")));
  EXPECT_FALSE(fs::exists(directory_.run()));
  EXPECT_FALSE(fs::exists(directory_.supervisor_log()));
  EXPECT_TRUE(fs::exists(directory_.restores()));
  // Whoever has a page of the console open acts on the new one by it.
  EXPECT_EQ(console_token(directory_).reveal(), "a secret");
  EXPECT_FALSE(fs::exists(directory_.secrets() / "replication"));
  EXPECT_EQ(load_marker(directory_).cluster_name, "a");
  EXPECT_EQ(from_json(read_file(directory_.settings())).primary_port, 7777);
}

TEST_F(AnewTest, IsRefusedToWhoIsNotTheClusters) {
  marker_.owner = owner_.uid + 1;
  marker_.owner_name = "bob";
  marker_.save(directory_);
  EXPECT_THAT([&] { lock_anew(settings_, directory_); },
              test::throws(ErrorKind::denied, "was started by another user"));
}

TEST_F(AnewTest, ThatFailsIsTold) {
  clear_for_anew(settings_, directory_, marker_, lock_anew(settings_, directory_));
  note_failed_start(settings_, directory_, Error(ErrorKind::busy, "the port is taken"));
  const auto status = read_status(directory_);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->phase, Phase::failed);
  EXPECT_THAT(status->error, testing::HasSubstr("the port is taken"));
  EXPECT_THAT(read_file(directory_.supervisor_log()), testing::HasSubstr("the port is taken"));
}

}  // namespace
}  // namespace pgrevive::cluster
