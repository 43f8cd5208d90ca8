#include "wal/segment_file.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "wal/record_format.h"

namespace pgrevive::wal {

namespace {

using postgres::Lsn;
using repository::ArchivedSegment;

// The header of a segment's first page: magic u16, flags u16, timeline u32, position u64, u32 and
// padding to 24; then, because it is the first page, system identifier u64 and segment size u32.
constexpr std::size_t kHeaderSize = 36;

Error bad_segment(const ArchivedSegment& found, const std::string& why) {
  return Error(ErrorKind::corrupt, fmt::format("archived segment {} {}", found.object, why));
}

std::uint64_t size_of(int fd, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw system_error(errno, "cannot look at " + path.string());
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

WalFile::WalFile(std::filesystem::path temporary) : temporary_(std::move(temporary)) {
  ::unlink(temporary_.c_str());
  fd_ = open_file(temporary_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

WalFile::~WalFile() {
  if (!published_ && is_ours()) ::unlink(temporary_.c_str());
}

bool WalFile::is_ours() const {
  struct stat own {};
  struct stat named {};
  return ::fstat(fd_.get(), &own) == 0 && ::lstat(temporary_.c_str(), &named) == 0 &&
         own.st_ino == named.st_ino && own.st_dev == named.st_dev;
}

void WalFile::write(ByteView bytes) { write_all(fd_.get(), bytes, temporary_); }

void WalFile::finish() { finished_ = true; }

void WalFile::sync() {
  while (::fdatasync(fd_.get()) != 0) {
    if (errno != EINTR) throw system_error(errno, "cannot sync " + temporary_.string());
  }
}

void WalFile::show(const std::function<void(ByteView)>& look) const {
  const auto size = size_of(fd_.get(), temporary_);
  if (size == 0) return look({});
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_.get(), 0);
  if (memory == MAP_FAILED) throw system_error(errno, "cannot map " + temporary_.string());
  const auto unmap = [size](void* mapped) { ::munmap(mapped, size); };
  const std::unique_ptr<void, decltype(unmap)> mapping(memory, unmap);
  look({static_cast<const std::byte*>(memory), size});
}

void WalFile::blank_from(std::uint64_t offset) {
  const auto size = size_of(fd_.get(), temporary_);
  for (const auto end : {offset, size}) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(end)) != 0)
      throw system_error(errno, "cannot resize " + temporary_.string());
  }
}

void WalFile::start_sync() { ::sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE); }

void WalFile::publish(const std::filesystem::path& destination) {
  if (!finished_) throw Error(ErrorKind::internal, "a WAL file was published before its end");
  if (!is_ours())
    throw Error(ErrorKind::busy, temporary_.string() + " is another process's by now");
  if (::rename(temporary_.c_str(), destination.c_str()) != 0) {
    throw system_error(errno, "cannot rename to " + destination.string());
  }
  published_ = true;
}

void SegmentHead::write(ByteView bytes) {
  if (bytes.size() > most_ - size_)
    throw Error(ErrorKind::corrupt, fmt::format("has more than {} bytes", most_));
  if (head_.size() < kHeaderSize) {
    const auto part = bytes.first(std::min(bytes.size(), kHeaderSize - head_.size()));
    head_.insert(head_.end(), part.begin(), part.end());
  }
  next_.write(bytes);
  size_ += bytes.size();
}

void SegmentHead::check(const ArchivedSegment& found, const postgres::WalSegment& segment,
                        const ExpectedCluster& cluster) const {
  if (size_ != segment.segment_size()) {
    throw bad_segment(found,
                      fmt::format("has {} bytes instead of {}", size_, segment.segment_size()));
  }
  if ((load_le<std::uint16_t>(head_, 2) & kLongHeader) == 0) {
    throw bad_segment(found, "does not begin with a WAL page header");
  }
  const auto magic = load_le<std::uint16_t>(head_, 0);
  const auto expected_magic =
      cluster.version ? postgres::wal_page_magic(*cluster.version) : std::nullopt;
  if (expected_magic && magic != *expected_magic) {
    throw bad_segment(found, fmt::format("was written by another version than PostgreSQL {} "
                                         "(page magic {:04X} instead of {:04X})",
                                         cluster.version->text(), magic, *expected_magic));
  }
  const auto system_id = load_le<std::uint64_t>(head_, 24);
  if (cluster.system_id != 0 && system_id != cluster.system_id) {
    throw bad_segment(found,
                      fmt::format("belongs to another cluster (system identifier {} instead of {})",
                                  system_id, cluster.system_id));
  }
  const auto segment_size = load_le<std::uint32_t>(head_, 32);
  if (segment_size != segment.segment_size()) {
    throw bad_segment(found, fmt::format("is of a cluster with segments of {} bytes instead of {}",
                                         segment_size, segment.segment_size()));
  }
  const Lsn position(load_le<std::uint64_t>(head_, 8));
  if (position != segment.begin()) {
    throw bad_segment(found, fmt::format("holds the WAL at {} instead of {}", position.text(),
                                         segment.begin().text()));
  }
  const auto timeline = load_le<std::uint32_t>(head_, 4);
  if (timeline > segment.timeline().value())
    throw bad_segment(found, fmt::format("is of timeline {} instead of {}", timeline,
                                         segment.timeline().value()));
}

}  // namespace pgrevive::wal
