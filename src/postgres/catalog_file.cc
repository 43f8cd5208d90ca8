#include "postgres/catalog_file.h"

#include <algorithm>

namespace pgrevive::postgres {

namespace {

constexpr std::uint32_t kMapMagic = 0x592717;
constexpr std::size_t kPage = 8192;
constexpr std::size_t kPageHeader = 24;
constexpr std::size_t kTupleHeader = 23;
constexpr std::size_t kName = 64;
// Where the locales stand behind a database's name.
constexpr std::size_t kLocaleNames = kName + 8;   // behind its owner and its encoding
constexpr std::size_t kLocaleTexts = kName + 28;  // and behind what is short, since version 15
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

// Of a column of type name; empty where there is none.
std::string name_at(ByteView tuple, std::size_t at) {
  if (at + kName > tuple.size()) return {};
  const auto text = as_text(tuple.subspan(at, kName));
  const auto end = text.find('\0');
  return std::string(end == std::string_view::npos ? std::string_view() : text.substr(0, end));
}

// Of a column of type text that is short, as its length in one byte says, and moves `at` behind it;
// empty where it is not.
std::string text_at(ByteView tuple, std::size_t& at) {
  if (at >= tuple.size()) return {};
  const auto header = std::to_integer<std::size_t>(tuple[at]);
  const auto length = header >> 1;
  if ((header & 1) == 0 || length < 1 || at + length > tuple.size()) return {};
  const auto text = as_text(tuple.subspan(at + 1, length - 1));
  at += length;
  return std::string(text);
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

std::map<std::uint32_t, DatabaseRow> databases_in(ByteView pages, Version version) {
  std::map<std::uint32_t, DatabaseRow> databases;
  const bool oid_is_column = version.at_least(12);
  for_each_tuple(pages, [&](ByteView tuple) {
    if (!is_current(tuple)) return;
    const auto data = std::to_integer<std::size_t>(tuple[22]);
    const bool oid_in_header = (load_le<std::uint16_t>(tuple, 20) & kHasOid) != 0;
    if (!oid_is_column && (!oid_in_header || data < kTupleHeader + 4)) return;
    const auto oid_at = oid_is_column ? data : data - 4;
    const auto name = oid_is_column ? data + 4 : data;
    if (oid_at < kTupleHeader) return;
    DatabaseRow row{.name = name_at(tuple, name), .collate = {}, .ctype = {}};
    if (row.name.empty()) return;
    if (version.at_least(15)) {
      auto at = name + kLocaleTexts;
      row.collate = text_at(tuple, at);
      if (!row.collate.empty()) row.ctype = text_at(tuple, at);
    } else {
      row.collate = name_at(tuple, name + kLocaleNames);
      row.ctype = name_at(tuple, name + kLocaleNames + kName);
    }
    databases[load_le<std::uint32_t>(tuple, oid_at)] = std::move(row);
  });
  return databases;
}

}  // namespace pgrevive::postgres
