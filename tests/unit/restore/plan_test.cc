#include "restore/plan.h"

#include <numeric>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "restore/block_file.h"
#include "support/throws.h"

namespace pgrevive::restore {
namespace {

using repository::Manifest;
using repository::ManifestFile;

constexpr PlanLimits kLimits{.piece = 1000, .gap = 10, .empty_files = 2};

Manifest manifest_of(const std::vector<ManifestFile>& files) {
  Manifest manifest;
  manifest.references = {repository::BackupLabel::parse("20240101-000000F")};
  manifest.files.assign(files.begin(), files.end());
  return manifest;
}

// A plan as text: "kind offset+length: names".
std::vector<std::string> planned(const Manifest& manifest, std::vector<NodeMask> wanted = {}) {
  if (wanted.empty()) wanted.assign(manifest.files.size(), 3);
  const auto plan = make_plan(manifest, wanted, kLimits);
  std::vector<std::string> lines;
  for (const auto& job : plan.jobs) {
    std::string names;
    for (std::uint32_t i = 0; i < job.count; ++i) {
      names += fmt::format(" {}", manifest.files[plan.files[job.first + i]].name);
    }
    const char* kind = job.kind == JobKind::range ? "range"
                       : job.kind == JobKind::map ? "map"
                                                  : "empty";
    lines.push_back(fmt::format("{} {}+{}:{}", kind, job.offset, job.length, names));
  }
  return lines;
}

ManifestFile alone(const char* name, std::uint64_t size) {
  return {.name = name, .size = size, .repo_size = size / 2 + 1};
}
ManifestFile member(const char* name, std::uint64_t bundle, std::uint64_t offset,
                    std::uint64_t stored, std::uint32_t reference = 0) {
  return {.name = name,
          .size = stored,
          .repo_size = stored,
          .reference = reference,
          .bundle_id = bundle,
          .bundle_offset = offset};
}
ManifestFile with_map(ManifestFile file, std::uint64_t map) {
  file.block_map_size = map;
  file.block_size = 8192;
  file.block_checksum_size = 6;
  return file;
}

using Lines = std::vector<std::string>;

TEST(Plan, TakesTheLargestObjectsFirstAndEmptyFilesLast) {
  const auto manifest = manifest_of({{.name = "e1"},
                                     alone("small", 10),
                                     member("m", 1, 0, 5),
                                     alone("large", 9000),
                                     {.name = "e2"},
                                     {.name = "e3"}});

  EXPECT_EQ(planned(manifest), (Lines{"range 0+4501: large", "range 0+6: small", "range 0+5: m",
                                      "empty 0+0: e1 e2", "empty 0+0: e3"}));
}

TEST(Plan, ReadsNeighboursOfABundleByOneRequest) {
  const auto manifest =
      manifest_of({member("d", 1, 125, 10), member("a", 1, 0, 100), member("b", 1, 100, 5),
                   member("c", 1, 115, 10), member("far", 1, 146, 4)});

  EXPECT_EQ(planned(manifest), (Lines{"range 0+135: a b c d", "range 146+4: far"}));
}

TEST(Plan, StartsANewRequestForAnotherBundleOrBackup) {
  const auto manifest =
      manifest_of({member("a", 1, 0, 10), member("b", 2, 10, 10), member("c", 2, 20, 10, 1)});

  EXPECT_EQ(planned(manifest), (Lines{"range 0+10: a", "range 10+10: b", "range 20+10: c"}));
}

TEST(Plan, KeepsARunWithinOneRequest) {
  const auto manifest =
      manifest_of({member("a", 1, 0, 600), member("b", 1, 600, 400), member("c", 1, 1000, 1),
                   member("huge", 1, 1001, 5000), member("d", 1, 6001, 1)});

  EXPECT_EQ(planned(manifest), (Lines{"range 0+1000: a b", "range 1000+1: c",
                                      "range 1001+5000: huge", "range 6001+1: d"}));
}

TEST(Plan, LeavesOutWhatIsRightEverywhere) {
  const auto manifest = manifest_of({member("a", 1, 0, 5),
                                     member("b", 1, 5, 5),
                                     member("c", 1, 10, 5),
                                     alone("d", 10),
                                     {.name = "e"}});

  EXPECT_EQ(planned(manifest, {1, 0, 2, 0, 0}), (Lines{"range 0+15: a c"}));
  EXPECT_EQ(planned(manifest, {0, 0, 0, 0, 0}), Lines{});
}

TEST(Plan, FetchesNothingOfFilesThatAreZeroed) {
  const auto manifest =
      manifest_of({member("a", 1, 0, 5), member("b", 1, 5, 500), member("c", 1, 505, 5),
                   with_map(alone("d", 10'000), 100), alone("e", 10)});
  const auto zeroed = [](const ManifestFile& file) { return file.name == "b" || file.name == "d"; };
  const auto plan = make_plan(manifest, std::vector<NodeMask>(5, 1), kLimits, zeroed);

  std::vector<std::string_view> empty;
  for (const auto& job : plan.jobs) {
    if (job.kind != JobKind::empty) continue;
    for (std::uint32_t i = 0; i < job.count; ++i) {
      empty.push_back(manifest.files[plan.files[job.first + i]].name);
    }
  }
  EXPECT_EQ(empty, (std::vector<std::string_view>{"b", "d"}));
  EXPECT_EQ(plan.stored_bytes, 5u + 5u + 6u);
}

TEST(Plan, BeginsALargeBlockIncrementalFileWithItsMap) {
  const auto manifest =
      manifest_of({with_map(alone("large", 4000), 100), with_map(alone("small", 1000), 100),
                   with_map(member("member", 1, 7, 1500), 100)});

  EXPECT_EQ(planned(manifest),
            (Lines{"map 1901+100: large", "range 0+501: small", "map 1407+100: member"}));
}

TEST(Plan, KnowsWhatWillBeFetchedUnlessBlocksAreElsewhere) {
  const auto bytes = [](const Manifest& manifest) {
    return make_plan(manifest, std::vector<NodeMask>(manifest.files.size(), 1), kLimits)
        .stored_bytes;
  };
  EXPECT_EQ(bytes(manifest_of({alone("a", 100), member("b", 1, 0, 5), member("c", 1, 8, 5)})),
            51u + 13u);
  EXPECT_EQ(bytes(manifest_of({alone("a", 100), with_map(member("b", 1, 0, 5), 2)})), 0u);
}

TEST(Plan, RefusesNumbersThatCannotBe) {
  const auto refused = [](const ManifestFile& file) {
    EXPECT_THAT([&] { planned(manifest_of({file})); },
                test::throws(ErrorKind::corrupt, "cannot be"));
  };
  refused({.name = "nothing_stored", .size = 1});
  refused(member("wraps", 1, ~std::uint64_t{0} - 3, 5));
  refused(with_map(alone("map_larger_than_file", 100), 1000));
}

WantedSuperBlock block(std::uint32_t file, std::uint32_t reference, std::uint64_t bundle,
                       std::uint64_t offset, std::uint64_t stored) {
  return {.file = file,
          .where = {.reference = reference,
                    .bundle_id = bundle,
                    .offset = offset,
                    .stored_size = stored,
                    .logical_size = 8192},
          .blocks = {}};
}

TEST(SuperBlocks, NeighboursShareARequestAcrossFiles) {
  const auto manifest = manifest_of({{.name = "f"}, {.name = "g"}});
  std::vector<WantedSuperBlock> blocks{
      block(0, 1, 2, 500, 10), block(1, 0, 1, 100, 50),  block(0, 0, 1, 0, 100),
      block(1, 0, 1, 155, 5),  block(0, 0, 1, 900, 300), block(0, 0, 0, 10, 10),
      block(1, 0, 0, 20, 10),
  };

  sort_by_place(manifest, blocks);
  const auto runs = group_by_request(blocks, manifest, 1000, 10);

  Lines lines;
  for (const auto& run : runs) {
    lines.push_back(fmt::format("{}/{} {}+{} x{}", blocks[run.first].where.reference,
                                blocks[run.first].where.bundle_id, run.range.offset,
                                run.range.length, run.count));
  }
  // Files of their own (bundle 0) are never one object.
  EXPECT_EQ(lines, (Lines{"0/0 10+10 x1", "0/0 20+10 x1", "0/1 0+160 x3", "0/1 900+300 x1",
                          "1/2 500+10 x1"}));
}

TEST(SuperBlocks, AreNeverSplitHoweverLarge) {
  const auto manifest = manifest_of({{.name = "f"}});
  std::vector<WantedSuperBlock> blocks{block(0, 0, 1, 0, 5000), block(0, 0, 1, 5000, 10)};

  const auto runs = group_by_request(blocks, manifest, 1000, 10);

  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].range.length, 5000u);
}

}  // namespace
}  // namespace pgrevive::restore
