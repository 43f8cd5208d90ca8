#include "cli/backrest_config.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/value_text.h"

namespace pgrevive::cli {
namespace {

// All names that pgBackRest 2.x has had, so that only real slips are warned about. Those of
// repositories and PostgreSQL servers stand without their index.
constexpr std::array kGeneralOptions{"allow-root",
                                     "annotation",
                                     "archive-async",
                                     "archive-check",
                                     "archive-copy",
                                     "archive-get-queue-max",
                                     "archive-header-check",
                                     "archive-missing-retry",
                                     "archive-mode",
                                     "archive-mode-check",
                                     "archive-push-batch-size",
                                     "archive-push-queue-max",
                                     "archive-timeout",
                                     "backup-standby",
                                     "beta",
                                     "buffer-size",
                                     "checksum-page",
                                     "checksum-page-error",
                                     "cmd",
                                     "cmd-ssh",
                                     "compress",
                                     "compress-level",
                                     "compress-level-network",
                                     "compress-type",
                                     "config",
                                     "config-include-path",
                                     "config-path",
                                     "db-exclude",
                                     "db-include",
                                     "db-timeout",
                                     "delta",
                                     "dry-run",
                                     "exclude",
                                     "expire-auto",
                                     "force",
                                     "ignore-missing",
                                     "io-timeout",
                                     "job-retry",
                                     "job-retry-interval",
                                     "link-all",
                                     "link-map",
                                     "lock-path",
                                     "log-level-console",
                                     "log-level-file",
                                     "log-level-stderr",
                                     "log-path",
                                     "log-subprocess",
                                     "log-timestamp",
                                     "manifest-save-threshold",
                                     "neutral-umask",
                                     "online",
                                     "output",
                                     "page-header-check",
                                     "pg-version-force",
                                     "process-max",
                                     "progress",
                                     "protocol-timeout",
                                     "recovery-option",
                                     "repo",
                                     "resume",
                                     "sck-block",
                                     "sck-keep-alive",
                                     "set",
                                     "spool-path",
                                     "stanza",
                                     "start-fast",
                                     "stop-auto",
                                     "tablespace-map",
                                     "tablespace-map-all",
                                     "target",
                                     "target-action",
                                     "target-exclusive",
                                     "target-timeline",
                                     "tcp-keep-alive-count",
                                     "tcp-keep-alive-idle",
                                     "tcp-keep-alive-interval",
                                     "tls-server-address",
                                     "tls-server-auth",
                                     "tls-server-ca-file",
                                     "tls-server-cert-file",
                                     "tls-server-crl-file",
                                     "tls-server-key-file",
                                     "tls-server-port",
                                     "type",
                                     "verbose",
                                     "version",
                                     "help",
                                     "raw",
                                     "ignore-errors",
                                     "archive-push-batch"};

constexpr std::array kRepositoryOptions{"azure-account",
                                        "azure-ca-file",
                                        "azure-ca-path",
                                        "azure-container",
                                        "azure-endpoint",
                                        "azure-host",
                                        "azure-key",
                                        "azure-key-type",
                                        "azure-port",
                                        "azure-uri-style",
                                        "azure-verify-tls",
                                        "block",
                                        "block-age-map",
                                        "block-checksum-size-map",
                                        "block-size-map",
                                        "block-size-super",
                                        "block-size-super-full",
                                        "bundle",
                                        "bundle-limit",
                                        "bundle-size",
                                        "cipher-pass",
                                        "cipher-type",
                                        "gcs-bucket",
                                        "gcs-ca-file",
                                        "gcs-ca-path",
                                        "gcs-endpoint",
                                        "gcs-key",
                                        "gcs-key-type",
                                        "gcs-user-project",
                                        "gcs-verify-tls",
                                        "hardlink",
                                        "host",
                                        "host-ca-file",
                                        "host-ca-path",
                                        "host-cert-file",
                                        "host-cmd",
                                        "host-config",
                                        "host-config-include-path",
                                        "host-config-path",
                                        "host-key-file",
                                        "host-port",
                                        "host-type",
                                        "host-user",
                                        "local",
                                        "path",
                                        "prefetch",
                                        "read-over",
                                        "retention-archive",
                                        "retention-archive-type",
                                        "retention-diff",
                                        "retention-full",
                                        "retention-full-type",
                                        "retention-history",
                                        "s3-bucket",
                                        "s3-ca-file",
                                        "s3-ca-path",
                                        "s3-endpoint",
                                        "s3-host",
                                        "s3-key",
                                        "s3-key-secret",
                                        "s3-key-type",
                                        "s3-kms-key-id",
                                        "s3-port",
                                        "s3-process-cmd",
                                        "s3-region",
                                        "s3-requester-pays",
                                        "s3-role",
                                        "s3-service",
                                        "s3-sse-customer-key",
                                        "s3-sts-host",
                                        "s3-token",
                                        "s3-uri-style",
                                        "s3-verify-ssl",
                                        "s3-verify-tls",
                                        "sftp-host",
                                        "sftp-host-fingerprint",
                                        "sftp-host-key-check-type",
                                        "sftp-host-key-hash-type",
                                        "sftp-host-port",
                                        "sftp-host-user",
                                        "sftp-known-host",
                                        "sftp-private-key-file",
                                        "sftp-private-key-passphrase",
                                        "sftp-public-key-file",
                                        "storage-ca-file",
                                        "storage-ca-path",
                                        "storage-host",
                                        "storage-port",
                                        "storage-tag",
                                        "storage-upload-chunk-size",
                                        "storage-verify-tls",
                                        "symlink",
                                        "target-time",
                                        "type"};

constexpr std::array kServerOptions{
    "database",         "host",          "host-ca-file", "host-ca-path",
    "host-cert-file",   "host-cmd",      "host-config",  "host-config-include-path",
    "host-config-path", "host-key-file", "host-port",    "host-type",
    "host-user",        "local",         "path",         "port",
    "socket-path",      "user",          "version-force"};

// Old spellings within a repository's options.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kOldRepositoryNames{{
    {"s3-ca-file", "storage-ca-file"},
    {"s3-ca-path", "storage-ca-path"},
    {"s3-host", "storage-host"},
    {"s3-port", "storage-port"},
    {"s3-verify-ssl", "storage-verify-tls"},
    {"s3-verify-tls", "storage-verify-tls"},
    {"azure-ca-file", "storage-ca-file"},
    {"azure-ca-path", "storage-ca-path"},
    {"azure-host", "storage-host"},
    {"azure-port", "storage-port"},
    {"azure-verify-tls", "storage-verify-tls"},
    {"gcs-verify-tls", "storage-verify-tls"},
}};

