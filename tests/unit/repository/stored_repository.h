#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/file.h"
#include "support/memory_storage.h"

namespace pgrevive::test {

// A repository of tests/data/repository in memory, where a test can damage it.
inline std::shared_ptr<MemoryStorage> stored_repository(const std::string& name) {
  auto storage = std::make_shared<MemoryStorage>();
  const std::filesystem::path root = std::string(TEST_DATA_DIR) + "/repository/" + name;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_regular_file())
      storage->put(entry.path().lexically_relative(root).string(), read_file(entry.path()));
  }
  return storage;
}

}  // namespace pgrevive::test
