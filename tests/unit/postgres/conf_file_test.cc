#include "postgres/conf_file.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/real_server.h"
#include "support/temp_dir.h"

namespace pgrevive::postgres {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Line {
  const char* name;
  const char* text;
  Setting setting;
};

const std::vector<Line> kReadable{

    Line{"plain", "port = 5433", {"port", "5433"}},
    Line{"no_equals", "port 5433", {"port", "5433"}},
    Line{"tight", "port=5433", {"port", "5433"}},
    Line{"comment_after", "\t port = 5433# mine", {"port", "5433"}},
    Line{"carriage_return", "port = 5433\r", {"port", "5433"}},
    Line{"upper_case_name", "Work_Mem = 4MB", {"work_mem", "4MB"}},
    Line{"qualified_name", "my.Thing = on", {"my.thing", "on"}},
    Line{"hexadecimal", "work_mem = 0x1F", {"work_mem", "0x1F"}},
    Line{"negative", "log_min_duration_statement = -1", {"log_min_duration_statement", "-1"}},
    Line{"real", "random_page_cost = 1.1e0", {"random_page_cost", "1.1e0"}},
    Line{"unit", "checkpoint_timeout = 10min", {"checkpoint_timeout", "10min"}},
    Line{"bare_word", "wal_level = replica", {"wal_level", "replica"}},
    Line{"bare_path", "lc_messages = en_US.UTF-8", {"lc_messages", "en_US.UTF-8"}},
    Line{"bare_slash", "log_timezone = Etc/UTC", {"log_timezone", "Etc/UTC"}},
    Line{"quoted", "search_path = '\"$user\", public'", {"search_path", "\"$user\", public"}},
    Line{"quoted_hash", "a = 'b # c' # d", {"a", "b # c"}},
    Line{"quoted_empty", "a = ''", {"a", ""}},
    Line{"quote_doubled", "a = 'it''s'", {"a", "it's"}},
    Line{"quote_escaped", "a = 'it\\'s'", {"a", "it's"}},
    Line{"backslashes", "a = 'x\\\\y\\n\\t\\101\\q'", {"a", "x\\y\n\tAq"}},
    Line{"include", "include 'more.conf'", {"include", "more.conf"}}};

const std::vector<const char*> kUnreadable{
    "port",         "port =",          "= 5",       "port = = 5", "port = 5 6",
    "port = 'open", "port = 'open\\'", "5 = 5",     "a-b = 5",    "a.b.c = 5",
    "a = b.c",      "a = 1.5GB",       "a = 'b' c", "a = $",      "a = 1,2"};

class ReadableLine : public testing::TestWithParam<Line> {};

TEST_P(ReadableLine, IsOneSetting) {
  std::vector<std::string> problems;

  EXPECT_THAT(parse_conf(GetParam().text, &problems), ElementsAre(GetParam().setting));
  EXPECT_THAT(problems, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, ReadableLine, testing::ValuesIn(kReadable),
                         [](const auto& test) { return test.param.name; });

class UnreadableLine : public testing::TestWithParam<const char*> {};

TEST_P(UnreadableLine, IsSkippedAndNamed) {
  std::vector<std::string> problems;

  EXPECT_THAT(parse_conf(std::string("before = 1\n") + GetParam() + "\nafter = 2", &problems),
              ElementsAre(Setting{"before", "1"}, Setting{"after", "2"}));
  EXPECT_THAT(problems, ElementsAre(HasSubstr("line 2 cannot be read")));
}

INSTANTIATE_TEST_SUITE_P(All, UnreadableLine, testing::ValuesIn(kUnreadable));

TEST(ParseConf, ReadsEachLineAsAServerDoes) {
  test::RealServer server;
  server.configure("include_if_exists 'tried.conf'\n");
  server.start();
  auto connection = Connection::open(server.connection());
  const auto tried = (server.directory() / "tried.conf").string();
  // pg_file_settings reads the files anew when it is asked.
  const auto ask = [&](const std::string& text) {
    write_file_atomic(tried, text + "\n", 0644);
    return connection.query(
        "SELECT name, setting, error FROM pg_file_settings WHERE sourcefile = $1", {tried});
  };

  for (const auto& line : kReadable) {
    if (line.setting.name == "include") continue;  // it is followed and not shown
    const auto rows = ask(line.text);
    ASSERT_EQ(rows.size(), 1u) << line.text;
    EXPECT_THAT(rows[0][0], testing::Optional(testing::StrCaseEq(line.setting.name))) << line.text;
    EXPECT_EQ(rows[0][1], line.setting.value) << line.text;
  }
  for (const auto* text : kUnreadable) {
    const auto rows = ask(text);
    ASSERT_EQ(rows.size(), 1u) << text;
    EXPECT_THAT(rows[0][2], testing::Optional(HasSubstr("syntax error"))) << text;
  }
}

TEST(ParseConf, SkipsCommentsAndEmptyLines) {
  EXPECT_THAT(parse_conf("# port = 1\n\n   \n\t# more\n"), IsEmpty());
  EXPECT_THAT(parse_conf(""), IsEmpty());
}

TEST(ParseConf, KeepsSettingsThatComeTwice) {
  EXPECT_THAT(parse_conf("a = 1\na = 2\n"), ElementsAre(Setting{"a", "1"}, Setting{"a", "2"}));
}

TEST(QuoteValue, ReadsBackAsItself) {
  for (const char* value : {"", "plain", "it's", "C:\\dir\\", "two\nlines\r\n", "'", "\\'", "a # b",
                            "pgrevive archive-get %f \"%p\"", "\xC3\xA9"}) {
    EXPECT_THAT(parse_conf("a = " + quote_value(value)), ElementsAre(Setting{"a", value})) << value;
  }
}

TEST(FormatConf, WritesWhatParseConfReads) {
  const std::vector<Setting> settings{{"restore_command", "cp '/a b/%f' \"%p\""}, {"port", "5433"}};

  EXPECT_EQ(format_conf(settings), "restore_command = 'cp ''/a b/%f'' \"%p\"'\nport = '5433'\n");
  EXPECT_EQ(parse_conf(format_conf(settings)), settings);
}

class LoadConf : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((directory_ / name).parent_path());
    std::ofstream(directory_ / name) << text;
  }

