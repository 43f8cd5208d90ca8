#include "cluster/supervisor_process.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "postgres/server.h"

namespace pgrevive::cluster {

namespace {

bool is_supervisor(std::uint64_t pid, const StateDirectory& directory) {
  if (pid <= 1 || pid > static_cast<std::uint64_t>(std::numeric_limits<pid_t>::max())) return false;
  try {
    const auto arguments = read_file_if_exists("/proc/" + std::to_string(pid) + "/cmdline");
    if (!arguments) return false;
    const auto words = split(*arguments, '\0');
    return std::ranges::find(words, "supervise") != words.end() &&
           std::ranges::find(words, directory.root().string()) != words.end();
  } catch (const Error&) {
    return false;  // it ended while we looked
  }
}

}  // namespace

std::optional<pid_t> find_supervisor(const StateDirectory& directory) {
  if (!FileLock::is_held(directory.supervisor_lock())) return {};
  // It has the lock and has not written its pid yet; or the number there is an older one's, which
  // may be anybody's by now, and must not be sent a signal.
  return last_supervisor(directory).value_or(0);
}

std::optional<pid_t> last_supervisor(const StateDirectory& directory) {
  const auto text = read_file_if_exists(directory.supervisor_lock());
  const auto pid = text ? parse_unsigned(trim(*text)) : std::nullopt;
  if (!pid || !is_supervisor(*pid, directory)) return {};
  return static_cast<pid_t>(*pid);
}

bool server_is_ours(const StateDirectory& directory, const std::string& node) {
  const auto data = directory.data(node);
  if (!postgres::is_running(data)) return false;
  const auto pid = postgres::read_postmaster_pid(data);
  if (!pid) return false;
  try {
    const auto arguments =
        read_file_if_exists(std::filesystem::path("/proc") / std::to_string(pid->pid) / "cmdline");
    return arguments && arguments->find((directory.conf(node) / "postgresql.conf").string()) !=
                            std::string::npos;
  } catch (const Error&) {
    return false;  // it ended while we looked
  }
}

void refuse_foreign_servers(const StateDirectory& directory) {
  for (const auto& node : existing_nodes(directory))
    if (postgres::is_running(directory.data(node)) && !server_is_ours(directory, node))
      throw Error(ErrorKind::busy, "a server that this cluster did not start runs on " +
                                       directory.data(node).string())
          .with_hint("stop that server first");
}

std::vector<std::string> possible_nodes() {
  constexpr int kMostReplicas = 4;
  return node_names(kMostReplicas);
}

std::vector<std::string> existing_nodes(const StateDirectory& directory) {
  const auto names = possible_nodes();
  std::vector<std::string> found;
  std::error_code ignored;
  for (auto name = names.rbegin(); name != names.rend(); ++name)
    if (std::filesystem::exists(directory.node(*name), ignored)) found.push_back(*name);
  return found;
}

}  // namespace pgrevive::cluster
