#include "postgres/log_passwords.h"

#include <string>

#include <gtest/gtest.h>

namespace pgrevive::postgres {
namespace {

struct Line {
  const char* name;
  const char* line;
  const char* shown;
};
class Passwords : public testing::TestWithParam<Line> {};

TEST_P(Passwords, AreMasked) { EXPECT_EQ(without_passwords(GetParam().line), GetParam().shown); }

INSTANTIATE_TEST_SUITE_P(
    InStatements, Passwords,
    testing::Values(
        Line{"of_a_role", "alter role a PASSWORD 'x''y' valid until 'z'",
             "alter role a PASSWORD '***' valid until 'z'"},
        Line{"escaped", R"(password E'x\'y' valid until 'z')", "password E'***' valid until 'z'"},
        Line{"backslash", R"(password 'x\' valid until 'z')", "password '***' valid until 'z'"},
        Line{"unicode", "password U&'x' in role b", "password U&'***' in role b"},
        Line{"dollars", "password $$x$y$$ in role b", "password $$***$$ in role b"},
        Line{"dollars_with_tag", "password $Tag_1$x$$y$tag$z$Tag_1$ in role b",
             "password $Tag_1$***$Tag_1$ in role b"},
        Line{"dollars_of_umlauts", "password $ü$x$ü$", "password $ü$***$ü$"},
        Line{"dollars_unended", "password $tag$x$tog$ y", "password $tag$***"},
        Line{"equals_dollars", "password = $a$x y$a$, z", "password = $a$***$a$, z"},
        Line{"no_dollars", "password $1", "password $1"},
        Line{"named_argument", "f(a => 1, password => 'x', b => 2)",
             "f(a => 1, password => '***', b => 2)"},
        Line{"named_argument_of_old", "f(password:='x', b)", "f(password:='***', b)"},
        Line{"tab", "password\t'x'", "password\t'***'"},
        Line{"unended", "password='x y", "password='***"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    InJson, Passwords,
    testing::Values(
        Line{"plain", R"({"user": "u", "password": "x y", "port": 1})",
             R"({"user": "u", "password": "***", "port": 1})"},
        Line{"tight", R"({"db_PASSWORD":"x","port":1})", R"({"db_PASSWORD":"***","port":1})"},
        Line{"escaped_quote", R"({"password" : "x\"y", "z": 1})",
             R"({"password" : "***", "z": 1})"},
        Line{"backslash_at_the_end", R"({"password": "x\\", "z": "1"})",
             R"({"password": "***", "z": "1"})"},
        Line{"in_a_string", R"("{\"password\": \"x\\\"y\", \"z\": 1}")",
             R"("{\"password\": \"***\", \"z\": 1}")"},
        Line{"in_a_string_with_a_backslash", R"("{\"password\": \"x\\\\\", \"z\": \"1\"}")",
             R"("{\"password\": \"***\", \"z\": \"1\"}")"},
        Line{"single_quotes", "{'password': 'x', 'z': 1}", "{'password': '***', 'z': 1}"},
        Line{"hstore", R"("password"=>"x", "z"=>"1")", R"("password"=>"***", "z"=>"1")"},
        Line{"number", R"({"password": 1234})", R"({"password": ***})"},
        Line{"nothing", R"({"password": null, "password": ""})",
             R"({"password": null, "password": ""})"},
        Line{"cut_off", R"({"password": "x y)", R"({"password": "***)"},
        Line{"twice", R"({"password": "x"}, {"password": "y"})",
             R"({"password": "***"}, {"password": "***"})"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    InUris, Passwords,
    testing::Values(
        Line{"uri", "connection 'postgres://u:x@h:1/d'", "connection 'postgres://u:***@h:1/d'"},
        Line{"long_scheme", "(PostgreSQL://u:x@h)", "(PostgreSQL://u:***@h)"},
        Line{"with_an_at", "postgresql://u:x@y@h/d?a=b@c", "postgresql://u:***@h/d?a=b@c"},
        Line{"with_a_colon", "postgres://u:x:y@h1,h2:2/d", "postgres://u:***@h1,h2:2/d"},
        Line{"of_two", "postgres://u:x@h postgres://v:y@h",
             "postgres://u:***@h postgres://v:***@h"},
        Line{"none", "postgres://u@[::1]:1/d postgres://h:1/d?user=a@b postgres://u:@h",
             "postgres://u@[::1]:1/d postgres://h:1/d?user=a@b postgres://u:@h"},
        Line{"as_a_user", "postgres://password:x@h?password=y",
             "postgres://password:***@h?password=***"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    OverLines, Passwords,
    testing::Values(Line{"next_line", "password\n\t'x' in role b", "password\n\t'***' in role b"},
                    Line{"bare", "password=x\n\tport=1", "password=***\n\tport=1"},
                    Line{"json", "{\"password\":\n\t\"x\"}", "{\"password\":\n\t\"***\"}"},
                    Line{"string_of_lines", "password 'x\n\ty' in role b",
                         "password '***' in role b"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(LogMask, MasksAMessageOfSeveralLinesAsOne) {
  LogMask mask;
  EXPECT_EQ(mask.add("a STATEMENT:  alter role b password\n\t'x'\n\tvalid until 'z'\nb LOG: c\n"),
            "a STATEMENT:  alter role b password\n\t'***'\n\tvalid until 'z'\nb LOG: c\n");
}

TEST(LogMask, GoesOnWithTheMessageThatItWasIn) {
  LogMask mask;
  EXPECT_EQ(mask.add("alter role b password\n"), "alter role b password\n");
  EXPECT_EQ(mask.add(""), "");
  EXPECT_EQ(mask.add("\t'x\n"), "\t'***\n");
  EXPECT_EQ(mask.add("\ty' valid\n\tuntil 'z'\nnext\n"), "\tuntil 'z'\nnext\n");
  EXPECT_EQ(mask.add("\tof it\nlast\n"), "\tof it\nlast\n");
}

TEST(LogMask, LeavesOutLinesWhoseBeginningWasNotThere) {
  LogMask mask;
  EXPECT_EQ(mask.add("\t'x'\n\ty\nnext\n\tof it\n"), "next\n\tof it\n");
  LogMask all;
  EXPECT_EQ(all.add("\t'x'\n"), "");
  // Of what is longer than is remembered, what comes later.
  LogMask more;
  more.add(std::string(2 << 20, 'x') + "\n");
  EXPECT_EQ(more.add("\ty\nnext\n"), "next\n");
}

}  // namespace
}  // namespace pgrevive::postgres
