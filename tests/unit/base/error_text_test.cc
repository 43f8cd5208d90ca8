#include "base/error_text.h"

#include <gtest/gtest.h>

namespace pgrevive {
namespace {

TEST(ErrorText, IsReadAsItWasWritten) {
  Error said = Error(ErrorKind::denied, "cannot read x").with_hint("give it to postgres");
  const Error plain = read_error(said.text(), said.exit_code(), ErrorKind::system);
  EXPECT_EQ(plain.kind(), ErrorKind::denied);
  EXPECT_STREQ(plain.what(), "cannot read x");
  EXPECT_EQ(plain.hint(), "give it to postgres");
  said.add_frame("restoring y");
  const Error framed = read_error(said.text() + "\n", said.exit_code(), ErrorKind::system);
  EXPECT_EQ(framed.text(), said.text());
}

TEST(ErrorText, MayHaveNoHintAndACodeOfNoKind) {
  for (const int code : {0, 1, 19, 32}) {
    const Error error = read_error("killed\n", code, ErrorKind::busy);
    EXPECT_EQ(error.kind(), ErrorKind::busy) << code;
    EXPECT_STREQ(error.what(), "killed");
    EXPECT_EQ(error.hint(), "");
  }
  EXPECT_EQ(read_error("", 20, ErrorKind::busy).kind(), ErrorKind::internal);
  EXPECT_EQ(read_error("", 31, ErrorKind::busy).kind(), ErrorKind::cancelled);
}

}  // namespace
}  // namespace pgrevive
