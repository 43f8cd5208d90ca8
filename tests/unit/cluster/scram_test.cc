#include "cluster/scram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

// The example of RFC 7677: user "user", password "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==. Its
// client proof and server signature follow from these two keys.
TEST(ScramVerifier, IsTheOneOfTheRfcsExample) {
  const auto salt = from_hex("5b6d99689d12358eeca04b141236fa81");

  EXPECT_EQ(scram_verifier(Secret("pencil"), salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

TEST(ScramVerifier, HasAnotherSaltEachTime) {
  EXPECT_NE(make_scram_verifier(Secret("a")), make_scram_verifier(Secret("a")));
}

TEST(ScramVerifier, IsLeftToTheServerForLettersThatNeedNormalizing) {
  EXPECT_EQ(make_scram_verifier(Secret("pässword")), "");
}

}  // namespace
}  // namespace pgrevive::cluster
