#include "fuzz/fuzz.h"
#include "storage/s3/errors.h"
#include "storage/s3/list.h"
#include "storage/s3/uri.h"

// Any answer is either refused or a list of plain names below the prefix, which either ends or says
// where it goes on; of an error document nothing is ever refused, and what is told of it can be
// shown.
namespace {

using namespace pgrevive;

void check_list(std::string_view xml, const std::string& prefix) {
  fuzz::refusal_of([&] {
    const auto page = storage::s3::parse_list(xml, prefix);
    for (const auto& entry : page.entries) {
      fuzz::require(!entry.name.empty() && entry.name.find('/') == std::string::npos,
                    "an entry is one part of a path");
    }
  });
}

void check_error(std::string_view body) {
  const auto document = storage::s3::parse_error(body);
  http::Response response;
  response.status = document.code.empty() ? 500 : 403;
  const auto refusal = storage::s3::refuse(
      {.doing = "read s3://bucket/x", .bucket = "bucket", .endpoint = "s3.example", .region = "eu"},
      response, body, {});
  for (const std::string_view text :
       {std::string_view(refusal.error.what()), std::string_view(refusal.error.hint())}) {
    fuzz::require(printable(text, text.size() + 1) == text, "what a server says can be shown");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text(fuzz::input(data, size));
  check_list(text, "");
  check_list(text, "repo/backup/");
  check_error(text);

  fuzz::refusal_of([&] {
    const auto key = storage::s3::decode(text);
    fuzz::require(storage::s3::decode(storage::s3::encode_part(key)) == key,
                  "a key survives its encoding");
  });
  return 0;
}
