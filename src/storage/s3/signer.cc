#include "storage/s3/signer.h"

#include <ctime>
#include <map>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/text.h"
#include "codec/hash.h"

namespace pgrevive::storage::s3 {
namespace {

codec::Sha256 hmac(ByteView key, std::string_view message) {
  return codec::hmac_sha256(key, as_bytes(message));
}

}  // namespace

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
std::vector<http::Header> sign(const RequestToSign& request, const Credentials& credentials,
                               const std::string& region,
                               std::chrono::system_clock::time_point now) {
  const std::tm utc = fmt::gmtime(std::chrono::system_clock::to_time_t(now));
  const std::string time = fmt::format("{:%Y%m%dT%H%M%SZ}", utc);
  const std::string day = time.substr(0, 8);

  std::vector<http::Header> headers = request.headers;
  headers.push_back({"Host", request.host});
  headers.push_back({"x-amz-content-sha256", request.payload_hash});
  headers.push_back({"x-amz-date", time});
  if (!credentials.session_token.empty()) {
    headers.push_back({"x-amz-security-token", credentials.session_token.reveal()});
  }

  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : headers) sorted[lower(name)] = trim(value);
  std::string canonical_headers;
  std::string names;
  for (const auto& [name, value] : sorted) {
    canonical_headers += name + ":" + value + "\n";
    if (!names.empty()) names += ';';
    names += name;
  }
  const std::string canonical_request =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path,
                  canonical_query(request.query), canonical_headers, names, request.payload_hash);

  const std::string scope = fmt::format("{}/{}/s3/aws4_request", day, region);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope,
                                          to_hex(codec::sha256(as_bytes(canonical_request))));

  const auto day_key = hmac(as_bytes("AWS4" + credentials.secret_key.reveal()), day);
  const auto region_key = hmac(day_key, region);
  const auto service_key = hmac(region_key, "s3");
  const auto signing_key = hmac(service_key, "aws4_request");
  const std::string signature = to_hex(hmac(signing_key, to_sign));

  headers.push_back({"Authorization",
                     fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}",
                                 credentials.access_key.reveal(), scope, names, signature)});
  return headers;
}

http::Request signed_request(http::Method method, const BucketUri& uri, std::string_view key,
                             const Query& query, std::vector<http::Header> headers,
                             const Credentials& credentials, const std::string& region,
                             std::chrono::system_clock::time_point now) {
  const RequestToSign to_sign{.method = method == http::Method::get ? "GET" : "HEAD",
                              .host = uri.host,
                              .path = uri.path_of(key),
                              .query = query,
                              .headers = std::move(headers)};
  return {.method = method,
          .url = uri.url(to_sign.path, canonical_query(query)),
          .headers = sign(to_sign, credentials, region, now)};
}

}  // namespace pgrevive::storage::s3
