#include "storage/s3/errors.h"

#include <array>

#include <fmt/format.h>
#include <pugixml.hpp>

#include "base/text.h"

namespace pgrevive::storage::s3 {
namespace {

// A server that asks for more than this is down, and saying so beats waiting without a word.
constexpr std::chrono::minutes kMaxRetryAfter{2};

struct Meaning {
  std::string_view code;
  ErrorKind kind;
  Cause cause;
  std::string_view hint;
};

// The codes that people meet, and what to do about each.
constexpr std::array kMeanings{
    Meaning{"SignatureDoesNotMatch", ErrorKind::denied, Cause::credentials,
            "the secret key does not belong to the access key: check S3_SECRET_KEY (a character "
            "lost in copying, quotes in the file) and S3_REGION"},
    Meaning{"InvalidAccessKeyId", ErrorKind::denied, Cause::credentials,
            "the server does not know this access key: check S3_ACCESS_KEY, and that S3_ENDPOINT "
            "is the server it was made for"},
    Meaning{"InvalidToken", ErrorKind::denied, Cause::credentials,
            "the session token does not belong to these keys: set S3_SESSION_TOKEN together with "
            "S3_ACCESS_KEY and S3_SECRET_KEY, or remove it"},
    Meaning{"ExpiredToken", ErrorKind::denied, Cause::credentials,
            "temporary credentials have run out: get new ones and set S3_ACCESS_KEY, "
            "S3_SECRET_KEY and S3_SESSION_TOKEN"},
    Meaning{"TokenRefreshRequired", ErrorKind::denied, Cause::credentials,
            "temporary credentials have run out: get new ones and set S3_ACCESS_KEY, "
            "S3_SECRET_KEY and S3_SESSION_TOKEN"},
    Meaning{"AccountProblem", ErrorKind::denied, Cause::credentials,
            "the account that owns the keys is blocked"},
    Meaning{"NoSuchBucket", ErrorKind::usage, Cause::bucket,
            "check S3_BUCKET (the name alone, without path or s3://), S3_ENDPOINT and S3_REGION"},
    Meaning{"InvalidBucketName", ErrorKind::usage, Cause::bucket,
            "check S3_BUCKET; a server without host-style names needs S3_URI_STYLE=path"},
    Meaning{"InvalidObjectState", ErrorKind::denied, Cause::object,
            "the object was moved to an archive tier: restore it there first"},
    Meaning{"KMS.DisabledException", ErrorKind::denied, Cause::object,
            "enable the key the bucket is encrypted with"},
    Meaning{"InvalidRequest", ErrorKind::unsupported, Cause::server, ""},
    Meaning{"NotImplemented", ErrorKind::unsupported, Cause::server,
            "the server does not have this part of S3; is S3_ENDPOINT an S3 server?"},
};

const Meaning* find_meaning(std::string_view code) {
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code == code) return &meaning;
  }
  return nullptr;
}

bool worth_retrying(int status, std::string_view code) {
  if (status >= 500) return status != 501 && status != 505;
  // S3 says "RequestTimeout" with status 400 when it gave up on a slow connection.
  return status == 408 || status == 429 || code == "RequestTimeout" || code == "SlowDown";
}

// "us-west-2" in: the region 'us-east-1' is wrong; expecting 'us-west-2'
std::string region_in_message(std::string_view message) {
  constexpr std::string_view kWord = "expecting '";
  const auto start = message.find(kWord);
  if (start == std::string_view::npos) return {};
  const auto rest = message.substr(start + kWord.size());
  const auto end = rest.find('\'');
  return end == std::string_view::npos ? std::string() : std::string(rest.substr(0, end));
}

// "https://s3.example:7443" in: https://s3.example:7443/bucket/key?...
std::string server_of(const std::string& url) {
  const auto scheme = url.find("://");
  return scheme == std::string::npos ? url : url.substr(0, url.find('/', scheme + 3));
}

