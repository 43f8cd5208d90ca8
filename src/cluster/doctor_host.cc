#include "cluster/doctor_host.h"

#include <algorithm>
#include <chrono>
#include <clocale>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <locale.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/text.h"
#include "cluster/adminer.h"
#include "cluster/backrest_conf.h"
#include "cluster/bring_up.h"
#include "cluster/configuration.h"
#include "cluster/console_process.h"
#include "cluster/host.h"
#include "cluster/identity_scope.h"
#include "cluster/locales.h"
#include "cluster/needed_locales.h"
#include "cluster/supervisor_process.h"
#include "restore/restore.h"
#include "storage/s3/probe.h"

namespace pgrevive::cluster {
namespace {

// What initialize_primary() makes an empty cluster with.
constexpr const char* kOwnLocale = "C.UTF-8";
constexpr std::chrono::milliseconds kOwnBucketLimit{5'000};

void examine_ports(const Settings& settings, const StateDirectory& directory, Findings& findings) {
  if (settings.containers)
    return findings.add("ports", not_applicable("Docker publishes them, and says where it cannot"));
  std::vector<WantedPort> ports;
  try {
    ports = wanted_ports(settings);
  } catch (const Error&) {
    findings.look("ports", [&]() -> Finding { throw; });
    return;
  }
  for (const auto& wanted : ports)
    findings.look("port " + std::to_string(wanted.port), [&] {
      const bool console = wanted.user == "the console";
      const bool ours = console ? find_side_process(console_program(directory)).has_value()
                        : wanted.user == "Adminer" ? find_adminer(directory).has_value()
                                                   : server_is_ours(directory, wanted.user);
      if (ours)
        return fine("used by this cluster's " + std::string(console ? "console" : wanted.user));
      check_port(wanted);
      return fine("free, for " + wanted.user);
    });
}

void examine_space(const Settings& settings, const StateDirectory& directory,
                   const std::optional<ChosenBackup>& chosen, Findings& findings) {
  if (!settings.restore_from_backup)
    return findings.add("disk space", not_applicable("RESTORE_FROM_BACKUP=false"));
  if (!needs_restore(settings, directory))
    return findings.add("disk space", not_applicable("the primary is restored already"));
  if (!chosen) return findings.add("disk space", not_run("chosen backup"));
  std::vector<SpaceNeed> needs;
  try {
    needs = space_needs(settings, directory, *chosen);
  } catch (const Error&) {
    findings.look("disk space", [&]() -> Finding { throw; });
    return;
  }
  for (const auto& need : needs) findings.look("disk space", [&] { return judge_space(need); });
}

void examine_tablespaces(const Settings& settings, const StateDirectory& directory,
                         const std::optional<ChosenBackup>& chosen, Findings& findings) {
  if (settings.tablespaces.empty() || !chosen || !needs_restore(settings, directory)) return;
  findings.look("tablespaces", [&] {
    const IdentityScope scope(find_owner());
    check_tablespace_map(settings, directory, *chosen, NodesToMake::missing);
    return fine("go where TABLESPACE_MAP says");
  });
}

Finding examine_binaries(const Settings& settings, const StateDirectory& directory,
                         const std::optional<ChosenBackup>& chosen) {
  // Which version it has to be is said by the backup, unless there is a cluster already.
  if (!chosen && needs_restore(settings, directory)) return not_run("chosen backup");
  const auto version = cluster_version(settings, directory);
  return fine(
      fmt::format("{} in {}", version.text(), cluster_binaries(settings, version).string()));
}

Finding examine_own_archive(const Settings& settings, const StateDirectory& directory,
                            const std::optional<ChosenBackup>& chosen) {
  check_own_archive(settings, directory);
  if (!settings.archives()) return not_applicable("WAL_ARCHIVE=off");
  // Whether it knows the version is said by the backup, as that of the programs.
  if (chosen || !needs_restore(settings, directory))
    check_archiver(settings, directory, cluster_version(settings, directory));
  return fine("pgbackrest is " + find_program("pgbackrest").value_or("there").string());
}

// An archive with a way or keys of its own: the way to the source says nothing of it. Nothing is
// written there; `start` tries that.
Finding examine_own_bucket(const Settings& settings, const StateDirectory& directory) {
  if (settings.wal_archive != WalArchiveMode::own || !settings.own_archive.has_s3_of_its_own())
    return not_applicable("the archive has neither bucket nor keys of its own");
  const auto archive = own_archive(settings, directory, {});
  const auto probe = storage::s3::probe(archive.s3, kOwnBucketLimit);
  if (probe.error) {
    auto error = *probe.error;
    error.with_hint("of the names that begin with WAL_ARCHIVE_S3_: " + error.hint());
    throw error;
  }
  return fine(fmt::format("s3://{} takes the keys; start tries whether they may write there",
                          archive.s3.bucket));
}

Finding examine_locales(const Settings& settings, const StateDirectory& directory,
                        const std::optional<ChosenBackup>& chosen) {
  if (!settings.restore_from_backup) {
    const auto made = ::newlocale(LC_ALL_MASK, kOwnLocale, nullptr);
    if (made == nullptr)
      return failed(std::string("this host has no ") + kOwnLocale,
                    "install it (Debian has it in libc-bin)");
    ::freelocale(made);
    return fine(kOwnLocale);
  }
  if (!needs_restore(settings, directory))
    return not_applicable(
        "the primary is restored already; status tells of its databases' locales");
  if (!chosen) return not_run("chosen backup");
  return judge_locales(databases_to_come(settings, *chosen), host_has_locale);
}

Finding examine_memory(const Settings& settings, const StateDirectory& directory) {
  const auto host = look_at_host();
  const auto buffers = shared_buffers_of(settings, host);
  if (!buffers)
    return failed("SHARED_BUFFERS=" + settings.shared_buffers + " is not an amount of memory",
                  "write it like 256MB");
  check_memory(settings, has_primary(directory) ? Mapping::not_tried : Mapping::tried);
  return judge_memory(settings.replicas + 1, *buffers, host.memory_bytes);
}

}  // namespace

Finding judge_space(const SpaceNeed& need) {
  check_space(need);
  const auto detail = fmt::format("{}: {} free, {} of {} {} to come", need.directory.string(),
                                  format_bytes(need.free_bytes), format_bytes(need.bytes),
                                  need.nodes, need.nodes == 1 ? "node" : "nodes");
  if (need.free_bytes - need.bytes < need.bytes / 10)
    return warning(detail,
                   "little is left for WAL and growth: free some, or set PGREVIVE_HOME to a "
                   "directory on a larger file system");
  return fine(detail);
}

Finding judge_memory(int nodes, std::uint64_t shared_buffers, std::uint64_t memory) {
  const auto count = static_cast<std::uint64_t>(nodes);
  const auto detail = fmt::format("{} x {} of shared_buffers, {} in all", nodes,
                                  format_bytes(shared_buffers), format_bytes(memory));
  const std::string remedy = "set SHARED_BUFFERS to less, or REPLICAS to fewer";
  // Divided, because the product of what a user writes may not fit.
  if (shared_buffers > memory / count) return failed(detail, remedy);
  if (shared_buffers > memory / 2 / count) return warning(detail, remedy);
  return fine(detail);
}

Finding judge_locales(const Databases& databases, const HasLocale& has_locale) {
  std::set<std::string> here;
  for (const auto& [oid, database] : databases)
    for (const auto& locale : {database.collate, database.ctype})
      if (!locale.empty()) here.insert(printable(locale, 80));
  if (here.empty())
    return warning("the files of the backup do not tell which its databases need",
                   "on the source: select datname, datcollate, datctype from pg_database");
  std::vector<std::string> texts;
  std::vector<std::string> remedies;
  for (const auto& missing : missing_locales(databases, has_locale)) {
    texts.push_back(missing_text(missing));
    remedies.push_back(how_to_install_locale(missing.locale));
  }
  if (!texts.empty())
    return failed(fmt::format("{}", fmt::join(texts, "; ")),
                  fmt::format("{}", fmt::join(remedies, "; ")));
  return fine(fmt::format("all that the databases of the backup need: {}", fmt::join(here, ", ")));
}

void examine_host(const Settings& settings, const StateDirectory& directory,
                  const std::optional<ChosenBackup>& chosen, Findings& findings) {
  examine_tablespaces(settings, directory, chosen, findings);
  examine_space(settings, directory, chosen, findings);
  examine_ports(settings, directory, findings);
  findings.look("other servers", [&] {
    refuse_foreign_servers(directory);
    return fine("none on this cluster's directories");
  });
  findings.look("PostgreSQL", [&] { return examine_binaries(settings, directory, chosen); });
  findings.look("own WAL archive",
                [&] { return examine_own_archive(settings, directory, chosen); });
  findings.look("own archive's bucket", [&] { return examine_own_bucket(settings, directory); });
  findings.look("locales", [&] { return examine_locales(settings, directory, chosen); });
  findings.look("memory", [&] { return examine_memory(settings, directory); });
}

}  // namespace pgrevive::cluster
