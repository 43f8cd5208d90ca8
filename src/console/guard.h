#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "http/server.h"

namespace pgrevive::console {

struct GuardRules {
  std::vector<std::string> hosts;  // names beside IP addresses and localhost
  Secret token;                    // of who may change something
};

// Why a request is not served, or nothing. Who may reach the port may look; beyond that
//
// - a name that is not ours in Host is a page of somebody else whose name was made to lead here
//   (DNS rebinding), and is answered with 421;
// - an Origin that is not the host that was asked, or a browser that says that another site is
//   behind the request, is answered with 403;
// - what makes us read the repository needs the header X-Pgrevive, and is answered with 403
// without:
//   no image or link of another site can send it, also of a browser that does not say who asks;
// - anything but GET and HEAD changes something and needs the token: 401. It has to come in a
//   header of its own as well, which no form of another site can send.
//
// Pure.
std::optional<http::ServerResponse> refusal(const http::ServerRequest& request,
                                            const GuardRules& rules);

// An error as the API tells it: {"error": {"message": ..., "hint": ..., "exit_code": ...}}. Its
// kind follows from the HTTP status where nobody says it.
http::ServerResponse error_response(int status, const std::string& message,
                                    const std::string& hint = {},
                                    std::optional<ErrorKind> kind = {});

}  // namespace pgrevive::console
