#pragma once

#include <filesystem>
#include <string>

namespace pgrevive::cluster {

// Makes `to`, with the directory it lies in, a program of these bytes; it is not written where it
// is that already. For the cluster's owner.
void copy_program(const std::string& bytes, const std::filesystem::path& to);

}  // namespace pgrevive::cluster
