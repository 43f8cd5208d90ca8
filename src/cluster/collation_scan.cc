#include "cluster/collation_scan.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/locales.h"
#include "cluster/status_board.h"

namespace pgrevive::cluster {
namespace {

using postgres::Connection;

Oid oid_of(const std::optional<std::string>& text) {
  return static_cast<Oid>(parse_unsigned(text.value_or("")).value_or(0));
}

// "{100,12345}" as SQL writes arrays of numbers.
std::string array_of(const std::vector<Oid>& oids) {
  return fmt::format("{{{}}}", fmt::join(oids, ","));
}

std::vector<Oid> oids_of(const std::string& array) {
  std::vector<Oid> oids;
  for (const auto& part : split(array.substr(1, array.size() - 2), ','))
    if (!part.empty()) oids.push_back(oid_of(part));
  return oids;
}

// One row of pg_database.
struct Database {
  std::uint32_t oid = 0;
  std::string name;
  bool connectable = true;
  std::string collate, ctype;
  std::string provider;
  std::optional<std::string> kept, actual;
};

std::vector<Database> databases_of(Connection& connection) {
  // Before 15 the default collation is the C library's, and its version is kept nowhere.
  const std::string versions =
      connection.server_version() >= 150000
          ? "case datlocprovider when 'c' then 'libc' when 'i' then 'icu' else 'builtin' end, "
            "datcollversion, pg_database_collation_actual_version(oid)"
          : "'libc', null, null";
  std::vector<Database> databases;
  for (const auto& row : connection.query(
           "select oid::text, datname, datallowconn, datcollate, datctype, " + versions +
           // -2: DROP DATABASE was interrupted, and nothing else can be done with it
           " from pg_database where datconnlimit <> -2 "
           "order by datname"))
    databases.push_back(
        {.oid = static_cast<std::uint32_t>(parse_unsigned(row.at(0).value_or("")).value_or(0)),
         .name = row.at(1).value_or(""),
         .connectable = row.at(2) == "t",
         .collate = row.at(3).value_or(""),
         .ctype = row.at(4).value_or(""),
         .provider = row.at(5).value_or(""),
         .kept = row.at(6),
         .actual = row.at(7)});
  return databases;
}

void add_default(DatabaseFindings& findings, const Database& database) {
  // initdb leaves it without one; it has nothing that is sorted.
  if (database.name == "template0" && !database.kept) return;
  if (is_changed(database.kept, database.actual))
    findings.collations.push_back({.oid = kDefaultCollation,
                                   .schema = "pg_catalog",
                                   .name = "default",
                                   .provider = database.provider,
                                   .source_version = database.kept.value_or(""),
                                   .host_version = database.actual.value_or("")});
}

void add_collations(DatabaseFindings& findings, Connection& connection) {
  // Of another encoding's nobody here can make use.
  for (const auto& row : connection.query(
           "select c.oid, n.nspname, c.collname, "
           "case c.collprovider when 'c' then 'libc' when 'i' then 'icu' else 'builtin' end, "
           "c.collversion, pg_collation_actual_version(c.oid) "
           "from pg_collation c join pg_namespace n on n.oid = c.collnamespace "
           "where (c.collversion is not null or c.collprovider in ('c', 'i')) "
           "and c.collencoding in (-1, (select encoding from "
           "pg_database where datname = current_database())) order by 2, 3"))
    if (is_changed(row.at(4), row.at(5)))
      findings.collations.push_back({.oid = oid_of(row.at(0)),
                                     .schema = row.at(1).value_or(""),
                                     .name = row.at(2).value_or(""),
                                     .provider = row.at(3).value_or(""),
                                     .source_version = row.at(4).value_or(""),
                                     .host_version = row.at(5).value_or("")});
}

// Types of whole values that hold a text of a collation: ranges of texts, rows, and what is made of
// these.
std::string types_with_collations(int version) {
  std::string ranges = "select rngtypid as typ, rngcollation as coll from pg_range ";
  std::string wrapped = "union all select rngtypid, rngsubtype from pg_range ";
  if (version >= 140000) {
    ranges += "union all select rngmultitypid, rngcollation from pg_range ";
    wrapped += "union all select rngmultitypid, rngtypid from pg_range ";
  }
  return "holding(typ, coll) as (select typ, coll from (" + ranges +
         "union all select c.reltype, a.attcollation from pg_class c join pg_attribute a "
         "on a.attrelid = c.oid where c.reltype <> 0 and a.attnum > 0 and not a.attisdropped) t "
         "where coll = any($1::oid[]) union select w.typ, h.coll from holding h join ("
         "select c.reltype as typ, a.atttypid as part from pg_class c join pg_attribute a "
         "on a.attrelid = c.oid where c.reltype <> 0 and a.attnum > 0 and not a.attisdropped "
         "union all select oid, typbasetype from pg_type where typtype = 'd' "
         "union all select oid, typelem from pg_type where typcategory = 'A' " +
         wrapped + ") w on w.part = h.typ) ";
}

// The collations that a stored expression calls functions and operators with.
std::string collations_in(const std::string& expression) {
  return "select part::oid from regexp_matches(" + expression +
         "::text, ':inputcollids? (?:\\(o )?([0-9 ]+)', 'g') m, "
         "regexp_split_to_table(trim(m[1]), ' +') part";
}

void add_indexes(DatabaseFindings& findings, Connection& connection,
                 const std::vector<Oid>& changed) {
  const int version = connection.server_version();
  // Where equal is what has equal bytes, hashes do not depend on an order, and these operator
  // classes compare bytes.
  const std::string bytewise =
      std::string(
          "(am.amname = 'hash' or f.opfname in ('text_pattern_ops', 'bpchar_pattern_ops'))") +
      (version >= 120000 ? " and co.collisdeterministic" : "");
  const auto rows = connection.query(
      "with recursive " + types_with_collations(version) +
          ", needs(index, coll) as ("
          "select i.indexrelid, k.coll from pg_index i join pg_class c on c.oid = i.indexrelid "
          "join pg_am am on am.oid = c.relam "
          "cross join lateral unnest(i.indcollation::oid[], i.indclass::oid[]) k(coll, class) "
          "join pg_opclass o on o.oid = k.class join pg_opfamily f on f.oid = o.opcfamily "
          "join pg_collation co on co.oid = k.coll "
          "where k.coll = any($1::oid[]) and not (" +
          bytewise + ") union select i.indexrelid, e.coll from pg_index i cross join lateral (" +
          collations_in("i.indexprs") + " union all " + collations_in("i.indpred") +
          ") e(coll) where e.coll = any($1::oid[]) "
          "union select i.indexrelid, h.coll from pg_index i join pg_attribute a "
          "on a.attrelid = i.indexrelid and a.attnum <= array_length(i.indcollation::oid[], 1) "
          "join holding h on h.typ = a.atttypid) "
          "select n.nspname, c.relname, t.relname, array_agg(distinct needs.coll order by "
          "needs.coll)::text, i.indisvalid, i.indisexclusion or n.nspname in ('pg_catalog', "
          "'pg_toast') from needs join pg_index i on i.indexrelid = needs.index "
          "join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace "
          "join pg_class t on t.oid = i.indrelid "
          // Without a partitioned index, which has no order of its own, and what other sessions
          // have for themselves.
          "where c.relkind = 'i' and c.relpersistence <> 't' group by 1, 2, 3, 5, 6 order by 1, 2",
      {array_of(changed)});
  for (const auto& row : rows)
    findings.indexes.push_back({.schema = row.at(0).value_or(""),
                                .name = row.at(1).value_or(""),
                                .table = row.at(2).value_or(""),
                                .collations = oids_of(row.at(3).value_or("{}")),
                                .valid = row.at(4) == "t",
                                .locks = row.at(5) == "t"});
}

void add_partitioned(DatabaseFindings& findings, Connection& connection,
                     const std::vector<Oid>& changed) {
  for (const auto& row : connection.query(
           "select n.nspname, c.relname, array_agg(distinct k.coll order by k.coll)::text "
           "from pg_partitioned_table p join pg_class c on c.oid = p.partrelid "
           "join pg_namespace n on n.oid = c.relnamespace cross join lateral ("
           "select unnest(p.partcollation::oid[]) union all " +
               collations_in("p.partexprs") +
               ") k(coll) where p.partstrat = 'r' and k.coll = any($1::oid[]) "
               "group by 1, 2 order by 1, 2",
           {array_of(changed)}))
    findings.partitioned.push_back({.schema = row.at(0).value_or(""),
                                    .name = row.at(1).value_or(""),
                                    .collations = oids_of(row.at(2).value_or("{}"))});
}

// Collations that columns use and this host does not have: queries that need one fail.
void add_missing_locales(DatabaseFindings& findings, Connection& connection) {
  for (const auto& row : connection.query(
           "select distinct locale from pg_collation c cross join lateral "
           "unnest(array[c.collcollate::text, c.collctype::text]) locale "
           "where c.collprovider = 'c' and locale <> '' and exists (select from pg_attribute a "
           "where a.attcollation = c.oid) order by 1")) {
    const auto locale = row.at(0).value_or("");
    if (!host_has_locale(locale)) findings.missing_locales.push_back(locale);
  }
}

// The C library's collations in use, of which PostgreSQL kept no version before 13.
void look_for_unversioned(DatabaseFindings& findings, Connection& connection) {
  std::vector<Oid> sorting;
  for (const auto& row : connection.query(
           "select oid, collcollate from pg_collation where collprovider = 'c' and collencoding in "
           "(-1, (select encoding from pg_database where datname = current_database()))"))
    if (!orders_by_bytes(row.at(1).value_or(""))) sorting.push_back(oid_of(row.at(0)));
  DatabaseFindings users;
  add_indexes(users, connection, sorting);
  findings.unversioned = !users.indexes.empty();
}

void look_into(DatabaseFindings& findings, Connection& connection) {
  if (connection.server_version() < 100000) return;
  // Nothing that a database's or a role's settings say, and no hostile schema, shall be in the way.
  connection.query(
      "select set_config('search_path', 'pg_catalog', false), "
      "set_config('standard_conforming_strings', 'on', false)");
  // What runs for half a second would be compiled for many.
  if (connection.server_version() >= 110000)
    connection.query("select set_config('jit', 'off', false)");
  add_missing_locales(findings, connection);
  add_collations(findings, connection);
  if (connection.server_version() < 130000) look_for_unversioned(findings, connection);
  if (findings.collations.empty()) return;
  std::vector<Oid> changed;
  for (const auto& collation : findings.collations) changed.push_back(collation.oid);
  add_indexes(findings, connection, changed);
  add_partitioned(findings, connection, changed);
}

DatabaseFindings scan(const Access& access, int port, const Database& database) {
  DatabaseFindings findings{.database = database.name};
  add_default(findings, database);
  if (!database.connectable) {
    findings.reachable = false;
    // template0 is as initdb made it, so it has no index that could need one. Of others nobody
    // knows.
    if (database.name != "template0" && !findings.collations.empty())
      findings.error = "it does not allow connections";
    return findings;
  }
  std::optional<Connection> connection;
  try {
    connection.emplace(access.open_only(port, database.name));
    look_into(findings, *connection);
  } catch (const Error& error) {
    findings.reachable = connection.has_value();
    if (!findings.reachable) {
      for (const auto& locale : std::set<std::string>{database.collate, database.ctype})
        if (!host_has_locale(locale)) findings.missing_locales.push_back(locale);
    }
    if (findings.reachable || findings.missing_locales.empty()) findings.error = error.what();
  }
  return findings;
}

// A partitioned table and all below it; $1 is its name.
constexpr const char* kParts =
    "part(oid) as (select $1::regclass::oid union all select inhrelid from pg_inherits "
    "join part on part.oid = inhparent) ";

// Whether to evaluate the bounds of that table's partitions runs code of somebody who is no
// superuser: a function, in itself or behind an operator or an operator class, or the constraint of
// a domain. What PostgreSQL brings along has no entries in pg_depend.
bool calls_what_others_made(Connection& connection, const std::string& table) {
  return connection.value(
             "with recursive " + std::string(kParts) +
                 ", keyed as (select partrelid from pg_partitioned_table "
                 "join part on part.oid = partrelid), "
                 "used as (select refclassid, refobjid from pg_depend join keyed "
                 "on objid = partrelid where classid = 'pg_class'::regclass), "
                 "operators(oid) as (select refobjid from used "
                 "where refclassid = 'pg_operator'::regclass union select a.amopopr from used "
                 "join pg_opclass o on o.oid = refobjid join pg_amop a "
                 "on a.amopfamily = o.opcfamily where refclassid = 'pg_opclass'::regclass), "
                 "functions(oid) as (select refobjid from used "
                 "where refclassid = 'pg_proc'::regclass union select o.oprcode::oid "
                 "from operators join pg_operator o using (oid) union select a.amproc::oid "
                 "from used join pg_opclass o on o.oid = refobjid join pg_amproc a "
                 "on a.amprocfamily = o.opcfamily where refclassid = 'pg_opclass'::regclass), "
                 "makers(oid) as (select f.proowner from functions join pg_proc f using (oid) "
                 "union select t.typowner from keyed join pg_attribute a on a.attrelid = partrelid "
                 "join pg_type t on t.oid = a.atttypid where a.attnum > 0 and t.typtype = 'd') "
                 "select exists (select from makers join pg_roles r using (oid) "
                 "where not r.rolsuper)",
             {table}) == "t";
}

}  // namespace

CollationFindings scan_collations(const Access& access, int port,
                                  const std::vector<std::uint32_t>& except) {
  auto connection = access.open(port);
  CollationFindings result;
  result.looked_ms = unix_milliseconds();
  for (const auto& database : databases_of(connection)) {
    if (std::ranges::find(except, database.oid) != except.end()) continue;
    auto findings = scan(access, port, database);
    const bool unversioned = findings.unversioned;
    if (!findings.nothing()) result.databases.push_back(std::move(findings));
    if (connection.server_version() < 150000 && database.connectable &&
        (unversioned || !orders_by_bytes(database.collate)))
      result.not_comparable.push_back(database.name);
  }
  return result;
}

DatabaseFindings scan_database(const Access& access, int port, const std::string& name) {
  auto connection = access.open(port);
  for (const auto& database : databases_of(connection))
    if (database.name == name) return scan(access, port, database);
  return {.database = name};
}

MisplacedRows misplaced_rows(Connection& connection,
                             const std::vector<AffectedTable>& partitioned) {
  // Else the planner may believe the constraint and not look, or believe an index.
  for (const auto* setting :
       {"constraint_exclusion", "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"})
    connection.query("select set_config($1, 'off', false)", {setting});
  MisplacedRows found;
  for (const auto& table : partitioned) {
    const auto parent =
        connection.quote_identifier(table.schema) + "." + connection.quote_identifier(table.name);
    if (calls_what_others_made(connection, parent)) {
      found.unknown.push_back(shown(table.schema, table.name));
      continue;
    }
    // Ordinary tables only: behind a foreign one is another server's order.
    for (const auto& row : connection.query(
             "with recursive " + std::string(kParts) +
                 "select n.nspname, c.relname, "
                 "pg_get_partition_constraintdef(c.oid) from part join pg_class c using (oid) "
                 "join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' order by 1, "
                 "2",
             {parent})) {
      const auto schema = row.at(0).value_or("");
      const auto name = row.at(1).value_or("");
      const auto statement =
          "select exists (select from only " + connection.quote_identifier(schema) + "." +
          connection.quote_identifier(name) + " where not (" + row.at(2).value_or("true") + "))";
      auto text = shown(schema, name);
      if (connection.value(statement) == "t" &&
          std::ranges::find(found.partitions, text) == found.partitions.end())
        found.partitions.push_back(std::move(text));
    }
  }
  return found;
}

}  // namespace pgrevive::cluster