// Old spellings without "repo" or "pg" in front.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kOldNames{{
    {"retention-archive", "repo1-retention-archive"},
    {"retention-archive-type", "repo1-retention-archive-type"},
    {"retention-diff", "repo1-retention-diff"},
    {"retention-full", "repo1-retention-full"},
    {"hardlink", "repo1-hardlink"},
    {"backup-host", "repo1-host"},
    {"backup-user", "repo1-host-user"},
    {"backup-cmd", "repo1-host-cmd"},
    {"backup-config", "repo1-host-config"},
    {"backup-ssh-port", "repo1-host-port"},
    {"archive-queue-max", "archive-push-queue-max"},
}};

template <std::size_t N>
bool contains(const std::array<const char*, N>& names, std::string_view name) {
  return std::ranges::any_of(names, [&](const char* entry) { return name == entry; });
}

// Options that may stand several times in a section; we use none of them.
bool is_list(std::string_view name) {
  for (const char* list : {"annotation", "db-exclude", "db-include", "exclude", "link-map",
                           "recovery-option", "tablespace-map", "tls-server-auth"}) {
    if (name == list) return true;
  }
  return name.ends_with("-storage-tag") || name.ends_with("-sftp-known-host") ||
         name.ends_with("-azure-tag");
}

// "repo2-s3-key" -> {2, "s3-key"}; "repo-s3-key" has index 1.
struct Indexed {
  std::uint64_t index = 1;
  std::string_view rest;
};
std::optional<Indexed> indexed(std::string_view name, std::string_view group) {
  if (!name.starts_with(group)) return std::nullopt;
  name.remove_prefix(group.size());
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  Indexed result{1, name.substr(dash + 1)};
  if (dash > 0) {
    const auto number = parse_unsigned(name.substr(0, dash));
    if (!number || *number == 0 || *number > 256) return std::nullopt;
    result.index = *number;
  }
  return result;
}

