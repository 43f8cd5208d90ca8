#include "cluster/host.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::cluster {

Host look_at_host() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page_size = ::sysconf(_SC_PAGESIZE);
  Host host{.memory_bytes = pages > 0 && page_size > 0 ? static_cast<std::uint64_t>(pages) *
                                                             static_cast<std::uint64_t>(page_size)
                                                       : std::uint64_t{1} << 30};
  // In a container the machine's memory is not ours; "max" stands for no limit.
  if (const auto text = read_file_if_exists("/sys/fs/cgroup/memory.max"))
    if (const auto limit = parse_unsigned(trim(*text)))
      host.memory_bytes = std::min(host.memory_bytes, *limit);
  return host;
}

bool gives_shared_memory(std::uint64_t bytes, int pieces) {
  if (bytes == 0) return true;
  // A limit of address space is one of each process, and each server is one.
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) pieces = 1;
  std::vector<void*> had;
  for (int i = 0; i < pieces; ++i) {
    void* const piece =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) break;
    had.push_back(piece);
  }
  for (void* const piece : had) ::munmap(piece, bytes);
  return had.size() == static_cast<std::size_t>(pieces);
}

std::set<std::string> installed_libraries(const std::filesystem::path& binaries) {
  std::vector<std::filesystem::path> directories = {binaries.parent_path() / "lib",
                                                    binaries.parent_path() / "lib" / "postgresql"};
  std::error_code ignored;
  if (const auto program = binaries / "pg_config"; std::filesystem::exists(program, ignored)) {
    try {
      const auto output =
          run({.program = program, .arguments = {"--pkglibdir"}}, {}, std::chrono::seconds(10));
      if (output.status.ok()) directories.emplace_back(trim(output.out));
    } catch (const Error&) {
      // The two usual places remain.
    }
  }
  std::set<std::string> names;
  for (const auto& directory : directories)
    for (const std::string below : {"", "plugins/"})
      for (const auto& entry : std::filesystem::directory_iterator(directory / below, ignored))
        if (entry.path().extension() == ".so") names.insert(below + entry.path().stem().string());
  return names;
}

}  // namespace pgrevive::cluster
