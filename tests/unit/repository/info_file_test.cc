#include "repository/info_file.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/throws.h"
#include "unit/repository/info_text.h"

namespace pgrevive::repository {
namespace {

using test::seal;
using test::sealed;
using test::throws;

// Every entry as "section|key|value", the [backrest] ones left out.
std::vector<std::string> read(std::string_view text, std::size_t piece = 1u << 20) {
  std::vector<std::string> entries;
  InfoFileReader reader("a.info", [&](auto section, auto key, auto value) {
    if (section != "backrest")
      entries.push_back(std::string(section) + "|" + std::string(key) + "|" + std::string(value));
  });
  for (std::size_t at = 0; at < text.size(); at += piece)
    reader.write(as_bytes(text.substr(at, piece)));
  reader.finish();
  return entries;
}

using Entries = std::vector<std::string>;

TEST(InfoFile, ReadsSectionsAndEntriesInOrder) {
  EXPECT_EQ(read(seal("[db]\ndb-id=1\n\n[db:history]\n1={\"db-id\":7}\n2=\"x\"\n")),
            (Entries{"db|db-id|1", "db:history|1|{\"db-id\":7}", "db:history|2|\"x\""}));
}

TEST(InfoFile, DoesNotCareHowTheTextIsCutIntoPieces) {
  const std::string text = seal("[db]\ndb-id=1\n\n[db:history]\n1={\"db-id\":7}\n");
  for (std::size_t piece = 1; piece < 40; ++piece)
    EXPECT_EQ(read(text, piece).size(), 2u) << "pieces of " << piece;
}

TEST(InfoFile, SplitsAtTheFirstEqualsSignThatJsonFollows) {
  const std::string head = "[backrest]\nbackrest-format=5\n\n[target:file]\n";
  const std::string line = "pg_data/a=b=\"c\"=d={\"size\":1}";
  const std::string file = head + line + "\n";

  EXPECT_EQ(read(sealed(file, R"({"backrest":{"backrest-format":5},)"
                              R"("target:file":{"pg_data/a=b=\"c\"=d":{"size":1}}})")),
            (Entries{"target:file|pg_data/a=b=\"c\"=d|{\"size\":1}"}));
}

TEST(InfoFile, TakesNamesThatLookLikeSectionsOrComments) {
  EXPECT_EQ(read(seal("[target:file]\n[x]y={}\n #z ={}\n;q={}\n")),
            (Entries{"target:file|[x]y|{}", "target:file| #z |{}", "target:file|;q|{}"}));
}

TEST(InfoFile, EscapesKeysInTheTextOfTheChecksum) {
  const std::string file = "[backrest]\nbackrest-format=5\n\n[s]\na\"b\\c\td\xC3\xBC=1\n";
  EXPECT_EQ(read(sealed(file,
                        "{\"backrest\":{\"backrest-format\":5},"
                        "\"s\":{\"a\\\"b\\\\c\\td\xC3\xBC\":1}}"))
                .size(),
            1u);
}

TEST(InfoFile, TakesTheOldFormWithTheChecksumInTheFirstSection) {
  const std::string json =
      R"({"backrest":{"backrest-format":5,"backrest-version":"2.00"},"db":{"db-id":1}})";
  const std::string text = "[backrest]\nbackrest-checksum=\"" +
                           codec::Sha1::of(as_bytes(json)).text() +
                           "\"\nbackrest-format=5\nbackrest-version=\"2.00\"\n\n[db]\ndb-id=1\n";
  EXPECT_EQ(read(text), (Entries{"db|db-id|1"}));
}

TEST(InfoFile, NeedsNoNewlineAtTheEnd) {
  std::string text = seal("[db]\ndb-id=1\n");
  text.pop_back();
  EXPECT_EQ(read(text).size(), 1u);
}

TEST(InfoFile, HashesValuesAsTheyStand) {
  EXPECT_EQ(read(seal("[s]\na={\"b\" : 1}\n")), (Entries{"s|a|{\"b\" : 1}"}));
  std::string text = seal("[s]\na={\"b\" : 1}\n");
  text.erase(text.find(" :"), 1);
  EXPECT_THAT([&] { read(text); }, throws(ErrorKind::corrupt, "checksum does not match"));
}

TEST(InfoFile, RefusesAnyChangedByte) {
  const std::string text = seal("[db]\ndb-id=1\n\n[db:history]\n1={\"db-id\":7}\n");
  for (const char* what : {"db-id=1", "7", "history"}) {
    std::string changed = text;
    changed[changed.find(what) + std::string_view(what).size() - 1] ^= 1;
    EXPECT_THAT([&] { read(changed); }, throws(ErrorKind::corrupt)) << what;
  }
}

TEST(InfoFile, RefusesTruncatedText) {
  const std::string text = seal("[db]\ndb-id=1\n");
  EXPECT_THAT([&] { read(text.substr(0, text.size() / 2)); }, throws(ErrorKind::corrupt));
  EXPECT_THAT([&] { read(text.substr(0, text.find("\n[backrest]\nbackrest-checksum"))); },
              throws(ErrorKind::corrupt, "a.info is cut off"));
  EXPECT_THAT([] { read(""); }, throws(ErrorKind::corrupt, "cut off"));
}

TEST(InfoFile, TellsNewerAndOlderFormatsFromDamage) {
  EXPECT_THAT([] { read(seal("", "6")); },
              throws(ErrorKind::unsupported, "made by a newer pgBackRest"));
  EXPECT_THAT([] { read(seal("", "4")); }, throws(ErrorKind::unsupported, "pgBackRest 1.x"));
  EXPECT_THAT([] { read(sealed("[db]\ndb-id=1\n", R"({"db":{"db-id":1}})")); },
              throws(ErrorKind::corrupt, "no backrest-format"));
}

TEST(InfoFile, NamesFileAndLineOfWhatIsNoEntry) {
  EXPECT_THAT([] { read("[backrest]\nbackrest-format=5\n\nno entry\n"); },
              throws(ErrorKind::corrupt, "a.info: line 4: neither a section nor key=value"));
  EXPECT_THAT([] { read("a=1\n"); }, throws(ErrorKind::corrupt, "before the first section"));
}

TEST(InfoFile, NamesTheEntryThatAnErrorOfTheCallerIsAbout) {
  InfoFileReader reader("a.info", [](auto section, auto, auto) {
    if (section == "db") throw Error(ErrorKind::corrupt, "too odd").with_hint("do this");
  });
  EXPECT_THAT([&] { reader.write(as_bytes("[backrest]\nbackrest-format=5\n[db]\nx=1\n")); },
              throws(ErrorKind::corrupt, "a.info: line 4: [db] x: too odd\n  hint: do this"));
}

TEST(InfoFile, RefusesALineWithoutEndBeforeItFillsTheMemory) {
  InfoFileReader reader("a.info", [](auto, auto, auto) {});
  const std::string piece(1u << 20, 'x');
  EXPECT_THAT(
      [&] {
        for (int i = 0; i < 20; ++i) reader.write(as_bytes(piece));
      },
      throws(ErrorKind::corrupt, "longer than"));
}

TEST(InfoFile, NeverShowsAPassphraseInAMessage) {
  for (const char* text : {"[cipher]\ncipher-pass=\"secret\n", "[cipher]\ncipher-pass=secret\n"}) {
    try {
      read(text);
      ADD_FAILURE() << "was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.text().find("secret"), std::string::npos) << error.text();
    }
  }
}

// The worked example of docs/format/info_file.md.
TEST(InfoFile, ReadsTheExampleOfTheDocumentation) {
  EXPECT_EQ(read("[backrest]\nbackrest-format=5\nbackrest-version=\"2.45\"\n\n[db]\ndb-id=1\n\n"
                 "[backrest]\nbackrest-checksum=\"3cb5bd25f5746b882ff60b8afa488bec815f897c\"\n"),
            (Entries{"db|db-id|1"}));
}

TEST(InfoFile, ChecksumsOfPgBackRestMatch) {
  for (const char* name : {"backup/main/backup.info", "archive/main/archive.info",
                           "backup/main/20261122-071340F_20261122-071349I/backup.manifest"}) {
    const std::string text = read_file(std::string(TEST_DATA_DIR) + "/repository/pg15-lz4/" + name);
    EXPECT_FALSE(read(text).empty()) << name;
  }
}

}  // namespace
}  // namespace pgrevive::repository
