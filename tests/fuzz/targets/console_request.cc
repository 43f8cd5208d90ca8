#include <cctype>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cluster/settings.h"
#include "console/actions.h"
#include "console/guard.h"
#include "console/logs.h"
#include "fuzz/fuzz.h"
#include "http/server_request.h"
#include "support/temp_dir.h"

// What a connection brings to the console: requests that are refused, or taken the same in whatever
// pieces they come, and no byte of one is part of the next. Whom the guard lets through said what
// it asks for, by rules that are told here a second time. No answer has anything in it that is not
// text, and a log is shown to nobody with the cluster's password in it.
namespace {

using namespace pgrevive;
using http::ParsedRequest;
using http::ServerRequest;

constexpr const char* kToken = "sesame-0123456789";
constexpr const char* kPassword = "hunter22";
constexpr http::RequestLimits kLimits{.head_bytes = 1024, .body_bytes = 256};

const cluster::StateDirectory& state() {
  static const test::TempDir directory;
  static const cluster::StateDirectory made = [] {
    cluster::StateDirectory state(directory.path() / "c");
    make_directories(state.logs("primary"));
    make_directories(state.secrets());
    cluster::Settings settings;
    settings.password = Secret(kPassword);
    write_file_atomic(state.settings(), to_json(settings));
    write_file_atomic(state.logs("primary") / "postgresql.log",
                      "one\ntwo hunter22\nthree password 'x'\nfour");
    return state;
  }();
  return made;
}

bool is_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// Whether the request tells it itself, which may come back in an error.
bool tells(const ServerRequest& request, std::string_view secret) {
  if (request.path.find(secret) != std::string::npos) return true;
  const auto of = request.parameter("of");
  return of && of->find(secret) != std::string::npos;
}

void check_answer(const http::ServerResponse& response, const ServerRequest& request) {
  fuzz::require(response.status >= 200 && response.status < 600, "an answer has a status");
  fuzz::require(is_line(response.type), "its type is a line");
  for (const auto& header : response.headers)
    fuzz::require(is_line(header.name) && is_line(header.value), "its headers are lines");
  fuzz::require(nlohmann::json::accept(response.body), "its body is JSON");
  for (const auto* secret : {kPassword, kToken})
    fuzz::require(response.body.find(secret) == std::string::npos || tells(request, secret),
                  "no secret is told");
}

void check_request(const ServerRequest& request) {
  fuzz::require(request.path.starts_with('/') && request.path.find('\0') == std::string::npos,
                "a path is absolute and has no zero in it");
  fuzz::require(!request.method.empty() && is_line(request.method), "a method is a word");
  fuzz::require(request.body.size() <= kLimits.body_bytes, "a body is bounded");
  std::size_t hosts = 0;
  for (const auto& header : request.headers) {
    fuzz::require(!header.name.empty() && is_line(header.name) && is_line(header.value),
                  "a header is a line");
    hosts += equal_ignoring_case(header.name, "host") ? 1 : 0;
  }
  fuzz::require(hosts <= 1, "a request names one host");
}

// The guard's rules once more, as an attacker would wish them to be broken.
void check_served(const ServerRequest& request) {
  const auto host = lower(request.header("Host").value_or(""));
  fuzz::require(host.starts_with("localhost") || host.starts_with("db1.example.org") ||
                    (!host.empty() && (host[0] == '[' || std::isdigit(host[0]) != 0)),
                "only who asks for us is served");
  fuzz::require(request.method == "GET" || request.method == "HEAD" || request.method == "POST",
                "only what looks or acts is served");
  if (request.method == "POST")
    fuzz::require(request.header("Authorization") == "Bearer " + std::string(kToken),
                  "who acts has the token");
  if (const auto origin = request.header("Origin"))
    fuzz::require(lower(*origin).ends_with("://" + host), "no page of another site is served");
  if (request.header("Sec-Fetch-Site") == "cross-site")
    fuzz::require(request.path == "/" && request.header("Sec-Fetch-Mode") == "navigate",
                  "nor a request that its browser says is another site's");
  if (request.path == "/api/v1/preview")
    fuzz::require(request.header("X-Pgrevive").has_value(), "nobody reads the repository unawares");
}

void answer(const ServerRequest& request) {
  static const console::GuardRules rules{.hosts = {"DB1.example.org"}, .token = Secret(kToken)};
  if (const auto refused = console::refusal(request, rules)) {
    fuzz::require(refused->status >= 400, "a refusal is no success");
    check_answer(*refused, request);
  } else {
    check_served(request);
  }
  check_answer(console::error_response(404, "there is nothing at " + request.path), request);
  for (const char* name : {"type", "target", "set", "node", "confirm", "fresh"})
    request.parameter(name);
  constexpr std::string_view kActions = "/api/v1/actions/";
  if (request.path.starts_with(kActions)) {
    const auto name = request.path.substr(kActions.size());
    fuzz::require(!console::is_action(name) || name.find('/') == std::string::npos,
                  "an action is a word");
  }
  // Whatever its path: the query is what is read.
  check_answer(console::logs(state(), request), request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto bytes = as_text(fuzz::input(data, size));
  while (true) {
    const auto parsed = http::parse_request(bytes, kLimits);
    if (parsed.state == ParsedRequest::State::refused) {
      fuzz::require(parsed.status >= 400 && parsed.status < 600, "a refusal has a status");
      fuzz::require(!parsed.reason.empty() && is_line(parsed.reason), "and a reason");
    }
    if (parsed.state != ParsedRequest::State::complete) return 0;
    fuzz::require(parsed.consumed > 0 && parsed.consumed <= bytes.size(), "it is of what came");
    const auto& request = parsed.request;
    check_request(request);

    // With nothing behind it, it is the same; with less, it is not there yet.
    const auto own = http::parse_request(bytes.substr(0, parsed.consumed), kLimits);
    fuzz::require(own.state == ParsedRequest::State::complete && own.consumed == parsed.consumed &&
                      own.request.path == request.path && own.request.query == request.query &&
                      own.request.body == request.body,
                  "what follows changes nothing");
    for (const auto less : {parsed.consumed - 1, parsed.consumed / 2})
      fuzz::require(http::parse_request(bytes.substr(0, less), kLimits).state ==
                        ParsedRequest::State::incomplete,
                    "a part of a request is none");

    answer(request);
    bytes.remove_prefix(parsed.consumed);
  }
}
