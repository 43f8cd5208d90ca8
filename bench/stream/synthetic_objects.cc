#include "stream/synthetic_objects.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace pgrevive::bench {

namespace {

// A prime, so that no two pieces of an object are alike, and little enough to stay in the cache.
constexpr std::uint64_t kPeriod = 1'048'573;
constexpr std::uint64_t kMark = sizeof(std::uint64_t);

// The noise, and behind it the mark of each object.
std::uint64_t file_size(std::uint64_t count) { return kPeriod + count * kMark; }

}  // namespace

SyntheticObjects::SyntheticObjects(std::uint64_t count, std::uint64_t size)
    : count_(count), size_(size), file_(::memfd_create("objects", MFD_CLOEXEC)) {
  if (size < kMark) throw Error(ErrorKind::usage, "objects have at least 8 bytes");
  if (!file_ || ::ftruncate(file_.get(), static_cast<off_t>(file_size(count))) != 0) {
    throw system_error(errno, "cannot make a file in memory");
  }
  void* const mapped =
      ::mmap(nullptr, file_size(count), PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (mapped == MAP_FAILED) throw system_error(errno, "cannot map a file in memory");
  memory_ = static_cast<std::byte*>(mapped);

  std::mt19937_64 random(1);
  std::generate_n(memory_, kPeriod, [&] { return static_cast<std::byte>(random()); });
  for (std::uint64_t number = 0; number < count; ++number) {
    std::memcpy(memory_ + kPeriod + number * kMark, &number, kMark);
  }
  for (std::uint64_t at = 0; at < mark_begin();) {
    const auto bytes = run(0, at).bytes;
    before_mark_.update(bytes);
    at += bytes.size();
  }
}

SyntheticObjects::~SyntheticObjects() { ::munmap(memory_, file_size(count_)); }

std::uint64_t SyntheticObjects::mark_begin() const { return size_ - kMark; }

std::string SyntheticObjects::name(std::uint64_t number) {
  return fmt::format("object-{:04}", number);
}

codec::Sha1 SyntheticObjects::checksum(std::uint64_t number) const {
  auto hasher = before_mark_;
  hasher.update(run(number, mark_begin()).bytes);
  return hasher.value();
}

SyntheticObjects::Run SyntheticObjects::run(std::uint64_t number, std::uint64_t offset) const {
  std::uint64_t begin = 0, size = 0;
  if (offset < mark_begin()) {
    begin = offset % kPeriod;
    size = std::min(kPeriod - begin, mark_begin() - offset);
  } else {
    begin = kPeriod + number * kMark + (offset - mark_begin());
    size = size_ - offset;
  }
  return {{memory_ + begin, static_cast<std::size_t>(size)}, begin};
}

}  // namespace pgrevive::bench
