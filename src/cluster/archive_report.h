#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace pgrevive::cluster {

// What archive-get last answered the server that recovers, as it writes it to the file given with
// --report.
struct ArchiveReport {
  std::string name;  // what was asked for
  enum class Outcome { delivered, absent, error } outcome = Outcome::delivered;
  std::string error;  // Error::text()
  std::int64_t at_ms = 0;
  std::int64_t delivered_count = 0;
  std::string last_delivered;
};

// Empty where nothing was asked yet. Throws Error{corrupt}.
std::optional<ArchiveReport> load_archive_report(const std::filesystem::path& file);

}  // namespace pgrevive::cluster
