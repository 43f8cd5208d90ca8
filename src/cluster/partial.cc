#include "cluster/partial.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/node_size.h"
#include "cluster/notices.h"
#include "cluster/stored_catalog.h"

namespace pgrevive::cluster {
namespace {

std::string names_of(const std::vector<restore::Database>& databases) {
  std::vector<std::string> texts;
  for (const auto& database : databases) texts.push_back(printable(database.text()));
  return fmt::format("{}", fmt::join(texts, ", "));
}

// As an array of PostgreSQL.
std::string oids_of(const std::vector<restore::Database>& databases) {
  std::vector<std::uint32_t> oids;
  for (const auto& database : databases) oids.push_back(database.oid);
  return fmt::format("{{{}}}", fmt::join(oids, ","));
}

// A subscription keeps its database from being dropped, and can itself be dropped only from within
// that database, which nobody can connect to. So its rows go, as DROP SUBSCRIPTION without a slot
// would have them go; the slot on the publisher belongs to the source.
void remove_subscriptions(Site& site, postgres::Connection& connection,
                          const std::vector<restore::Database>& left_out) {
  if (connection.server_version() < 100000) return;
  const auto rows = connection.query(
      "with gone as (delete from pg_subscription where subdbid = any ($1) returning oid, subname), "
      "owned as (delete from pg_shdepend where classid = 'pg_subscription'::regclass and objid in "
      "(select oid from gone)) select subname, 'pg_' || oid from gone",
      {oids_of(left_out)});
  for (const auto& row : rows) {
    connection.query(
        "select pg_replication_origin_drop(roname) from pg_replication_origin where roname = $1",
        {row.at(1).value_or("")});
    site.board.warn(notice("subscription_removed", printable(row.at(0).value_or(""))));
  }
}

// It removes files that may be many, and waits for a checkpoint: however long that takes, and no
// longer than somebody wants to wait for it. A connection of its own, because one that was told to
// stop is of no further use.
void drop(Site& site, const std::string& source_user, const restore::Database& database) {
  auto connection = site.access(source_user).open(site.port("primary"), "postgres", [&] {
    site.rest(std::chrono::milliseconds(0));
    site.servers.tick();
  });
  site.board.log("primary: dropping database " + printable(database.text()) +
                 ", which was left out of the restore");
  connection.query("drop database " + connection.quote_identifier(database.name));
}

void name_those_without(std::vector<restore::Database>& databases,
                        const repository::Repository& repository,
                        const repository::Manifest& manifest) {
  if (std::ranges::none_of(databases, &std::string::empty, &restore::Database::name)) return;
  const auto stored = stored_databases(repository, manifest);
  for (auto& database : databases)
    if (const auto known = stored.find(database.oid);
        known != stored.end() && database.name.empty())
      database.name = known->second.name;
}

}  // namespace

PartialBackup check_choice(const Settings& settings, const repository::Repository& repository,
                           const repository::Manifest& manifest) {
  PartialBackup partial{.left_out = restore::left_out_databases(manifest, settings.databases)};
  name_those_without(partial.left_out, repository, manifest);
  std::vector<std::uint32_t> oids;
  for (const auto& database : partial.left_out) {
    if (database.is_system())
      throw Error(ErrorKind::usage, fmt::format("DB_EXCLUDE: a cluster cannot do without {}",
                                                printable(database.text())))
          .with_hint("take it out of DB_EXCLUDE; `restore` takes any");
    if (database.name == settings.database)
      throw Error(ErrorKind::usage,
                  fmt::format("POSTGRES_DB={} would be left out by DB_INCLUDE or DB_EXCLUDE",
                              printable(settings.database, 80)))
          .with_hint("name in POSTGRES_DB a database that is restored, or a new one");
    oids.push_back(database.oid);
  }
  std::ranges::sort(oids);
  partial.bytes = NodeSize::of(manifest, oids).bytes;
  for (const auto& file : manifest.files)
    if (!restore::is_zeroed(file.name, oids)) partial.stored_bytes += file.repo_size;
  return partial;
}

std::vector<restore::Database> still_there(postgres::Connection& connection,
                                           const std::vector<restore::Database>& left_out) {
  if (left_out.empty()) return {};
  std::vector<restore::Database> found;
  // The name may have been changed, by the WAL or since.
  for (const auto& row : connection.query(
           "select oid::text, datname from pg_database where oid = any ($1) order by oid",
           {oids_of(left_out)}))
    found.push_back(
        {.oid = static_cast<std::uint32_t>(parse_unsigned(row.at(0).value_or("")).value_or(0)),
         .name = row.at(1).value_or("")});
  return found;
}

void settle_left_out(Site& site, postgres::Connection& connection, NodeRecord& record) {
  const auto databases = still_there(connection, record.left_out);
  record.left_out = databases;
  if (databases.empty()) return;
  remove_subscriptions(site, connection, databases);
  if (!site.settings.drop_left_out) {
    site.board.warn(notice("left_out_empty", names_of(databases)));
    return;
  }
  record.left_out.clear();
  for (const auto& database : databases) {
    try {
      drop(site, record.source_user, database);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      record.left_out.push_back(database);
      site.board.warn(notice("left_out_stays", printable(database.text()), error.text()));
    }
  }
}

}  // namespace pgrevive::cluster
