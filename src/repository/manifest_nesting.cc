#include "repository/manifest_nesting.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::repository {

namespace {

constexpr std::string_view kLinks = "pg_data/pg_tblspc/";

class Nesting {
 public:
  Nesting(const std::string& name, const Manifest& manifest) : name_(name), manifest_(manifest) {}

  void check() const {
    for (const auto& path : manifest_.paths) {
      if (is_file(path.name)) refuse(path.name, "is a file and a directory");
      check_above(path.name);
    }
    // Files come in runs of one directory, so there is little to look up.
    std::string_view last;
    for (const auto& file : manifest_.files) {
      const auto above = directory_of(file.name);
      if (above != last) check_above(file.name);
      last = above;
    }
    for (const auto& target : manifest_.targets) {
      if (target.tablespace_oid == 0) continue;
      const auto link = std::string(kLinks) + std::to_string(target.tablespace_oid);
      if (is_file(link)) refuse(link, "is a file and the link to a tablespace");
    }
  }

 private:
  static std::string_view directory_of(std::string_view name) {
    const auto slash = name.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
  }

  bool is_file(std::string_view name) const {
    const auto found = std::ranges::lower_bound(manifest_.files, name, {}, &ManifestFile::name);
    return found != manifest_.files.end() && found->name == name;
  }

  void check_above(std::string_view name) const {
    for (auto above = directory_of(name); !above.empty(); above = directory_of(above)) {
      if (is_file(above)) refuse(name, fmt::format("lies below the file {}", printable(above)));
    }
  }

  [[noreturn]] void refuse(std::string_view entry, const std::string& problem) const {
    throw Error(ErrorKind::corrupt, fmt::format("{}: {} {}", name_, printable(entry), problem));
  }

  const std::string& name_;
  const Manifest& manifest_;
};

}  // namespace

void check_nesting(const std::string& name, const Manifest& manifest) {
  Nesting(name, manifest).check();
}

}  // namespace pgrevive::repository
