#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/throws.h"

namespace pgrevive {
namespace {

using test::throws;

TEST(Bytes, AreWrittenAndReadAsHex) {
  const Bytes bytes = from_hex("00ff1AbC");

  EXPECT_EQ(bytes.size(), 4u);
  EXPECT_EQ(to_hex(bytes), "00ff1abc");
  EXPECT_TRUE(from_hex("").empty());
}

TEST(Bytes, RefuseWhatIsNotHex) {
  for (const char* text : {"0", "0g", " 0", "0x", "00 1"}) {
    EXPECT_THAT([&] { from_hex(text); }, throws(ErrorKind::corrupt, text));
  }
}

TEST(LoadLe, ReadsTheLeastByteFirst) {
  const Bytes bytes = from_hex("ff0102030405060788");

  EXPECT_EQ(load_le<std::uint8_t>(bytes, 0), 0xff);
  EXPECT_EQ(load_le<std::uint16_t>(bytes, 1), 0x0201);
  EXPECT_EQ(load_le<std::uint32_t>(bytes, 1), 0x04030201u);
  EXPECT_EQ(load_le<std::uint64_t>(bytes, 1), 0x8807060504030201u);
}

}  // namespace
}  // namespace pgrevive
