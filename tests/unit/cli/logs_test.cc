#include <array>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "support/temp_dir.h"

namespace pgrevive::cli {
namespace {

constexpr auto kAll = static_cast<std::size_t>(-1);

// A pipe that it is read from, as the words of containers come.
class Stream {
 public:
  Stream() {
    if (::pipe(ends_.data()) != 0) throw system_error(errno, "pipe");
  }
  ~Stream() {
    close();
    ::close(ends_[0]);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int descriptor() const { return ends_[0]; }
  void say(std::string_view text) const { write_all(ends_[1], as_bytes(text), "the pipe"); }
  void close() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

std::string shown(std::string_view text, const std::string& names, std::size_t lines = kAll,
                  const cluster::StateDirectory* volumes = nullptr) {
  Stream stream;
  stream.say(text);
  stream.close();
  testing::internal::CaptureStdout();
  EXPECT_EQ(show_streamed_logs(stream.descriptor(), names, false, lines, volumes), 0);
  return testing::internal::GetCapturedStdout();
}

TEST(StreamedLogs, AreShownInTheOrderOfTheirTimes) {
  EXPECT_EQ(shown("replica\t2026-01-01 00:00:02 b\n"
                  "replica\tbelongs to it\n"
                  "primary\t2026-01-01 00:00:01 a\n"
                  "primary\t2026-01-01 00:00:03 c\n",
                  "primary,replica"),
            "primary | 2026-01-01 00:00:01 a\n"
            "replica | 2026-01-01 00:00:02 b\n"
            "replica | belongs to it\n"
            "primary | 2026-01-01 00:00:03 c\n");
}

TEST(StreamedLogs, AreTheLastLinesOfAll) {
  const auto text = "primary\t2026-01-01 00:00:01 a\nadminer\t2026-01-01 00:00:02 b\n";
  EXPECT_EQ(shown(text, "primary,adminer", 1), "adminer | 2026-01-01 00:00:02 b\n");
  EXPECT_EQ(shown(text, "primary,adminer", 0), "");
}

TEST(StreamedLogs, HaveNoPasswordsAndNothingOfOthers) {
  const auto text =
      shown("primary\tcreate role a password 'secret'\nother\tx\nno tab\n", "primary");
  EXPECT_EQ(text, "primary | create role a password '***'\n");
}

TEST(StreamedLogs, HaveNoPasswordsOnAnotherLineThanTheWordBeforeThem) {
  EXPECT_EQ(shown("primary\talter role a password\nreplica\t\tof what is not there\n"
                  "primary\t\t'secret'\n",
                  "primary,replica"),
            "primary | alter role a password\nprimary | \t'***'\n");

  // Of each line by itself, too.
  Stream stream;
  testing::internal::CaptureStdout();
  std::thread shows([&] { show_streamed_logs(stream.descriptor(), "primary", true, kAll); });
  stream.say("primary\talter role a password\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  stream.say("primary\t\t'secret'\n");
  stream.close();
  shows.join();
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "primary | alter role a password\nprimary | \t'***'\n");
}

TEST(StreamedLogs, HaveNoPasswordsOfFilesEither) {
  const test::TempDir volumes;
  const auto directory = cluster::StateDirectory::on_volume(volumes.path(), "primary");
  make_directories(directory.logs("primary"));
  write_file_atomic(directory.logs("primary") / "postgresql.log",
                    "\tof what is not there\nalter role a password\n\t'secret'\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(shown("", "primary", kAll, &directory),
            "primary | alter role a password\nprimary | \t'***'\n");
  testing::internal::GetCapturedStderr();
}

TEST(StreamedLogs, HaveALastLineThatIsCutOff) {
  EXPECT_EQ(shown("primary\twhole\nprimary\tcut o", "primary"),
            "primary | whole\nprimary | cut o\n");
  EXPECT_EQ(shown("", "primary"), "");
}

TEST(StreamedLogs, AreFollowedAsTheyCome) {
  Stream stream;
  testing::internal::CaptureStdout();
  std::thread shows(
      [&] { show_streamed_logs(stream.descriptor(), "primary,replica", true, kAll); });
  // By the time of the second look the first has been shown, in its order and not in that of time.
  stream.say("replica\t2026-01-01 00:00:02 b\nprimary\t2026-01");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  stream.say("-01 00:00:01 a\n");
  stream.close();
  shows.join();
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "replica | 2026-01-01 00:00:02 b\nprimary | 2026-01-01 00:00:01 a\n");
}

TEST(StreamedLogs, HaveWhatIsInFilesBetween) {
  const test::TempDir volumes;
  const auto directory = cluster::StateDirectory::on_volume(volumes.path(), "primary");
  make_directories(directory.logs("primary"));
  const auto file = directory.logs("primary") / "main-restore.log";
  write_file_atomic(file, "2026-01-01 00:00:01 restored\n2026-01-01 00:00:03 cut o");
  testing::internal::CaptureStderr();
  EXPECT_EQ(shown("primary\t2026-01-01 00:00:02 runs\n", "primary,replica", kAll, &directory),
            "primary | 2026-01-01 00:00:01 restored\n"
            "primary | 2026-01-01 00:00:02 runs\n");
  // Where who follows it goes on: behind the whole lines.
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "29 " + file.string() + "\n");
}

}  // namespace
}  // namespace pgrevive::cli
