#include "repository/manifest_name.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::repository {

namespace {

// What Linux takes (limits.h): no source had a file with a longer name.
constexpr std::size_t kLongestPath = 4095;
constexpr std::size_t kLongestPart = 255;

bool fits_a_file_system(std::string_view path) {
  if (path.size() > kLongestPath) return false;
  while (true) {
    const auto slash = path.find('/');
    if (std::min(slash, path.size()) > kLongestPart) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

std::optional<std::uint32_t> parse_oid(std::string_view text) {
  const auto value = parse_unsigned(text);
  if (!value || *value == 0 || *value > std::numeric_limits<std::uint32_t>::max()) return {};
  if (text.front() == '0' || text.front() == '+') return {};
  return static_cast<std::uint32_t>(*value);
}

std::optional<std::uint32_t> tablespace_of(std::string_view name) {
  if (!name.starts_with(kTablespacesName) || name.size() <= kTablespacesName.size()) return {};
  name.remove_prefix(kTablespacesName.size() + 1);
  return parse_oid(name.substr(0, name.find('/')));
}

void check_name(std::string_view name, EntryKind kind) {
  if (!is_plain_path(name))
    throw Error(ErrorKind::corrupt, "the name is not a relative path of plain parts");
  if (!fits_a_file_system(name))
    throw Error(ErrorKind::corrupt, "the name is longer than any file's can be");
  const std::string_view root = name.substr(0, name.find('/'));
  const bool below_root = root.size() < name.size();
  if (root == kDataName) {
    if (below_root || kind == EntryKind::path) return;
  } else if (root == kTablespacesName && kind != EntryKind::link) {
    if (kind == EntryKind::path && !below_root) return;
    const auto oid = tablespace_of(name);
    const bool below_oid = name.find('/', kTablespacesName.size() + 1) != std::string_view::npos;
    if (oid && (below_oid || kind == EntryKind::path)) return;
  }
  throw Error(ErrorKind::corrupt, "the name is not below pg_data/ or pg_tblspc/<oid>/");
}

}  // namespace pgrevive::repository
