#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace pgrevive::cli {

// "not_found", as it stands in JSON and in docs/errors.md.
std::string_view name(ErrorKind kind);

// "error: ..." with its frames and its hint, ready for standard error.
std::string error_text(const Error& error);

// The same as one JSON object, for commands whose output is JSON.
std::string error_json(const Error& error);

// The error as someone reads it whose repository stands in a pgbackrest.conf: names of .env in its
// hint are pgBackRest's options there (S3_REGION is repo1-s3-region).
Error in_words_of_config(const Error& error);

}  // namespace pgrevive::cli
