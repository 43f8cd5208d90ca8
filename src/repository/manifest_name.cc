#include "repository/manifest_name.h"

#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::repository {

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
