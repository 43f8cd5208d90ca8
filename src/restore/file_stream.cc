#include "restore/file_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pgrevive::restore {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kSmallestBite = 4096;

// A bz2 file of a few blocks is decoded by its worker alone.
constexpr std::uint64_t kManyBz2Blocks = 4u << 20;

// How many stored bytes make about one block of plain ones.
std::size_t bite_for(const repository::ManifestFile& file, std::size_t block) {
  const double ratio = static_cast<double>(file.repo_size) /
                       static_cast<double>(std::max<std::uint64_t>(file.size, 1));
  return std::clamp(static_cast<std::size_t>(static_cast<double>(block) * ratio), kSmallestBite,
                    block);
}

}  // namespace

StoredBytes::StoredBytes(std::shared_ptr<Begun> task) : task_(std::move(task)) {}

StoredBytes::StoredBytes(ByteView bytes, std::shared_ptr<const void> owner)
    : bytes_(bytes), owner_(std::move(owner)) {}

ByteView StoredBytes::next(std::size_t most) {
  if (bytes_.empty() && !ended()) {
    owner_.reset();  // before more is asked for: its memory may be what is missing
    if (auto buffer = task_->delivery().try_next()) {
      auto kept = std::make_shared<Delivery::Buffer>(std::move(*buffer));
      bytes_ = kept->bytes();
      owner_ = std::move(kept);
    }
  }
  const auto part = bytes_.first(std::min(most, bytes_.size()));
  bytes_ = bytes_.subspan(part.size());
  return part;
}

bool StoredBytes::ended() const {
  return bytes_.empty() &&
         (!task_ || task_->delivery().taken() == task_->delivery().pieces().size());
}

// The end of the decoder.
class FileStream::Collector : public Sink {
 public:
  explicit Collector(FileStream& stream) : stream_(stream) {}
  void write(ByteView bytes) override { stream_.take_plain(bytes); }
  void finish() override {}
  std::span<std::byte> room() override { return stream_.room(); }

 private:
  FileStream& stream_;
};

FileStream::FileStream(const Pass& pass, WriteQueue& queue, std::size_t block, std::uint32_t index,
                       StoredBytes stored)
    : pass_(pass),
      queue_(queue),
      block_size_(block),
      index_(index),
      file_(pass.file(index)),
      count_(pass.report),
      stored_(std::move(stored)),
      bite_(bite_for(file_, block)) {
  const bool plain = pass.manifest.compress_type == codec::CompressType::none &&
                     pass.manifest.data_passphrase.empty() && !file_.bundled();
  if (plain) {
    bite_ = block_size_;
    return;
  }
  collector_ = std::make_unique<Collector>(*this);
  decoder_.emplace(pass.manifest, stored_form(pass.manifest, file_), *collector_,
                   file_.size > kManyBz2Blocks ? pass.bz2.get() : nullptr);
}

FileStream::~FileStream() = default;

Activity::Step FileStream::decode() {
  return pass_.while_restoring(index_, [&] {
    while (!next_) {
      if (decoded_) {
        prove_and_finish();
        return Activity::Step::ended;
      }
      if (stored_.ended()) {
        if (decoder_) decoder_->finish();
        decoded_ = true;
        if (filled_ != 0) push_filling();
        continue;
      }
      const auto bytes = stored_.next(bite_);
      if (bytes.empty()) return Activity::Step::waiting;
      if (decoder_) {
        decoder_->write(bytes);
      } else {
        check_fits(file_, came_, bytes.size());
        came_ += bytes.size();
        push({bytes, stored_.owner()});
      }
    }
    return Activity::Step::moved;
  });
}

std::span<std::byte> FileStream::room() {
  if (came_ == file_.size) return surplus_;
  if (!filling_) {
    filling_ = pass_.memory.get(std::min<std::uint64_t>(block_size_, file_.size - came_));
  }
  const auto left = std::min(filling_.capacity(), block_size_) - filled_;
  return {filling_.data() + filled_, std::min<std::uint64_t>(left, file_.size - came_)};
}

void FileStream::take_plain(ByteView bytes) {
  check_fits(file_, came_, bytes.size());
  while (!bytes.empty()) {
    const auto room = this->room();
    const auto part = bytes.first(std::min(room.size(), bytes.size()));
    if (part.data() != room.data()) std::memcpy(room.data(), part.data(), part.size());
    filled_ += part.size();
    came_ += part.size();
    bytes = bytes.subspan(part.size());
    if (part.size() == room.size() && came_ < file_.size) push_filling();
  }
}

void FileStream::push_filling() {
  auto owner = std::make_shared<Block>(std::move(filling_));
  filling_ = {};
  push({{owner->data(), std::exchange(filled_, 0)}, owner});
}

void FileStream::push(Filled filled) {
  if (!next_) {
    next_ = std::move(filled);
  } else if (!after_) {
    after_ = std::move(filled);
  } else {
    // More came at once than was asked for: the oldest is not kept for the others.
    hasher_.update(next_->bytes);
    hashed();
    after_ = std::move(filled);
  }
}

codec::Sha1Lanes::Piece FileStream::to_hash() { return {&hasher_, next_->bytes}; }

void FileStream::hashed() {
  const auto filled = std::move(*next_);
  next_ = std::exchange(after_, std::nullopt);
  if (!next_ && decoded_ && !output_) {
    // All of the file is here and nothing of it on a disk yet.
    pass_.while_restoring(index_, [&] {
      prove(file_, {codec::Sha1Hasher(hasher_).value(), came_});
    });
  }
  write(filled);
}

void FileStream::write(const Filled& filled) {
  if (!output_) {
    output_ =
        std::make_shared<QueuedFile>(OutputFile::create(pass_.nodes, index_, pass_.wanted[index_]));
    if (file_.size >= kLargeFile && queue_.available()) output_->output.go_direct();
  }
  const auto size = filled.bytes.size();
  if (const auto tail = size % kPage; tail != 0 && written_ + size == file_.size) {
    // What a direct write of whole pages writes behind the end must not be someone else's bytes.
    std::memset(const_cast<std::byte*>(filled.bytes.data()) + size, 0, kPage - tail);
  }
  queue_.write(output_, written_, filled.bytes, filled.owner);
  written_ += size;
  count_.add(size);
}

void FileStream::prove_and_finish() {
  prove(file_, {hasher_.value(), came_});
  queue_.finish(output_, [report = &pass_.report] { report->file_done(); });
}

std::uint64_t FileStream::give_up() {
  count_.take_back();
  return file_.size - std::exchange(told_, came_);
}

std::uint64_t FileStream::take_progress() { return came_ - std::exchange(told_, came_); }

}  // namespace pgrevive::restore
