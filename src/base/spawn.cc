#include "base/spawn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <set>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/guarded.h"
#include "base/private_memory.h"

extern char** environ;

namespace pgrevive {
namespace {

// ---- Before the fork: everything that allocates, locks or can fail in an interesting way. ----

bool is_executable(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
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
    const std::string_view name = text.substr(0, equals);
    if (is_inherited(name)) variables.emplace(name, text.substr(equals + 1));
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
  bool without_core = false;
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
    keep_memory_private();  // until the exec it is a copy of ours
  }
  if (prepared.without_core) {
    const rlimit none_at_all{0, 0};
    if (::setrlimit(RLIMIT_CORE, &none_at_all) != 0) give_up(Stage::standard_io);
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

}  // namespace

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

bool is_inherited(std::string_view variable) {
  constexpr std::array<std::string_view, 21> kNames{"PATH",          "LD_LIBRARY_PATH",
                                                    "HOME",          "USER",
                                                    "LOGNAME",       "SHELL",
                                                    "TMPDIR",        "TZ",
                                                    "TZDIR",         "LANG",
                                                    "LOCPATH",       "LANGUAGE",
                                                    "SSL_CERT_FILE", "SSL_CERT_DIR",
                                                    "http_proxy",    "https_proxy",
                                                    "HTTPS_PROXY",   "all_proxy",
                                                    "ALL_PROXY",     "no_proxy",
                                                    "NO_PROXY"};
  return variable.starts_with("LC_") || std::ranges::find(kNames, variable) != kNames.end();
}

namespace {

// Children that spawn() made and nobody has waited for yet.
Guarded<std::set<pid_t>>& own_children() {
  static Guarded<std::set<pid_t>> children;
  return children;
}

}  // namespace

pid_t wait_for_child(pid_t pid, int* status, int flags) {
  // Without taking its end: until it is no longer noted as ours its number must not be another's.
  siginfo_t end{};
  if ((flags & WNOHANG) == 0 &&
      ::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT) != 0)
    return -1;
  auto children = own_children().lock();
  const pid_t waited = ::waitpid(pid, status, flags);
  if (waited == pid || (waited < 0 && errno == ECHILD)) children->erase(pid);
  return waited;
}

void reap_orphans() {
  for (;;) {
    // Under the lock: a child is noted before anybody here can see its end.
    auto children = own_children().lock();
    siginfo_t end{};
    if (::waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0) return;
    if (children->contains(end.si_pid)) return;
    ::waitpid(end.si_pid, nullptr, WNOHANG);
  }
}

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
    groups = command.identity->groups();
    prepared.become = true;
    prepared.uid = command.identity->uid;
    prepared.gid = command.identity->gid;
    prepared.groups = groups.data();
    prepared.group_count = groups.size();
  }
  prepared.detach = command.detach;
  prepared.without_core = command.without_core;
  std::copy(std::begin(standard), std::end(standard), std::begin(prepared.standard));
  prepared.failure_pipe = failures.write.get();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  prepared.descriptor_limit = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 1u << 16));

  pid_t pid = -1;
  int fork_error = 0;
  {
    const SignalsBlocked blocked;
    auto children = own_children().lock();
    pid = ::fork();
    if (pid == 0) become_program(prepared);
    fork_error = errno;
    if (pid > 0) children->insert(pid);
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
  while (wait_for_child(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  throw_failure(failure, command, program);
}

}  // namespace pgrevive