// The current spelling of an option's name; empty if pgBackRest has no such option.
std::string current_name(std::string_view name) {
  for (const auto& [old_name, new_name] : kOldNames) {
    if (name == old_name) return std::string(new_name);
  }
  if (contains(kGeneralOptions, name)) return std::string(name);
  if (const auto repo = indexed(name, "repo")) {
    std::string_view rest = repo->rest;
    if (!contains(kRepositoryOptions, rest)) return {};
    for (const auto& [old_name, new_name] : kOldRepositoryNames) {
      if (rest == old_name) rest = new_name;
    }
    return fmt::format("repo{}-{}", repo->index, rest);
  }
  for (const char* group : {"pg", "db"}) {
    if (const auto server = indexed(name, group)) {
      if (contains(kServerOptions, server->rest)) {
        return fmt::format("pg{}-{}", server->index, server->rest);
      }
    }
  }
  return {};
}

// How strongly a section speaks for this stanza and command; 0: not at all.
int strength(const std::string& section, const std::string& stanza, const std::string& command) {
  if (section == "global") return 1;
  if (section == "global:" + command) return 2;
  if (!stanza.empty() && section == stanza) return 3;
  if (!stanza.empty() && section == stanza + ":" + command) return 4;
  return 0;
}

struct Chosen {
  std::string value;
  int strength = 0;
};

}  // namespace

const std::string* BackrestConfig::find(const std::string& name) const {
  const auto found = options.find(name);
  return found == options.end() ? nullptr : &found->second;
}

BackrestConfig parse_backrest_config(const std::vector<BackrestText>& files,
                                     const Environment& environment, const std::string& stanza,
                                     const std::string& command) {
  BackrestConfig config;
  std::map<std::string, Chosen> chosen;
  std::set<std::string> stanzas;
  // Section and current name of what was seen, with the spelling it had there.
  std::map<std::pair<std::string, std::string>, std::string> seen;

  for (const BackrestText& file : files) {
    std::string section;
    int number = 0;
    for (const std::string& raw : split(file.text, '\n')) {
      ++number;
      const std::string_view line = trim(raw);
      if (line.empty() || line.front() == '#') continue;
      const auto fail = [&](const std::string& what) {
        return Error(ErrorKind::usage, fmt::format("{} line {}: {}", file.path, number, what));
      };

      if (line.front() == '[' && line.back() == ']') {
        section = std::string(line.substr(1, line.size() - 2));
        const std::string base = section.substr(0, section.find(':'));
        if (base != "global") stanzas.insert(base);
        continue;
      }
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) {
        // Not shown: a passphrase that was broken over two lines ends up here.
        throw fail("this is neither a [section] nor name=value");
      }
      if (section.empty()) throw fail("an option stands before the first [section]");
      const std::string name(trim(line.substr(0, equals)));
      const std::string value(trim(line.substr(equals + 1)));

      const std::string current = current_name(name);
      if (current.empty()) {
        config.warnings.push_back(fmt::format("{} line {}: pgBackRest has no option '{}'",
                                              file.path, number, printable(name, 60)));
        continue;
      }
      if (value.empty()) throw fail(fmt::format("{} must have a value", name));
      const auto [first, fresh] = seen.emplace(std::pair(section, current), name);
      if (!fresh && !is_list(current)) {
        throw fail(first->second == name
                       ? fmt::format("{} is set twice in [{}]", name, section)
                       : fmt::format("{} and {} are the same option and both set in [{}]",
                                     first->second, name, section));
      }
      const int power = strength(section, stanza, command);
      Chosen& slot = chosen[current];
      if (power > slot.strength) slot = {value, power};
    }
  }

  for (const auto& [variable, value] : environment) {
    if (!variable.starts_with("PGBACKREST_")) continue;
    std::string name = variable.substr(11);
    std::ranges::transform(name, name.begin(), [](char c) {
      return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    const std::string current = current_name(name);
    if (current.empty()) {
      config.warnings.push_back(
          fmt::format("the environment's {} is no option of pgBackRest", printable(variable, 60)));
    } else if (!value.empty()) {
      chosen[current] = {value, 5};
    }
  }

  for (auto& [name, choice] : chosen) {
    if (choice.strength > 0) config.options.emplace(name, std::move(choice.value));
  }
  config.stanzas.assign(stanzas.begin(), stanzas.end());
  return config;
}

BackrestConfig load_backrest_config(const std::filesystem::path& file,
                                    const Environment& environment, const std::string& stanza,
                                    const std::string& command) {
  const auto variable = [&](const char* name) -> std::filesystem::path {
    const auto found = environment.find(name);
    return found == environment.end() ? std::filesystem::path()
                                      : std::filesystem::path(found->second);
  };
  std::filesystem::path main_file = file.empty() ? variable("PGBACKREST_CONFIG") : file;
  const bool named = !main_file.empty();
  std::filesystem::path base = variable("PGBACKREST_CONFIG_PATH");
  if (base.empty()) base = "/etc/pgbackrest";
  std::filesystem::path include = variable("PGBACKREST_CONFIG_INCLUDE_PATH");
  const bool include_named = !include.empty();
  // As pgBackRest has it: a file named on its own is all that is read.
  if (!include_named && !named) include = base / "conf.d";

  std::vector<BackrestText> files;
  if (named) {
    main_file = std::filesystem::absolute(main_file).lexically_normal();
    files.push_back({main_file.string(), read_file(main_file)});
  } else {
    for (const std::filesystem::path& candidate :
         {base / "pgbackrest.conf", std::filesystem::path("/etc/pgbackrest.conf")}) {
      if (auto text = read_file_if_exists(candidate)) {
        files.push_back({candidate.string(), std::move(*text)});
        break;
      }
    }
  }

  const auto add_directory = [&](const std::filesystem::path& directory, bool required) {
    std::error_code error;
    std::vector<std::filesystem::path> found;
    for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().extension() == ".conf") found.push_back(entry->path());
    }
    if (error && required) {
      throw Error(ErrorKind::not_found, fmt::format("cannot read the include directory {}: {}",
                                                    directory.string(), error.message()));
    }
    std::ranges::sort(found);
    for (const auto& path : found) files.push_back({path.string(), read_file(path)});
  };
  if (!include.empty()) add_directory(include, include_named);

  BackrestConfig config = parse_backrest_config(files, environment, stanza, command);
  // pgBackRest takes this option from the command line and the environment only; people write it
  // into the file all the same, and what it means there is plain.
  if (const std::string* more = config.find("config-include-path");
      more != nullptr && include.empty()) {
    add_directory(*more, true);
    config = parse_backrest_config(files, environment, stanza, command);
  }
  if (files.empty() && config.options.empty()) {
    throw Error(ErrorKind::not_found, "no pgBackRest configuration was found")
        .with_hint("name one with --config FILE, or fill in a .env");
  }
  return config;
}

