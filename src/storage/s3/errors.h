#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/client.h"
#include "storage/s3/cause.h"

namespace pgrevive::storage::s3 {

// What the document that S3 sends with an error says. Fields it does not have are empty.
struct ErrorDocument {
  std::string code;  // "NoSuchKey"; empty if the body is no such document
  std::string message;
  std::string request_id;
  std::string region;    // the right one, where the code is about that
  std::string endpoint;  // the right one, in a redirect
};
// Never throws: a server in trouble sends anything.
ErrorDocument parse_error(std::string_view body);

// What to do about an answer that is not what was asked for.
struct Refusal {
  Error error;
  Cause cause = Cause::server;
  bool retry = false;
  bool throttled = false;  // the server asks for fewer requests
  std::optional<std::chrono::milliseconds> retry_after;  // the server's own word
};

// What a refusal's words need to know about the request.
struct Asked {
  std::string doing;  // "read s3://bucket/backup/main/backup.info"
  std::string bucket;
  std::string endpoint;
  std::string region;
  bool tls = true;
  bool one_object = true;  // and not a list
};

// `response` has failed, or has another status than success; `body` is its body as far as it came.
Refusal refuse(const Asked& asked, const http::Response& response, std::string_view body,
               std::chrono::system_clock::time_point now);

}  // namespace pgrevive::storage::s3
