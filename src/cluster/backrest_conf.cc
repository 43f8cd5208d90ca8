#include "cluster/backrest_conf.h"

#include <cctype>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"

namespace pgrevive::cluster {
namespace {

using repository::RepositoryOptions;

using Options = std::vector<std::pair<std::string, std::string>>;

class Writer {
 public:
  void section(const std::string& name) { text_ += (text_.empty() ? "[" : "\n[") + name + "]\n"; }
  void set(const std::string& name, const std::string& value) {
    if (value.find_first_of("\r\n") != std::string::npos)
      throw Error(ErrorKind::usage, "the value of " + name + " has more than one line");
    text_ += name + "=" + value + "\n";
  }
  void set(const Options& options) {
    for (const auto& [name, value] : options) set(name, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// pgBackRest takes host style where nothing is said, which only Amazon's own endpoint is sure to
// answer, and there only for buckets whose name a certificate covers.
std::string uri_style(const storage::S3Options& s3) {
  switch (s3.uri_style) {
    case storage::UriStyle::host:
      return "host";
    case storage::UriStyle::path:
      return "path";
    case storage::UriStyle::automatic:
      break;
  }
  const bool amazon = s3.endpoint.find("amazonaws.com") != std::string::npos;
  return amazon && s3.bucket.find('.') == std::string::npos ? "host" : "path";
}

std::string absolute(const std::string& prefix) {
  const auto first = prefix.find_first_not_of('/');
  if (first == std::string::npos) return "/";
  const auto last = prefix.find_last_not_of('/');
  return "/" + prefix.substr(first, last - first + 1);
}

// The source's way to its bucket, with what the archive has of its own. Of a source that is in no
// bucket there is nothing to take.
storage::S3Options own_s3(const RepositoryOptions& source, const OwnArchive& own) {
  storage::S3Options s3 = source.s3;
  if (!own.bucket.empty()) s3.bucket = own.bucket;
  if (!own.region.empty()) {
    if (s3.endpoint == storage::amazon_endpoint(s3.region)) s3.endpoint.clear();
    s3.region = own.region;
  }
  if (!own.endpoint.empty()) {
    s3.endpoint = own.endpoint;
    s3.connect_host.clear();
    s3.connect_port = 0;
  }
  if (s3.endpoint.empty() && !s3.region.empty()) s3.endpoint = storage::amazon_endpoint(s3.region);
  if (!own.access_key.empty()) {
    s3.access_key = own.access_key;
    s3.secret_key = own.secret_key;
    s3.session_token = own.session_token;
  }
  if (own.uri_style) s3.uri_style = *own.uri_style;
  if (own.verify_tls) s3.verify_tls = *own.verify_tls;
  if (!own.ca_file.empty()) s3.ca_file = own.ca_file;
  return s3;
}

// An empty new cluster may have no repository at all.
RepositoryOptions::Type own_type(const Settings& settings) {
  const auto& own = settings.own_archive;
  if (own.type) return *own.type;
  if (own.has_s3_of_its_own()) return RepositoryOptions::Type::s3;
  return settings.repository.s3.bucket.empty() ? RepositoryOptions::Type::posix
                                               : settings.repository.type;
}

// What .env does not say of a bucket, and the source cannot lend; empty: nothing.
std::string missing_in(const storage::S3Options& s3) {
  if (s3.bucket.empty()) return "WAL_ARCHIVE_S3_BUCKET";
  if (s3.region.empty()) return "WAL_ARCHIVE_S3_REGION";
  if (s3.access_key.empty()) return "WAL_ARCHIVE_S3_ACCESS_KEY";
  return {};
}

bool inside(const std::string& path, const std::string& of) {
  return path == of || path.starts_with(of == "/" ? of : of + "/");
}

// Whether an archive there would lie among what the source has in its own. A source at the root of
// its bucket has the rest of it for others.
bool among(const std::string& path, const std::string& source) {
  if (source != "/") return inside(path, source);
  return path == "/" || inside(path, "/archive") || inside(path, "/backup");
}

// As the file system takes it: a link may lead into the source.
std::string resolved(const std::filesystem::path& path) {
  std::error_code error;
  auto real = std::filesystem::weakly_canonical(path, error);
  if (error) real = path;
  auto text = real.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

Options repository_options(const RepositoryOptions& repository) {
  Options options;
  const auto set = [&](const char* name, std::string value) {
    options.emplace_back(name, std::move(value));
  };
  if (repository.type == RepositoryOptions::Type::posix) {
    set("repo1-type", "posix");
    set("repo1-path", repository.path.string());
  } else {
    const auto& s3 = repository.s3;
    set("repo1-type", "s3");
    set("repo1-path", absolute(s3.prefix));
    set("repo1-s3-bucket", s3.bucket);
    set("repo1-s3-endpoint",
        s3.endpoint.starts_with("https://") ? s3.endpoint.substr(8) : s3.endpoint);
    set("repo1-s3-region", s3.region);
    set("repo1-s3-key", s3.access_key.reveal());
    set("repo1-s3-key-secret", s3.secret_key.reveal());
    if (!s3.session_token.empty()) set("repo1-s3-token", s3.session_token.reveal());
    set("repo1-s3-uri-style", uri_style(s3));
    if (!s3.connect_host.empty()) set("repo1-storage-host", s3.connect_host);
    if (s3.connect_port != 0) set("repo1-storage-port", std::to_string(s3.connect_port));
    if (!s3.verify_tls) set("repo1-storage-verify-tls", "n");
    if (!s3.ca_file.empty()) set("repo1-storage-ca-file", s3.ca_file.string());
    if (!s3.ca_path.empty()) set("repo1-storage-ca-path", s3.ca_path.string());
  }
  if (!repository.cipher_passphrase.empty()) {
    set("repo1-cipher-type", "aes-256-cbc");
    set("repo1-cipher-pass", repository.cipher_passphrase.reveal());
  }
  return options;
}

}  // namespace

std::string source_conf(const Settings& settings, const std::filesystem::path& data_directory) {
  Writer out;
  out.section("global");
  out.set(repository_options(settings.repository));
  const auto limit = settings.repository.s3.stall_timeout;
  if (limit != storage::S3Options().stall_timeout)
    // Whole seconds, which every version of pgBackRest reads.
    out.set("io-timeout", std::to_string(std::chrono::ceil<std::chrono::seconds>(limit).count()));
  out.section(settings.repository.stanza);
  out.set("pg1-path", data_directory.string());
  return out.take();
}

std::string source_for_info(const Settings& settings, int number) {
  const std::string first = "repo1-";
  Writer out;
  out.section("global:info");
  for (const auto& [name, value] : repository_options(settings.repository))
    out.set("repo" + std::to_string(number) + "-" + name.substr(first.size()), value);
  return "\n" + out.take();
}

RepositoryOptions own_archive(const Settings& settings, const StateDirectory& directory,
                              const std::string& life) {
  const auto& source = settings.repository;
  if (settings.wal_archive == WalArchiveMode::source) return source;
  const auto& own = settings.own_archive;
  RepositoryOptions archive;
  archive.type = own_type(settings);
  archive.stanza = source.stanza;
  archive.cipher_passphrase =
      own.cipher_passphrase.empty() ? source.cipher_passphrase : own.cipher_passphrase;
  if (archive.type == RepositoryOptions::Type::posix) {
    archive.path = own.path ? std::filesystem::path(*own.path) : directory.archive();
    return archive;
  }
  archive.s3 = own_s3(source, own);
  if (own.path) {
    archive.s3.prefix = *own.path;
  } else {
    const auto prefix = absolute(source.s3.prefix);
    archive.s3.prefix = (prefix == "/" ? "/pgrevive" : prefix) + "-" + settings.cluster_name;
    if (!life.empty()) archive.s3.prefix += "-" + life;
  }
  return archive;
}

std::string own_archive_conf(const Settings& settings, const StateDirectory& directory,
                             const std::string& life, const std::filesystem::path& socket_directory,
                             const std::string& superuser) {
  Writer out;
  out.section("global");
  out.set(repository_options(own_archive(settings, directory, life)));
  // The source's backups are kept as long as the source's own configuration says.
  if (settings.wal_archive == WalArchiveMode::own) {
    out.set("repo1-retention-full", std::to_string(settings.retention_full));
    out.set("repo1-retention-diff", std::to_string(settings.retention_diff));
  }
  out.set("log-path", (directory.pgbackrest() / "log").string());
  out.set("lock-path", (directory.pgbackrest() / "lock").string());
  out.set("spool-path", (directory.pgbackrest() / "spool").string());
  out.set("log-level-console", "warn");
  out.set("log-level-file", "info");
  out.set("start-fast", "y");
  out.set("process-max", std::to_string(settings.process_max == 0 ? 2 : settings.process_max));
  out.section(settings.repository.stanza);
  out.set("pg1-path", directory.data("primary").string());
  out.set("pg1-port", std::to_string(settings.primary_port));
  out.set("pg1-socket-path", socket_directory.string());
  out.set("pg1-user", superuser);
  return out.take();
}

std::map<std::string, std::optional<std::string>> backrest_environment(
    const RepositoryOptions& repository) {
  std::map<std::string, std::optional<std::string>> environment;
  for (const auto& [option, value] : repository_options(repository)) {
    std::string name = "PGBACKREST_" + option;
    for (auto& c : name)
      c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    environment.emplace(std::move(name), value);
  }
  return environment;
}

std::string own_archive_obstacle(const Settings& settings, const StateDirectory& directory) {
  const auto archive = own_archive(settings, directory, {});
  if (archive.type == RepositoryOptions::Type::s3) {
    if (const auto missing = missing_in(archive.s3); !missing.empty())
      return missing + " is missing: the cluster's own archive goes to a bucket, and the source " +
             "is in none";
    if (archive.s3.endpoint.starts_with("http://"))
      return "pgBackRest writes to S3 over TLS only, and the endpoint " + archive.s3.endpoint +
             " is plain HTTP";
  }
  const auto& source = settings.repository;
  if (settings.wal_archive == WalArchiveMode::source) return {};
  if (!settings.restore_from_backup || source.type != archive.type) return {};
  if (archive.type == RepositoryOptions::Type::posix) {
    if (among(resolved(archive.path), resolved(source.path)))
      return "WAL_ARCHIVE_PATH " + archive.path.string() + " lies in the source repository";
  } else if (archive.s3.bucket != source.s3.bucket) {
    // One bucket may be reached by several endpoints, but not under several names.
    return {};
  } else if (among(absolute(archive.s3.prefix), absolute(source.s3.prefix))) {
    return "WAL_ARCHIVE_PATH " + archive.s3.prefix + " lies in the source repository";
  }
  return {};
}

}  // namespace pgrevive::cluster
