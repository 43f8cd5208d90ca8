#include "restore/plan.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::restore {

namespace {

using repository::ManifestFile;

// Where the stored bytes of a file begin in its object.
std::uint64_t stored_offset(const ManifestFile& file) {
  return file.bundled() ? file.bundle_offset : 0;
}

void check(const ManifestFile& file) {
  const bool wraps =
      stored_offset(file) > std::numeric_limits<std::uint64_t>::max() - file.repo_size;
  const bool bad_map =
      file.block_incremental() && (file.block_map_size > file.repo_size || file.block_size == 0);
  if (file.repo_size == 0 || wraps || bad_map) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest's sizes of {} cannot be", printable(file.name)));
  }
}

class Planner {
 public:
  using Predicate = std::function<bool(const ManifestFile&)>;

  Planner(const repository::Manifest& manifest, const PlanLimits& limits, const Predicate& zeroed)
      : manifest_(manifest), limits_(limits), zeroed_(zeroed) {}

  Plan make(const std::vector<NodeMask>& wanted) {
    std::vector<std::uint32_t> alone, members, empty;
    for (std::uint32_t index = 0; index < manifest_.files.size(); ++index) {
      if (wanted[index] == 0) continue;
      const auto& file = manifest_.files[index];
      if (file.size == 0 || (zeroed_ && zeroed_(file))) {
        empty.push_back(index);
        continue;
      }
      check(file);
      (file.bundled() ? members : alone).push_back(index);
    }

    const auto file = [this](std::uint32_t index) -> const ManifestFile& {
      return manifest_.files[index];
    };
    std::ranges::stable_sort(alone, std::ranges::greater{},
                             [&](std::uint32_t index) { return file(index).size; });
    std::ranges::sort(members, {}, [&](std::uint32_t index) {
      return std::tuple(file(index).reference, file(index).bundle_id, file(index).bundle_offset,
                        index);
    });

    plan_.files.reserve(alone.size() + members.size() + empty.size());
    for (const auto index : alone) add_single(index);
    for (const auto index : members) add_member(index);
    for (const auto index : empty) add_empty(index);
    if (blocks_) plan_.stored_bytes = 0;
    return std::move(plan_);
  }

 private:
  void add_job(JobKind kind, std::uint32_t index, std::uint64_t offset, std::uint64_t length) {
    plan_.jobs.push_back({.kind = kind,
                          .first = static_cast<std::uint32_t>(plan_.files.size()),
                          .count = 1,
                          .offset = offset,
                          .length = length});
    plan_.files.push_back(index);
    plan_.stored_bytes += length;
  }

  void add_single(std::uint32_t index) {
    const auto& file = manifest_.files[index];
    blocks_ = blocks_ || file.block_incremental();
    const auto begin = stored_offset(file);
    if (file.block_incremental() && file.repo_size > limits_.piece) {
      add_job(JobKind::map, index, begin + file.repo_size - file.block_map_size,
              file.block_map_size);
    } else {
      add_job(JobKind::range, index, begin, file.repo_size);
    }
  }

  // Adds to the last job where that is a run of the same bundle which stays within one request.
  void add_member(std::uint32_t index) {
    const auto& file = manifest_.files[index];
    if (!plan_.jobs.empty() && file.repo_size <= limits_.piece) {
      auto& run = plan_.jobs.back();
      const auto& before = manifest_.files[plan_.files.back()];
      const auto end = run.offset + run.length;
      if (run.kind == JobKind::range && before.bundled() && before.reference == file.reference &&
          before.bundle_id == file.bundle_id && file.bundle_offset >= end &&
          file.bundle_offset - end <= limits_.gap &&
          file.bundle_offset + file.repo_size - run.offset <= limits_.piece) {
        const auto length = file.bundle_offset + file.repo_size - run.offset;
        plan_.stored_bytes += length - run.length;
        run.length = length;
        ++run.count;
        plan_.files.push_back(index);
        blocks_ = blocks_ || file.block_incremental();
        return;
      }
    }
    add_single(index);
  }

  void add_empty(std::uint32_t index) {
    if (!plan_.jobs.empty()) {
      auto& job = plan_.jobs.back();
      if (job.kind == JobKind::empty && job.count < limits_.empty_files) {
        ++job.count;
        plan_.files.push_back(index);
        return;
      }
    }
    add_job(JobKind::empty, index, 0, 0);
  }

  const repository::Manifest& manifest_;
  const PlanLimits& limits_;
  const Predicate& zeroed_;
  Plan plan_;
  bool blocks_ = false;
};

}  // namespace

Plan make_plan(const repository::Manifest& manifest, const std::vector<NodeMask>& wanted,
               const PlanLimits& limits, const std::function<bool(const ManifestFile&)>& zeroed) {
  if (manifest.files.size() >= std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorKind::unsupported, "the manifest has more than four thousand million files");
  }
  return Planner(manifest, limits, zeroed).make(wanted);
}

std::uint64_t plan_memory(const repository::Manifest& manifest) {
  std::uint64_t memory = manifest.files.size() * (sizeof(NodeMask) + sizeof(std::uint32_t));
  for (const auto& file : manifest.files) {
    // Of those in bundles, and of empty ones, many have one job.
    if (!file.bundled() && file.size != 0) memory += sizeof(Job);
  }
  return memory;
}

}  // namespace pgrevive::restore
