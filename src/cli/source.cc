#include "cli/source.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/env_settings.h"

namespace pgrevive::cli {
namespace {

Source from_words(const GlobalOptions& global, const RepositoryWords& words,
                  const Environment& environment) {
  if (!words.repo_type.empty() && words.repo_type != "posix") {
    throw Error(ErrorKind::usage,
                fmt::format("--repo-type {} cannot be given this way", words.repo_type))
        .with_hint(
            "--repo-path names a local directory (posix); an S3 repository comes from --config or "
            ".env");
  }
  repository::RepositoryOptions options;
  options.type = repository::RepositoryOptions::Type::posix;
  options.path = whole_path(words.repo_path);
  options.stanza = choose_stanza(global.stanza, environment, {});

  Source source;
  source.words = {"--repo-type", "posix", "--repo-path", options.path.string()};
  if (!words.cipher_pass_file.empty()) {
    const std::filesystem::path file = whole_path(words.cipher_pass_file);
    options.cipher_passphrase = Secret(std::string(trim(read_file(file))));
    source.words.insert(source.words.end(), {"--cipher-pass-file", file.string()});
    source.files.push_back(file);
  } else if (const char* pass = std::getenv("PGREVIVE_CIPHER_PASS");
             pass != nullptr && *pass != '\0') {
    options.cipher_passphrase = Secret(pass);
    source.recovery_warnings.push_back(
        "the passphrase came from PGREVIVE_CIPHER_PASS; the server needs it in its environment too "
        "while it recovers (or use --cipher-pass-file)");
  }
  source.words.insert(source.words.end(), {"--stanza", options.stanza});
  source.repositories.push_back({1, std::move(options)});
  return source;
}

Source from_config(const GlobalOptions& global, const Environment& environment,
                   const std::string& command) {
  // Two readings: which stanzas there are has to be known to tell which sections count.
  std::string stanza = global.stanza;
  if (stanza.empty()) {
    stanza = choose_stanza({}, environment,
                           load_backrest_config(global.config, environment, {}, command).stanzas);
  }
  const BackrestConfig config = load_backrest_config(global.config, environment, stanza, command);

  Source source;
  source.warnings = config.warnings;
  source.repositories = repositories_of(config, stanza, source.warnings);
  source.process_max = process_max_of(config);
  source.restore = restore_options_of(config);
  if (!global.config.empty()) {
    source.words = {"--config", whole_path(global.config).string()};
    source.files.push_back(whole_path(global.config));
  }
  source.words.insert(source.words.end(), {"--stanza", stanza});
  return source;
}

Source from_env(const GlobalOptions& global, const std::filesystem::path& path) {
  const EnvFile file = load_env(path);
  cluster::Settings settings = settings_from_env(file, {.cluster = false, .repository = true});
  if (!global.stanza.empty()) settings.repository.stanza = global.stanza;

  Source source;
  if (settings.process_max != 0) source.process_max = settings.process_max;
  source.words = {"--env-file", file.path.string(), "--stanza", settings.repository.stanza};
  source.files.push_back(file.path);
  source.repositories.push_back({1, std::move(settings.repository)});
  return source;
}

}  // namespace

Source load_source(const GlobalOptions& global, const RepositoryWords& words,
                   const std::string& command) {
  const Environment environment = backrest_environment();
  Source source;
  if (!words.repo_path.empty()) {
    source = from_words(global, words, environment);
  } else if (!words.repo_type.empty() || !words.cipher_pass_file.empty()) {
    throw Error(ErrorKind::usage, "--repo-type and --cipher-pass-file belong to --repo-path")
        .with_hint("name the repository's directory with --repo-path DIR");
  } else if (!global.config.empty()) {
    source = from_config(global, environment, command);
  } else if (!global.env_file.empty()) {
    source = from_env(global, global.env_file);
  } else if (const std::filesystem::path env = default_env_file(); !env.empty()) {
    source = from_env(global, env);
  } else {
    try {
      source = from_config(global, environment, command);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found) throw;
      throw Error(ErrorKind::usage, "nothing says where the repository is")
          .with_hint(
              "fill in a .env (cp .env.cluster.example .env), or give --config pgbackrest.conf, "
              "or --repo-path DIR for a local directory");
    }
  }

  if (words.repo) {
    std::erase_if(source.repositories,
                  [&](const IndexedRepository& entry) { return entry.index != *words.repo; });
    if (source.repositories.empty()) {
      throw Error(ErrorKind::usage,
                  fmt::format("there is no repository {} in the configuration", *words.repo));
    }
    source.words.insert(source.words.end(), {"--repo", std::to_string(*words.repo)});
  }
  return source;
}

std::filesystem::path default_env_file() {
  std::error_code ignored;
  if (const char* named = std::getenv("PGREVIVE_ENV_FILE"); named != nullptr && *named != '\0') {
    return std::filesystem::exists(named, ignored) ? whole_path(named) : std::filesystem::path();
  }
  const std::filesystem::path here = std::filesystem::current_path(ignored) / ".env";
  return std::filesystem::is_regular_file(here, ignored) ? here : std::filesystem::path();
}

std::string choose_stanza(const std::string& asked, const Environment& environment,
                          const std::vector<std::string>& configured) {
  if (!asked.empty()) return asked;
  if (const auto found = environment.find("PGBACKREST_STANZA");
      found != environment.end() && !found->second.empty()) {
    return found->second;
  }
  if (configured.size() == 1) return configured.front();
  if (configured.size() > 1 && std::ranges::find(configured, "main") == configured.end()) {
    throw Error(ErrorKind::usage, fmt::format("the configuration has several stanzas: {}",
                                              fmt::join(configured, ", ")))
        .with_hint("choose one with --stanza NAME");
  }
  return "main";
}

}  // namespace pgrevive::cli
