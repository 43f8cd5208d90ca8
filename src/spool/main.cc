// pgrevive-archive-get: `pgrevive archive-get` for a server that a prefetcher works for. It takes
// the segment from the spool, and becomes the whole program where that cannot be done. A program of
// its own, because loading the other one's libraries takes ten times as long as all it does.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <unistd.h>

#include "spool/client.h"
#include "spool/report.h"

namespace {

// Above 125 as all of archive-get's errors are, so that PostgreSQL stops instead of taking it for
// "no such file"; 203 is its number for something that has to be there and is not.
constexpr int kNoProgram = 203;

[[noreturn]] void become_whole_program(char** words, int count) {
  char path[4096];
  const auto size = ::readlink("/proc/self/exe", path, sizeof path - 1);
  std::string program(path, size > 0 ? static_cast<std::size_t>(size) : 0);
  program = program.substr(0, program.rfind('/') + 1) + "pgrevive";
  std::string command = "archive-get";
  std::vector<char*> arguments = {program.data(), command.data()};
  for (int i = 1; i < count; ++i) arguments.push_back(words[i]);
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
  std::fprintf(stderr, "error: cannot run %s: %s\n", program.c_str(), std::strerror(errno));
  std::_Exit(kNoProgram);
}

// A server that is killed asks again as soon as it is back, and nobody waits for us any more.
void end_with_parent() {
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::raise(SIGKILL);
}

}  // namespace

int main(int count, char** words) {
  using namespace pgrevive;
  end_with_parent();
  const auto request = spool::parse(std::vector<std::string>(words + 1, words + count));
  if (!request || !spool::take(*request)) become_whole_program(words, count);
  if (!request->report.empty() &&
      !spool::write_report(request->report, request->name, "delivered", {})) {
    std::fprintf(stderr, "warning: cannot write %s: %s\n", request->report.c_str(),
                 std::strerror(errno));
  }
  return 0;
}
