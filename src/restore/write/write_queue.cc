#include "restore/write/write_queue.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <liburing.h>

#include "base/error.h"

namespace pgrevive::restore {

namespace {

constexpr std::size_t kPage = 4096;

// What a completion leads back to.
struct Write {
  std::shared_ptr<QueuedFile> file;
  std::size_t output;
  std::uint64_t offset;
  ByteView bytes;  // whole pages
  std::shared_ptr<const void> owner;
};

}  // namespace

struct WriteQueue::Ring {
  io_uring ring{};
  unsigned under_way = 0;

  static std::unique_ptr<Ring> make(unsigned entries) {
    auto made = std::make_unique<Ring>();
    if (::io_uring_queue_init(entries, &made->ring, 0) != 0) return nullptr;
    made->open = true;
    return made;
  }
  ~Ring() {
    if (open) ::io_uring_queue_exit(&ring);
  }

  void submit(std::unique_ptr<Write> write) {
    auto* const entry = ::io_uring_get_sqe(&ring);
    if (entry == nullptr) throw Error(ErrorKind::internal, "the ring of writes is full");
    ::io_uring_prep_write(entry, write->file->output.outputs()[write->output].fd.get(),
                          write->bytes.data(), static_cast<unsigned>(write->bytes.size()),
                          write->offset);
    ::io_uring_sqe_set_data(entry, write.get());
    ++write->file->under_way;
    write.release();
    ++under_way;
  }
  void flush() {
    // What the kernel does not take now it takes with the next call; a wait submits, too.
    const int result = ::io_uring_submit(&ring);
    if (result < 0 && result != -EAGAIN && result != -EBUSY && result != -EINTR) {
      throw system_error(-result, "cannot submit writes");
    }
  }

  struct Done {
    std::unique_ptr<Write> write;
    int result;
  };
  std::optional<Done> next(bool wait) {
    io_uring_cqe* completion = nullptr;
    int result = 0;
    do {
      result = wait ? ::io_uring_submit_and_wait(&ring, 1) : 0;
      // Also where the kernel takes no more at present: what is done gives memory back.
      const int there = ::io_uring_peek_cqe(&ring, &completion);
      if (there == 0 || result >= 0) result = there;
    } while (wait && (result == -EINTR || result == -EAGAIN || result == -EBUSY));
    if (result == -EAGAIN) return {};
    if (result != 0) throw system_error(-result, "cannot wait for writes");
    Done done{std::unique_ptr<Write>(static_cast<Write*>(::io_uring_cqe_get_data(completion))),
              completion->res};
    ::io_uring_cqe_seen(&ring, completion);
    --under_way;
    --done.write->file->under_way;
    return done;
  }

  bool open = false;
};

namespace {

// A file system may promise O_DIRECT and take it back, for one file or one offset, and a write may
// end early; then the rest goes through the page cache, which says what is really wrong.
void mend(const Write& write, int result) {
  auto& output = write.file->output.outputs()[write.output];
  const bool refused = result == -EINVAL || result == -EOPNOTSUPP || result == -EAGAIN ||
                       result == -EINTR || result >= 0;
  if (!refused) throw write_error(-result, output.path);
  const auto done = result < 0 ? 0 : static_cast<std::size_t>(result);
  if (::fcntl(output.fd.get(), F_SETFL, O_RDWR) != 0) throw write_error(errno, output.path);
  write_all_at(output.fd.get(), write.offset + done, write.bytes.subspan(done), output.path);
}

void settle(const Write& write, int result) {
  if (result != static_cast<int>(write.bytes.size())) mend(write, result);
  auto& file = *write.file;
  if (file.under_way != 0 || !file.when_whole) return;
  file.output.finish();
  std::exchange(file.when_whole, {})();
}

}  // namespace

WriteQueue::WriteQueue(unsigned most_under_way)
    : ring_(Ring::make(most_under_way)), most_(most_under_way) {}

WriteQueue::~WriteQueue() {
  // The kernel reads from the memory of each until it is done.
  try {
    while (!idle()) ring_->next(true);
  } catch (...) {
  }
}

bool WriteQueue::available() const { return ring_ != nullptr; }
bool WriteQueue::idle() const { return !ring_ || ring_->under_way == 0; }

void WriteQueue::write(const std::shared_ptr<QueuedFile>& file, std::uint64_t offset,
                       ByteView bytes, std::shared_ptr<const void> owner) {
  file->output.write_at(offset, bytes);
  const ByteView pages(bytes.data(), (bytes.size() + kPage - 1) / kPage * kPage);
  const auto& outputs = file->output.outputs();
  bool any = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].direct) continue;
    while (ring_->under_way >= most_) wait_for_one();
    ring_->submit(std::make_unique<Write>(Write{file, i, offset, pages, owner}));
    any = true;
  }
  if (any) ring_->flush();
}

void WriteQueue::finish(const std::shared_ptr<QueuedFile>& file, std::function<void()> whole) {
  if (file->under_way != 0) {
    file->when_whole = std::move(whole);
    return;
  }
  file->output.finish();
  whole();
}

void WriteQueue::collect() {
  if (idle()) return;
  while (const auto done = ring_->next(false)) settle(*done->write, done->result);
}

void WriteQueue::wait_for_one() {
  const auto done = ring_->next(true);
  if (done) settle(*done->write, done->result);
}

void WriteQueue::wait_for_all() {
  while (!idle()) wait_for_one();
}

}  // namespace pgrevive::restore
