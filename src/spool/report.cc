#include "spool/report.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

#include "spool/spool.h"

namespace pgrevive::spool {

namespace {

// The length of the UTF-8 character that `text` begins with; 0 if it begins with none.
std::size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first < 0xE0   ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms and surrogates.
  const auto second = static_cast<unsigned char>(text[1]);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) {
    return 0;
  }
  return length;
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const auto length = character_length(text);
    const char c = text[0];
    if (length == 0) {
      result += '?';
    } else if (c == '"' || c == '\\') {
      (result += '\\') += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      ((result += "\\u00") += "0123456789abcdef"[c >> 4]) += "0123456789abcdef"[c & 15];
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result + '"';
}

// What stands after `"key":` in a report of ours. WAL names hold nothing that is escaped.
std::string_view value_of(std::string_view json, std::string_view key) {
  const std::string word = '"' + std::string(key) + "\":";
  // From the end: an error's text stands before, and could hold the same words.
  const auto at = json.rfind(word);
  if (at == std::string_view::npos) return {};
  json.remove_prefix(at + word.size());
  if (!json.starts_with('"')) return json.substr(0, json.find_first_not_of("0123456789"));
  json.remove_prefix(1);
  return json.substr(0, json.find('"'));
}

}  // namespace

std::string to_json(const Report& report) {
  return "{\"name\":" + json_string(report.name) + ",\"outcome\":" + json_string(report.outcome) +
         ",\"error\":" + json_string(report.error) + ",\"at_ms\":" + std::to_string(report.at_ms) +
         ",\"delivered_count\":" + std::to_string(report.delivered_count) +
         ",\"last_delivered\":" + json_string(report.last_delivered) + "}\n";
}

bool write_report(const std::string& file, std::string_view name, std::string_view outcome,
                  std::string_view error) {
  Report report{
      .name = std::string(name), .outcome = std::string(outcome), .error = std::string(error)};
  if (const auto before = read_small_file(file)) {
    report.delivered_count =
        std::strtoll(std::string(value_of(*before, "delivered_count")).c_str(), nullptr, 10);
    report.last_delivered = value_of(*before, "last_delivered");
  }
  if (outcome == "delivered") {
    ++report.delivered_count;
    report.last_delivered = name;
  }
  report.at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();

  const auto text = to_json(report);
  const auto temporary = file + ".pgrevive.tmp";
  const int fd =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return false;
  const auto written = ::write(fd, text.data(), text.size());
  const bool whole = written == static_cast<ssize_t>(text.size());
  if (written >= 0 && !whole) errno = ENOSPC;
  const int trouble = errno;
  ::close(fd);
  if (whole && ::rename(temporary.c_str(), file.c_str()) == 0) return true;
  const int reason = whole ? errno : trouble;
  ::unlink(temporary.c_str());
  errno = reason;
  return false;
}

}  // namespace pgrevive::spool
