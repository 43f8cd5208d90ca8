#include "cluster/archive_report.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::cluster {

std::optional<ArchiveReport> load_archive_report(const std::filesystem::path& file) {
  using nlohmann::json;
  const auto text = read_file_if_exists(file);
  // It is never synced, so the power may leave it empty or in part; each write replaces it whole.
  if (!text || !json::accept(*text)) return {};
  try {
    const json j = json::parse(*text);
    ArchiveReport report;
    report.name = j.at("name").get<std::string>();
    const auto outcome = j.at("outcome").get<std::string>();
    report.outcome = outcome == "delivered" ? ArchiveReport::Outcome::delivered
                     : outcome == "absent"  ? ArchiveReport::Outcome::absent
                                            : ArchiveReport::Outcome::error;
    report.error = j.value("error", std::string());
    report.at_ms = j.at("at_ms").get<std::int64_t>();
    report.delivered_count = j.value("delivered_count", std::int64_t{0});
    report.last_delivered = j.value("last_delivered", std::string());
    return report;
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt, file.string() + " cannot be read: " + printable(error.what()));
  }
}

}  // namespace pgrevive::cluster
