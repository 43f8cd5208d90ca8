#include "cli/env_file.h"

#include "base/text.h"
#include "cli/env_settings.h"
#include "cluster/settings.h"
#include "fuzz/fuzz.h"

// A .env is never refused as a whole: each line is an entry or a problem with its number, which
// holds nothing that could be a secret, that is, no value. What it says is refused as a usage error
// or gives settings that stay the same when they are kept.
namespace {

using namespace pgrevive;

// What has to be there, behind whatever the input says.
constexpr const char* kRest =
    "\nREPO_TYPE=posix\nREPO_PATH=/backups\nPGBACKREST_STANZA=main\nPOSTGRES_PASSWORD=secret\n";

void check_lines(const cli::EnvFile& file, std::string_view text) {
  const auto lines = std::ranges::count(text, '\n') + 1;
  int before = 0;
  for (const auto& entry : file.entries) {
    fuzz::require(entry.line > before && entry.line <= lines, "entries are in order, by line");
    before = entry.line;
    fuzz::require(!entry.name.empty() && printable(entry.name, entry.name.size() + 1) == entry.name,
                  "a name is plain");
    fuzz::require(entry.value.find('\0') == std::string::npos, "a value can be passed on");
    fuzz::require(file.find(entry.name) != nullptr, "an entry is found");
  }
  for (const auto& problem : file.problems) {
    fuzz::require(problem.line >= 0 && problem.line <= lines, "a problem has a line");
    fuzz::require(
        !problem.text.empty() && printable(problem.text, problem.text.size() + 1) == problem.text,
        "a problem can be shown");
  }
}

void check_settings(const cli::EnvFile& file) {
  try {
    cli::cluster_name_from_env(file);
    const auto kept = cluster::to_json(cli::settings_from_env(file, {}));
    fuzz::require(cluster::to_json(cluster::from_json(kept)) == kept, "settings stay");
  } catch (const Error& error) {
    fuzz::require(error.kind() == ErrorKind::usage, "the file is to blame for what it says");
    for (const auto& line : split(error.text(), '\n'))
      fuzz::require(printable(line, line.size() + 1) == line, "an error can be shown");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(fuzz::input(data, size)));
  const auto file = cli::parse_env(text, "/fuzz/.env");
  check_lines(file, text);
  check_settings(file);
  check_settings(cli::parse_env(text + kRest, "/fuzz/.env"));
  return 0;
}
