#include "postgres/role_files.h"

#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "fuzz/fuzz.h"

// Any pages of pg_authid, wherever its map says that they are, are names of roles or none: few, and
// each as PostgreSQL could have one. The first byte chooses the version, the next two how much of
// the rest is the map.
namespace {

using namespace pgrevive;

// Of this process, below what TMPDIR says; removed at its end.
class DataDirectory {
 public:
  DataDirectory() {
    auto pattern = (std::filesystem::temp_directory_path() / "pgrevive-fuzz.XXXXXX").string();
    fuzz::require(::mkdtemp(pattern.data()) != nullptr, "a directory can be made");
    path_ = pattern;
    std::filesystem::create_directory(path_ / "global");
  }
  ~DataDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

  void write(const char* name, ByteView bytes) const {
    const Fd fd(
        ::open((path_ / "global" / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    fuzz::require(
        fd && ::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
        "a file can be written");
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const DataDirectory directory;
  fuzz::Source source(fuzz::input(data, size));
  const auto version = postgres::Version::of_major(10 + source.number<std::uint8_t>() % 9);
  const auto map = std::min<std::size_t>(source.number<std::uint16_t>(), source.rest().size());
  directory.write("pg_filenode.map", source.rest().first(map));
  directory.write("1260", source.rest().subspan(map));  // where a map that is none leaves it
  const auto names = postgres::superusers_on_disk(directory.path(), version);
  fuzz::require(names.size() <= 32, "they are few");
  for (const auto& name : names)
    fuzz::require(!name.empty() && name.size() <= 63 && name.find('\0') == std::string::npos,
                  "a role has a name");
  return 0;
}
