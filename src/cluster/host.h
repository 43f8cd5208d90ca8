#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

namespace pgrevive::cluster {

// What this machine offers to a server.
struct Host {
  std::uint64_t memory_bytes = 0;
};
Host look_at_host();

// Whether the system gives so many pieces of shared memory of that size at once, asked for as a
// server asks. None is touched, and all are given back.
bool gives_shared_memory(std::uint64_t bytes, int pieces);

// Names of the shared libraries (without ".so") that a server with these binaries can preload.
std::set<std::string> installed_libraries(const std::filesystem::path& binaries);

}  // namespace pgrevive::cluster
