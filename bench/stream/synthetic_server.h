#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include <sys/types.h>

#include "stream/synthetic_objects.h"

namespace pgrevive::bench {

// As much of S3 as a restore asks for, on a loopback port: ranges of the objects, whatever bucket
// and directory they are asked for in, over connections that are kept alive. A process of its own,
// so that what it costs is not taken for a cost of its client; it ends with the process that made
// it.
//
// Over TLS 1.3 if a directory for its certificate is given, which is then the only one to trust.
// Made while the process has one thread. Used by one thread.
class SyntheticServer {
 public:
  explicit SyntheticServer(const SyntheticObjects& objects,
                           const std::filesystem::path& certificate_directory = {});
  ~SyntheticServer();
  SyntheticServer(const SyntheticServer&) = delete;
  SyntheticServer& operator=(const SyntheticServer&) = delete;

  const std::string& endpoint() const { return endpoint_; }          // "https://127.0.0.1:40001"
  const std::filesystem::path& ca_file() const { return ca_file_; }  // empty for plain HTTP

  // Ends it. Returns the CPU time it has used.
  std::chrono::duration<double> stop();

 private:
  std::string endpoint_;
  std::filesystem::path ca_file_;
  pid_t pid_ = -1;
};

}  // namespace pgrevive::bench
