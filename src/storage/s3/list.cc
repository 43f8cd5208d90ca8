#include "storage/s3/list.h"

#include <chrono>

#include <fmt/format.h>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/text.h"
#include "base/unix_time.h"
#include "storage/s3/uri.h"

namespace pgrevive::storage::s3 {
namespace {

[[noreturn]] void bad(const std::string& why) {
  throw Error(ErrorKind::corrupt, "the answer is not a whole S3 list: " + why);
}

std::string text_of(const pugi::xml_node& node, const char* child) {
  const pugi::xml_node found = node.child(child);
  if (!found) bad(fmt::format("{} has no {}", node.name(), child));
  return found.text().get();
}

// The name below the prefix.
std::string name_of(std::string key, bool encoded, const std::string& prefix) {
  if (encoded) key = decode(key);
  if (!key.starts_with(prefix)) {
    bad(fmt::format("'{}' does not lie below '{}'", printable(key), printable(prefix)));
  }
  return key.substr(prefix.size());
}

// "2026-11-22T14:05:09.000Z" as Unix seconds; 0 for anything else. Only people read it, so a server
// that writes it differently is no reason to refuse its list.
std::int64_t parse_time(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t digits) -> int {
    const auto value =
        at + digits <= text.size() ? parse_unsigned(text.substr(at, digits)) : std::nullopt;
    return value ? static_cast<int>(*value) : -1;
  };
  const std::chrono::year_month_day day(std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2))));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  if (!text.ends_with('Z') || !day.ok() || hour < 0 || minute < 0 || second < 0) return 0;
  const std::chrono::sys_seconds time = std::chrono::sys_days(day) + std::chrono::hours(hour) +
                                        std::chrono::minutes(minute) + std::chrono::seconds(second);
  const std::int64_t unix_seconds = time.time_since_epoch().count();
  return is_unix_time(unix_seconds) ? unix_seconds : 0;
}

}  // namespace

ListPage parse_list(std::string_view xml, const std::string& prefix) {
  pugi::xml_document document;
  // Neither entities of a DTD nor processing instructions: pugixml expands none, so the memory of
  // the tree is bounded by the size of the text. Space kept, because a key may be " ".
  const auto parsed = document.load_buffer(
      xml.data(), xml.size(),
      pugi::parse_escapes | pugi::parse_eol | pugi::parse_cdata | pugi::parse_ws_pcdata_single,
      pugi::encoding_utf8);
  if (!parsed) bad(fmt::format("{} at byte {}", parsed.description(), parsed.offset));
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "ListBucketResult") {
    bad(fmt::format("it is a <{}>", printable(root.name())));
  }
  if (root.next_sibling()) bad("something follows it");

  ListPage page;
  const std::string truncated = text_of(root, "IsTruncated");
  if (truncated == "true") {
    page.continuation_token = text_of(root, "NextContinuationToken");
    if (page.continuation_token.empty()) bad("it goes on, but does not say where");
  } else if (truncated != "false") {
    bad(fmt::format("IsTruncated is '{}'", printable(truncated)));
  }
  const bool encoded = std::string_view(root.child("EncodingType").text().get()) == "url";

  for (const pugi::xml_node node : root.children()) {
    const std::string_view element = node.name();
    if (element == "Contents") {
      std::string name = name_of(text_of(node, "Key"), encoded, prefix);
      // An object named like the directory itself: tools make it so that an empty one shows.
      if (name.empty()) continue;
      const std::string size_text = text_of(node, "Size");
      const auto size = parse_unsigned(size_text);
      if (!size) bad(fmt::format("'{}' is not a size", printable(size_text)));
      if (name.find('/') != std::string::npos) {
        bad(fmt::format("'{}' lies deeper than was asked for", printable(name)));
      }
      page.entries.push_back({.name = std::move(name),
                              .size = *size,
                              .modified = parse_time(node.child("LastModified").text().get())});
    } else if (element == "CommonPrefixes") {
      for (const pugi::xml_node each : node.children("Prefix")) {
        std::string name = name_of(each.text().get(), encoded, prefix);
        if (!name.ends_with('/') || name.find('/') != name.size() - 1) {
          bad(fmt::format("'{}' is not a directory of '{}'", printable(name), printable(prefix)));
        }
        name.pop_back();
        if (name.empty()) continue;  // a key with two slashes in a row; no path of ours has that
        page.entries.push_back({.name = std::move(name), .directory = true});
      }
    }
  }
  return page;
}

}  // namespace pgrevive::storage::s3
