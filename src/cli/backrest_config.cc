#include "cli/backrest_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/backrest_options.h"
#include "cli/value_text.h"

namespace pgrevive::cli {
namespace {

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
                       ? fmt::format("{} is set twice in [{}]", name, printable(section, 60))
                       : fmt::format("{} and {} are the same option and both set in [{}]",
                                     first->second, name, printable(section, 60)));
      }
      const int power = strength(section, stanza, command);
      Chosen& slot = chosen[current];
      if (power > slot.strength) {
        slot = {value, power};
      } else if (power == slot.strength && is_list(current)) {
        slot.value += '\n' + value;
      }
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
      // The environment has the values of a list in one.
      if (is_list(current)) std::ranges::replace(chosen[current].value, ':', '\n');
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

namespace {

// io-timeout: seconds, or with a unit as newer versions have it.
std::optional<std::chrono::milliseconds> io_timeout_of(const BackrestConfig& config) {
  const std::string* value = config.find("io-timeout");
  if (value == nullptr) return std::nullopt;
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits{
      {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}}};
  double number = 0;
  const auto [stop, status] = std::from_chars(value->data(), value->data() + value->size(), number);
  const std::string_view rest(stop, static_cast<std::size_t>(value->data() + value->size() - stop));
  const auto* unit = std::ranges::find(kUnits, rest, &std::pair<std::string_view, double>::first);
  if (status == std::errc() && unit != kUnits.end()) {
    const auto milliseconds = number * unit->second;
    // The range that pgBackRest allows.
    if (milliseconds >= 100 && milliseconds <= 3'600'000)
      return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
  }
  throw Error(ErrorKind::usage, fmt::format("io-timeout={} cannot be", printable(*value, 60)))
      .with_hint("write a number of seconds from 0.1 to 3600");
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
  if (const auto limit = io_timeout_of(config))
    for (auto& repository : found) repository.options.s3.stall_timeout = *limit;
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

BackrestRestore restore_options_of(const BackrestConfig& config) {
  BackrestRestore restore;
  if (const std::string* value = config.find("db-include"))
    restore.db_include = split(*value, '\n');
  if (const std::string* value = config.find("db-exclude"))
    restore.db_exclude = split(*value, '\n');
  if (const std::string* value = config.find("archive-mode")) restore.archive_mode = *value;
  return restore;
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