namespace {

// The options of one repository by their names behind "repoN-".
class RepositoryReader {
 public:
  RepositoryReader(const BackrestConfig& config, int index)
      : config_(config), prefix_(fmt::format("repo{}-", index)) {}

  const std::string* find(const std::string& name) const { return config_.find(prefix_ + name); }
  std::string text(const std::string& name, std::string otherwise = {}) const {
    const std::string* value = find(name);
    return value == nullptr ? otherwise : *value;
  }
  std::string required(const std::string& name) const {
    const std::string* value = find(name);
    if (value == nullptr) {
      throw Error(ErrorKind::usage, fmt::format("{}{} is missing", prefix_, name))
          .with_hint(
              "a repository of type s3 needs it in pgbackrest.conf or as an environment variable");
    }
    return *value;
  }
  bool boolean(const std::string& name, bool otherwise) const {
    const std::string* value = find(name);
    if (value == nullptr) return otherwise;
    if (*value == "y") return true;
    if (*value == "n") return false;
    throw bad(name, "it must be y or n");
  }
  Error bad(const std::string& name, const std::string& remedy) const {
    return Error(ErrorKind::usage,
                 fmt::format("{}{}={} cannot be", prefix_, name, printable(text(name), 60)))
        .with_hint(remedy);
  }
  Error unsupported(const std::string& name, const std::string& remedy) const {
    return Error(ErrorKind::unsupported,
                 fmt::format("{}{}={} is not supported", prefix_, name, printable(text(name), 60)))
        .with_hint(remedy);
  }

