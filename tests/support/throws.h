#pragma once

#include <string>

#include <gmock/gmock.h>

#include "base/error.h"

namespace pgrevive::test {

// What a callable has to do: EXPECT_THAT([] { parse("x"); }, throws(ErrorKind::corrupt, "label"));
// `part` is a part of the message or of the hint.
inline auto throws(ErrorKind kind, const std::string& part = "") {
  return testing::Throws<Error>(
      testing::AllOf(testing::Property("kind", &Error::kind, kind),
                     testing::Property("text", &Error::text, testing::HasSubstr(part))));
}

}  // namespace pgrevive::test
