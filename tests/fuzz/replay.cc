#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "fuzz/fuzz.h"

// Without libFuzzer: gives every file that is named, or lies in a directory that is, to the target
// once. So the corpora and every input that once broke something run with the unit tests.
int main(int count, char** words) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < count; ++i) {
    if (!std::filesystem::exists(words[i])) continue;
    if (!std::filesystem::is_directory(words[i])) {
      files.emplace_back(words[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(words[i]))
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  if (files.empty()) {
    std::fputs("fuzz: there are no inputs\n", stderr);
    return 1;
  }
  // A parser that stands still on nothing is a bug as well.
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (const auto& file : files) {
    // Before it is run, so that the last line names the one that broke it.
    std::printf("%s\n", file.c_str());
    std::fflush(stdout);
    const std::string text = pgrevive::read_file(file);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
  std::printf("%zu inputs\n", files.size());
}