std::string skew_hint(const http::Response& response, std::chrono::system_clock::time_point now) {
  std::string hint = "set the clock of this host (is NTP running?)";
  if (const auto server = http::date(response)) {
    const auto ahead = std::chrono::duration_cast<std::chrono::seconds>(now - *server);
    const auto distance = ahead.count() < 0 ? -ahead : ahead;
    hint = fmt::format("the clock of this host is {} {} the server's: {}",
                       format_duration(distance), ahead.count() < 0 ? "behind" : "ahead of", hint);
  }
  return hint;
}

constexpr const char* kPlainHint = "if the server speaks TLS, write S3_ENDPOINT with https://";

std::string certificate_hint(std::string_view text) {
  const auto says = [&](std::string_view words) { return text.find(words) != std::string::npos; };
  if (says("target host name") || says("does not match")) {
    return "the certificate is for another name: S3_ENDPOINT has to be the name it was made for; "
           "with the bucket in front of the name, S3_URI_STYLE=path may help";
  }
  if (says("expired") || says("not yet valid")) {
    return "renew the server's certificate, or set the clock of this host";
  }
  return "name the PEM file of the authority that signed the server's certificate in S3_CA_FILE "
         "(S3_VERIFY_TLS=false turns the check off and lets anyone pose as the server)";
}

// Words, kind and remedy of an exchange that broke.
Refusal refuse_failure(const Asked& asked, const http::Response& response) {
  using http::Trouble;
  const http::Failure& failure = *response.failure;
  ErrorKind kind = ErrorKind::unavailable;
  Cause cause = Cause::server;
  std::string hint;
  bool retry = true;
  switch (failure.trouble) {
    case Trouble::resolve:
      cause = Cause::resolve;
      hint =
          "check S3_ENDPOINT and the DNS of this host; with host-style names the bucket is part "
          "of the name (S3_URI_STYLE=path if the server has none)";
      break;
    case Trouble::connect:
      cause = Cause::connect;
      hint = "check host and port of S3_ENDPOINT, and that a firewall lets this host through";
      break;
    case Trouble::certificate:
      cause = Cause::tls;
      hint = certificate_hint(failure.text);
      retry = false;
      break;
    case Trouble::tls:
      cause = Cause::tls;
      hint = "the server and this host agree on no TLS version or cipher: TLS 1.2 is the least";
      break;
    case Trouble::not_tls:
      cause = Cause::tls;
      hint = "if the server is meant to speak plain HTTP, write S3_ENDPOINT with http://";
      retry = false;
      break;
    case Trouble::not_http:
      hint = asked.tls ? "check host and port of S3_ENDPOINT" : kPlainHint;
      retry = false;
      break;
    case Trouble::stalled:
      hint = "the network or the server is overloaded";
      break;
    case Trouble::broken:
      // Many TLS servers hang up on a request in plain text.
      if (!asked.tls && response.status == 0) hint = kPlainHint;
      break;
    case Trouble::setup:
      cause = Cause::tls;
      kind = ErrorKind::usage;
      hint = "check that S3_CA_FILE is a readable PEM file";
      retry = false;
      break;
  }
  return {.error = Error(kind, fmt::format("cannot {} from {}: {}", asked.doing, asked.endpoint,
                                           failure.text))
                       .with_hint(std::move(hint)),
          .cause = cause,
          .retry = retry};
}

}  // namespace

ErrorDocument parse_error(std::string_view body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size(), pugi::parse_default, pugi::encoding_utf8)) {
    return {};
  }
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "Error") return {};
  const auto field = [&](const char* name) {
    return printable(root.child(name).text().get(), 500);
  };
  return {.code = field("Code"),
          .message = field("Message"),
          .request_id = field("RequestId"),
          .region = field("Region"),
          .endpoint = field("Endpoint")};
}

