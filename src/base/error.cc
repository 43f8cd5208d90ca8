#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace pgrevive {

std::string Error::text() const {
  std::string text = what();
  for (const std::string& frame : frames_) text += "\n  while " + frame;
  if (!hint_.empty()) text += "\n  hint: " + hint_;
  return text;
}

Error system_error(int error_number, const std::string& what) {
  // std::generic_category is thread safe where strerror is not.
  const std::string message = what + ": " + std::generic_category().message(error_number);
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return {ErrorKind::not_found, message};
    case EACCES:
    case EPERM:
      return Error(ErrorKind::denied, message)
          .with_hint("check the owner and mode of the path and of the directories above it");
    case EROFS:
      return Error(ErrorKind::system, message)
          .with_hint(
              "the file system is mounted read-only; remount it or choose another directory");
    case ENOSPC:
      return Error(ErrorKind::system, message)
          .with_hint("free space or inodes on this file system (df -h, df -i) and run it again");
    case EDQUOT:
      return Error(ErrorKind::system, message)
          .with_hint("the user's disk quota is used up; raise it or free space");
    case EMFILE:
      return Error(ErrorKind::system, message)
          .with_hint("raise the limit of open files (ulimit -n) or use fewer jobs");
    case ENFILE:
      return Error(ErrorKind::system, message)
          .with_hint("the whole system is out of open files; raise fs.file-max");
    case EIO:
      return Error(ErrorKind::system, message)
          .with_hint(
              "the device or its file system fails (dmesg tells more); run it again, and on "
              "another disk if this stays");
    case EAGAIN:
    case ENOMEM:
      return Error(ErrorKind::system, message)
          .with_hint(
              "the system has no memory or no process left to give (free -m, ulimit -u); make room "
              "and run it again");
    default:
      return {ErrorKind::system, message};
  }
}

}  // namespace pgrevive