  test::TempDir directory_;
  std::vector<std::string> problems_;
};

TEST_F(LoadConf, ReadsIncludesInTheirPlace) {
  write("main.conf", "a = 1\nb = 1\ninclude 'sub/one.conf'\nb = 3\n");
  write("sub/one.conf", "a = 2\nb = 2\ninclude_if_exists 'two.conf'\n");
  write("sub/two.conf", "c = 'from two'\n");

  const auto settings = load_conf(directory_ / "main.conf", &problems_);

  EXPECT_THAT(settings, ElementsAre(testing::Pair("a", "2"), testing::Pair("b", "3"),
                                    testing::Pair("c", "from two")));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(LoadConf, ReadsADirectoryInByteOrder) {
  write("main.conf", "include_dir 'conf.d'\n");
  write("conf.d/10.conf", "a = 10\n");
  write("conf.d/9.conf", "a = 9\n");
  write("conf.d/.99.conf", "a = hidden\n");
  write("conf.d/99.conf~", "a = backup\n");
  write("conf.d/sub.conf/x.conf", "a = deeper\n");

  EXPECT_EQ(load_conf(directory_ / "main.conf", &problems_)["a"], "9");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(LoadConf, NamesWhatIsMissing) {
  write("main.conf",
        "include 'gone.conf'\ninclude_if_exists 'perhaps.conf'\ninclude_dir 'gone.d'\na = 1\n?\n");

  EXPECT_EQ(load_conf(directory_ / "main.conf", &problems_)["a"], "1");
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("gone.conf does not exist"), HasSubstr("gone.d"),
                                     HasSubstr("main.conf: line 5")));
  problems_.clear();
  EXPECT_THAT(load_conf(directory_ / "none.conf", &problems_), IsEmpty());
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("none.conf does not exist")));
}

TEST_F(LoadConf, StaysWithin) {
  write("data/main.conf",
        "include 'inside.conf'\ninclude '../host.conf'\ninclude_dir '/etc/of/another'\n"
        "include_if_exists '" + (directory_ / "host.conf").string() + "'\n");
  write("data/inside.conf", "a = inside\n");
  write("host.conf", "a = host\n");

  EXPECT_EQ(load_conf(directory_ / "data/main.conf", &problems_, directory_ / "data")["a"],
            "inside");
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("include ../host.conf: it names a place"),
                                     HasSubstr("/etc/of/another"), HasSubstr("host.conf")));
}

TEST_F(LoadConf, EndsWhereFilesIncludeEachOther) {
  write("a.conf", "a = 1\ninclude 'b.conf'\n");
  write("b.conf", "b = 1\ninclude 'a.conf'\n");

  EXPECT_EQ(load_conf(directory_ / "a.conf", &problems_)["b"], "1");
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("include each other")));
}

}  // namespace
}  // namespace pgrevive::postgres
