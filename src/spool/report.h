#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgrevive::spool {

// What archive-get last answered a server, for whoever watches over that server (--report).
struct Report {
  std::string name;     // what was asked for
  std::string outcome;  // "delivered", "absent" or "error"
  std::string error;    // with "error": why
  std::int64_t at_ms = 0;
  std::int64_t delivered_count = 0;
  std::string last_delivered;
};

// One JSON object and a newline. Bytes of `error` that are not UTF-8 become '?'.
std::string to_json(const Report& report);

// Replaces `file` by a report on `name`, which goes on counting from the report that is there.
// Readers see the old one or the new one. It is not synced: after a crash of the machine it says
// nothing about the server that is started then, and a sync would cost as much as all the rest.
// False, with errno, where it cannot be written.
bool write_report(const std::string& file, std::string_view name, std::string_view outcome,
                  std::string_view error);

}  // namespace pgrevive::spool
