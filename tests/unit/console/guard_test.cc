#include "console/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pgrevive::console {
namespace {

using Headers = std::vector<http::Header>;

const GuardRules kRules{.hosts = {"db1.example.org"}, .token = Secret("sesame")};

int status_for(const std::string& method, const std::string& path, Headers headers) {
  http::ServerRequest request{.method = method, .path = path, .headers = std::move(headers)};
  const auto refused = refusal(request, kRules);
  return refused ? refused->status : 200;
}

struct Asked {
  const char* name;
  std::string method;
  std::string path;
  Headers headers;
  int status;
};
class Guard : public testing::TestWithParam<Asked> {};

TEST_P(Guard, Answers) {
  EXPECT_EQ(status_for(GetParam().method, GetParam().path, GetParam().headers), GetParam().status);
}

INSTANTIATE_TEST_SUITE_P(
    All, Guard,
    testing::Values(
        Asked{"address", "GET", "/", {{"Host", "127.0.0.1:8080"}}, 200},
        Asked{"address_6", "GET", "/", {{"Host", "[::1]:8080"}}, 200},
        Asked{"localhost", "GET", "/", {{"Host", "LOCALHOST"}}, 200},
        Asked{"named", "GET", "/", {{"Host", "DB1.example.org:8080"}}, 200},
        Asked{"rebound", "GET", "/", {{"Host", "evil.example"}}, 421},
        Asked{"looks_alike", "GET", "/", {{"Host", "localhost.evil.example"}}, 421},
        Asked{"looks_like_an_address", "GET", "/", {{"Host", "127.0.0.1.evil.example"}}, 421},
        Asked{"no_host", "GET", "/", {}, 421},
        Asked{"open_bracket", "GET", "/", {{"Host", "["}}, 421},
        Asked{"own_origin",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Origin", "http://localhost:8080"}},
              200},
        Asked{"other_port",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Origin", "http://localhost:9090"}},
              403},
        Asked{"other_origin",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Origin", "http://evil.example"}},
              403},
        Asked{"hidden_origin",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Origin", "null"}},
              403},
        Asked{"image_of_another_site",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Sec-Fetch-Site", "cross-site"}},
              403},
        Asked{"page_of_another_port",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Sec-Fetch-Site", "same-site"}},
              403},
        Asked{"own_page",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Sec-Fetch-Site", "same-origin"}},
              200},
        Asked{"typed_by_a_person",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost:8080"}, {"Sec-Fetch-Site", "none"}},
              200},
        Asked{"frame_of_the_page",
              "GET",
              "/",
              {{"Host", "localhost"},
               {"Sec-Fetch-Site", "cross-site"},
               {"Sec-Fetch-Mode", "no-cors"}},
              403},
        Asked{"link_to_the_page",
              "GET",
              "/",
              {{"Host", "localhost"},
               {"Sec-Fetch-Site", "cross-site"},
               {"Sec-Fetch-Mode", "navigate"}},
              200},
        Asked{"link_to_the_api",
              "GET",
              "/api/v1/status",
              {{"Host", "localhost"},
               {"Sec-Fetch-Site", "cross-site"},
               {"Sec-Fetch-Mode", "navigate"}},
              403},
        Asked{"unawares", "GET", "/api/v1/preview", {{"Host", "localhost"}}, 403},
        Asked{"knowingly",
              "GET",
              "/api/v1/preview",
              {{"Host", "localhost"}, {"X-Pgrevive", "1"}},
              200},
        Asked{"what_is_known", "GET", "/api/v1/repository", {{"Host", "localhost"}}, 200},
        Asked{"no_token", "POST", "/api/v1/actions/stop", {{"Host", "localhost"}}, 401},
        Asked{"wrong_token",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"}, {"Authorization", "Bearer sesamo"}},
              401},
        Asked{"longer_token",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"}, {"Authorization", "Bearer sesamesesame"}},
              401},
        Asked{"shorter_token",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"}, {"Authorization", "Bearer sesam"}},
              401},
        Asked{"token_of_another_kind",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"}, {"Authorization", "Digest sesame"}},
              401},
        Asked{"empty_token",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"}, {"Authorization", "Bearer "}},
              401},
        Asked{"token",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"}, {"Authorization", "Bearer sesame"}},
              200},
        Asked{"token_from_elsewhere",
              "POST",
              "/api/v1/actions/stop",
              {{"Host", "localhost"},
               {"Origin", "http://evil.example"},
               {"Authorization", "Bearer sesame"}},
              403},
        Asked{"head", "HEAD", "/", {{"Host", "localhost"}}, 200},
        Asked{"head_from_elsewhere",
              "HEAD",
              "/api/v1/status",
              {{"Host", "localhost"}, {"Origin", "http://evil.example"}},
              403},
        Asked{"delete", "DELETE", "/", {{"Host", "localhost"}}, 405}),
    [](const auto& test) { return test.param.name; });

TEST(Guard, NeedsTheHeaderWhereTheRepositoryIsReadAnew) {
  http::ServerRequest request{.method = "GET",
                              .path = "/api/v1/repository",
                              .query = "fresh",
                              .headers = {{"Host", "localhost"}}};
  EXPECT_EQ(refusal(request, kRules)->status, 403);
  request.headers.push_back({"X-Pgrevive", "1"});
  EXPECT_FALSE(refusal(request, kRules));
}

TEST(Guard, SaysWhatIsWrongAndWhatToDo) {
  const auto refused =
      *refusal({.method = "POST", .path = "/", .headers = {{"Host", "::1"}}}, kRules);
  EXPECT_EQ(refused.status, 421);  // an address of that kind stands in brackets
  const auto untold =
      *refusal({.method = "POST", .path = "/", .headers = {{"Host", "localhost"}}}, kRules);
  EXPECT_EQ(untold.type, "application/json");
  const auto error = nlohmann::json::parse(untold.body)["error"];
  EXPECT_THAT(error["message"].get<std::string>(), testing::HasSubstr("token"));
  EXPECT_THAT(error["hint"].get<std::string>(), testing::HasSubstr("console --token"));
  ASSERT_EQ(untold.headers.size(), 1u);
  EXPECT_EQ(untold.headers[0].name + ": " + untold.headers[0].value, "WWW-Authenticate: Bearer");
}

TEST(Guard, LetsNobodyInWhereThereIsNoToken) {
  const http::ServerRequest request{
      .method = "POST",
      .path = "/",
      .headers = {{"Host", "localhost"}, {"Authorization", "Bearer "}}};
  EXPECT_EQ(refusal(request, {})->status, 401);
}

}  // namespace
}  // namespace pgrevive::console
