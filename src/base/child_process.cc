#include "base/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/spawn.h"

namespace pgrevive {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Fd open_null() { return above_standard(open_file("/dev/null", O_RDWR)); }

ExitStatus decode(int status) {
  ExitStatus result;
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
  } else {
    result.code = WEXITSTATUS(status);
  }
  return result;
}

// Readable once the process has ended. Empty on kernels before 5.3 and in sandboxes.
Fd open_pidfd(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

// How long poll() may sleep until `deadline`, rounded up so that it does not spin at the end.
int poll_time(steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
}

// Far beyond any wait, and small enough that adding it to now() cannot overflow.
steady_clock::time_point deadline_after(milliseconds time) {
  return steady_clock::now() + std::min<milliseconds>(time, std::chrono::hours(24 * 365));
}

// Without a pidfd the end of a process is found by asking again.
constexpr int kAskAgainMs = 10;

void make_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    throw system_error(errno, "cannot prepare a pipe");
  }
}

// Makes a write to a pipe that nobody reads any more an EPIPE for us, whatever this process thinks
// of SIGPIPE.
class SigpipeHeld {
 public:
  SigpipeHeld() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  SigpipeHeld(const SigpipeHeld&) = delete;
  SigpipeHeld& operator=(const SigpipeHeld&) = delete;
  ~SigpipeHeld() {
    const timespec at_once{};
    while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

constexpr std::size_t kMostOutput = 16u << 20;

// Takes what is there without waiting; closes `fd` at its end.
void drain(Fd& fd, std::string& text) {
  char buffer[65536];
  while (fd) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got > 0) {
      // What is above the limit is read and dropped, or the child would block on a full pipe.
      text.append(buffer, std::min(static_cast<std::size_t>(got), kMostOutput - text.size()));
    } else if (got == 0) {
      fd.reset();
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      throw system_error(errno, "cannot read the output of a program");
    }
  }
}

// Hands over what fits without waiting; closes `fd` when all is written or nobody reads it.
void feed(Fd& fd, std::string_view& input) {
  while (fd && !input.empty()) {
    const ssize_t written = ::write(fd.get(), input.data(), input.size());
    if (written >= 0) {
      input.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno == EPIPE) {
      fd.reset();
    } else if (errno != EINTR) {
      throw system_error(errno, "cannot write the input of a program");
    }
  }
  fd.reset();
}

}  // namespace

std::string ExitStatus::text() const {
  if (signal) {
    const char* description = ::sigdescr_np(*signal);
    return fmt::format("signal {} ({})", *signal, description != nullptr ? description : "unknown");
  }
  return fmt::format("exit code {}", code.value_or(-1));
}

ChildProcess ChildProcess::start(const Command& command) {
  const Fd input = open_null();
  return ChildProcess(spawn(command, {input.get(), -1, -1}));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(std::exchange(other.status_, {})) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    status_ = std::exchange(other.status_, {});
  }
  return *this;
}

ChildProcess::~ChildProcess() { kill_and_reap(); }

