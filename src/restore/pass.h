#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "codec/parallel_bz2.h"
#include "repository/repository.h"
#include "restore/fetch.h"
#include "restore/memory.h"
#include "restore/nodes.h"
#include "restore/plan.h"
#include "restore/report.h"

namespace pgrevive::restore {

// Counts what is written of one file, and takes it back when the file has to be written again.
class Count {
 public:
  explicit Count(Report& report) : report_(&report) {}
  void add(std::uint64_t bytes) {
    bytes_ += bytes;
    report_->written(bytes);
  }
  auto adder() {
    return [this](std::uint64_t bytes) { add(bytes); };
  }
  void take_back() { report_->unwritten(std::exchange(bytes_, 0)); }

 private:
  Report* report_;
  std::uint64_t bytes_ = 0;
};

// What all that takes part in one pass over a repository shares, and what each of them needs to
// know about its files. Any thread may call anything.
class Pass {
 public:
  Pass(const repository::Repository& from, const Nodes& to, const Plan& what,
       const std::vector<NodeMask>& which, Memory& blocks, Report& told)
      : repository(from),
        manifest(to.manifest),
        nodes(to),
        plan(what),
        wanted(which),
        memory(blocks),
        report(told) {}

  const repository::Repository& repository;
  const repository::Manifest& manifest;
  const Nodes& nodes;
  const Plan& plan;
  const std::vector<NodeMask>& wanted;
  Memory& memory;
  Report& report;
  // Where blocks of large bz2 files are decoded, so that the last of them keeps all cores busy;
  // null for other compress types.
  std::unique_ptr<codec::Bz2Threads> bz2;

  const repository::ManifestFile& file(std::uint32_t index) const { return manifest.files[index]; }
  // Where its stored bytes begin in its object.
  static std::uint64_t stored_offset(const repository::ManifestFile& file) {
    return file.bundled() ? file.bundle_offset : 0;
  }
  std::string object_of(const repository::ManifestFile& file) const;

  // For messages. Names cost memory and time, and files are many: only where something went wrong.
  std::string place(const std::string& object, storage::Range range) const;
  std::string describe(std::uint32_t index) const;

  // As while_doing("restoring ..."), with the name made only if an Error passes.
  template <typename Body>
  decltype(auto) while_restoring(std::uint32_t index, Body&& body) const {
    try {
      return std::forward<Body>(body)();
    } catch (Error& error) {
      error.add_frame("restoring " + describe(index));
      throw;
    }
  }

  // Everything of one file once more, by requests of the calling thread's own, after a first
  // attempt at it turned out to be `corrupt`: the way of the rare second attempt, which is kept
  // simple and slow.
  void fetch_again(std::uint32_t index, const Error& corrupt, const Fetcher& fetcher) const;

 private:
  void write_again(std::uint32_t index, Count& count, const Fetcher& fetcher) const;
};

}  // namespace pgrevive::restore
