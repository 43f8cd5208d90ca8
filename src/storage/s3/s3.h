#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/backoff.h"
#include "base/secret.h"
#include "storage/storage.h"

namespace pgrevive::storage {

// Where the bucket's name goes in a request: in the host name, or as the first part of the path.
// `automatic` takes host style for amazonaws.com with a bucket name that TLS certificates cover (no
// dots), and path style for every other endpoint and for IP addresses.
enum class UriStyle { automatic, host, path };

struct S3Options {
  std::string bucket;
  std::string prefix;  // path of the repository in the bucket; leading and trailing '/' are ignored
  std::string endpoint;  // "s3.us-east-1.amazonaws.com", "http://127.0.0.1:9000"; https is default
  std::string region;
  Secret access_key;
  Secret secret_key;
  Secret session_token;  // optional
  UriStyle uri_style = UriStyle::automatic;
  // Where to connect to instead of the endpoint, which stays what is signed and what the
  // certificate must name (pgBackRest's repo-storage-host and -port).
  std::string connect_host;
  int connect_port = 0;
  bool verify_tls = true;
  std::filesystem::path ca_file;  // PEM; the system's if empty
  std::filesystem::path ca_path;

  BackoffPolicy backoff;
  std::chrono::milliseconds connect_timeout{10'000};
  // A transfer that moves less than 1 KiB/s for so long is broken off and tried again.
  std::chrono::milliseconds stall_timeout{30'000};
  // Told, in one line and from any thread, each time that a request is about to be tried again.
  std::function<void(const std::string& what)> on_retry;
  // Told before that where it is because the server asks for fewer requests.
  std::function<void()> on_throttled;
};

// Where Amazon serves a region's buckets.
std::string amazon_endpoint(const std::string& region);

// Throws Error{usage} for options that cannot work.
void check(const S3Options& options);

// An S3 bucket, requests signed with Signature V4. Options as check() wants them. Connections are
// kept alive and reused; as many are open as threads call at once.
std::unique_ptr<Storage> open_s3(const S3Options& options);

}  // namespace pgrevive::storage
