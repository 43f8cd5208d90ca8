#include "wal/tablespace_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"
#include "support/throws.h"
#include "wal/tablespace_memory.h"

namespace pgrevive::wal {
namespace {

using postgres::Lsn;
using postgres::Timeline;
using postgres::WalSegment;
using test::throws;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kVersion = "PG_15_202209061";
constexpr std::uint32_t kSize = 1u << 20;
const WalSegment kFifth(Timeline(1), 5, kSize);
const Lsn kPosition(kFifth.begin().value() + 4096);

const Lsn kBefore(kPosition.value() - 64);

class Guard : public testing::Test {
 protected:
  Guard() { make_directories(directory_ / "data" / "pg_tblspc"); }

  std::optional<Lsn> check(std::vector<TablespaceRecord> records, Lsn replay_begin = {}) const {
    return TablespaceGuard(directory_ / "data", kVersion, replay_begin, directory_ / "memory")
        .check(records, kFifth);
  }
  TablespaceRecord record(const std::string& name, Lsn begin = kPosition) const {
    return {
        .begin = begin, .previous = kBefore, .oid = 16500, .path = (directory_ / name).string()};
  }
  void take(const std::string& name) const { make_directories(directory_ / name / kVersion); }
  void server(const std::string& pid) const {
    write_file_atomic(directory_ / "data" / "postmaster.pid", pid + "\n/data\n1700000000\n5432\n");
  }

  test::TempDir directory_;
};

TEST_F(Guard, LetsThroughWhatIsFree) {
  make_directories(directory_ / "empty");
  make_directories(directory_ / "upgraded" / "PG_14_202107181");
  EXPECT_EQ(check({}), std::nullopt);
  EXPECT_EQ(check({record("empty"), record("upgraded"), record("absent")}), std::nullopt);
  EXPECT_EQ(check({{.begin = kPosition, .previous = kBefore, .oid = 1, .path = ""}}), std::nullopt);
}

TEST_F(Guard, HandsOutWhatIsBeforeThePlaceThatIsTakenAndThenRefuses) {
  take("late");
  server("100");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(check({record("late")}), kPosition);
  EXPECT_THAT([&] { check({record("late")}); },
              throws(ErrorKind::target_not_empty, "makes tablespace 16500 in "));
  server("101");
  EXPECT_EQ(check({record("late")}), kPosition);
}

TEST_F(Guard, RefusesARecordThatBeganBefore) {
  take("late");
  EXPECT_THAT([&] { check({record("late", Lsn(kFifth.begin().value() - 16))}); },
              throws(ErrorKind::target_not_empty, "another cluster has files"));
}

TEST_F(Guard, KnowsWhatItLetThrough) {
  EXPECT_EQ(check({record("late")}), std::nullopt);
  take("late");
  EXPECT_EQ(check({record("late")}), std::nullopt);
  auto other = record("late");
  other.oid = 16501;
  EXPECT_EQ(check({other}), kPosition);
}

TEST_F(Guard, KnowsWhatTheServerHas) {
  take("late");
  std::filesystem::create_directory_symlink(directory_ / "late",
                                            directory_ / "data" / "pg_tblspc" / "16500");
  EXPECT_EQ(check({record("late")}), std::nullopt);
}

TEST_F(Guard, ALinkToAnotherPlaceIsNoReason) {
  take("late");
  make_directories(directory_ / "own");
  std::filesystem::create_directory_symlink(directory_ / "own",
                                            directory_ / "data" / "pg_tblspc" / "16500");
  EXPECT_EQ(check({record("late")}), kPosition);
}

TEST_F(Guard, DoesNotJudgeWhatIsNotReplayed) {
  take("late");
  EXPECT_EQ(check({record("late")}, Lsn(kPosition.value() + 1)), std::nullopt);
}

// As somebody who is not root, which makes nothing.
class MakingGuard : public Guard {
 protected:
  MakingGuard() {
    if (::geteuid() != 0) return;
    EXPECT_EQ(::chown(directory_.path().c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(::seteuid(kNobody), 0);
  }
  ~MakingGuard() override { EXPECT_TRUE(::getuid() != 0 || ::seteuid(0) == 0); }

  std::optional<Lsn> make(std::vector<TablespaceRecord> records) {
    return TablespaceGuard(directory_ / "data", kVersion, {}, directory_ / "memory",
                           TablespaceGuard::Making{
                               .keep_out = {directory_ / "repository"},
                               .tell = [&](const std::string& text) { told_.push_back(text); }})
        .check(records, kFifth);
  }
  std::vector<std::filesystem::path> made() const {
    return TablespaceMemory(directory_ / "memory").places_of(directory_ / "data").made;
  }

  static constexpr uid_t kNobody = 65534;
  std::vector<std::string> told_;
};

TEST_F(MakingGuard, MakesWhatIsAbsentAndRemembersIt) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(make({record("mnt/late")}), std::nullopt);
    EXPECT_TRUE(std::filesystem::is_directory(directory_ / "mnt/late"));
    EXPECT_THAT(made(), ElementsAre(directory_ / "mnt", directory_ / "mnt/late"));
    EXPECT_THAT(told_, ElementsAre(HasSubstr("made the directory")));
  }
  // The server makes its own in it, and may replay that once more.
  take("mnt/late");
  EXPECT_EQ(make({record("mnt/late")}), std::nullopt);
}

TEST_F(MakingGuard, LetsThroughWhatItCannotMake) {
  EXPECT_EQ(make({record("repository/late")}), std::nullopt);
  EXPECT_THAT(made(), ElementsAre());
  EXPECT_THAT(told_, ElementsAre(AllOf(HasSubstr("no directory was made for tablespace 16500"),
                                       HasSubstr("it would lie in"))));
}

TEST_F(MakingGuard, MakesNothingForWhatIsNotHandedOut) {
  take("taken");
  auto before = record("before");
  auto behind = record("behind");
  before.oid = 16501;
  behind.oid = 16502;
  EXPECT_EQ(make({before, record("taken"), behind}), kPosition);
  EXPECT_THAT(made(), ElementsAre(directory_ / "before"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "behind"));
}

}  // namespace
}  // namespace pgrevive::wal
