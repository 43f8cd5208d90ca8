#include "cluster/program_copy.h"

#include "base/file.h"

namespace pgrevive::cluster {

void copy_program(const std::string& bytes, const std::filesystem::path& to) {
  make_directories(to.parent_path());
  if (read_file_if_exists(to) != bytes) write_file_atomic(to, bytes, 0755);
}

}  // namespace pgrevive::cluster
