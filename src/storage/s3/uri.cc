#include "storage/s3/uri.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::storage::s3 {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string encode(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_alphanumeric(c) || kept.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_ipv4(std::string_view host) {
  const auto parts = split(host, '.');
  return parts.size() == 4 && std::ranges::all_of(parts, [](const std::string& part) {
           const auto number = parse_unsigned(part);
           return number && *number <= 255;
         });
}

bool is_address(std::string_view host) { return host.starts_with('[') || is_ipv4(host); }

bool is_amazon(std::string_view host) {
  return host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
}

// A certificate for *.s3.amazonaws.com covers one label, so not a bucket with dots in its name.
bool fits_in_host(std::string_view bucket) {
  return std::ranges::all_of(
      bucket, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

[[noreturn]] void bad_endpoint(std::string_view text, std::string_view why) {
  throw Error(ErrorKind::usage,
              fmt::format("S3 endpoint '{}' cannot be used: {}", printable(text), why))
      .with_hint(
          "S3_ENDPOINT is a host name with an optional scheme and port, like "
          "s3.us-east-1.amazonaws.com or http://127.0.0.1:9000");
}

}  // namespace

std::string encode_key(std::string_view key) { return encode(key, "-._~/"); }
std::string encode_part(std::string_view text) { return encode(text, "-._~"); }

std::string decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        throw Error(ErrorKind::corrupt,
                    fmt::format("'{}' is not URL-encoded text", printable(text)));
      }
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::string canonical_query(const Query& query) {
  std::vector<std::pair<std::string, std::string>> encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) {
    encoded.emplace_back(encode_part(name), encode_part(value));
  }
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) {
    if (!text.empty()) text += '&';
    text += name;
    text += '=';
    text += value;
  }
  return text;
}

Endpoint parse_endpoint(std::string_view text) {
  Endpoint endpoint;
  std::string_view rest = text;
  if (const auto end = rest.find("://"); end != std::string_view::npos) {
    const auto scheme = rest.substr(0, end);
    if (scheme != "http" && scheme != "https")
      bad_endpoint(text, "its scheme is not http or https");
    endpoint.tls = scheme == "https";
    rest.remove_prefix(end + 3);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty()) bad_endpoint(text, "it names no host");
  if (rest.find('@') != std::string_view::npos) bad_endpoint(text, "it holds a user name");
  if (rest.find_first_of("/?#") != std::string_view::npos) bad_endpoint(text, "it holds a path");

  std::string_view host = rest;
  std::string_view port;
  const auto colon = rest.rfind(':');
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) bad_endpoint(text, "a bracket is not closed");
    host = rest.substr(0, end + 1);
    if (end + 1 < rest.size()) {
      if (rest[end + 1] != ':') bad_endpoint(text, "the port is not a number from 1 to 65535");
      port = rest.substr(end + 2);
      if (port.empty()) bad_endpoint(text, "the port is not a number from 1 to 65535");
    }
  } else if (colon != std::string_view::npos) {
    if (rest.find(':') != colon) bad_endpoint(text, "an IPv6 address stands in brackets");
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
    if (port.empty()) bad_endpoint(text, "the port is not a number from 1 to 65535");
  }
  if (!port.empty()) {
    const auto number = parse_unsigned(port);
    if (!number || *number == 0 || *number > 65535) {
      bad_endpoint(text, "the port is not a number from 1 to 65535");
    }
    endpoint.port = static_cast<int>(*number);
    if (endpoint.port == (endpoint.tls ? 443 : 80)) endpoint.port = 0;
  }
  const bool address = host.starts_with('[');
  if (host.empty() || !std::ranges::all_of(host, [&](char c) {
        return is_alphanumeric(c) || c == '.' || c == '-' || c == '_' ||
               (address && (c == '[' || c == ']' || c == ':'));
      })) {
    bad_endpoint(text, "that is no host name");
  }
  endpoint.host = lower(host);
  return endpoint;
}

std::string BucketUri::path_of(std::string_view key) const { return path + "/" + encode_key(key); }

std::string BucketUri::url(const std::string& encoded_path, const std::string& query) const {
  return fmt::format("{}://{}{}{}{}", tls ? "https" : "http", host, encoded_path,
                     query.empty() ? "" : "?", query);
}

BucketUri bucket_uri(const std::string& bucket, const std::string& endpoint_text, UriStyle style) {
  if (bucket.empty()) {
    throw Error(ErrorKind::usage, "no S3 bucket is named").with_hint("set S3_BUCKET");
  }
  if (bucket.size() > 255 || bucket == "." || bucket == ".." ||
      !std::ranges::all_of(
          bucket, [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; })) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is not the name of an S3 bucket", printable(bucket)))
        .with_hint(
            "S3_BUCKET is the bare name, without s3:// and without a path; the path goes "
            "into S3_PATH");
  }
  const Endpoint endpoint = parse_endpoint(endpoint_text);
  const std::string port = endpoint.port == 0 ? "" : fmt::format(":{}", endpoint.port);

  if (style == UriStyle::automatic) {
    style = is_amazon(endpoint.host) && fits_in_host(bucket) ? UriStyle::host : UriStyle::path;
  }
  if (style == UriStyle::path) {
    return {.tls = endpoint.tls, .host = endpoint.host + port, .path = "/" + bucket};
  }
  if (is_address(endpoint.host)) {
    throw Error(ErrorKind::usage, fmt::format("bucket {} cannot be put in front of the address {}",
                                              bucket, endpoint.host))
        .with_hint("use path style (S3_URI_STYLE=path), or a host name as S3_ENDPOINT");
  }
  return {.tls = endpoint.tls, .host = bucket + "." + endpoint.host + port, .path = ""};
}

}  // namespace pgrevive::storage::s3
