#include "cluster/silent_end.h"

#include <filesystem>
#include <string>
#include <utility>

#include "base/file.h"
#include "cluster/identity_scope.h"
#include "cluster/preflight.h"
#include "cluster/servers.h"

namespace pgrevive::cluster {
namespace {

// Nothing, where the owner of the cluster can write a file there.
std::optional<Error> why_not_writable(const StateDirectory& directory) {
  try {
    const IdentityScope scope(find_owner());
    const auto probe = directory.run() / "writable";
    write_file_atomic(probe, "it can be written here\n");
    std::filesystem::remove(probe);
    return {};
  } catch (const Error& error) {
    return error;
  } catch (const std::filesystem::filesystem_error& error) {
    return system_error(error.code().value(), "cannot remove " + error.path1().string());
  }
}

}  // namespace

Error silent_end(const StateDirectory& directory) {
  constexpr const char* kWhat = "the supervisor has ended and could not say why";
  const auto log = directory.supervisor_log().string();
  if (auto error = why_not_writable(directory)) {
    error->add_frame(kWhat);
    return *std::move(error);
  }
  const auto last = last_lines(directory.supervisor_log(), 2);
  return Error(ErrorKind::system, kWhat + (last.empty() ? "" : "; its log ends: " + last))
      .with_hint("a process that was killed is started again by `start`; its log is " + log);
}

std::optional<Error> why_silent(const StateDirectory& directory) {
  auto error = why_not_writable(directory);
  if (error) {
    error->add_frame("the supervisor runs and cannot say how far it is");
    error->with_hint("when that is mended, `start` shows how it goes on; its log is " +
                     directory.supervisor_log().string());
  }
  return error;
}

}  // namespace pgrevive::cluster
