#include "repository/archive_info.h"

#include "fuzz/fuzz.h"
#include "fuzz/info_text.h"

// Any text is either refused or archive.info with a history in which the current cluster stands,
// whose folders have plain names.
namespace {

using namespace pgrevive;

std::optional<std::string> check(std::string_view text) {
  return fuzz::refusal_of([&] {
    repository::ArchiveInfo info;
    const auto reader = repository::make_archive_info_reader("archive.info", info);
    fuzz::pump(as_bytes(text), 64, *reader);

    std::optional<std::uint32_t> before;
    bool has_current = false;
    for (const auto& database : info.history) {
      fuzz::require(!before || database.id > *before, "the history rises, each id once");
      before = database.id;
      has_current = has_current || database.id == info.current_id;
      const auto folder = repository::ArchiveInfo::archive_id(database);
      fuzz::require(is_plain_path(folder) && folder.find('/') == folder.npos, "a folder's name");
      fuzz::require(!info.matching(database.system_id, database.version).empty(), "it is found");
    }
    fuzz::require(has_current, "the current cluster is in the history");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::check_info_text(data, size, check);
}
