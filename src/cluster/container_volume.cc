#include "cluster/container_volume.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>

#include <grp.h>
#include <unistd.h>

#include "base/error.h"
#include "base/private_memory.h"
#include "cluster/containers.h"
#include "cluster/node_record.h"
#include "postgres/binaries.h"
#include "postgres/server.h"
#include "restore/restore.h"

namespace pgrevive::cluster::containers {
namespace {

// Of a server that we started it names the volume by our path, which in no other image is one.
void remove_stale_pid(const std::filesystem::path& data) {
  const auto path = data / "postmaster.pid";
  const auto file = postgres::read_postmaster_pid(data);
  std::error_code ignored;
  if (file && file->data_directory != data.string())
    throw Error(
        ErrorKind::busy,
        path.string() + " is of a server that pgrevive did not start, in " + file->data_directory)
        .with_hint(
            "another container may run it on this volume: stop that one (docker ps -a --filter "
            "volume=NAME); where none does, remove the file");
  std::filesystem::remove(path, ignored);
}

bool is_whole(const StateDirectory& directory, const std::string& node) {
  const auto record = NodeRecord::load(directory, node);
  return record && !record->unfinished && !makes_way(directory) &&
         restore::inspect_directory(directory.data(node)) == restore::DirectoryState::complete &&
         (node == "primary" ? record->promoted && record->set_up : record->joined);
}

}  // namespace

void become(const Identity& identity) {
  if (::geteuid() == identity.uid) return;
  if (::initgroups(identity.name.c_str(), identity.gid) != 0 || ::setgid(identity.gid) != 0 ||
      ::setuid(identity.uid) != 0)
    throw system_error(errno, "cannot become user " + identity.name);
  keep_memory_private();
  ::setenv("HOME", identity.home.c_str(), 1);
  ::setenv("USER", identity.name.c_str(), 1);
}

void give(const std::filesystem::path& directory, const Identity& owner) {
  if (::geteuid() == owner.uid) return;
  if (::lchown(directory.c_str(), owner.uid, owner.gid) != 0)
    throw system_error(errno, "cannot give " + directory.string() + " to " + owner.name)
        .with_hint("is there a volume?");
}

std::optional<FileLock> lock_volume(const std::string& node) {
  const auto directory = volume_of(node);
  make_directories(directory.root());
  make_directories(directory.run());
  auto held = FileLock::try_acquire(directory.supervisor_lock());
  // Who asks for the cluster's status holds it for a moment.
  for (int i = 0; !held && i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    held = FileLock::try_acquire(directory.supervisor_lock());
  }
  // Its pid says nothing here, where it may be that of another process.
  if (held) remove_stale_pid(directory.data(node));
  return held;
}

StateDirectory told_anew(const StateDirectory& directory) {
  return StateDirectory(directory.root() / "makes-way");
}

bool makes_way(const StateDirectory& directory) {
  std::error_code ignored;
  return std::filesystem::exists(told_anew(directory).root(), ignored);
}

bool is_made(const StateDirectory& directory, const std::string& node) {
  std::error_code ignored;
  return is_whole(directory, node) &&
         (node == "primary" || std::filesystem::exists(volume_of(node).marker(), ignored));
}

std::filesystem::path binaries_of_image(postgres::Version version) {
  try {
    return postgres::find_binaries(version, {});
  } catch (const Error& error) {
    throw in_words_of_docker(error);
  }
}

}  // namespace pgrevive::cluster::containers
