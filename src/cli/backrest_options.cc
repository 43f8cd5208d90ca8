#include "cli/backrest_options.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

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

}  // namespace

bool is_list(std::string_view name) {
  for (const char* list : {"annotation", "db-exclude", "db-include", "exclude", "link-map",
                           "recovery-option", "tablespace-map", "tls-server-auth"}) {
    if (name == list) return true;
  }
  return name.ends_with("-storage-tag") || name.ends_with("-sftp-known-host") ||
         name.ends_with("-azure-tag");
}

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

}  // namespace pgrevive::cli
