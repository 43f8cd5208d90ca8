#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/s3/s3.h"

// Where a bucket and its keys are on the wire. What is signed and what is sent are the same bytes,
// made here once, because a signature covers the encoding and not only the meaning.
namespace pgrevive::storage::s3 {

// Percent-encoding as Signature V4 defines it: everything but A-Z a-z 0-9 - . _ ~ as %XX in upper
// case. A key keeps its slashes, a part of a query does not.
std::string encode_key(std::string_view key);
std::string encode_part(std::string_view text);

// Undoes encoding-type=url of a list answer, where a space may come as '+'. Throws Error{corrupt}.
std::string decode(std::string_view text);

using Query = std::vector<std::pair<std::string, std::string>>;  // not encoded
// Encoded, sorted by name: "delimiter=%2F&list-type=2".
std::string canonical_query(const Query& query);

struct Endpoint {
  bool tls = true;
  std::string host;  // lower case; an IPv6 address in brackets
  int port = 0;      // 0: the scheme's own
};
// "host", "host:port", "http://host:port/"; https without a scheme. Throws Error{usage}.
Endpoint parse_endpoint(std::string_view text);

struct BucketUri {
  bool tls = true;
  std::string host;  // as the Host header says it, with the port where it is not the scheme's own
  std::string path;  // encoded; "" in host style, "/bucket" in path style

  // Encoded path of a key, as signed; the list of the bucket is at the key "".
  std::string path_of(std::string_view key) const;
  std::string url(const std::string& path, const std::string& query) const;
};
// Throws Error{usage} for a bucket name, endpoint or combination that cannot work.
BucketUri bucket_uri(const std::string& bucket, const std::string& endpoint, UriStyle style);

}  // namespace pgrevive::storage::s3
