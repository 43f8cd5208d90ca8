#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Where the prefetcher leaves WAL segments for one server, and what it and archive-get say to each
// other. This module uses nothing but the C library's and C++'s own: archive-get's client is
// started once for each segment, and every library it loaded would cost more than its work.
//
//   pg_wal/pgrevive.spool/           beside %p, so that a rename is all it takes to hand one over
//     socket                         where the prefetcher listens
//     lock                           held by the prefetcher
//     KEY/000000010000000000000005   whole and checked, ready to be taken
//
// Each server has files of its own, never links to shared ones: PostgreSQL keeps what it was given
// under the segment's name, and later *writes into that file*. A checkpoint renames old segments to
// future names to be filled again, whatever they came from, as long as they are plain files; and a
// WAL receiver that starts in a segment writes it from its beginning. With one inode in two data
// directories, one server would overwrite what the other has still to replay.
namespace pgrevive::spool {

inline constexpr const char* kDirectory = "pgrevive.spool";
inline constexpr const char* kSocket = "socket";
inline constexpr const char* kLock = "lock";

// What a segment that was found in a spool must have been put there for. Both sides compute it from
// what they see, so a file is only found by who may have it:
// - the boot: files are not synced, and after a crash of the machine none of them is trusted;
// - the cluster: a data directory may be restored again from another one's backup;
// - the archive: a clone that archives under a name of its own shares the source's system
//   identifier, and often the number of its timeline;
// - the fork file's text: the prefetcher has applied that fork's rule (wal::Fork) to all in KEY.
struct Key {
  std::string boot_id;
  std::uint64_t system_id = 0;
  std::string archive;  // archive_named_by()
  std::string fork;     // empty: none

  std::string text() const;  // 16 hex digits
};

// Which archive these words of an archive-get name, however they are written. Only what is named
// in full can be compared, so archive-get has to be called as `pgrevive restore` writes it: words
// that leave the stanza or the file to be guessed name another archive than those that do not.
std::string archive_named_by(const std::vector<std::string>& words);

std::string boot_id();  // of this system, until it is started again; empty if it does not say

// A question is "KEY SEGMENT", one packet. It is answered by any number of kWorking and then one of
// the others. A prefetcher that lives says something at least once a second.
enum class Answer : char {
  working = '.',
  ready = '+',        // the file is in the spool
  not_from_me = '-',  // it is not in the archive, or cannot be read: look for yourself
};

// "/proc/self/fd/N/socket" for a descriptor of the spool: a socket's address holds 107 bytes, and
// the paths of data directories can be longer.
std::string socket_path(int spool_fd);

bool is_segment_name(std::string_view name);

// The whole file; empty if it cannot be read.
std::optional<std::string> read_small_file(const std::string& path);

}  // namespace pgrevive::spool
