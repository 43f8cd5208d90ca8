#include "base/private_memory.h"

#include <sys/prctl.h>

namespace pgrevive {

void keep_memory_private() {
  // Not worth ending for: without it things are as they are for most programs. The leak sanitizer
  // of a test build looks into its own process from outside.
#ifndef __SANITIZE_ADDRESS__
  ::prctl(PR_SET_DUMPABLE, 0);
#endif
}

}  // namespace pgrevive
