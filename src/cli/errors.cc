#include "cli/errors.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace pgrevive::cli {

std::string_view name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::internal:
      return "internal";
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::target_not_empty:
      return "target_not_empty";
    case ErrorKind::postgres:
      return "postgres";
    case ErrorKind::denied:
      return "denied";
    case ErrorKind::system:
      return "system";
    case ErrorKind::busy:
      return "busy";
    case ErrorKind::cancelled:
      return "cancelled";
  }
  return "internal";
}

std::string error_text(const Error& error) { return "error: " + error.text() + "\n"; }

std::string error_json(const Error& error) {
  nlohmann::ordered_json json;
  json["error"] = {{"kind", name(error.kind())},
                   {"exit_code", error.exit_code()},
                   {"message", error.what()},
                   {"frames", error.frames()},
                   {"hint", error.hint()}};
  // A message may quote bytes of a damaged file.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Error in_words_of_config(const Error& error) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kNames{{
      {"S3_BUCKET", "repo1-s3-bucket"},
      {"S3_ENDPOINT", "repo1-s3-endpoint"},
      {"S3_REGION", "repo1-s3-region"},
      {"S3_ACCESS_KEY", "repo1-s3-key"},
      {"S3_SECRET_KEY", "repo1-s3-key-secret"},
      {"S3_SESSION_TOKEN", "repo1-s3-token"},
      {"S3_PATH", "repo1-path"},
      {"S3_URI_STYLE", "repo1-s3-uri-style"},
      {"S3_VERIFY_TLS", "repo1-storage-verify-tls"},
      {"S3_CA_FILE", "repo1-storage-ca-file"},
      {"REPO_PATH", "repo1-path"},
      {"REPO_TYPE", "repo1-type"},
      {"REPO_CIPHER_PASS", "repo1-cipher-pass"},
  }};
  std::string hint = error.hint();
  for (const auto& [name, option] : kNames) {
    for (auto at = hint.find(name); at != std::string::npos; at = hint.find(name, at))
      hint.replace(at, name.size(), option);
  }
  auto result = error;
  result.with_hint(hint);
  return result;
}

}  // namespace pgrevive::cli
