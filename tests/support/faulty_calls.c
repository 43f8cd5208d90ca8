/* Makes chosen calls of chosen pgrevive processes fail: what LD_PRELOAD is given by the fault sweep
   (tests/functional/rig/faulty_calls.py, which compiles this and says what the variables mean).

   A call is known by three words: its function, what the process does ("supervise", "prefetch"...),
   and the file, with '@' for the cluster's directory and '#' for each number. Only calls below that
   directory count, and only in programs named pgrevive: the variables are handed on to every child,
   so that they reach archive-get through a server and a shell, who are left alone. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "real_calls.h"

enum { kNothing = 0, kShort = -1 }; /* else the errno to fail with */

static struct {
  int active;
  char role[32];
  const char* directory; /* where trace, hits and state lie */
  const char* root;
  const char* point; /* function|role|path */
  long nth;
  const char* what; /* a number, "short", "halt", "kill", or "kill:" and a file with a process id */
  const char* then; /* functions that fail ever after, in every process; with commas around */
} g;

/* Shared by all processes of a run. */
struct State {
  atomic_long matches;
  atomic_long struck;
  atomic_long lifted; /* 1: nothing fails any more */
};
static struct State* state;

/* Opened for each line: a child closes descriptors that it does not know. */
static void append(const char* file, const char* text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", g.directory, file);
  const long fd = kernel(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  if (fd < 0) return;
  char line[1000];
  snprintf(line, sizeof line, "%s\n", text);
  kernel(SYS_write, fd, line, strlen(line));
  kernel(SYS_close, fd);
}

static void find_role(void) {
  static const char* const kRoles[] = {"start",   "supervise",     "prefetch", "archive-get",
                                       "restore", "serve-console", "status",   "stop",
                                       "cleanup", "check-process"};
  strcpy(g.role, "other");
  char line[4096];
  const int fd = (int)kernel(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return;
  const long length = kernel(SYS_read, fd, line, sizeof line - 1);
  kernel(SYS_close, fd);
  if (length <= 0) return;
  line[length] = 0;
  for (const char* word = line; word < line + length; word += strlen(word) + 1) {
    for (size_t i = 0; i < sizeof kRoles / sizeof *kRoles; ++i) {
      if (strcmp(word, kRoles[i]) == 0) {
        strcpy(g.role, kRoles[i]);
        return;
      }
    }
  }
}

__attribute__((constructor)) static void begin(void) {
  kernel_entry(); /* not looked for first between fork and exec */
  char program[512];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return;
  program[length] = 0;
  const char* const name = strrchr(program, '/');
  g.directory = getenv("PGREVIVE_FAULT_DIR");
  g.root = getenv("PGREVIVE_FAULT_ROOT");
  if (name == NULL || strcmp(name, "/pgrevive") != 0 || g.directory == NULL || g.root == NULL)
    return;
  g.point = getenv("PGREVIVE_FAULT_POINT");
  g.what = getenv("PGREVIVE_FAULT_WHAT");
  g.then = getenv("PGREVIVE_FAULT_THEN");
  const char* const nth = getenv("PGREVIVE_FAULT_NTH");
  g.nth = nth == NULL ? 1 : atol(nth);
  find_role();
  char path[512];
  snprintf(path, sizeof path, "%s/state", g.directory);
  const int fd = (int)kernel(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return;
  void* const shared = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  kernel(SYS_close, fd);
  if (shared == MAP_FAILED) return;
  state = shared;
  g.active = 1;
}

/* The path as points name it; 0 where it does not lie below the cluster's directory. */
static int name_of(const char* path, char* name, size_t size) {
  const size_t root = strlen(g.root);
  if (strncmp(path, g.root, root) != 0 || (path[root] != '/' && path[root] != 0)) return 0;
  size_t out = 0;
  name[out++] = '@';
  for (const char* from = path + root; *from != 0 && out + 2 < size;) {
    if (strncmp(from, ".tmp.", 5) == 0) {
      from += 5;
      while (*from != 0 && *from != '/') ++from;
      memcpy(name + out, ".tmp", size - out > 4 ? 4 : 0);
      out += size - out > 4 ? 4 : 0;
    } else if (isdigit((unsigned char)*from)) {
      /* WAL names and checksums are numbers as well. */
      while (isxdigit((unsigned char)*from)) ++from;
      name[out++] = '#';
    } else {
      name[out++] = *from++;
    }
  }
  name[out] = 0;
  return 1;
}

static int strike(const char call[900]) {
  append("hits", call);
  if (strcmp(g.what, "short") == 0) return kShort;
  while (strcmp(g.what, "halt") == 0) pause();
  if (strcmp(g.what, "kill") == 0) {
    kernel(SYS_kill, getpid(), SIGKILL);
  } else if (strncmp(g.what, "kill:", 5) == 0) {
    char text[32] = "";
    const long fd = kernel(SYS_openat, AT_FDCWD, g.what + 5, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
      kernel(SYS_read, fd, text, sizeof text - 1);
      kernel(SYS_close, fd);
    }
    const int victim = atoi(text);
    if (victim > 1 && kernel(SYS_kill, victim, SIGKILL) == 0) append("hits", "killed");
    return kNothing;
  }
  return atoi(g.what);
}

/* What is to happen to this call. `name`: as points have it. */
static int verdict(const char* function, const char* name) {
  char call[900];
  snprintf(call, sizeof call, "%s|%s|%s", function, g.role, name);
  if (g.point == NULL) {
    append("trace", call);
    return kNothing;
  }
  if (atomic_load(&state->lifted) != 0) return kNothing;
  if (atomic_load(&state->struck) != 0) {
    char word[64];
    snprintf(word, sizeof word, ",%s,", function);
    return g.then != NULL && strstr(g.then, word) != NULL ? atoi(g.what) : kNothing;
  }
  if (strcmp(call, g.point) != 0) return kNothing;
  if (atomic_fetch_add(&state->matches, 1) + 1 != g.nth) return kNothing;
  atomic_store(&state->struck, 1);
  return strike(call);
}

static int at_path(const char* function, int directory, const char* path) {
  if (!g.active || path == NULL) return kNothing;
  const int error = errno;
  char whole[1024];
  char name[600];
  size_t length = 0;
  if (path[0] != '/') {
    if (directory == AT_FDCWD) return kNothing;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    const ssize_t got = readlink(link, whole, 512);
    if (got <= 0) return errno = error, kNothing;
    length = (size_t)got;
    whole[length++] = '/';
  }
  snprintf(whole + length, sizeof whole - length, "%s", path);
  const int result = name_of(whole, name, sizeof name) ? verdict(function, name) : kNothing;
  errno = error;
  return result;
}

static int at_file(const char* function, int fd) {
  if (!g.active) return kNothing;
  const int error = errno;
  char link[64];
  char path[600];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  int result = kNothing;
  if (length > 0 && path[0] == '/') {
    path[length] = 0;
    result = at_path(function, AT_FDCWD, path);
  }
  errno = error;
  return result;
}

static int at_program(const char* function, const char* path) {
  if (!g.active) return kNothing;
  const int error = errno;
  const char* const name = strrchr(path, '/');
  const int result = verdict(function, name == NULL ? path : name + 1);
  errno = error;
  return result;
}

#define FAIL_IF(verdict_, value)    \
  do {                              \
    const int failure = (verdict_); \
    if (failure > 0) {            \
      errno = failure;            \
      return value;                 \
    }                               \
  } while (0)

static const char* kind_of_open(int flags) {
  if (flags & O_CREAT) return "create";
  return (flags & O_ACCMODE) == O_RDONLY ? "open" : "open-to-write";
}

int open(const char* path, int flags, ...) {
  REAL(open);
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  FAIL_IF(at_path(kind_of_open(flags), AT_FDCWD, path), -1);
  return real(path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  REAL(openat);
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  FAIL_IF(at_path(kind_of_open(flags), directory, path), -1);
  return real(directory, path, flags, mode);
}

/* What glibc has no name for: openat2 comes this way. */
long syscall(long number, ...) {
  WORDS_BEHIND(number);
  if (number == SYS_openat2) {
    const struct open_how* const how = (const struct open_how*)words[2];
    FAIL_IF(at_path(kind_of_open((int)how->flags), (int)words[0], (const char*)words[1]), -1);
  }
  return kernel(number, ALL_OF(words));
}

int mkostemp(char* path, int flags) {
  REAL(mkostemp);
  char place[600];
  snprintf(place, sizeof place, "%s", path);
  FAIL_IF(at_path("create", AT_FDCWD, place), -1);
  return real(path, flags);
}

ssize_t write(int fd, const void* bytes, size_t count) {
  REAL(write);
  const int fault = at_file("write", fd);
  FAIL_IF(fault, -1);
  return real(fd, bytes, fault == kShort ? (count + 1) / 2 : count);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  REAL(pwrite);
  const int fault = at_file("pwrite", fd);
  FAIL_IF(fault, -1);
  return real(fd, bytes, fault == kShort ? (count + 1) / 2 : count, offset);
}

ssize_t read(int fd, void* bytes, size_t count) {
  REAL(read);
  FAIL_IF(at_file("read", fd), -1);
  return real(fd, bytes, count);
}

ssize_t pread(int fd, void* bytes, size_t count, off_t offset) {
  REAL(pread);
  const int fault = at_file("pread", fd);
  FAIL_IF(fault, -1);
  return real(fd, bytes, fault == kShort ? (count + 1) / 2 : count, offset);
}

/* Directories are opened by openat. */
struct dirent* readdir(DIR* directory) {
  REAL(readdir);
  FAIL_IF(at_file("readdir", dirfd(directory)), NULL);
  return real(directory);
}

int ftruncate(int fd, off_t size) {
  REAL(ftruncate);
  FAIL_IF(at_file("ftruncate", fd), -1);
  return real(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  REAL(fallocate);
  FAIL_IF(at_file("fallocate", fd), -1);
  return real(fd, mode, offset, length);
}

int fsync(int fd) {
  REAL(fsync);
  FAIL_IF(at_file("fsync", fd), -1);
  return real(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  FAIL_IF(at_file("fdatasync", fd), -1);
  return real(fd);
}

int syncfs(int fd) {
  REAL(syncfs);
  FAIL_IF(at_file("syncfs", fd), -1);
  return real(fd);
}

int rename(const char* from, const char* to) {
  REAL(rename);
  FAIL_IF(at_path("rename", AT_FDCWD, to), -1);
  return real(from, to);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  REAL(renameat);
  FAIL_IF(at_path("rename", to_directory, to), -1);
  return real(from_directory, from, to_directory, to);
}

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) {
  REAL(renameat2);
  FAIL_IF(at_path("rename", to_directory, to), -1);
  return real(from_directory, from, to_directory, to, flags);
}

int link(const char* from, const char* to) {
  REAL(link);
  FAIL_IF(at_path("link", AT_FDCWD, to), -1);
  return real(from, to);
}

int mkdir(const char* path, mode_t mode) {
  REAL(mkdir);
  FAIL_IF(at_path("mkdir", AT_FDCWD, path), -1);
  return real(path, mode);
}

int mkdirat(int directory, const char* path, mode_t mode) {
  REAL(mkdirat);
  FAIL_IF(at_path("mkdir", directory, path), -1);
  return real(directory, path, mode);
}

int unlink(const char* path) {
  REAL(unlink);
  FAIL_IF(at_path("unlink", AT_FDCWD, path), -1);
  return real(path);
}

int unlinkat(int directory, const char* path, int flags) {
  REAL(unlinkat);
  FAIL_IF(at_path("unlink", directory, path), -1);
  return real(directory, path, flags);
}

int rmdir(const char* path) {
  REAL(rmdir);
  FAIL_IF(at_path("unlink", AT_FDCWD, path), -1);
  return real(path);
}

int remove(const char* path) {
  REAL(remove);
  FAIL_IF(at_path("unlink", AT_FDCWD, path), -1);
  return real(path);
}

int symlink(const char* target, const char* path) {
  REAL(symlink);
  FAIL_IF(at_path("symlink", AT_FDCWD, path), -1);
  return real(target, path);
}

int symlinkat(const char* target, int directory, const char* path) {
  REAL(symlinkat);
  FAIL_IF(at_path("symlink", directory, path), -1);
  return real(target, directory, path);
}

int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  FAIL_IF(at_file("fchmod", fd), -1);
  return real(fd, mode);
}

int fchown(int fd, uid_t user, gid_t group) {
  REAL(fchown);
  FAIL_IF(at_file("fchown", fd), -1);
  return real(fd, user, group);
}

int futimens(int fd, const struct timespec times[2]) {
  REAL(futimens);
  FAIL_IF(at_file("futimens", fd), -1);
  return real(fd, times);
}

/* Writes that go by io_uring fail when they are done: the first of what was submitted now. */
static void spoil_a_completion(struct io_uring* ring) {
  if (!g.active) return;
  const int fault = verdict("uring", "@");
  struct io_uring_cqe* done = NULL;
  if (fault == kNothing || io_uring_wait_cqe(ring, &done) != 0 || done == NULL) return;
  done->res = fault == kShort ? done->res / 2 / 4096 * 4096 : -fault;
}

int io_uring_submit(struct io_uring* ring) {
  REAL(io_uring_submit);
  const int result = real(ring);
  if (result > 0) spoil_a_completion(ring);
  return result;
}

pid_t fork(void) {
  REAL(fork);
  FAIL_IF(at_program("fork", ""), -1);
  return real();
}

int pipe2(int ends[2], int flags) {
  REAL(pipe2);
  FAIL_IF(at_program("pipe", ""), -1);
  return real(ends, flags);
}

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints,
                struct addrinfo** result) {
  REAL(getaddrinfo);
  if (node != NULL && at_program("getaddrinfo", node) != kNothing) return EAI_AGAIN;
  return real(node, service, hints, result);
}

/* Between fork and exec nothing may be allocated. */
int execve(const char* path, char* const arguments[], char* const environment[]) {
  REAL(execve);
  FAIL_IF(at_program("execve", path), -1);
  static const char* const kOurs[] = {"LD_PRELOAD",          "PGREVIVE_FAULT_DIR",
                                      "PGREVIVE_FAULT_ROOT", "PGREVIVE_FAULT_POINT",
                                      "PGREVIVE_FAULT_NTH",  "PGREVIVE_FAULT_WHAT",
                                      "PGREVIVE_FAULT_THEN"};
  enum { kMost = 200 };
  char texts[7][700];
  char* all[kMost + 8];
  size_t count = 0;
  for (char* const* entry = environment; g.active && *entry != NULL && count < kMost; ++entry) {
    int ours = 0;
    for (size_t i = 0; i < 7; ++i)
      ours |= strncmp(*entry, kOurs[i], strlen(kOurs[i])) == 0 && (*entry)[strlen(kOurs[i])] == '=';
    if (!ours) all[count++] = *entry;
  }
  if (!g.active) return real(path, arguments, environment);
  for (size_t i = 0; i < 7; ++i) {
    const char* const value = getenv(kOurs[i]);
    if (value == NULL) continue;
    snprintf(texts[i], sizeof texts[i], "%s=%s", kOurs[i], value);
    all[count++] = texts[i];
  }
  all[count] = NULL;
  return real(path, arguments, all);
}
