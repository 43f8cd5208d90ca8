#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "codec/sink.h"
#include "wal/segment_file.h"

namespace pgrevive::wal {

// When a fetch last got anywhere. Written by who fetches, read by who waits.
class Progress {
 public:
  void note() { at_ = std::chrono::steady_clock::now(); }
  std::chrono::steady_clock::duration silence() const {
    return std::chrono::steady_clock::now() - at_.load();
  }

 private:
  std::atomic<std::chrono::steady_clock::time_point> at_ = std::chrono::steady_clock::now();
};

// The same bytes into several files, until `stop`. A file that cannot be written, because its disk
// is full, is given up alone; with the last one gone the write throws.
class Copies : public Sink {
 public:
  Copies(std::stop_token stop, std::shared_ptr<Progress> progress)
      : stop_(std::move(stop)), progress_(std::move(progress)) {}

  // Throws nothing: a file that cannot be made is given up too.
  void add(const std::filesystem::path& temporary);
  void write(ByteView bytes) override;
  void finish() override;

  // Shows what was written, of a file that was not given up.
  void show(const std::function<void(ByteView)>& look) const;

  // In the order of add(). False, once for all, where the file was given up; why() then says it.
  bool publish(std::size_t i, const std::filesystem::path& destination);
  const std::string& why(std::size_t i) const { return files_[i].trouble; }

 private:
  struct File {
    std::unique_ptr<WalFile> file;  // empty: given up
    std::string trouble;
  };
  template <typename Work>
  static void attempt(File& file, const Work& work);

  std::stop_token stop_;
  std::shared_ptr<Progress> progress_;
  std::vector<File> files_;
};

}  // namespace pgrevive::wal
