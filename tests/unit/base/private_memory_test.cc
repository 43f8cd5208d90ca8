#include "base/private_memory.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pgrevive {
namespace {

TEST(KeepMemoryPrivate, HoldsForTheProcess) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the leak sanitizer could not do its work";
#endif
  // In a child, since it cannot be taken back for all that others here may want to see.
  const pid_t child = ::fork();
  if (child == 0) {
    keep_memory_private();
    ::_exit(::prctl(PR_GET_DUMPABLE));
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace pgrevive
