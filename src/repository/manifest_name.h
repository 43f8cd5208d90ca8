#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// The names in a manifest: "pg_data/base/1/1259", "pg_tblspc/16385/PG_15_202209061/5/6".
namespace pgrevive::repository {

inline constexpr std::string_view kDataName = "pg_data";
inline constexpr std::string_view kTablespacesName = "pg_tblspc";

enum class EntryKind { file, path, link };

// An object id as a directory name has it.
std::optional<std::uint32_t> parse_oid(std::string_view text);

// The oid in "pg_tblspc/16385" and "pg_tblspc/16385/...".
std::optional<std::uint32_t> tablespace_of(std::string_view name);

// Throws Error{corrupt} where no such entry can have that name.
void check_name(std::string_view name, EntryKind kind);

}  // namespace pgrevive::repository
