#include "postgres/role_files.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "postgres/catalog_file.h"

namespace pgrevive::postgres {

namespace {

constexpr std::uint32_t kAuthId = 1260;
constexpr std::size_t kTupleHeader = 23;
constexpr std::size_t kName = 64;
constexpr std::size_t kMost = 32;

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

}  // namespace

std::vector<std::string> superusers_on_disk(const std::filesystem::path& data_directory,
                                            Version version) {
  std::vector<std::string> names;
  try {
    const auto global = data_directory / "global";
    const auto map = read_file_if_exists(global / "pg_filenode.map");
    if (!map) return names;
    const auto pages =
        read_file_if_exists(global / std::to_string(file_of_catalog(as_bytes(*map), kAuthId)));
    if (!pages) return names;
    for_each_tuple(as_bytes(*pages), [&](ByteView tuple) {
      const auto name = superuser_in(tuple, version >= Version::of_major(12));
      if (name && names.size() < kMost && std::ranges::find(names, *name) == names.end())
        names.push_back(*name);
    });
  } catch (const Error&) {
    // Then there are no names to try.
  }
  return names;
}

}  // namespace pgrevive::postgres
