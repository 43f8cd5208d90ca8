#include "postgres/lsn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace pgrevive::postgres {
namespace {

TEST(Lsn, IsReadAndWrittenInTwoHexHalves) {
  const auto lsn = Lsn::parse("16/B374D848");

  EXPECT_EQ(lsn.value(), 0x16B374D848u);
  EXPECT_EQ(lsn.text(), "16/B374D848");
  EXPECT_EQ(Lsn::parse("0/0").is_valid(), false);
  EXPECT_EQ(Lsn::parse("FFFFFFFF/ffffffff").text(), "FFFFFFFF/FFFFFFFF");
}

TEST(Lsn, OrdersAcrossTheBoundaryOfItsHalves) {
  EXPECT_LT(Lsn::parse("0/FFFFFFFF"), Lsn::parse("1/0"));
}

TEST(Lsn, QuotesWhatIsNoneSoThatItCanBeShown) {
  EXPECT_THAT([] { Lsn::parse("\x1b[31m"); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("'\\x1b[31m'")));
  EXPECT_THAT([] { Timeline::parse_hex("\x1b[31m"); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("'\\x1b[31m'")));
}

class MalformedLsn : public testing::TestWithParam<const char*> {};

TEST_P(MalformedLsn, IsRefused) {
  EXPECT_THAT([] { Lsn::parse(GetParam()); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("is not an LSN")));
}

INSTANTIATE_TEST_SUITE_P(All, MalformedLsn,
                         testing::Values("", "/", "0/", "/0", "0", "0/0/0", "0x1/0", "1/-1", " 1/0",
                                         "1/0 ", "G/0", "1/123456789"));

TEST(Timeline, IsEightHexDigitsInWalNames) {
  EXPECT_EQ(Timeline::parse_hex("0000000A").value(), 10u);
  EXPECT_EQ(Timeline(0xBEEF).hex(), "0000BEEF");
  EXPECT_EQ(Timeline().value(), 1u);
}

TEST(Timeline, OfAnotherFormIsRefused) {
  for (const char* text : {"", "1", "0000001", "000000001", "0000000G", "00000000", "-0000001"}) {
    EXPECT_THROW(Timeline::parse_hex(text), Error) << text;
  }
}

}  // namespace
}  // namespace pgrevive::postgres
