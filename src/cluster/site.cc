#include "cluster/site.h"

#include <condition_variable>
#include <mutex>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::cluster {

int Site::port(const std::string& node) const { return port_of(settings, node); }

Access Site::access(const std::string& source_user) const {
  if (primary_host.empty()) return access_here(source_user);
  return {primary_host, candidate_roles(settings, source_user, directory.data("primary")), version};
}

Access Site::access_here(const std::string& source_user) const {
  return {marker.socket_directory,
          candidate_roles(settings, source_user, directory.data("primary")), version};
}

void Site::rest(std::chrono::milliseconds time) const {
  prefetch.tick();
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, time, [] { return false; });
  if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "asked to stop");
}

void Site::wait_until(const std::string& node, const std::string& what, std::chrono::seconds limit,
                      const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    servers.tick();
    if (const auto error = servers.gave_up(node)) throw *error;
    if (std::chrono::steady_clock::now() >= end)
      throw Error(ErrorKind::postgres, what + " took longer than " + format_duration(limit))
          .with_hint("look into " + (directory.logs(node) / "postgresql.log").string());
    rest(std::chrono::milliseconds(200));
  }
}

}  // namespace pgrevive::cluster
