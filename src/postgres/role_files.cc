#include "postgres/role_files.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

namespace pgrevive::postgres {

namespace {

constexpr std::uint32_t kAuthId = 1260;
constexpr std::uint32_t kMapMagic = 0x592717;
constexpr std::size_t kPage = 8192;
constexpr std::size_t kPageHeader = 24;
constexpr std::size_t kTupleHeader = 23;
constexpr std::size_t kName = 64;
constexpr unsigned kNormal = 1;  // a line pointer's flags
constexpr std::size_t kMost = 32;

// Which file a shared catalog lies in: its own OID, until it was rewritten.
std::uint32_t file_of(ByteView map, std::uint32_t catalog) {
  if (map.size() < 8 || load_le<std::uint32_t>(map, 0) != kMapMagic) return catalog;
  const auto count = load_le<std::uint32_t>(map, 4);
  for (std::size_t i = 0; i < count && 16 + i * 8 <= map.size(); ++i) {
    if (load_le<std::uint32_t>(map, 8 + i * 8) == catalog)
      return load_le<std::uint32_t>(map, 12 + i * 8);
  }
  return catalog;
}

std::optional<std::string> superuser_in(ByteView tuple, bool has_oid_column) {
  if (tuple.size() < kTupleHeader) return {};
  const std::size_t name = std::to_integer<std::size_t>(tuple[22]) + (has_oid_column ? 4 : 0);
  const std::size_t flags = name + kName;  // super, inherit, createrole, createdb, canlogin
  if (flags + 5 > tuple.size()) return {};
  const auto is_set = [&](std::size_t i) { return std::to_integer<int>(tuple[flags + i]) == 1; };
  if (!is_set(0) || !is_set(4)) return {};
  const auto text = as_text(tuple.subspan(name, kName));
  const auto end = text.find('\0');
  if (end == 0 || end == std::string_view::npos) return {};
  return std::string(text.substr(0, end));
}

void read_page(ByteView page, bool has_oid_column, std::vector<std::string>& names) {
  const std::size_t lower = load_le<std::uint16_t>(page, 12);
  for (std::size_t at = kPageHeader; at + 4 <= std::min(lower, page.size()); at += 4) {
    const auto pointer = load_le<std::uint32_t>(page, at);
    const std::size_t offset = pointer & 0x7fff;
    const std::size_t length = pointer >> 17;
    if (((pointer >> 15) & 3) != kNormal || offset + length > page.size()) continue;
    const auto name = superuser_in(page.subspan(offset, length), has_oid_column);
    if (name && names.size() < kMost && std::ranges::find(names, *name) == names.end())
      names.push_back(*name);
  }
}

}  // namespace

std::vector<std::string> superusers_on_disk(const std::filesystem::path& data_directory,
                                            Version version) {
  std::vector<std::string> names;
  try {
    const auto global = data_directory / "global";
    const auto map = read_file_if_exists(global / "pg_filenode.map");
    if (!map) return names;
    const auto pages =
        read_file_if_exists(global / std::to_string(file_of(as_bytes(*map), kAuthId)));
    if (!pages) return names;
    const auto bytes = as_bytes(*pages);
    for (std::size_t at = 0; at + kPage <= bytes.size(); at += kPage)
      read_page(bytes.subspan(at, kPage), version >= Version::of_major(12), names);
  } catch (const Error&) {
    // Then there are no names to try.
  }
  return names;
}

}  // namespace pgrevive::postgres