void ChildProcess::kill_and_reap() noexcept {
  if (pid_ <= 0) return;
  // The child leads its own group: what it started goes with it.
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  while (wait_for_child(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void ChildProcess::send(int signal) const {
  // Not reaped yet, so the number is still its own even if it has ended.
  if (pid_ <= 0) return;
  if (::kill(pid_, signal) != 0 && errno != ESRCH) {
    throw system_error(errno, fmt::format("cannot send signal {} to process {}", signal, pid_));
  }
}

bool ChildProcess::reap(int flags) {
  if (status_) return true;
  if (pid_ <= 0) throw Error(ErrorKind::internal, "waiting for a child that is not ours any more");
  int status = 0;
  for (;;) {
    const pid_t reaped = wait_for_child(pid_, &status, flags);
    if (reaped == pid_) break;
    if (reaped == 0) return false;
    if (errno != EINTR) {
      const int error = errno;
      throw system_error(error, fmt::format("cannot wait for process {}", std::exchange(pid_, -1)));
    }
  }
  pid_ = -1;
  status_ = decode(status);
  return true;
}

std::optional<ExitStatus> ChildProcess::wait_for(milliseconds time) {
  const auto deadline = deadline_after(time);
  if (reap(WNOHANG)) return status_;
  const Fd end = open_pidfd(pid_);
  for (;;) {
    const int left = poll_time(deadline);
    pollfd watched{.fd = end.get(), .events = POLLIN, .revents = 0};
    ::poll(&watched, 1, end ? left : std::min(left, kAskAgainMs));
    if (reap(WNOHANG)) return status_;
    if (steady_clock::now() >= deadline) return {};
  }
}

ExitStatus ChildProcess::wait() {
  reap(0);
  return *status_;
}

pid_t ChildProcess::release() { return std::exchange(pid_, -1); }

Output run(const Command& command, std::string_view input, milliseconds limit) {
  const auto deadline = deadline_after(limit);
  Pipe in;
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  if (input.empty()) {
    in.read = open_null();
  } else {
    in = make_pipe();
    make_nonblocking(in.write.get());
  }
  make_nonblocking(out.read.get());
  make_nonblocking(err.read.get());

  ChildProcess child(spawn(command, {in.read.get(), out.write.get(), err.write.get()}));
  in.read.reset();
  out.write.reset();
  err.write.reset();

  const SigpipeHeld held;
  const Fd end = open_pidfd(child.pid());
  Output output;
  for (;;) {
    pollfd watched[] = {
        {.fd = in.write.get(), .events = POLLOUT, .revents = 0},
        {.fd = out.read.get(), .events = POLLIN, .revents = 0},
        {.fd = err.read.get(), .events = POLLIN, .revents = 0},
        {.fd = end.get(), .events = POLLIN, .revents = 0},
    };
    const int left = poll_time(deadline);
    ::poll(watched, std::size(watched), end ? left : std::min(left, kAskAgainMs));

    // Asked before the pipes are read: what it wrote before its end is in them by now. Their own
    // end is not waited for, because a server that it left behind may hold them open for ever.
    const auto status = child.wait_for(milliseconds(0));
    drain(out.read, output.out);
    drain(err.read, output.err);
    if (status) {
      output.status = *status;
      return output;
    }
    feed(in.write, input);
    if (steady_clock::now() >= deadline) {
      throw Error(ErrorKind::system,
                  fmt::format("{} was ended after {} s without a result", command.program.string(),
                              std::chrono::duration<double>(limit).count()));
    }
  }
}

bool is_alive(pid_t pid) {
  if (::kill(pid, 0) != 0 && errno != EPERM) return false;
  std::optional<std::string> stat;
  try {
    stat = read_file_if_exists("/proc/" + std::to_string(pid) + "/stat");
  } catch (const Error&) {
    return true;  // there, and not for us to read
  }
  if (!stat) return false;
  // "123 (name) S ...", and the name may hold anything.
  const auto name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat->size()) return true;
  const char state = (*stat)[name_end + 2];
  return state != 'Z' && state != 'X';
}

bool wait_for_end(pid_t pid, milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  // By number: a C library may lack the function that the kernel has.
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process && errno == ESRCH) return true;
  for (;;) {
    const auto left =
        std::max(milliseconds(0), std::chrono::ceil<milliseconds>(deadline - steady_clock::now()));
    if (process) {
      pollfd entry{.fd = process.get(), .events = POLLIN, .revents = 0};
      const auto time = static_cast<int>(std::min(left, milliseconds(60'000)).count());
      if (::poll(&entry, 1, time) == 1) return true;
    } else {  // a kernel without it
      if (!is_alive(pid)) return true;
      std::this_thread::sleep_for(std::min(left, milliseconds(20)));
    }
    if (left.count() == 0) return false;
  }
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  const char* search_path = std::getenv("PATH");
  return find_in(search_path != nullptr ? search_path : "", name);
}

}  // namespace pgrevive
