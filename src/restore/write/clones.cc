#include "restore/write/clones.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "restore/nodes.h"
#include "restore/write/output_file.h"

namespace pgrevive::restore {

namespace {

constexpr std::size_t kCopySize = 256u << 10;

Fd make_nameless(const Tree& tree) {
  const auto directory = tree.open_directory({});
  return Fd(::openat(directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

bool can_clone(const Tree& from, const Tree& to) {
  struct stat first {
  }, second{};
  if (!from.stat({}, first) || !to.stat({}, second) || first.st_dev != second.st_dev) return false;
  const auto source = make_nameless(from);
  const auto clone = make_nameless(to);
  if (!source || !clone) return false;
  const Bytes page(4096, std::byte{1});
  return ::pwrite(source.get(), page.data(), page.size(), 0) == static_cast<ssize_t>(page.size()) &&
         ::ioctl(clone.get(), FICLONE, source.get()) == 0;
}

}  // namespace

Writers find_writers(const std::vector<Node>& nodes) {
  Writers writers(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t root = 0; root < nodes[i].roots.size(); ++root) {
      std::size_t writer = i;
      for (std::size_t j = 0; j < i && writer == i; ++j) {
        if (writers[j][root] == j && can_clone(nodes[j].roots[root], nodes[i].roots[root])) {
          writer = j;
        }
      }
      writers[i].push_back(writer);
    }
  }
  return writers;
}

void clone_or_copy(int from, int to, std::uint64_t size, const std::filesystem::path& path) {
  if (::ioctl(to, FICLONE, from) == 0) return;
  // O_DIRECT would ask for pages that a copy does not care about.
  const int flags = ::fcntl(from, F_GETFL);
  if (flags < 0 || ::fcntl(from, F_SETFL, flags & ~O_DIRECT) != 0) throw write_error(errno, path);
  Bytes buffer(kCopySize);
  for (std::uint64_t offset = 0; offset < size;) {
    const auto count = ::pread(from, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      throw system_error(count < 0 ? errno : EIO, fmt::format("cannot copy to {}", path.string()));
    }
    const ByteView bytes(buffer.data(), static_cast<std::size_t>(count));
    write_all_at(to, offset, bytes, path);
    offset += bytes.size();
  }
}

}  // namespace pgrevive::restore
