#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace pgrevive::spool {

// One restore_command, as far as the client has to understand it.
struct Request {
  std::string name;            // %f
  std::string destination;     // %p, from the working directory
  std::string data_directory;  // where global/pg_control is; "." by default
  std::string archive;         // archive_named_by() its words
  std::string fork;            // --fork; empty: none
  std::string report;          // --report; empty: none
};

// The words of an archive-get that may be answered from a spool; empty for all that is left to the
// whole program: other files than segments, help, words that are wrong.
std::optional<Request> parse(const std::vector<std::string>& words);

struct Patience {
  // A prefetcher that is silent for this long is stuck.
  std::chrono::milliseconds silence{5'000};
  // It sends us away where the segment is not on its way or gets no further; a slow line may need
  // this long.
  std::chrono::milliseconds all{300'000};
};

// Whether the segment is in place: taken from the spool beside the destination, or brought there by
// the prefetcher while we waited. False says nothing about the archive: where no prefetcher runs,
// where it is stuck or has not got the segment, the caller has to look itself.
//
// A prefetcher found stuck loses its socket, so that the next request does not wait for it again.
bool take(const Request& request, const Patience& patience = {});

}  // namespace pgrevive::spool
