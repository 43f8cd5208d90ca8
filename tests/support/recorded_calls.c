/* Writes down what pgrevive changes in files and directories, and what it syncs: what LD_PRELOAD is
   given by the tests of a loss of power (tests/functional/rig/recorded_calls.py, which compiles
   this and tells from it what of a crash would be left).

   One line for each call that went well, in the order in which they took effect: one after the
   other, so that the order is known. A file is known by its inode, a name by the inode of its
   directory. What was written stands in `data`, in the order of the lines. Writes by io_uring do
   not pass by here, so none are possible: the program then writes by pwrite. Nor can a file be a
   clone of another. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "real_calls.h"

static int active;
static int lines = -1;
static int data = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int open_in(const char* directory, const char* name) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  const int fd =
      (int)kernel(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) abort();
  /* Out of the way of whoever closes low descriptors. */
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 700);
  return high < 0 ? fd : high;
}

__attribute__((constructor)) static void begin(void) {
  char program[512];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return;
  program[length] = 0;
  const char* const name = strrchr(program, '/');
  const char* const directory = getenv("PGREVIVE_RECORD_DIR");
  if (name == NULL || strcmp(name, "/pgrevive") != 0 || directory == NULL) return;
  lines = open_in(directory, "lines");
  data = open_in(directory, "data");
  active = 1;
}

static void note(const char* format, ...) {
  char line[5000];
  va_list list;
  va_start(list, format);
  const int length = vsnprintf(line, sizeof line, format, list);
  va_end(list);
  if (length >= (int)sizeof line || kernel(SYS_write, lines, (long)line, length, 0) != length) abort();
}

static void keep(const char* bytes, size_t count) {
  while (count > 0) {
    const long written = kernel(SYS_write, data, (long)bytes, (long)count, 0);
    if (written <= 0) abort();
    bytes += written;
    count -= (size_t)written;
  }
}

/* Of a file; 0: it is none. */
static unsigned long inode_of(int fd) {
  struct stat entry;
  if (fstat(fd, &entry) != 0 || !S_ISREG(entry.st_mode)) return 0;
  return entry.st_ino;
}

/* A name and the inode of its directory, as they are now. */
struct Name {
  unsigned long parent;
  char text[256];
};
static struct Name name_of(int directory, const char* path) {
  struct Name name = {0, ""};
  char whole[1024], again[1024];
  snprintf(whole, sizeof whole, "%s", path);
  snprintf(again, sizeof again, "%s", path);
  struct stat entry;
  const int error = errno;
  if (fstatat(directory, dirname(whole), &entry, 0) == 0) name.parent = entry.st_ino;
  snprintf(name.text, sizeof name.text, "%s", basename(again));
  errno = error;
  return name;
}
static unsigned long inode_at(int directory, const char* path) {
  struct stat entry;
  const int error = errno;
  const int found = fstatat(directory, path, &entry, AT_SYMLINK_NOFOLLOW);
  errno = error;
  return found == 0 ? entry.st_ino : 0;
}

/* A call and its line, and no other between them. */
#define RECORDED(result_type, call, ...) \
  do {                                   \
    if (!active) return call;            \
    pthread_mutex_lock(&mutex);          \
    const result_type result = call;     \
    const int error = errno;             \
    if (result >= 0) __VA_ARGS__;        \
    errno = error;                       \
    pthread_mutex_unlock(&mutex);        \
    return result;                       \
  } while (0)

static void note_open(int directory, const char* path, int flags, int fd, int was_there) {
  if ((flags & O_TMPFILE) == O_TMPFILE) return;
  if ((flags & O_CREAT) != 0 && !was_there) {
    const struct Name name = name_of(directory, path);
    struct stat entry;
    if (fstat(fd, &entry) != 0) abort();
    note("create %lu %lu %o %s\n", name.parent, entry.st_ino, entry.st_mode & 07777, name.text);
  } else if ((flags & O_TRUNC) != 0) {
    note("size %lu 0\n", inode_of(fd));
  }
}

