#include "base/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"

extern char** environ;

namespace pgrevive {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// ---- Before the fork: everything that allocates, locks or can fail in an interesting way. ----

struct Pipe {
  Fd read;
  Fd write;
};

// Descriptors of ours never land on 0, 1 or 2, even where our own were closed: the child's dup2
// calls would run over each other.
Fd above_standard(Fd fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved) throw system_error(errno, "cannot duplicate a file descriptor");
  return moved;
}

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "cannot create a pipe");
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  return {above_standard(std::move(pipe.read)), above_standard(std::move(pipe.write))};
}

bool is_executable(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<std::filesystem::path> find_in(std::string_view search_path,
                                             const std::string& name) {
  while (true) {
    const auto end = search_path.find(':');
    const std::string_view directory = search_path.substr(0, end);
    // An empty part means the working directory, which nobody wants to run programs from.
    if (!directory.empty()) {
      std::filesystem::path candidate = std::filesystem::path(directory) / name;
      if (is_executable(candidate)) return candidate;
    }
    if (end == std::string_view::npos) return {};
    search_path.remove_prefix(end + 1);
  }
}

bool must_become(const std::optional<Identity>& identity) {
  return identity && (identity->uid != ::geteuid() || identity->gid != ::getegid());
}

std::vector<std::string> compose_environment(const Command& command) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  if (must_become(command.identity)) {
    variables["HOME"] = command.identity->home.string();
    variables["USER"] = command.identity->name;
    variables["LOGNAME"] = command.identity->name;
  }
  for (const auto& [name, value] : command.environment) {
    if (value) {
      variables[name] = *value;
    } else {
      variables.erase(name);
    }
  }
  std::vector<std::string> result;
  result.reserve(variables.size());
  for (const auto& [name, value] : variables) result.push_back(fmt::format("{}={}", name, value));
  return result;
}

std::filesystem::path resolve(const Command& command, const std::vector<std::string>& environment) {
  const std::string& name = command.program.native();
  if (name.find('/') != std::string::npos) return command.program;
  std::string_view search_path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& entry : environment) {
    if (entry.starts_with("PATH=")) search_path = std::string_view(entry).substr(5);
  }
  if (const auto found = find_in(search_path, name)) return *found;
  throw Error(ErrorKind::not_found, "cannot find the program '" + name + "'")
      .with_hint("install it, or add its directory to PATH");
}

