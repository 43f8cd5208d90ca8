#include "base/error.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Error, ShowsItsFramesAndItsHint) {
  Error error(ErrorKind::corrupt, "checksum does not match");
  error.add_frame("restoring base/16384/2619");
  error.add_frame("restoring backup 20240115-020000F");
  error.with_hint("another backup may be whole");

  EXPECT_EQ(error.text(),
            "checksum does not match\n"
            "  while restoring base/16384/2619\n"
            "  while restoring backup 20240115-020000F\n"
            "  hint: another backup may be whole");
  EXPECT_EQ(Error(ErrorKind::usage, "no stanza").text(), "no stanza");
}

TEST(Error, HasTheExitCodeOfItsKind) {
  EXPECT_EQ(Error(ErrorKind::internal, "").exit_code(), 20);
  EXPECT_EQ(Error(ErrorKind::cancelled, "").exit_code(), 31);
}

TEST(WhileDoing, AddsAFrameToAnErrorOnly) {
  try {
    while_doing("outer",
                [] { while_doing("inner", [] { throw Error(ErrorKind::postgres, "failed"); }); });
    FAIL() << "the error was lost";
  } catch (const Error& error) {
    EXPECT_THAT(error.frames(), ElementsAre("inner", "outer"));
  }
  EXPECT_EQ(while_doing("counting", [] { return 3; }), 3);
}

struct SystemFailure {
  int number;
  ErrorKind kind;
  const char* words;
  bool hint;
};

TEST(SystemError, HasTheKindTheWordsAndTheHintOfItsNumber) {
  const SystemFailure table[] = {
      {ENOENT, ErrorKind::not_found, "No such file or directory", false},
      {ENOTDIR, ErrorKind::not_found, "Not a directory", false},
      {EACCES, ErrorKind::denied, "Permission denied", true},
      {EPERM, ErrorKind::denied, "Operation not permitted", true},
      {ENOSPC, ErrorKind::system, "No space left on device", true},
      {EROFS, ErrorKind::system, "Read-only file system", true},
      {EMFILE, ErrorKind::system, "Too many open files", true},
      {EIO, ErrorKind::system, "Input/output error", true},
      {ENOMEM, ErrorKind::system, "Cannot allocate memory", true},
      {EXDEV, ErrorKind::system, "Invalid cross-device link", false},
  };
  for (const auto& row : table) {
    const Error error = system_error(row.number, "cannot write /x");
    EXPECT_EQ(error.what(), std::string("cannot write /x: ") + row.words);
    EXPECT_EQ(error.kind(), row.kind) << row.words;
    EXPECT_EQ(!error.hint().empty(), row.hint) << row.words;
  }
}

}  // namespace
}  // namespace pgrevive