static int open_recorded(int directory, const char* path, int flags, mode_t mode) {
  const int there = active && (flags & O_CREAT) != 0 && inode_at(directory, path) != 0;
  RECORDED(int, (int)kernel(SYS_openat, directory, (long)path, flags, mode),
           note_open(directory, path, flags, result, there));
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  return open_recorded(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  return open_recorded(directory, path, flags, mode);
}

/* openat2 has no function of its own in the C library. */
long syscall(long number, ...) {
  WORDS_BEHIND(number);
  if (number != SYS_openat2) return kernel(number, ALL_OF(words));
  const int directory = (int)words[0];
  const char* const path = (const char*)words[1];
  const int flags = (int)((const struct open_how*)words[2])->flags;
  const int there = active && (flags & O_CREAT) != 0 && inode_at(directory, path) != 0;
  RECORDED(long, kernel(number, ALL_OF(words)),
           note_open(directory, path, flags, (int)result, there));
}

int mkostemp(char* path, int flags) {
  REAL(mkostemp);
  RECORDED(int, real(path, flags), note_open(AT_FDCWD, path, O_CREAT, result, 0));
}

ssize_t write(int fd, const void* bytes, size_t count) {
  REAL(write);
  const unsigned long inode = active ? inode_of(fd) : 0;
  if (inode == 0) return real(fd, bytes, count);
  RECORDED(ssize_t, real(fd, bytes, count), {
    note("write %lu %ld %zd\n", inode, (long)lseek(fd, 0, SEEK_CUR) - (long)result, result);
    keep(bytes, (size_t)result);
  });
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  REAL(pwrite);
  const unsigned long inode = active ? inode_of(fd) : 0;
  if (inode == 0) return real(fd, bytes, count, offset);
  RECORDED(ssize_t, real(fd, bytes, count, offset), {
    note("write %lu %ld %zd\n", inode, (long)offset, result);
    keep(bytes, (size_t)result);
  });
}

int ftruncate(int fd, off_t size) {
  REAL(ftruncate);
  RECORDED(int, real(fd, size), note("size %lu %ld\n", inode_of(fd), (long)size));
}

int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  struct stat entry;
  RECORDED(int, real(fd, mode), {
    if (fstat(fd, &entry) == 0) note("mode %lu %o\n", entry.st_ino, mode & 07777);
  });
}

int fchown(int fd, uid_t user, gid_t group) {
  REAL(fchown);
  struct stat entry;
  RECORDED(int, real(fd, user, group), {
    if (fstat(fd, &entry) == 0) note("owner %lu %u %u\n", entry.st_ino, entry.st_uid, entry.st_gid);
  });
}

int fchownat(int directory, const char* path, uid_t user, gid_t group, int flags) {
  REAL(fchownat);
  RECORDED(int, real(directory, path, user, group, flags),
           note("owner %lu %u %u\n", inode_at(directory, path), user, group));
}

int lchown(const char* path, uid_t user, gid_t group) {
  REAL(lchown);
  RECORDED(int, real(path, user, group),
           note("owner %lu %u %u\n", inode_at(AT_FDCWD, path), user, group));
}

static int synced(int fd, int (*real)(int)) {
  struct stat entry;
  if (!active || fstat(fd, &entry) != 0) return real(fd);
  RECORDED(int, real(fd), note("sync %lu\n", entry.st_ino));
}

int fsync(int fd) {
  REAL(fsync);
  return synced(fd, real);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  return synced(fd, real);
}

int syncfs(int fd) {
  REAL(syncfs);
  RECORDED(int, real(fd), note("syncfs\n"));
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  REAL(renameat);
  const struct Name a = name_of(from_directory, from), b = name_of(to_directory, to);
  RECORDED(int, real(from_directory, from, to_directory, to),
           note("rename %lu %lu %s\t%s\n", a.parent, b.parent, a.text, b.text));
}

int rename(const char* from, const char* to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int mkdirat(int directory, const char* path, mode_t mode) {
  REAL(mkdirat);
  RECORDED(int, real(directory, path, mode), {
    const struct Name name = name_of(directory, path);
    note("mkdir %lu %lu %o %s\n", name.parent, inode_at(directory, path), mode & 07777, name.text);
  });
}

int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int directory, const char* path, int flags) {
  REAL(unlinkat);
  const struct Name name = name_of(directory, path);
  RECORDED(int, real(directory, path, flags), note("remove %lu %s\n", name.parent, name.text));
}

int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int symlinkat(const char* target, int directory, const char* path) {
  REAL(symlinkat);
  RECORDED(int, real(target, directory, path), {
    const struct Name name = name_of(directory, path);
    note("symlink %lu %lu %s\t%s\n", name.parent, inode_at(directory, path), name.text, target);
  });
}

int symlink(const char* target, const char* path) { return symlinkat(target, AT_FDCWD, path); }

/* What would change files unseen ends the test. */
int linkat(int a, const char* b, int c, const char* d, int e) {
  (void)a, (void)b, (void)c, (void)d, (void)e;
  abort();
}
int link(const char* a, const char* b) { return linkat(0, a, 0, b, 0); }
ssize_t copy_file_range(int a, off_t* b, int c, off_t* d, size_t e, unsigned f) {
  (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
  abort();
}

int ioctl(int fd, unsigned long request, ...) {
  REAL(ioctl);
  va_list list;
  va_start(list, request);
  void* const argument = va_arg(list, void*);
  va_end(list);
  if (active && request == FICLONE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return real(fd, request, argument);
}

int io_uring_queue_init(unsigned entries, struct io_uring* ring, unsigned flags) {
  static int (*real)(unsigned, struct io_uring*, unsigned);
  if (active) return -ENOSYS;
  if (real == NULL)
    real = (int (*)(unsigned, struct io_uring*, unsigned))dlsym(RTLD_NEXT, "io_uring_queue_init");
  return real(entries, ring, flags);
}
