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

}  // namespace
}  // namespace pgrevive::postgres
