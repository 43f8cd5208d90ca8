#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "http/client.h"
#include "storage/s3/uri.h"

namespace pgrevive::storage::s3 {

struct Credentials {
  Secret access_key;
  Secret secret_key;
  Secret session_token;  // empty for keys that last
};

// The hash of a request without a body, which is all that a reader sends.
inline constexpr const char* kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// A request as Signature V4 sees it.
struct RequestToSign {
  std::string method;
  std::string host;
  std::string path;  // encoded
  Query query;
  std::vector<http::Header> headers;  // further ones to sign, such as Range
  std::string payload_hash = kHashOfNothing;
};

// All headers to send: those given, Host, the x-amz ones and Authorization. No clock and no state
// in here, so the examples that AWS publishes are its tests.
std::vector<http::Header> sign(const RequestToSign& request, const Credentials& credentials,
                               const std::string& region,
                               std::chrono::system_clock::time_point now);

// A signed request for a key of the bucket; the list of the bucket is at the key "". `headers` are
// further ones to send and sign.
http::Request signed_request(http::Method method, const BucketUri& uri, std::string_view key,
                             const Query& query, std::vector<http::Header> headers,
                             const Credentials& credentials, const std::string& region,
                             std::chrono::system_clock::time_point now);

}  // namespace pgrevive::storage::s3
