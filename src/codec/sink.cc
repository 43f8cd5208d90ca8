#include "codec/sink.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive {

void MemorySink::write(ByteView bytes) {
  if (bytes.size() > limit_ - bytes_.size()) {
    throw Error(
        ErrorKind::corrupt,
        fmt::format("holds more than {}, which is more than it can need", format_bytes(limit_)));
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

}  // namespace pgrevive
