#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace pgrevive::test {

inline int command(const std::string& text) {
  return std::system((text + " >/dev/null 2>&1").c_str());
}

// A file system of its own in a file, which only root can have.
class Mounted {
 public:
  Mounted(const std::filesystem::path& root, const std::string& type) : place_(root / "mounted") {
    const auto image = (root / "image").string();
    std::filesystem::create_directory(place_);
    usable_ = command("truncate -s 400M " + image) == 0 &&
              command("mkfs." + type + " -q " + image) == 0 &&
              command("mount -o loop " + image + " " + place_.string()) == 0;
  }
  ~Mounted() {
    if (usable_) command("umount " + place_.string());
  }
  bool usable() const { return usable_; }
  const std::filesystem::path& place() const { return place_; }

 private:
  std::filesystem::path place_;
  bool usable_ = false;
};

}  // namespace pgrevive::test
