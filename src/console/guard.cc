#include "console/guard.h"

#include <algorithm>
#include <string_view>

#include <arpa/inet.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace pgrevive::console {
namespace {

// "[::1]:8080" is "::1", "localhost:8080" is "localhost".
std::string host_of(std::string_view authority) {
  if (authority.starts_with('['))
    return lower(authority.substr(1, std::min(authority.find(']'), authority.size()) - 1));
  return lower(authority.substr(0, authority.find(':')));
}

// No name server is asked for an address, so nobody else can have made it lead here.
bool is_address(const std::string& host) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

bool is_ours(const std::string& host, const std::vector<std::string>& hosts) {
  return host == "localhost" || is_address(host) ||
         std::ranges::any_of(hosts, [&](const std::string& name) { return lower(name) == host; });
}

// Takes the same time wherever the two differ.
bool same_secret(std::string_view given, std::string_view ours) {
  unsigned difference = given.size() == ours.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= static_cast<unsigned>(given[i] ^ ours[i % ours.size()]);
  return difference == 0;
}

bool from_elsewhere(const http::ServerRequest& request, const std::string& authority) {
  if (const auto origin = request.header("Origin")) {
    const auto scheme = origin->find("://");
    // "null" is what a page has that does not say where it is from.
    if (scheme == std::string::npos || lower(origin->substr(scheme + 3)) != lower(authority))
      return true;
  }
  const auto site = request.header("Sec-Fetch-Site").value_or("none");
  if (site == "same-origin" || site == "none") return false;
  // A link to the page itself may stand anywhere.
  return request.path != "/" || request.header("Sec-Fetch-Mode") != "navigate";
}

bool reads_repository(const http::ServerRequest& request) {
  return request.path == "/api/v1/preview" ||
         (request.path == "/api/v1/repository" && request.parameter("fresh"));
}

}  // namespace

http::ServerResponse error_response(int status, const std::string& message, const std::string& hint,
                                    std::optional<ErrorKind> kind) {
  if (!kind)
    kind = status == 401 || status == 403 || status == 421 ? ErrorKind::denied
           : status == 404                                 ? ErrorKind::not_found
           : status == 409 || status == 503                ? ErrorKind::busy
           : status < 500                                  ? ErrorKind::usage
                                                           : ErrorKind::internal;
  const nlohmann::json json = {
      {"error", {{"message", message}, {"hint", hint}, {"exit_code", static_cast<int>(*kind)}}}};
  return {.status = status,
          .type = "application/json",
          .body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

std::optional<http::ServerResponse> refusal(const http::ServerRequest& request,
                                            const GuardRules& rules) {
  const auto authority = request.header("Host").value_or("");
  if (!is_ours(host_of(authority), rules.hosts))
    return error_response(421, "this console is not known by that host name",
                          "use localhost or an address, or name the host in CONSOLE_HOSTS");
  if (from_elsewhere(request, authority))
    return error_response(403, "a page of another site has no business here");
  if (reads_repository(request) && !request.header("X-Pgrevive"))
    return error_response(403, "this reads the repository, which nobody should make us do unawares",
                          "send the header X-Pgrevive: 1");
  if (request.method == "GET" || request.method == "HEAD") return {};
  if (request.method != "POST") return error_response(405, "there is only GET and POST");
  constexpr std::string_view kBearer = "Bearer ";
  const auto given = request.header("Authorization").value_or("");
  if (rules.token.empty() || !given.starts_with(kBearer) ||
      !same_secret(std::string_view(given).substr(kBearer.size()), rules.token.reveal())) {
    auto response = error_response(401, "this needs the token of the cluster",
                                   "`pgrevive console --token` prints it");
    response.headers.push_back({.name = "WWW-Authenticate", .value = "Bearer"});
    return response;
  }
  return {};
}

}  // namespace pgrevive::console
