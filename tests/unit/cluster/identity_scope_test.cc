#include "cluster/identity_scope.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/private_memory.h"
#include "cluster/container_volume.h"

namespace pgrevive::cluster {
namespace {

class IdentityScopeTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the leak sanitizer could not do its work";
#endif
    if (::geteuid() != 0) GTEST_SKIP() << "only root can act as another";
    if (!other_) GTEST_SKIP() << "there is no user nobody";
  }

  // In a child, since neither can be taken back.
  template <typename Body>
  static int in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      keep_memory_private();
      ::_exit(body());
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
  }

  std::optional<Identity> other_ = Identity::find("nobody");
};

// Where fs.suid_dumpable is 0, the kernel sees to it by itself.
TEST_F(IdentityScopeTest, KeepsMemoryPrivateWhileItLivesAndAfterwards) {
  EXPECT_EQ(in_child([&] {
              int dumpable = 0;
              {
                const IdentityScope scope(*other_);
                dumpable += ::prctl(PR_GET_DUMPABLE);
              }
              return dumpable + ::prctl(PR_GET_DUMPABLE);
            }),
            0);
}

TEST_F(IdentityScopeTest, MemoryStaysPrivateWhereAContainerBecomesAnother) {
  EXPECT_EQ(in_child([&] {
              containers::become(*other_);
              return ::prctl(PR_GET_DUMPABLE);
            }),
            0);
}

}  // namespace
}  // namespace pgrevive::cluster
