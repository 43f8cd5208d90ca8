#include "postgres/catalog_file.h"

#include <algorithm>

namespace pgrevive::postgres {

namespace {

constexpr std::uint32_t kMapMagic = 0x592717;
constexpr std::size_t kPage = 8192;
constexpr std::size_t kPageHeader = 24;
constexpr std::size_t kTupleHeader = 23;
constexpr std::size_t kName = 64;
constexpr unsigned kNormal = 1;  // a line pointer's flags

// Of a tuple's t_infomask.
constexpr unsigned kHasOid = 0x0008;  // before version 12
constexpr unsigned kOnlyLocked = 0x0080;
constexpr unsigned kXminBits = 0x0300;
constexpr unsigned kXminInvalid = 0x0200;
constexpr unsigned kXmaxInvalid = 0x0800;

bool is_current(ByteView tuple) {
  const auto mask = load_le<std::uint16_t>(tuple, 20);
  if ((mask & kXminBits) == kXminInvalid) return false;
  return load_le<std::uint32_t>(tuple, 4) == 0 || (mask & (kXmaxInvalid | kOnlyLocked)) != 0;
}

}  // namespace

std::uint32_t file_of_catalog(ByteView map, std::uint32_t catalog) {
  if (map.size() < 8 || load_le<std::uint32_t>(map, 0) != kMapMagic) return catalog;
  const auto count = load_le<std::uint32_t>(map, 4);
  for (std::size_t i = 0; i < count && 16 + i * 8 <= map.size(); ++i) {
    if (load_le<std::uint32_t>(map, 8 + i * 8) == catalog)
      return load_le<std::uint32_t>(map, 12 + i * 8);
  }
  return catalog;
}

void for_each_tuple(ByteView pages, const std::function<void(ByteView tuple)>& look) {
  for (std::size_t begin = 0; begin + kPage <= pages.size(); begin += kPage) {
    const auto page = pages.subspan(begin, kPage);
    const std::size_t lower = load_le<std::uint16_t>(page, 12);
    for (std::size_t at = kPageHeader; at + 4 <= std::min(lower, page.size()); at += 4) {
      const auto pointer = load_le<std::uint32_t>(page, at);
      const std::size_t offset = pointer & 0x7fff;
      const std::size_t length = pointer >> 17;
      if (((pointer >> 15) & 3) != kNormal || offset + length > page.size()) continue;
      if (length >= kTupleHeader) look(page.subspan(offset, length));
    }
  }
}

std::map<std::uint32_t, std::string> databases_in(ByteView pages, Version version) {
  std::map<std::uint32_t, std::string> names;
  const bool oid_is_column = version.at_least(12);
  for_each_tuple(pages, [&](ByteView tuple) {
    if (!is_current(tuple)) return;
    const auto data = std::to_integer<std::size_t>(tuple[22]);
    const bool oid_in_header = (load_le<std::uint16_t>(tuple, 20) & kHasOid) != 0;
    if (!oid_is_column && (!oid_in_header || data < kTupleHeader + 4)) return;
    const auto oid_at = oid_is_column ? data : data - 4;
    const auto name_at = oid_is_column ? data + 4 : data;
    if (oid_at < kTupleHeader || name_at + kName > tuple.size()) return;
    const auto text = as_text(tuple.subspan(name_at, kName));
    const auto end = text.find('\0');
    if (end == 0 || end == std::string_view::npos) return;
    names[load_le<std::uint32_t>(tuple, oid_at)] = std::string(text.substr(0, end));
  });
  return names;
}

}  // namespace pgrevive::postgres
