#include "repository/info_file.h"

#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/hash.h"
#include "repository/json_text.h"

namespace pgrevive::repository {

namespace {

// A line is one entry; the longest real ones list the page checksum errors of a damaged file.
constexpr std::size_t kMaxLine = 16u << 20;
constexpr std::size_t kHashBatch = 64u << 10;
constexpr std::uint64_t kFormat = 5;

}  // namespace

struct InfoFileReader::State {
  State(std::string file_name, Entry call) : name(std::move(file_name)), entry(std::move(call)) {}

  // The checksum is over the entries as one compact JSON text: sections in file order, value text
  // as it stands in the file, the checksum's own entry left out. A section opens with its first
  // entry, so one that holds nothing but the checksum does not show.
  void hash_entry(std::string_view key, std::string_view value) {
    if (section == hashed_section) {
      pending += ',';
    } else {
      pending += hashed_section.empty() ? "{\"" : "},\"";
      pending += section;
      pending += "\":{";
      hashed_section = section;
    }
    pending += '"';
    for (const char c : key) {
      switch (c) {
        case '"':
          pending += "\\\"";
          break;
        case '\\':
          pending += "\\\\";
          break;
        case '\r':
          pending += "\\r";
          break;
        case '\t':
          pending += "\\t";
          break;
        case '\b':
          pending += "\\b";
          break;
        case '\f':
          pending += "\\f";
          break;
        default:
          pending += c;
      }
    }
    pending += "\":";
    pending += value;
    if (pending.size() >= kHashBatch) flush_hash();
  }

  void flush_hash() {
    hasher.update(as_bytes(pending));
    pending.clear();
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::corrupt, fmt::format("{}: line {}: {}", name, line_number, problem));
  }

  void take_line(std::string_view line) {
    ++line_number;
    if (line.empty()) return;
    // File names may begin with '['. No value is an array, so an entry never ends in ']'.
    if (line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2);
      return;
    }
    if (section.empty()) fail("an entry before the first section");

    // A key may hold '=' itself: what follows the right one is JSON, and what follows an earlier
    // one is not.
    std::size_t equals = line.find('=');
    while (equals != std::string_view::npos && !is_json(line.substr(equals + 1)))
      equals = line.find('=', equals + 1);
    if (equals == std::string_view::npos)
      fail(fmt::format("neither a section nor key=value: '{}'", quotable(line)));
    take_entry(line.substr(0, equals), line.substr(equals + 1));
  }

  // Passphrases stand in [cipher], and a message may end up in a log.
  std::string quotable(std::string_view text) const {
    return section == "cipher" ? "(not shown)" : printable(text, 60);
  }

  void take_entry(std::string_view key, std::string_view value) {
    try {
      if (section == "backrest") {
        JsonReader json(value);
        if (key == "backrest-checksum") {
          checksum = std::string(json.string());
          return;
        }
        if (key == "backrest-format") check_format(json.unsigned_number());
      }
      hash_entry(key, value);
      entry(section, key, value);
    } catch (const Error& error) {
      const std::string problem =
          section == "cipher" ? "not a passphrase as JSON text" : error.what();
      Error located(error.kind(), fmt::format("{}: line {}: [{}] {}: {}", name, line_number,
                                              printable(section, 60), printable(key), problem));
      located.with_hint(error.hint());
      for (const auto& frame : error.frames()) located.add_frame(frame);
      throw located;
    }
  }

  void check_format(std::uint64_t found) {
    if (found != kFormat) {
      throw Error(ErrorKind::unsupported,
                  fmt::format("repository format {} is not supported, only {}", found, kFormat))
          .with_hint(found > kFormat
                         ? "this repository was made by a newer pgBackRest; use a newer pgrevive"
                         : "this repository was made by pgBackRest 1.x; only 2.x can be read");
    }
    format_seen = true;
  }

  const std::string name;
  const Entry entry;
  std::string partial;  // the beginning of a line whose end has not come yet
  std::string section;
  std::string hashed_section;
  std::string pending;  // text of the checksum that was not hashed yet
  codec::Sha1Hasher hasher;
  std::optional<std::string> checksum;
  bool format_seen = false;
  std::uint64_t line_number = 0;
};

InfoFileReader::InfoFileReader(std::string name, Entry entry)
    : state_(std::make_unique<State>(std::move(name), std::move(entry))) {}

InfoFileReader::~InfoFileReader() = default;

void InfoFileReader::write(ByteView bytes) {
  std::string_view text = as_text(bytes);
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::string_view part = text.substr(0, newline);
    if (state_->partial.size() + part.size() > kMaxLine) {
      ++state_->line_number;
      state_->fail(fmt::format("longer than {} bytes", kMaxLine));
    }
    if (newline == std::string_view::npos) {
      state_->partial += part;
      return;
    }
    if (state_->partial.empty()) {
      state_->take_line(part);
    } else {
      state_->partial += part;
      state_->take_line(state_->partial);
      state_->partial.clear();
    }
    text.remove_prefix(newline + 1);
  }
}

void InfoFileReader::finish() {
  State& state = *state_;
  if (!state.partial.empty()) {
    state.take_line(state.partial);
    state.partial.clear();
  }
  if (!state.checksum)
    throw Error(ErrorKind::corrupt,
                fmt::format("{} is cut off: it has no checksum at its end", state.name));
  state.pending += "}}";
  state.flush_hash();
  const std::string computed = state.hasher.value().text();
  if (computed != *state.checksum) {
    throw Error(ErrorKind::corrupt,
                fmt::format("{}: checksum does not match: the file says {}, its text gives {}",
                            state.name, printable(*state.checksum, 60), computed));
  }
  if (!state.format_seen)
    throw Error(ErrorKind::corrupt, fmt::format("{} has no backrest-format", state.name));
}

}  // namespace pgrevive::repository
