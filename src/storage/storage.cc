#include "storage/storage.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"

namespace pgrevive::storage {

Bytes read_all(const Storage& storage, const std::string& path, std::size_t limit) {
  // Not a MemorySink: its message could not name the object.
  class LimitedSink : public Sink {
   public:
    LimitedSink(std::string name, std::size_t limit) : name_(std::move(name)), limit_(limit) {}

    void write(ByteView bytes) override {
      if (bytes.size() > limit_ - bytes_.size()) {
        throw Error(ErrorKind::corrupt,
                    fmt::format("{} is larger than {} bytes, which nothing of its kind should be",
                                name_, limit_));
      }
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    void finish() override {}

    Bytes take() { return std::move(bytes_); }

   private:
    std::string name_;
    std::size_t limit_;
    Bytes bytes_;
  };

  LimitedSink sink(storage.describe(path), limit);
  storage.read(path, std::nullopt, sink);
  return sink.take();
}

}  // namespace pgrevive::storage
