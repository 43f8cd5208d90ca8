#include "restore/write/write_queue.h"

#include <algorithm>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "restore/memory.h"
#include "restore/target.h"
#include "support/temp_dir.h"
#include "support/throws.h"
#include "unit/restore/repository_builder.h"

namespace pgrevive::restore {
namespace {

// Two nodes and a manifest of one file. Where the temporary directory is on a file system that
// takes direct writes (PGREVIVE's tests run on ext4 and on tmpfs), they are what is tested.
class WriteQueueTest : public testing::Test {
 protected:
  static constexpr std::size_t kBlock = 64u << 10;

  void make(std::size_t size) {
    text_ = test::noise(size, 3);
    builder_.add("pg_data/file", text_);
    std::vector<NodeTarget> targets;
    for (const auto* name : {"a", "b"}) {
      std::filesystem::create_directories(root_ / name);
      targets.push_back({.name = name,
                         .data_directory = root_ / name,
                         .tablespace_map = {},
                         .tablespace_root = {}});
    }
    layout_ = make_layout(builder_.manifest, targets);
    owners_.emplace(builder_.manifest, Options{}, Ids{::geteuid(), ::getegid()});
    nodes_.emplace(Nodes{.manifest = builder_.manifest,
                         .layout = *layout_,
                         .owners = *owners_,
                         .nodes = {},
                         .writers = {}});
    for (const auto& node : layout_->nodes) {
      Node open{.layout = &node, .roots = {}};
      open.roots.emplace_back(node.roots[0]);
      nodes_->nodes.push_back(std::move(open));
    }
    for (index_ = 0; builder_.manifest.files[index_].name != "pg_data/file";) ++index_;
  }

  // All of the text in blocks, the way a stream writes them.
  void write(WriteQueue& queue, const std::shared_ptr<QueuedFile>& file) {
    for (std::size_t at = 0; at < text_.size(); at += kBlock) {
      const auto part = std::string_view(text_).substr(at, kBlock);
      auto block = std::make_shared<Block>(memory_.get(kBlock));
      std::ranges::copy(as_bytes(part), block->data());
      queue.write(file, at, {block->data(), part.size()}, block);
    }
  }

  void expect_whole() {
    for (const auto* name : {"a", "b"}) {
      EXPECT_TRUE(read_file(root_ / name / "file") == text_) << name;
      struct stat entry {};
      ASSERT_EQ(::stat((root_ / name / "file").c_str(), &entry), 0);
      EXPECT_EQ(entry.st_mtime, builder_.file("pg_data/file").timestamp) << name;
    }
  }

  test::TempDir root_;
  test::RepositoryBuilder builder_;
  Memory memory_{16u << 20};
  std::string text_;
  std::optional<Layout> layout_;
  std::optional<Owners> owners_;
  std::optional<Nodes> nodes_;
  std::uint32_t index_ = 0;
};

class WriteQueueSizes : public WriteQueueTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(WriteQueueSizes, EveryNodeGetsEveryByteAndNoMore) {
  make(GetParam());
  WriteQueue queue(8);
  auto file = std::make_shared<QueuedFile>(OutputFile::create(*nodes_, index_, 3));
  if (queue.available()) file->output.go_direct();

  int whole = 0;
  write(queue, file);
  queue.finish(file, [&] { ++whole; });
  queue.wait_for_all();

  EXPECT_EQ(whole, 1);
  EXPECT_TRUE(queue.idle());
  expect_whole();
}

INSTANTIATE_TEST_SUITE_P(All, WriteQueueSizes,
                         testing::Values(1u, 4095u, 4096u, 65536u, 65537u, 2'000'000u, 2'097'152u));

TEST_F(WriteQueueTest, WritesThroughThePageCacheWhereNothingIsDirect) {
  make(300'000);
  WriteQueue queue(8);
  auto file = std::make_shared<QueuedFile>(OutputFile::create(*nodes_, index_, 3));

  bool whole = false;
  write(queue, file);
  EXPECT_TRUE(queue.idle());
  queue.finish(file, [&] { whole = true; });

  EXPECT_TRUE(whole);
  expect_whole();
}

TEST_F(WriteQueueTest, OnlyTheNodesThatWantItGetIt) {
  make(100'000);
  WriteQueue queue(8);
  auto file = std::make_shared<QueuedFile>(OutputFile::create(*nodes_, index_, 2));

  write(queue, file);
  queue.finish(file, [] {});
  queue.wait_for_all();

  EXPECT_FALSE(std::filesystem::exists(root_ / "a" / "file"));
  EXPECT_EQ(read_file(root_ / "b" / "file"), text_);
}

TEST_F(WriteQueueTest, AWriteThatFailsIsToldWithItsPath) {
  make(200'000);
  WriteQueue queue(8);
  auto file = std::make_shared<QueuedFile>(OutputFile::create(*nodes_, index_, 3));
  auto& output = file->output.outputs().back();
  // Opened for reading only, so the kernel refuses to write.
  output.fd = open_file(output.path, O_RDONLY);

  EXPECT_THAT(
      [&] {
        write(queue, file);
        queue.wait_for_all();
      },
      test::throws(ErrorKind::system, "cannot write " + (root_ / "b" / "file").string()));
}

TEST_F(WriteQueueTest, AQueueThatGoesLetsNoMemoryGoBeforeItIsWritten) {
  make(2'000'000);
  {
    WriteQueue queue(64);
    auto file = std::make_shared<QueuedFile>(OutputFile::create(*nodes_, index_, 3));
    if (queue.available()) file->output.go_direct();
    write(queue, file);
  }
  EXPECT_EQ(read_file(root_ / "b" / "file").substr(0, text_.size()), text_);
}

}  // namespace
}  // namespace pgrevive::restore
