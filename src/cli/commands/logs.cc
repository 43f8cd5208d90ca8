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
#include "postgres/log_passwords.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

// As much of a log as is ever looked through for its last lines.
constexpr off_t kLongestTail = 8 << 20;

struct LogFile {
  std::string prefix;
  std::filesystem::path path;
};

std::vector<LogFile> files_of_node(const cluster::StateDirectory& directory,
                                   const std::string& node) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (std::filesystem::directory_iterator entry(directory.logs(node), error), end;
       !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".log") found.push_back(entry->path());
  }
  std::ranges::sort(found);
  std::vector<LogFile> files;
  for (const auto& path : found) files.push_back({node, path});
  return files;
}

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
    for (auto& file : files_of_node(directory, node)) files.push_back(std::move(file));
  }
  if (what.empty() || what == "supervisor")
    files.push_back({"supervisor", directory.supervisor_log()});
  return files;
}

// Reads what a file has grown by since the last look, whole lines only, without passwords.
class Tail {
 public:
  explicit Tail(LogFile file) : file_(std::move(file)) {}
  // Behind what somebody else has read.
  Tail(LogFile file, off_t from) : file_(std::move(file)), offset_(from), from_(from) {}

  const std::string& prefix() const { return file_.prefix; }
  const std::filesystem::path& path() const { return file_.path; }
  // Behind the lines that were read.
  off_t offset() const { return offset_ - static_cast<off_t>(rest_.size()); }

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
      if (first_ && from_ > 0 && from_ <= found.st_size)
        offset_ = from_;
      else
        offset_ = first_ && from_ == 0 ? std::max<off_t>(0, found.st_size - kLongestTail) : 0;
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
    return mask_.add(text);
  }

 private:
  LogFile file_;
  Fd fd_;
  off_t offset_ = 0;
  off_t from_ = 0;
  ino_t inode_ = 0;
  bool first_ = true;
  std::string rest_;
  postgres::LogMask mask_;
};

// False where nobody reads any more (`logs -f | head`).
bool print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0;
}

// Files that there are, and those that come.
class Tails {
 public:
  // What each has that nobody has read.
  std::vector<LogText> read(std::vector<LogFile> files) {
    for (LogFile& file : files) {
      if (!known_.insert(file.path).second) continue;
      const auto from = read_already_.find(file.path.string());
      if (from == read_already_.end())
        tails_.emplace_back(std::move(file));
      else
        tails_.emplace_back(std::move(file), from->second);
    }
    std::vector<LogText> texts;
    for (Tail& tail : tails_) texts.push_back({tail.prefix(), tail.read()});
    return texts;
  }

  // How far that was, a file a line, for another process to go on from there.
  std::string places() const {
    std::string text;
    for (const Tail& tail : tails_)
      text +=
          fmt::format("{} {}\n", static_cast<std::int64_t>(tail.offset()), tail.path().string());
    return text;
  }
  void go_on_from(std::string_view places) {
    for (const std::string& line : split(places, '\n')) {
      const auto blank = line.find(' ');
      if (const auto offset = parse_unsigned(std::string_view(line).substr(0, blank));
          offset && blank != std::string::npos)
        read_already_[line.substr(blank + 1)] = static_cast<off_t>(*offset);
    }
  }

 private:
  std::vector<Tail> tails_;
  std::set<std::filesystem::path> known_;
  std::map<std::string, off_t> read_already_;
};

int run_logs(const GlobalOptions& global, const std::string& what, bool follow, std::size_t lines) {
  const cluster::StateDirectory directory = existing_state_directory(global);
  Tails tails;
  const auto look = [&] { return tails.read(log_files(directory, what)); };
  if (!print(merge_logs(look(), lines)) || !follow) return 0;
  const StopOnSignal stop;
  while (stop.wait_for(200ms)) {
    if (!print(merge_logs(look(), static_cast<std::size_t>(-1)))) break;
  }
  return 0;
}

// Of all that are logs of, or only of those that have files.
std::vector<LogFile> files_of_nodes(const cluster::StateDirectory& volumes,
                                    const std::vector<std::string>& names) {
  std::vector<LogFile> files;
  for (const std::string& name : names)
    for (LogFile& file : files_of_node(volumes, name)) files.push_back(std::move(file));
  return files;
}

std::vector<LogText> empty_logs(const std::string& names) {
  std::vector<LogText> logs;
  for (const std::string& name : split(names, ',')) logs.push_back({name, ""});
  return logs;
}

}  // namespace

int show_streamed_logs(int descriptor, const std::string& names, bool follow, std::size_t lines,
                       const cluster::StateDirectory* volumes) {
  auto logs = empty_logs(names);
  std::vector<postgres::LogMask> masks(logs.size());
  Tails tails;
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
    if (follow || count <= 0)
      for (std::size_t i = 0; i < logs.size(); ++i) logs[i].text = masks[i].add(logs[i].text);
    if (count <= 0 && volumes != nullptr) {
      auto files = tails.read(files_of_nodes(*volumes, split(names, ',')));
      logs.insert(logs.begin(), files.begin(), files.end());
      std::fputs(tails.places().c_str(), stderr);
    }
    if (follow || count <= 0) {
      if (!print(merge_logs(logs, lines))) return 0;
      for (LogText& log : logs) log.text.clear();
    }
    if (count <= 0) return 0;
  }
}

int follow_log_files(const cluster::StateDirectory& volumes, const std::string& names,
                     const std::string& places) {
  Tails tails;
  tails.go_on_from(places);
  const StopOnSignal stop;
  do {
    auto logs = empty_logs(names);  // so that the bars stand where those of the others do
    auto files = tails.read(files_of_nodes(volumes, split(names, ',')));
    logs.insert(logs.end(), files.begin(), files.end());
    if (!print(merge_logs(logs, static_cast<std::size_t>(-1)))) break;
  } while (stop.wait_for(200ms));
  return 0;
}

void add_logs(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "logs", "Show the logs of PostgreSQL, of the restore and of the supervisor");
  auto what = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  auto lines = std::make_shared<std::size_t>(100);
  command->add_option(
      "NODE", *what,
      "primary, replica, replica-2, ... or supervisor; with RUNTIME=docker, which has "
      "no supervisor, primary, replica, restore, adminer or console (default: all)");
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
