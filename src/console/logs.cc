#include "console/logs.h"

#include <algorithm>
#include <deque>
#include <map>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/cluster.h"
#include "console/guard.h"
#include "console/secrets.h"
#include "postgres/log_passwords.h"

namespace pgrevive::console {
namespace {

using nlohmann::json;

constexpr off_t kTail = 256 << 10;
constexpr off_t kSearched = 8 << 20;

// The logs that there may be, in the order in which a person would ask for them.
std::vector<std::pair<std::string, std::filesystem::path>> logs_of(
    const cluster::StateDirectory& directory, const cluster::Settings& settings) {
  std::vector<std::pair<std::string, std::filesystem::path>> logs;
  for (const auto& node : cluster::node_names(settings.replicas))
    logs.emplace_back(node, directory.logs(node) / "postgresql.log");
  // A replica that is made anew has a restore of its own.
  for (const auto& node : cluster::node_names(settings.replicas))
    logs.emplace_back(node == "primary" ? "restore" : "restore-" + node,
                      directory.logs(node) / (settings.repository.stanza + "-restore.log"));
  logs.emplace_back("supervisor", directory.supervisor_log());
  logs.emplace_back("prefetch", directory.prefetch_log());
  logs.emplace_back("console", directory.supervisor_log().parent_path() / "console.log");
  return logs;
}

struct Piece {
  std::string text;  // whole lines
  off_t begin = 0;   // before the first of them
  off_t next = 0;    // behind them
};

// The end of the file, or what follows `from`; a file that is shorter by now was begun anew.
Piece read_piece(const std::filesystem::path& path, std::optional<off_t> from, off_t most) {
  const auto fd = open_file(path, O_RDONLY);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return {};
  if (from && *from > info.st_size) from = 0;
  // With the byte before, which tells whether a line begins here. Of one that does not, nothing is
  // told: the word that says what has to be masked may stand before.
  const auto wanted = std::max(from.value_or(0), info.st_size - most);
  const auto begin = std::max<off_t>(wanted - 1, 0);
  Piece piece;
  piece.text.resize(static_cast<std::size_t>(info.st_size - begin));
  const auto size = ::pread(fd.get(), piece.text.data(), piece.text.size(), begin);
  piece.text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  // A line that is still being written comes with the next look.
  piece.text.resize(piece.text.rfind('\n') + 1);
  piece.next = std::max(wanted, begin + static_cast<off_t>(piece.text.size()));
  piece.begin = wanted;
  if (wanted > 0 && !piece.text.empty()) {
    const auto first = piece.text.find('\n') + 1;
    piece.text.erase(0, first);
    piece.begin = begin + static_cast<off_t>(first);
  }
  // Nor of a message, whose further lines begin with a tab.
  while (piece.text.starts_with('\t')) {
    const auto line = piece.text.find('\n') + 1;
    piece.text.erase(0, line);
    piece.begin += static_cast<off_t>(line);
  }
  return piece;
}

struct Chosen {
  std::deque<std::string> lines;  // the last of those that were wanted
  std::size_t skipped = 0;        // that were wanted too, before these
};

Chosen chosen_lines(const std::string& text, std::size_t most, const std::string& search,
                    const std::vector<std::string>& secrets) {
  const auto wanted = lower(search);
  Chosen chosen;
  postgres::LogMask mask(
      [&](std::string_view message) { return without_secrets(message, secrets); });
  for (const auto& line : split(mask.add(text), '\n')) {
    if (line.empty()) continue;
    auto shown = printable(line, 2000);
    if (!wanted.empty() && lower(shown).find(wanted) == std::string::npos) continue;
    chosen.lines.push_back(std::move(shown));
    if (chosen.lines.size() <= most) continue;
    chosen.lines.pop_front();
    ++chosen.skipped;
  }
  return chosen;
}

// As far as it is there.
Piece read_log(const std::filesystem::path& path, std::optional<off_t> from, off_t most) {
  try {
    return read_piece(path, from, most);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return {};  // nothing was written yet
  }
}

json find_lines(const cluster::StateDirectory& directory, const http::ServerRequest& request) {
  const auto settings = cluster::from_json(read_file(directory.settings()));
  const auto logs = logs_of(directory, settings);
  const auto of = request.parameter("of").value_or("supervisor");
  const auto found = std::ranges::find(logs, of, [](const auto& log) { return log.first; });
  if (found == logs.end()) throw Error(ErrorKind::usage, "there is no log of that name");
  const auto most = std::min<std::uint64_t>(
      parse_unsigned(request.parameter("lines").value_or("")).value_or(100), 1000);
  const auto search = request.parameter("search").value_or("");
  std::optional<off_t> from;
  if (const auto given = parse_unsigned(request.parameter("from").value_or("")))
    from = static_cast<off_t>(std::min<std::uint64_t>(*given, 1ULL << 62));

  const auto piece = read_log(found->second, from, search.empty() ? kTail : kSearched);
  const auto chosen = chosen_lines(piece.text, most, search, known_secrets(directory, settings));
  json names = json::array();
  for (const auto& log : logs) names.push_back(log.first);
  return {{"of", of},
          {"logs", names},
          {"lines", chosen.lines},
          {"skipped", chosen.skipped},
          {"searched_from", piece.begin},
          {"next", piece.next}};
}

}  // namespace

std::vector<std::string> last_log_lines(const cluster::StateDirectory& directory,
                                        const std::string& of, std::size_t most) {
  const auto settings = cluster::from_json(read_file(directory.settings()));
  for (const auto& [name, path] : logs_of(directory, settings)) {
    if (name != of) continue;
    const auto chosen =
        chosen_lines(read_log(path, {}, kTail).text, most, "", known_secrets(directory, settings));
    return {chosen.lines.begin(), chosen.lines.end()};
  }
  return {};
}

http::ServerResponse logs(const cluster::StateDirectory& directory,
                          const http::ServerRequest& request) {
  try {
    return {
        .type = "application/json",
        .body =
            find_lines(directory, request).dump(-1, ' ', false, json::error_handler_t::replace) +
            "\n"};
  } catch (const Error& error) {
    return error_response(error.kind() == ErrorKind::usage ? 400 : 500, error.what(), error.hint(),
                          error.kind());
  } catch (const std::exception& error) {
    return error_response(500, error.what());
  }
}

}  // namespace pgrevive::console
