#include "base/fd.h"

#include <unistd.h>

namespace pgrevive {

void Fd::reset() {
  // Not retried on EINTR: Linux has released the descriptor by then, and another thread may own the
  // number.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace pgrevive
