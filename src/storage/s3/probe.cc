#include "storage/s3/probe.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "http/client.h"
#include "storage/s3/errors.h"
#include "storage/s3/signer.h"
#include "storage/s3/uri.h"

namespace pgrevive::storage::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

// Far more than one key and any error document take.
constexpr std::size_t kMaxDocumentBytes = 1 << 20;

http::ClientOptions client_options(const S3Options& options, milliseconds limit) {
  return {
      .tls = {.verify = options.verify_tls, .ca_file = options.ca_file, .ca_path = options.ca_path},
      .connect_host = options.connect_host,
      .connect_port = options.connect_port,
      .connect_timeout = limit,
      .stall_timeout = limit};
}

// The client has one limit for name, TCP and TLS together, and calls all of it connecting.
Cause refine(Cause cause, const http::Response& response) {
  if (cause != Cause::connect || !response.route) return cause;
  if (!response.route->resolved) return Cause::resolve;
  return response.route->address.empty() ? Cause::connect : Cause::tls;
}

std::optional<Certificate> certificate_of(const http::Route& route) {
  if (route.certificates.empty()) return {};
  const auto& own = route.certificates.front();
  return Certificate{.subject = own.subject, .issuer = own.issuer, .expires = own.expires};
}

std::string prefix_of(const S3Options& options) {
  std::string_view text = options.prefix;
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  return text.empty() ? "" : std::string(text) + "/";
}

Probe probe_style(const S3Options& options, const BucketUri& uri, milliseconds limit) {
  Probe result{.tls = uri.tls,
               .host = uri.host,
               .style = uri.path.empty() ? UriStyle::host : UriStyle::path};
  const std::string prefix = prefix_of(options);
  auto request = signed_request(http::Method::get, uri, "",
                                {{"list-type", "2"},
                                 {"delimiter", "/"},
                                 {"prefix", prefix},
                                 {"encoding-type", "url"},
                                 {"max-keys", "1"}},
                                {},
                                {.access_key = options.access_key,
                                 .secret_key = options.secret_key,
                                 .session_token = options.session_token},
                                options.region, system_clock::now());
  request.inspect = true;
  std::string document;
  const auto response = http::Client(client_options(options, limit))
                            .perform(request, [&](const http::Response&, ByteView bytes) {
                              const auto room = kMaxDocumentBytes - document.size();
                              document += as_text(bytes.first(std::min(bytes.size(), room)));
                            });
  const auto now = system_clock::now();

  if (response.route) {
    result.address = response.route->address;
    result.port = response.route->port;
    result.resolved = response.route->resolved;
    result.connected = response.route->connected;
    result.secured = response.route->secured;
    result.certificate = certificate_of(*response.route);
  }
  if (const auto* server = response.find("server")) result.server = printable(*server, 60);
  if (const auto* region = response.find("x-amz-bucket-region"))
    result.region = printable(*region, 60);
  if (const auto date = http::date(response))
    result.clock_ahead = std::chrono::duration_cast<seconds>(now - *date);
  const bool listed = !response.failure && response.status == 200 &&
                      document.find("<ListBucketResult") != std::string::npos;
  if (listed) return result;

  auto refusal = refuse({.doing = fmt::format("list s3://{}/{}", options.bucket, prefix),
                         .bucket = options.bucket,
                         .endpoint = options.endpoint,
                         .region = options.region,
                         .tls = uri.tls,
                         .one_object = false},
                        response, document, now);
  result.cause = refine(refusal.cause, response);
  result.error = std::move(refusal.error);
  return result;
}

// The certificate that the server shows to anyone, with no key in the request.
std::optional<Certificate> shown_certificate(S3Options options, const BucketUri& uri,
                                             milliseconds limit) {
  options.verify_tls = false;
  const auto response =
      http::Client(client_options(options, limit))
          .perform({.method = http::Method::head, .url = uri.url("/", ""), .inspect = true},
                   [](const http::Response&, ByteView) {});
  return response.route ? certificate_of(*response.route) : std::nullopt;
}

// Whether the name of the bucket in the wrong place looks like this.
bool may_be_the_style(Cause cause) {
  return cause == Cause::resolve || cause == Cause::tls || cause == Cause::server ||
         cause == Cause::bucket;
}

}  // namespace

Probe probe(const S3Options& options, milliseconds limit) {
  check(options);
  const auto uri = bucket_uri(options.bucket, options.endpoint, options.uri_style);
  Probe result = probe_style(options, uri, limit);
  if (!result.cause || !may_be_the_style(*result.cause)) return result;

  if (result.cause == Cause::tls && options.verify_tls && !result.address.empty())
    result.certificate = shown_certificate(options, uri, limit);
  const auto other = result.style == UriStyle::host ? UriStyle::path : UriStyle::host;
  try {
    const auto second =
        probe_style(options, bucket_uri(options.bucket, options.endpoint, other), limit);
    if (!second.cause) result.working_style = other;
  } catch (const Error&) {
    // This bucket and endpoint cannot be had in that style.
  }
  return result;
}

}  // namespace pgrevive::storage::s3