Refusal refuse(const Asked& asked, const http::Response& response, std::string_view body,
               std::chrono::system_clock::time_point now) {
  if (response.failure) return refuse_failure(asked, response);

  const int status = response.status;
  const ErrorDocument document = parse_error(body);
  const std::string& code = document.code;

  std::string message = fmt::format("cannot {}: {}", asked.doing, status);
  if (!code.empty()) message += " " + code;
  if (!document.message.empty()) message += ": " + document.message;
  while (message.ends_with('.')) message.pop_back();
  if (!document.request_id.empty()) {
    message += fmt::format(" (request id {})", document.request_id);
  }

  ErrorKind kind = status >= 500 ? ErrorKind::unavailable : ErrorKind::unsupported;
  Cause cause = Cause::server;
  std::string hint;

  std::string right_region = document.region;
  if (right_region.empty()) {
    const std::string* header = response.find("x-amz-bucket-region");
    right_region = header != nullptr ? printable(*header) : region_in_message(document.message);
  }
  const bool wrong_region = !right_region.empty() && right_region != asked.region;

  if (worth_retrying(status, code)) {
    kind = ErrorKind::unavailable;
    if (code == "SlowDown" || status == 429) hint = "the server asks for fewer requests at once";
  } else if (wrong_region && (status / 100 == 3 || code == "AuthorizationHeaderMalformed" ||
                              code == "SignatureDoesNotMatch" ||
                              code == "IllegalLocationConstraintException" || code.empty())) {
    kind = ErrorKind::usage;
    cause = Cause::region;
    hint = fmt::format("the bucket {} lies in region {}: set S3_REGION={} (it is {})", asked.bucket,
                       right_region, right_region, asked.region);
    if (!document.endpoint.empty()) hint += fmt::format(" and S3_ENDPOINT={}", document.endpoint);
  } else if (status / 100 == 3) {
    kind = ErrorKind::usage;
    cause = Cause::region;
    const std::string* location = response.find("location");
    hint = !document.endpoint.empty()
               ? fmt::format("the bucket {} is served by {}: set S3_ENDPOINT and S3_REGION to it",
                             asked.bucket, document.endpoint)
           : location != nullptr
               ? fmt::format(
                     "the server sends us to {}: set S3_ENDPOINT and S3_REGION to where the "
                     "bucket is",
                     server_of(printable(*location)))
               : std::string("set S3_ENDPOINT and S3_REGION to where the bucket is");
  } else if (code == "RequestTimeTooSkewed") {
    kind = ErrorKind::denied;
    cause = Cause::clock;
    hint = skew_hint(response, now);
  } else if (code == "AuthorizationHeaderMalformed") {
    kind = ErrorKind::usage;
    cause = Cause::credentials;
    hint = "check S3_REGION and S3_ACCESS_KEY";
  } else if (const Meaning* meaning = find_meaning(code)) {
    kind = meaning->kind;
    cause = meaning->cause;
    hint = meaning->hint;
  } else if (status == 401 || status == 403) {
    kind = ErrorKind::denied;
    cause = Cause::permission;
    hint = asked.one_object
               ? "give the access key s3:GetObject on the objects; or the object does not exist, "
                 "which the server only admits to keys with s3:ListBucket on the bucket"
               : "give the access key s3:ListBucket on the bucket";
  } else if (status == 404) {
    if (code == "NoSuchKey") {
      kind = ErrorKind::not_found;
      cause = Cause::object;
    } else {
      // A 404 of a proxy whose server is away must not pass for the absence of an object: recovery
      // would end there and open the cluster with data missing.
      kind = ErrorKind::unavailable;
      hint =
          "the answer is not one of an S3 server: check S3_ENDPOINT, and what proxy stands "
          "before it";
    }
  } else if (code.empty()) {
    const std::string* server = response.find("server");
    hint = fmt::format("the answer{} has no S3 error document: check S3_ENDPOINT{}",
                       server == nullptr ? "" : fmt::format(" (of '{}')", printable(*server)),
                       asked.tls ? "" : ", and whether it wants https://");
  }

  Refusal refusal{.error = Error(kind, message).with_hint(std::move(hint)),
                  .cause = cause,
                  .retry = worth_retrying(status, code),
                  .throttled = status == 503 || status == 429 || code == "SlowDown"};
  if (refusal.retry) {
    refusal.retry_after = http::retry_after(response, now);
    if (refusal.retry_after && *refusal.retry_after > kMaxRetryAfter) {
      refusal.retry_after = kMaxRetryAfter;
    }
  }
  return refusal;
}

}  // namespace pgrevive::storage::s3
