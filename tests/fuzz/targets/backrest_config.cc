#include "cli/backrest_config.h"

#include "fuzz/fuzz.h"

// Any pgbackrest.conf is either refused as a usage error that names the file, or gives options;
// what repositories and settings are made of them is either refused likewise or can be used.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  const auto text = as_text(fuzz::input(data, size));
  try {
    const auto config = cli::parse_backrest_config({{"/fuzz/pgbackrest.conf", std::string(text)}},
                                                   {}, "main", "restore");
    for (const auto& warning : config.warnings)
      fuzz::require(printable(warning, warning.size() + 1) == warning, "warnings can be shown");
    for (const auto& [name, value] : config.options)
      fuzz::require(config.find(name) != nullptr && *config.find(name) == value,
                    "options are found");
    std::vector<std::string> warnings;
    for (const auto& repository : cli::repositories_of(config, "main", warnings))
      fuzz::require(repository.index >= 1, "repositories have an index");
    for (const auto& warning : warnings)
      fuzz::require(printable(warning, warning.size() + 1) == warning, "warnings can be shown");
    cli::process_max_of(config);
    cli::restore_options_of(config);
  } catch (const Error& error) {
    const std::string_view what = error.what();
    fuzz::require(error.kind() == ErrorKind::usage || error.kind() == ErrorKind::unsupported,
                  "a configuration is to blame for what it says");
    fuzz::require(printable(what, what.size() + 1) == what, "an error's message is printable");
  }
  return 0;
}
