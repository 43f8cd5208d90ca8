#include "restore/nodes.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive::restore {

namespace {

constexpr std::size_t kWriteSize = 256u << 10;
// Files at least this large are handed to the disk while they are written, so that the sync at the
// end finds little left to do.
constexpr std::uint64_t kWriteBackSize = 8u << 20;

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

}  // namespace

Place Nodes::write_place(const repository::ManifestFile& file) const {
  const auto place = layout.place(file.name);
  if (!place || place->path.empty()) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest lists the directory {} as a file", file.name));
  }
  if (place->root == 0 && place->path == kControlFile) return {0, kUnpublishedControlFile};
  return *place;
}

void set_owner_and_mode(int fd, const std::optional<Ids>& owner, mode_t mode,
                        const std::filesystem::path& path) {
  struct stat now {};
  if (::fstat(fd, &now) != 0) {
    throw system_error(errno, fmt::format("cannot look at {}", path.string()));
  }
  bool changed_owner = false;
  if (owner && (now.st_uid != owner->user || now.st_gid != owner->group)) {
    if (::fchown(fd, owner->user, owner->group) != 0) {
      throw system_error(errno, fmt::format("cannot change the owner of {}", path.string()));
    }
    changed_owner = true;
  }
  // A change of owner may take bits away.
  if (changed_owner || (now.st_mode & 07777) != mode) {
    if (::fchmod(fd, mode) != 0) {
      throw system_error(errno, fmt::format("cannot change the mode of {}", path.string()));
    }
  }
}

void set_modified(int fd, std::int64_t seconds, const std::filesystem::path& path) {
  timespec times[2]{};
  times[0].tv_sec = times[1].tv_sec = static_cast<time_t>(seconds);
  if (::futimens(fd, times) != 0) {
    throw system_error(errno, fmt::format("cannot set the time of {}", path.string()));
  }
}

OutputFile OutputFile::create(const Nodes& nodes, std::uint32_t file, NodeMask wanted) {
  return {nodes, file, wanted, true};
}

OutputFile OutputFile::reopen(const Nodes& nodes, std::uint32_t file, NodeMask wanted) {
  return {nodes, file, wanted, false};
}

OutputFile::OutputFile(const Nodes& nodes, std::uint32_t file, NodeMask wanted, bool make)
    : nodes_(nodes), file_(nodes.manifest.files[file]) {
  const auto place = nodes.write_place(file_);
  for (std::size_t i = 0; i < nodes.nodes.size(); ++i) {
    if ((wanted >> i & 1u) == 0) continue;
    const auto& tree = nodes.nodes[i].roots[place.root];
    outputs_.push_back(
        {make ? tree.create(place.path) : tree.open(place.path, O_RDWR), tree.full(place.path)});
  }
}

void OutputFile::write_at(std::uint64_t offset, ByteView bytes) {
  for (const auto& output : outputs_) write_all_at(output.fd.get(), offset, bytes, output.path);
  const auto end = offset + bytes.size();
  if (end < unsynced_from_ + kWriteBackSize) return;
  for (const auto& output : outputs_) {
    // Only a head start: the sync at the end is what counts, and reports what went wrong here.
    ::sync_file_range(output.fd.get(), static_cast<off_t>(unsynced_from_),
                      static_cast<off_t>(end - unsynced_from_), SYNC_FILE_RANGE_WRITE);
  }
  unsynced_from_ = end;
}

OutputFile::Proof OutputFile::read_back() {
  codec::Sha1Hasher hasher;
  Bytes buffer(kWriteSize);
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
    set_owner_and_mode(output.fd.get(), nodes_.owners.ids(file_.owner), file_.mode, output.path);
    set_modified(output.fd.get(), file_.timestamp, output.path);
  }
}

ProvingSink::ProvingSink(OutputFile& output, const repository::ManifestFile& file,
                         std::function<void(std::uint64_t)> written)
    : output_(output), file_(file), written_(std::move(written)) {
  buffer_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(kWriteSize, file.size)));
}

void ProvingSink::write(ByteView bytes) {
  // A lying manifest or a damaged stream must not fill the disk.
  if (bytes.size() > file_.size - size_) {
    throw Error(ErrorKind::corrupt,
                fmt::format("it is longer than the {} bytes of the manifest", file_.size));
  }
  size_ += bytes.size();
  hasher_.update(bytes);
  if (buffer_.empty() && bytes.size() >= kWriteSize) {
    output_.write_at(flushed_, bytes);
    flushed_ += bytes.size();
    written_(bytes.size());
    return;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  if (buffer_.size() >= kWriteSize) flush();
}

void ProvingSink::flush() {
  output_.write_at(flushed_, buffer_);
  flushed_ += buffer_.size();
  written_(buffer_.size());
  buffer_.clear();
}

void ProvingSink::finish() {
  if (!buffer_.empty()) flush();
  prove(file_, {hasher_.value(), size_});
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