 private:
  const BackrestConfig& config_;
  std::string prefix_;
};

repository::RepositoryOptions read_options(const RepositoryReader& reader,
                                           const std::string& stanza) {
  using Type = repository::RepositoryOptions::Type;
  repository::RepositoryOptions options;
  options.stanza = stanza;
  if (reader.find("host") != nullptr) {
    throw reader.unsupported("host",
                             "a repository behind a repository host cannot be reached by our own "
                             "reader; run this on that host, or give the storage itself");
  }

  const std::string path = reader.text("path", "/var/lib/pgbackrest");
  if (!path.starts_with('/')) throw reader.bad("path", "it must begin with /");
  const std::string type = reader.text("type", "posix");
  if (type == "posix" || type == "cifs") {
    options.type = Type::posix;
    options.path = path;
  } else if (type == "s3") {
    storage::S3Options& s3 = options.s3;
    s3.prefix = path;
    s3.bucket = reader.required("s3-bucket");
    s3.endpoint = reader.required("s3-endpoint");
    s3.region = reader.required("s3-region");
    if (reader.text("s3-key-type", "shared") != "shared") {
      throw reader.unsupported("s3-key-type",
                               "only keys that stand in the configuration (shared) are read; pass "
                               "temporary ones as PGBACKREST_REPO1_S3_KEY, _KEY_SECRET and _TOKEN");
    }
    s3.access_key = Secret(reader.required("s3-key"));
    s3.secret_key = Secret(reader.required("s3-key-secret"));
    s3.session_token = Secret(reader.text("s3-token"));
    const std::string style = reader.text("s3-uri-style", "host");
    if (style != "host" && style != "path") throw reader.bad("s3-uri-style", "write host or path");
    s3.uri_style = style == "path" ? storage::UriStyle::path : storage::UriStyle::host;
    s3.verify_tls = reader.boolean("storage-verify-tls", true);
    s3.ca_file = reader.text("storage-ca-file");
    s3.ca_path = reader.text("storage-ca-path");

    // Both may carry a port; storage-port is the default of both.
    std::string host = reader.text("storage-host");
    if (const std::string* port = reader.find("storage-port")) {
      const auto number = parse_port(*port);
      if (!number) throw reader.bad("storage-port", "it must be a number from 1 to 65535");
      s3.connect_port = *number;
    }
    if (const std::size_t scheme = host.find("://"); scheme != std::string::npos) {
      host.erase(0, scheme + 3);
    }
    if (const std::size_t colon = host.rfind(':');
        colon != std::string::npos && host.find(':') == colon) {
      const auto number = parse_port(std::string_view(host).substr(colon + 1));
      if (!number) throw reader.bad("storage-host", "its port must be a number from 1 to 65535");
      s3.connect_port = *number;
      host.erase(colon);
    }
    s3.connect_host = host;
  } else {
    throw reader.unsupported("type", "posix, cifs and s3 are read");
  }

  const std::string cipher = reader.text("cipher-type", "none");
  if (cipher == "aes-256-cbc") {
    options.cipher_passphrase = Secret(reader.required("cipher-pass"));
  } else if (cipher != "none") {
    throw reader.unsupported("cipher-type", "none and aes-256-cbc are read");
  }
  return options;
}

}  // namespace

std::vector<IndexedRepository> repositories_of(const BackrestConfig& config,
                                               const std::string& stanza,
                                               std::vector<std::string>& warnings) {
  std::set<int> indexes;
  for (const auto& [name, value] : config.options) {
    if (const auto repo = indexed(name, "repo")) indexes.insert(static_cast<int>(repo->index));
  }
  // pgBackRest has a repo1 at its default path even where nothing is said about it.
  if (indexes.empty()) indexes.insert(1);

  std::vector<IndexedRepository> found;
  std::optional<Error> left_out;
  for (const int index : indexes) {
    try {
      found.push_back({index, read_options(RepositoryReader(config, index), stanza)});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) throw;
      warnings.push_back(fmt::format("repository {} is left out: {}", index, error.what()));
      if (!left_out) left_out = error;
    }
  }
  if (found.empty()) throw *left_out;
  return found;
}

std::optional<unsigned> process_max_of(const BackrestConfig& config) {
  const std::string* value = config.find("process-max");
  if (value == nullptr) return std::nullopt;
  const auto number = parse_unsigned(*value);
  if (!number || *number == 0 || *number > 999) {
    throw Error(ErrorKind::usage, fmt::format("process-max={} cannot be", printable(*value, 60)))
        .with_hint("write a whole number from 1 to 999");
  }
  return static_cast<unsigned>(*number);
}

Environment backrest_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (text.starts_with("PGBACKREST_") && equals != std::string_view::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return environment;
}

}  // namespace pgrevive::cli
