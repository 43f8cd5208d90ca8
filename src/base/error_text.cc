#include "base/error_text.h"

#include <string>

#include "base/text.h"

namespace pgrevive {

ErrorKind kind_of_exit(int exit_code, ErrorKind otherwise) {
  const bool known = exit_code >= static_cast<int>(ErrorKind::internal) &&
                     exit_code <= static_cast<int>(ErrorKind::cancelled);
  return known ? static_cast<ErrorKind>(exit_code) : otherwise;
}

Error read_error(std::string_view text, int exit_code, ErrorKind otherwise) {
  constexpr std::string_view kHint = "\n  hint: ";
  const auto at = text.find(kHint);
  Error error(kind_of_exit(exit_code, otherwise), std::string(trim(text.substr(0, at))));
  if (at != std::string_view::npos)
    error.with_hint(std::string(trim(text.substr(at + kHint.size()))));
  return error;
}

}  // namespace pgrevive
