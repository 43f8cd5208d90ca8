#include "restore/write/output_file.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive::restore {

namespace {

constexpr std::size_t kReadSize = 256u << 10;
// Files at least this large are handed to the disk while they are written, so that the sync at the
// end finds little left to do.
constexpr std::uint64_t kWriteBackSize = 8u << 20;

// Whether writing around the page cache is worth trying. What is in memory anyway has no other way,
// btrfs computes checksums and is slower without the cache, and of a network or of user space
// nobody knows.
bool likes_direct_writes(int fd) {
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0) return false;
  switch (static_cast<std::uint32_t>(system.f_type)) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case NFS_SUPER_MAGIC:
    case FUSE_SUPER_MAGIC:
      return false;
    default:
      return true;
  }
}

}  // namespace

Error write_error(int error, const std::filesystem::path& path) {
  auto failure = system_error(error, fmt::format("cannot write {}", path.string()));
  if (error == ENOSPC || error == EDQUOT) {
    failure.with_hint(
        "free some space and run the same command again: it continues where it "
        "stopped");
  }
  return failure;
}

void write_all_at(int fd, std::uint64_t offset, ByteView bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const auto written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw write_error(errno, path);
    }
    if (written == 0) throw write_error(ENOSPC, path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

OutputFile OutputFile::create(const Nodes& nodes, std::uint32_t file, NodeMask wanted) {
  return {nodes, file, wanted, Way::create};
}

OutputFile OutputFile::zeros(const Nodes& nodes, std::uint32_t file, NodeMask wanted) {
  OutputFile made(nodes, file, wanted, Way::zeros);
  for (const auto& output : made.outputs_) {
    if (::ftruncate(output.fd.get(), static_cast<off_t>(made.file_->size)) != 0) {
      throw write_error(errno, output.path);
    }
  }
  return made;
}

OutputFile OutputFile::reopen(const Nodes& nodes, std::uint32_t file, NodeMask wanted) {
  return {nodes, file, wanted, Way::reopen};
}

OutputFile::OutputFile(const Nodes& nodes, std::uint32_t file, NodeMask wanted, Way way)
    : nodes_(&nodes), file_(&nodes.manifest.files[file]) {
  const auto place = nodes.write_place(*file_);
  std::vector<std::size_t> output_of(nodes.nodes.size());
  for (std::size_t i = 0; i < nodes.nodes.size(); ++i) {
    if ((wanted >> i & 1u) == 0) continue;
    const auto writer = nodes.writer_of(i, place.root);
    // A file of zeros costs nothing to make, and a clone of it that had to be a copy would.
    if (way != Way::zeros && writer != i && (wanted >> writer & 1u) != 0 &&
        file_->size >= kLargeFile) {
      clones_.push_back({i, output_of[writer]});
      continue;
    }
    output_of[i] = outputs_.size();
    const auto& tree = nodes.nodes[i].roots[place.root];
    outputs_.push_back(
        {way == Way::reopen ? tree.open(place.path, O_RDWR) : tree.create(place.path),
         tree.full(place.path)});
  }
}

void OutputFile::go_direct() {
  for (auto& output : outputs_) {
    const int fd = output.fd.get();
    if (!likes_direct_writes(fd) || ::fcntl(fd, F_SETFL, O_RDWR | O_DIRECT) != 0) continue;
    output.direct = true;
    // A file that grows with each write is written one write at a time.
    if (::fallocate(fd, 0, 0, static_cast<off_t>(file_->size)) != 0) {
      if (errno == ENOSPC || errno == EDQUOT) throw write_error(errno, output.path);
    }
  }
}

void OutputFile::write_at(std::uint64_t offset, ByteView bytes) {
  for (const auto& output : outputs_) {
    if (!output.direct) write_all_at(output.fd.get(), offset, bytes, output.path);
  }
  const auto end = offset + bytes.size();
  if (end < unsynced_from_ + kWriteBackSize) return;
  for (const auto& output : outputs_) {
    if (output.direct) continue;
    // Only a head start: the sync at the end is what counts, and reports what went wrong here.
    ::sync_file_range(output.fd.get(), static_cast<off_t>(unsynced_from_),
                      static_cast<off_t>(end - unsynced_from_), SYNC_FILE_RANGE_WRITE);
  }
  unsynced_from_ = end;
}

OutputFile::Proof OutputFile::read_back() {
  codec::Sha1Hasher hasher;
  Bytes buffer(kReadSize);
  Proof proof;
  const auto& output = outputs_.front();
  while (true) {
    const auto count =
        ::pread(output.fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(proof.size));
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, fmt::format("cannot read back {}", output.path.string()));
    }
    if (count == 0) break;
    hasher.update(ByteView(buffer).first(static_cast<std::size_t>(count)));
    proof.size += static_cast<std::uint64_t>(count);
  }
  proof.checksum = hasher.value();
  return proof;
}

void OutputFile::finish() {
  for (const auto& output : outputs_) {
    // The last page was written whole.
    if (output.direct && ::ftruncate(output.fd.get(), static_cast<off_t>(file_->size)) != 0) {
      throw write_error(errno, output.path);
    }
    set_metadata(output.fd.get(), output.path);
  }
  const auto place = nodes_->write_place(*file_);
  for (const auto& clone : clones_) {
    const auto& tree = nodes_->nodes[clone.node].roots[place.root];
    const auto fd = tree.create(place.path);
    const auto path = tree.full(place.path);
    clone_or_copy(outputs_[clone.output].fd.get(), fd.get(), file_->size, path);
    set_metadata(fd.get(), path);
  }
}

void OutputFile::set_metadata(int fd, const std::filesystem::path& path) const {
  set_owner_and_mode(fd, nodes_->owners.ids(file_->owner), file_->mode, path);
  set_modified(fd, file_->timestamp, path);
}

ProvingSink::ProvingSink(OutputFile& output, const repository::ManifestFile& file,
                         std::function<void(std::uint64_t)> written)
    : output_(output), file_(file), written_(std::move(written)) {}

void ProvingSink::write(ByteView bytes) {
  check_fits(file_, size_, bytes.size());
  hasher_.update(bytes);
  output_.write_at(size_, bytes);
  size_ += bytes.size();
  written_(bytes.size());
}

void ProvingSink::finish() { prove(file_, {hasher_.value(), size_}); }

void check_fits(const repository::ManifestFile& file, std::uint64_t size, std::uint64_t more) {
  if (more <= file.size - size) return;
  throw Error(ErrorKind::corrupt,
              fmt::format("it is longer than the {} bytes of the manifest", file.size));
}

void prove(const repository::ManifestFile& file, const OutputFile::Proof& proof) {
  if (proof.size != file.size) {
    throw Error(ErrorKind::corrupt,
                fmt::format("it has {} bytes where the manifest says {}", proof.size, file.size));
  }
  if (proof.checksum != file.checksum) {
    throw Error(ErrorKind::corrupt,
                fmt::format("checksum does not match: SHA-1 is {} where the manifest says {}",
                            proof.checksum.text(), file.checksum.text()));
  }
}

}  // namespace pgrevive::restore