std::vector<gid_t> groups_of(const Identity& identity) {
  int count = 32;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(identity.name.c_str(), identity.gid, groups.data(), &count) < 0) {
    groups.resize(std::max(static_cast<std::size_t>(count), groups.size() * 2));
    count = static_cast<int>(groups.size());
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// ---- After the fork: between fork and exec only async-signal-safe calls are allowed, because
// another thread may have held any lock (the allocator's, too) at the moment of the fork. ----

// A log lies in a directory that may belong to another user, who must not be able to lead us
// elsewhere with a link.
constexpr int kLogFlags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t kLogMode = 0640;

enum class Stage : int { standard_io, group, identity, log, directory, exec };

struct Failure {
  Stage stage;
  int error_number;
};

struct Prepared {
  const char* program = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;  // null: stay
  const char* log = nullptr;        // null: stay with the standard output that is set up
  bool become = false;
  uid_t uid = 0;
  gid_t gid = 0;
  const gid_t* groups = nullptr;
  std::size_t group_count = 0;
  bool detach = false;
  int standard[3] = {-1, -1, -1};
  int failure_pipe = -1;
  unsigned descriptor_limit = 0;
};

void close_all_from(unsigned first, unsigned limit) {
  if (::close_range(first, ~0u, 0) == 0) return;
  // Kernels before 5.9, and sandboxes that do not know the call.
  for (unsigned fd = first; fd < limit; ++fd) ::close(static_cast<int>(fd));
}

[[noreturn]] void become_program(const Prepared& prepared) {
  int failure_pipe = prepared.failure_pipe;
  const auto give_up = [&](Stage stage) {
    const Failure failure{stage, errno};
    // If even this fails, the parent sees exit code 127.
    [[maybe_unused]] const ssize_t written = ::write(failure_pipe, &failure, sizeof failure);
    ::_exit(127);
  };

  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) ::sigaction(signal, &by_default, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  if ((prepared.detach ? ::setsid() : ::setpgid(0, 0)) < 0) give_up(Stage::group);

  for (int fd = 0; fd < 3; ++fd) {
    const int source = prepared.standard[fd];
    if (source >= 0 && ::dup2(source, fd) < 0) give_up(Stage::standard_io);
  }
  constexpr int kFailureFd = 3;
  if (failure_pipe != kFailureFd) {
    if (::dup3(failure_pipe, kFailureFd, O_CLOEXEC) < 0) give_up(Stage::standard_io);
    failure_pipe = kFailureFd;
  }
  close_all_from(kFailureFd + 1, prepared.descriptor_limit);

  if (prepared.become) {
    // The raw calls: the C library's own take locks to tell the other threads of the process, and
    // there are none here.
    if (::syscall(SYS_setgroups, prepared.group_count, prepared.groups) != 0 ||
        ::syscall(SYS_setresgid, prepared.gid, prepared.gid, prepared.gid) != 0 ||
        ::syscall(SYS_setresuid, prepared.uid, prepared.uid, prepared.uid) != 0) {
      give_up(Stage::identity);
    }
  }
  // As the new user, in whose directories a link must not lead root anywhere.
  if (prepared.log != nullptr) {
    const int log = ::open(prepared.log, kLogFlags, kLogMode);
    if (log < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) give_up(Stage::log);
    ::close(log);
  }
  // Likewise, and it may not be allowed where we are.
  if (prepared.directory != nullptr && ::chdir(prepared.directory) != 0) give_up(Stage::directory);

  ::execve(prepared.program, prepared.arguments, prepared.environment);
  give_up(Stage::exec);
  ::_exit(127);
}

// Keeps signal handlers of ours from running in the child before it has dropped them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

[[noreturn]] void throw_failure(const Failure& failure, const Command& command,
                                const std::filesystem::path& program) {
  const std::string starting = "cannot start " + program.string();
  switch (failure.stage) {
    case Stage::identity:
      throw system_error(failure.error_number, starting + " as user " + command.identity->name)
          .with_hint("only root can run a program as another user");
    case Stage::log:
      throw system_error(failure.error_number,
                         starting + ": cannot write its log " + command.log.string());
    case Stage::directory:
      throw system_error(failure.error_number, starting + " in " + command.directory.string());
    case Stage::exec:
      // ENOENT of a script that exists is its interpreter.
      if (failure.error_number == ENOENT && is_executable(program)) {
        throw Error(ErrorKind::not_found, starting + ": its interpreter is missing");
      }
      throw system_error(failure.error_number, starting);
    case Stage::standard_io:
    case Stage::group:
      break;
  }
  throw system_error(failure.error_number, starting);
}

// Starts `command` with the given descriptors as its 0, 1 and 2 (-1: ours).
pid_t spawn(const Command& command, const int (&standard)[3]) {
  std::vector<std::string> environment = compose_environment(command);
  const std::filesystem::path program = resolve(command, environment);
  std::vector<std::string> arguments = command.arguments;
  arguments.insert(arguments.begin(), command.program.string());
  const std::vector<char*> argument_pointers = pointers_to(arguments);
  const std::vector<char*> environment_pointers = pointers_to(environment);
  std::vector<gid_t> groups;
  Pipe failures = make_pipe();

  Prepared prepared;
  prepared.program = program.c_str();
  prepared.arguments = argument_pointers.data();
  prepared.environment = environment_pointers.data();
  if (!command.directory.empty()) prepared.directory = command.directory.c_str();
  if (!command.log.empty() && standard[1] < 0) prepared.log = command.log.c_str();
  if (must_become(command.identity)) {
    groups = groups_of(*command.identity);
    prepared.become = true;
    prepared.uid = command.identity->uid;
    prepared.gid = command.identity->gid;
    prepared.groups = groups.data();
    prepared.group_count = groups.size();
  }
  prepared.detach = command.detach;
  std::copy(std::begin(standard), std::end(standard), std::begin(prepared.standard));
  prepared.failure_pipe = failures.write.get();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  prepared.descriptor_limit = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 1u << 16));

  pid_t pid = -1;
  int fork_error = 0;
  {
    const SignalsBlocked blocked;
    pid = ::fork();
    if (pid == 0) become_program(prepared);
    fork_error = errno;
  }
  if (pid < 0) throw system_error(fork_error, "cannot start " + program.string());

  // The write end closes in the child at a successful exec.
  failures.write.reset();
  Failure failure{};
  std::size_t have = 0;
  while (have < sizeof failure) {
    const ssize_t got = ::read(failures.read.get(), reinterpret_cast<char*>(&failure) + have,
                               sizeof failure - have);
    if (got == 0) return pid;
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      break;
    }
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  throw_failure(failure, command, program);
}

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

Identity to_identity(const passwd& entry) {
  return {.uid = entry.pw_uid, .gid = entry.pw_gid, .name = entry.pw_name, .home = entry.pw_dir};
}

template <typename Lookup>  // (passwd*, char* buffer, size_t, passwd** result) -> int
std::optional<Identity> look_up(const std::string& what, Lookup&& lookup) {
  std::vector<char> buffer(1024);
  for (;;) {
    passwd entry{};
    passwd* found = nullptr;
    const int error = lookup(&entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    if (found != nullptr) return to_identity(entry);
    // Which of these means "there is none" differs between the sources of user names.
    const bool absent = error == 0 || error == ENOENT || error == ESRCH || error == EPERM;
    if (!absent && error != EINTR) throw system_error(error, "cannot look up " + what);
    if (absent) return {};
  }
}

}  // namespace

std::string ExitStatus::text() const {
  if (signal) {
    const char* description = ::sigdescr_np(*signal);
    return fmt::format("signal {} ({})", *signal, description != nullptr ? description : "unknown");
  }
  return fmt::format("exit code {}", code.value_or(-1));
}

Identity Identity::current() {
  const uid_t uid = ::geteuid();
  auto identity = look_up(fmt::format("user {}", uid),
                          [uid](auto... rest) { return ::getpwuid_r(uid, rest...); });
  // Containers run as numbers that no file knows.
  if (!identity) identity = {.uid = uid, .name = fmt::format("{}", uid), .home = "/"};
  identity->gid = ::getegid();
  return *identity;
}

std::optional<Identity> Identity::find(const std::string& user_name) {
  return look_up("user " + user_name,
                 [&](auto... rest) { return ::getpwnam_r(user_name.c_str(), rest...); });
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
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
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
    const pid_t reaped = ::waitpid(pid_, &status, flags);
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

std::optional<std::filesystem::path> find_program(const std::string& name) {
  const char* search_path = std::getenv("PATH");
  return find_in(search_path != nullptr ? search_path : "", name);
}

}  // namespace pgrevive
