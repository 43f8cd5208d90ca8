#pragma once

#include <array>

#include "base/notice.h"

namespace pgrevive::restore {

// All that a restore warns of. The console's page says each in Portuguese (words.ts).
inline constexpr auto kNotices = std::to_array<NoticeWords>({
    {"link_to_directory",
     "{name} was a link to {place} on the source and is restored as a plain directory in the data "
     "directory"},
    {"link_to_file",
     "{name} was a link to {place} on the source and is restored as a plain file in the data "
     "directory"},
    {"user_unknown",
     "user {user} of the backup is unknown on this host; its files belong to that of the data "
     "directory"},
    {"group_unknown",
     "group {group} of the backup is unknown on this host; its files belong to that of the data "
     "directory"},
    {"user_nameless",
     "the backup does not know the user of some files; they belong to user of the data directory"},
    {"group_nameless",
     "the backup does not know the group of some files; they belong to group of the data "
     "directory"},
    {"page_errors",
     "the backup found page checksum errors on the source in {count} files, {file} is the first; "
     "they are restored as they were"},
    {"no_pg_control", "the backup has no pg_control: what was restored from it cannot start"},
    {"fetched_again", "{file} from {object} (bytes {begin} to {end}): {error}; fetching it again"},
});

template <typename... Values>
Notice notice(NoticeKind<kNotices, sizeof...(Values)> kind, const Values&... values) {
  return make_notice(kind.words(), {std::string_view(values)...});
}

}  // namespace pgrevive::restore
