#include "cli/errors.h"

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

}  // namespace pgrevive::cli
