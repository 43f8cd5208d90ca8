#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"
#include "storage/s3/cause.h"
#include "storage/s3/s3.h"

// One look at the way to a bucket, for a diagnosis: unlike Storage it tries once, and tells what
// it met on the way, however far it got.
namespace pgrevive::storage::s3 {

// What a TLS server shows of itself.
struct Certificate {
  std::string subject;  // "CN = s3.example"
  std::string issuer;
  std::optional<std::chrono::system_clock::time_point> expires;
};

struct Probe {
  bool tls = true;
  std::string host;  // that the request names, with the port where it is not the scheme's own
  UriStyle style = UriStyle::path;  // that was used: never `automatic`

  // How far it got, and when, counted from the beginning; empty: it did not.
  std::optional<std::chrono::microseconds> resolved;
  std::string address;  // that TCP connected to, a proxy's where there is one; else empty
  int port = 0;
  std::optional<std::chrono::microseconds> connected;  // unknown where TLS failed after it
  std::optional<std::chrono::microseconds> secured;
  // The server's own. Of one that is not trusted it is what was shown to a second request, without
  // a key in it.
  std::optional<Certificate> certificate;

  std::string server;  // what the answer calls itself; often empty
  // How far this host's clock is ahead of the server's, to the second; empty: there was no answer
  // with a date.
  std::optional<std::chrono::seconds> clock_ahead;
  std::string region;  // the bucket's, as the answer has it; mostly empty

  // What turned the request away; empty: it was answered with a list.
  std::optional<Cause> cause;
  std::optional<Error> error;  // with a remedy
  // The other URI style, where it was tried because this one did not work, and does.
  std::optional<UriStyle> working_style;
};

// Lists one key of the repository's path. Takes at most `limit` to connect, as much again with
// nothing arriving, and where it fails twice that for a second look. Throws Error{usage} for
// options that cannot work.
Probe probe(const S3Options& options, std::chrono::milliseconds limit);

}  // namespace pgrevive::storage::s3
