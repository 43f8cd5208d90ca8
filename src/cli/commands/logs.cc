#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cluster_choice.h"
#include "cli/commands/commands.h"
#include "cli/log_merge.h"
#include "cli/signals.h"
#include "cluster/settings.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

// As much of a log as is ever looked through for its last lines.
constexpr off_t kLongestTail = 8 << 20;

struct LogFile {
  std::string prefix;
  std::filesystem::path path;
};

std::vector<LogFile> log_files(const cluster::StateDirectory& directory, const std::string& what) {
  std::vector<std::string> nodes;
  for (const std::string& name : cluster::node_names(4)) {
    std::error_code ignored;
    if (std::filesystem::is_directory(directory.logs(name), ignored)) nodes.push_back(name);
  }
  const bool known = what.empty() || what == "supervisor" || what == "primary" ||
                     what == "replica" || std::ranges::find(nodes, what) != nodes.end();
  if (!known) {
    throw Error(ErrorKind::usage, fmt::format("there is no node '{}'", what))
        .with_hint("it is primary, replica, replica-2, ... or supervisor");
  }

  std::vector<LogFile> files;
  for (const std::string& node : nodes) {
    if (!what.empty() && what != node) continue;
    std::error_code error;
    std::vector<std::filesystem::path> found;
    for (std::filesystem::directory_iterator entry(directory.logs(node), error), end;
         !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".log") found.push_back(entry->path());
    }
    std::ranges::sort(found);
    for (const auto& path : found) files.push_back({node, path});
  }
  if (what.empty() || what == "supervisor")
    files.push_back({"supervisor", directory.supervisor_log()});
  return files;
}

// Reads what a file has grown by since the last look, whole lines only.
class Tail {
 public:
  explicit Tail(LogFile file) : file_(std::move(file)) {}

  const std::string& prefix() const { return file_.prefix; }
  const std::filesystem::path& path() const { return file_.path; }

  std::string read() {
    struct stat found {};
    if (stat(file_.path.c_str(), &found) != 0) return "";
    if (!fd_ || found.st_ino != inode_ || found.st_size < offset_) {
      try {
        fd_ = open_file(file_.path, O_RDONLY);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::not_found) return "";  // rotated away between the two calls
        throw;
      }
      offset_ = first_ ? std::max<off_t>(0, found.st_size - kLongestTail) : 0;
      inode_ = found.st_ino;
      rest_.clear();
    }
    first_ = false;
    std::string text = std::exchange(rest_, {});
    char buffer[64 << 10];
    for (;;) {
      const ssize_t count = pread(fd_.get(), buffer, sizeof buffer, offset_);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      text.append(buffer, static_cast<std::size_t>(count));
      offset_ += count;
      if (text.size() > 16u << 20) break;
    }
    const std::size_t newline = text.rfind('\n');
    rest_ = newline == std::string::npos ? text : text.substr(newline + 1);
    text.resize(newline == std::string::npos ? 0 : newline + 1);
    return text;
  }

 private:
  LogFile file_;
  Fd fd_;
  off_t offset_ = 0;
  ino_t inode_ = 0;
  bool first_ = true;
  std::string rest_;
};

// False where nobody reads any more (`logs -f | head`).
bool print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0;
}

int run_logs(const GlobalOptions& global, const std::string& what, bool follow, std::size_t lines) {
  const cluster::StateDirectory directory = existing_state_directory(global);
  std::vector<Tail> tails;
  std::set<std::filesystem::path> known;
  const auto look = [&] {
    std::vector<LogText> texts;
    for (LogFile& file : log_files(directory, what)) {
      if (known.insert(file.path).second) tails.emplace_back(std::move(file));
    }
    for (Tail& tail : tails) texts.push_back({tail.prefix(), tail.read()});
    return texts;
  };

  if (!print(merge_logs(look(), lines)) || !follow) return 0;
  const StopOnSignal stop;
  while (stop.wait_for(200ms)) {
    if (!print(merge_logs(look(), static_cast<std::size_t>(-1)))) break;
  }
  return 0;
}

}  // namespace

int show_streamed_logs(int descriptor, const std::string& names, bool follow, std::size_t lines) {
  std::vector<LogText> logs;
  for (const std::string& name : split(names, ',')) logs.push_back({name, ""});
  std::string rest;
  char buffer[64 << 10];
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count > 0)
      rest.append(buffer, static_cast<std::size_t>(count));
    else if (!rest.empty() && !rest.ends_with('\n'))
      rest += '\n';
    const std::size_t whole = rest.rfind('\n') + 1;
    for (std::string_view text(rest.data(), whole); !text.empty();) {
      const std::string_view line = text.substr(0, text.find('\n') + 1);
      text.remove_prefix(line.size());
      const std::size_t tab = line.find('\t');
      const auto log = std::ranges::find(logs, line.substr(0, tab), &LogText::prefix);
      if (tab != std::string_view::npos && log != logs.end()) log->text += line.substr(tab + 1);
    }
    rest.erase(0, whole);
    if (follow || count <= 0) {
      if (!print(merge_logs(logs, lines))) return 0;
      for (LogText& log : logs) log.text.clear();
    }
    if (count <= 0) return 0;
  }
}

void add_logs(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "logs", "Show the logs of PostgreSQL, of the restore and of the supervisor");
  auto what = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  auto lines = std::make_shared<std::size_t>(100);
  command->add_option("NODE", *what,
                      "primary, replica, replica-2, ... or supervisor (default: all)");
  command->add_flag("-f,--follow", *follow, "Go on showing what is written");
  command->add_option("-n,--lines", *lines, "How many lines to begin with (default 100)")
      ->type_name("N");
  command->footer(
      "Examples:\n  pgrevive logs\n  pgrevive logs primary -f\n  pgrevive logs supervisor -n 20");
  command->callback([&parser, what, follow, lines] {
    parser.work = [&parser, what, follow, lines] {
      return run_logs(parser.global, *what, *follow, *lines);
    };
  });
}

}  // namespace pgrevive::cli
