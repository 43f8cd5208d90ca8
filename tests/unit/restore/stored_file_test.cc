#include "restore/stored_file.h"

#include <gtest/gtest.h>

#include "support/throws.h"
#include "unit/restore/repository_builder.h"

namespace pgrevive::restore {
namespace {

using test::noise;
using test::RepositoryBuilder;

std::string read(const RepositoryBuilder& builder, const std::string& name) {
  const auto bytes = read_stored_file(builder.repository(), builder.manifest, name);
  return bytes ? std::string(as_text(*bytes)) : "none";
}

TEST(StoredFile, IsReadFromWhereverItLies) {
  for (const auto& form :
       {RepositoryBuilder::Form{},
        RepositoryBuilder::Form{
            .compress = codec::CompressType::zst, .passphrase = "secret", .raw = false},
        RepositoryBuilder::Form{
            .compress = codec::CompressType::gz, .passphrase = "", .raw = true}}) {
    RepositoryBuilder builder(form);
    builder.add_bundle(3, {{"pg_data/global/1262", noise(8192, 1)},
                           {"pg_data/global/empty", ""},
                           {"pg_data/global/pg_filenode.map", noise(512, 2)}},
                       7);

    EXPECT_EQ(read(builder, "pg_data/global/pg_control"), RepositoryBuilder::control_file());
    EXPECT_EQ(read(builder, "pg_data/global/1262"), noise(8192, 1));
    EXPECT_EQ(read(builder, "pg_data/global/pg_filenode.map"), noise(512, 2));
    EXPECT_EQ(read(builder, "pg_data/global/empty"), "");
    EXPECT_EQ(read(builder, "pg_data/global/1"), "none");
  }
}

TEST(StoredFile, IsProven) {
  RepositoryBuilder builder;
  builder.file("pg_data/global/pg_control").checksum = codec::Sha1::of(as_bytes("another"));

  EXPECT_THAT([&] { read(builder, "pg_data/global/pg_control"); },
              test::throws(ErrorKind::corrupt, "checksum does not match"));
}

TEST(StoredFile, IsNotReadWhereItIsLargeOrInBlocks) {
  RepositoryBuilder builder;
  builder.add_block_file("pg_data/base/1/2", noise(4 * 8192 + 10, 1), false);
  builder.file("pg_data/PG_VERSION").size = 17u << 20;

  EXPECT_EQ(read(builder, "pg_data/base/1/2"), "none");
  EXPECT_EQ(read(builder, "pg_data/PG_VERSION"), "none");
}

}  // namespace
}  // namespace pgrevive::restore
