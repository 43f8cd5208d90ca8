#include "cluster/setup.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/node_files.h"
#include "cluster/notices.h"
#include "cluster/partial.h"
#include "cluster/reindex.h"
#include "cluster/scram.h"
#include "cluster/source_settings.h"
#include "cluster/supervisor_process.h"

namespace pgrevive::cluster {
namespace {

using postgres::Connection;

constexpr const char* kPrimary = "primary";

// In a password file ':' ends a field.
std::string field(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

Secret replication_password(const Site& site) {
  const auto file = site.directory.secrets() / "replication";
  if (const auto text = read_file_if_exists(file)) return Secret(*text);
  auto secret = make_secret();
  write_file_atomic(file, secret.reveal());
  return secret;
}

void make_role(Connection& connection, const std::string& role, const std::string& attributes,
               const Secret& password) {
  const bool exists =
      connection.value("select count(*) from pg_roles where rolname = $1", {role}) != "0";
  std::string statement = fmt::format("{} role {} with login {}", exists ? "alter" : "create",
                                      connection.quote_identifier(role), attributes);
  if (!password.empty()) {
    std::string stored;
    if (connection.server_version() >= 100000) stored = make_scram_verifier(password);
    statement +=
        " password " + connection.quote_literal(stored.empty() ? password.reveal() : stored);
  }
  connection.query(statement);
}

void make_database(Site& site, const Access& access, Connection& connection,
                   const std::string& database, const std::string& owner) {
  if (connection.value("select count(*) from pg_database where datname = $1", {database}) != "0") {
    // The one that the cluster is there for.
    check_locale_of(site, access, database);
    return;
  }
  make_template_usable(site, access);
  connection.query(fmt::format("create database {} owner {}", connection.quote_identifier(database),
                               connection.quote_identifier(owner)));
}

// A slot of a replica that is no more would keep WAL until the disk is full.
void drop_slots_of_others(Connection& connection, const std::vector<std::string>& nodes) {
  for (const auto& node : possible_nodes())
    if (std::ranges::find(nodes, node) == nodes.end())
      connection.query(
          "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
          "where slot_type = 'physical' and slot_name = $1 and not active",
          {slot_name(node)});
}

void make_slots(Connection& connection, const std::vector<std::string>& nodes) {
  drop_slots_of_others(connection, nodes);
  for (const auto& node : nodes) {
    if (node == kPrimary) continue;
    const auto slot = slot_name(node);
    // One that fell behind max_slot_wal_keep_size keeps nothing any more, and some versions refuse
    // to stream by it.
    if (connection.server_version() >= 130000)
      connection.query(
          "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
          "where slot_name = $1 and wal_status = 'lost' and not active",
          {slot});
    if (connection.value("select count(*) from pg_replication_slots where slot_name = $1",
                         {slot}) == "0")
      // Reserved at once: the WAL since the promotion has to wait for a replica that comes later.
      connection.query("select pg_create_physical_replication_slot($1, true)", {slot});
  }
}

void disable_subscription(const Site& site, const Access& access, Connection& connection,
                          const std::string& database, const std::string& name) {
  std::optional<Connection> there;
  try {
    there.emplace(access.open_only(site.port(kPrimary), database));
  } catch (const Error&) {
    // Of a locale that this host lacks. Once it is there, the subscription must not awake.
    connection.query(
        "update pg_subscription set subenabled = false, subslotname = null where subname = $1 and "
        "subdbid = (select oid from pg_database where datname = $2)",
        {name, database});
    return;
  }
  const auto quoted = there->quote_identifier(name);
  there->query("alter subscription " + quoted + " disable");
  // The slot on the publisher belongs to the source; dropping the copy must not drop it there.
  there->query("alter subscription " + quoted + " set (slot_name = none)");
}

void disable_subscriptions(Site& site, const Access& access) {
  if (!site.version.at_least(10)) return;
  auto connection = access.open(site.port(kPrimary));
  const auto rows = connection.query(
      "select d.datname, s.subname from pg_subscription s join pg_database d on d.oid = s.subdbid "
      "where s.subenabled or s.subslotname is not null order by 1, 2");
  for (const auto& row : rows) {
    const auto database = row.at(0).value_or("");
    const auto name = row.at(1).value_or("");
    disable_subscription(site, access, connection, database, name);
    site.board.warn(notice("subscription_disabled", printable(name), printable(database)));
  }
}

// What set it, as PostgreSQL's commands say that in any language.
std::string set_by(const std::optional<std::string>& role,
                   const std::optional<std::string>& database) {
  if (!role && database) return "ALTER DATABASE " + printable(*database);
  return "ALTER ROLE " + (role ? printable(*role) : "ALL") +
         (database ? " IN DATABASE " + printable(*database) : "");
}

// Of roles and databases, which no configuration of ours overrides.
void look_at_own_settings(Site& site, Connection& connection) {
  const auto libraries = installed_libraries(site.binaries);
  const HostFacts facts{
      .has_library = [&](const std::string& name) { return libraries.contains(name); },
      .has_locale = {},
      .has_time_zone = {}};
  const auto rows = connection.query(
      "select r.rolname, d.datname, unnest(s.setconfig) from pg_db_role_setting s "
      "left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase "
      "order by 1, 2, 3");
  for (const auto& row : rows) {
    const auto whose = set_by(row.at(0), row.at(1));
    if (const auto trouble = own_setting_trouble(whose, row.at(2).value_or(""), facts))
      site.board.warn(*trouble);
  }
}

// Workers of extensions act by themselves, and which of them do something to other systems nobody
// can know: those that are known to are not loaded (source_settings.cc).
void look_at_workers(Site& site, Connection& connection) {
  const auto workers = connection.value(
      "select string_agg(distinct backend_type, ', ') from pg_stat_activity where backend_type not "
      "in ('client backend', 'archiver', 'autovacuum launcher', 'autovacuum worker', "
      "'background writer', 'checkpointer', 'dead-end client backend', 'io worker', 'logger', "
      "'logical replication apply worker', 'logical replication launcher', "
      "'logical replication parallel worker', 'logical replication tablesync worker', "
      "'logical replication worker', 'parallel worker', 'slotsync worker', 'standalone backend', "
      "'startup', 'walreceiver', 'walsender', 'walsummarizer', 'walwriter')");
  if (workers) site.board.warn(notice("foreign_workers", printable(*workers)));
}

void look_at_login_triggers(Site& site, Connection& connection) {
  const auto databases = connection.value(
      "select string_agg(quote_ident(datname), ', ' order by datname) from pg_database "
      "where dathasloginevt");
  if (databases) site.board.warn(notice("login_triggers", printable(*databases)));
}

// What a person should know and nobody can decide for them.
void look_around(Site& site, Connection& connection) {
  if (connection.server_version() >= 100000) look_at_workers(site, connection);
  if (connection.server_version() >= 170000) look_at_login_triggers(site, connection);
  look_at_own_settings(site, connection);
  if (connection.server_version() >= 100000) {
    const auto roles = connection.value(
        "select string_agg(rolname, ', ' order by rolname) from pg_authid "
        "where rolcanlogin and rolpassword like 'md5%'");
    if (roles) site.board.warn(notice("md5_passwords", *roles));
  }
  if (const auto count = connection.value("select count(*) from pg_prepared_xacts");
      count && count != "0")
    site.board.warn(notice("prepared_transactions", *count));
}

}  // namespace

void write_password_files(const Site& site) {
  const auto& directory = site.directory;
  make_directories(directory.secrets());
  write_file_atomic(
      directory.replication_passfile(),
      fmt::format("*:*:*:{}:{}\n", kReplicationRole, field(replication_password(site).reveal())));
  write_file_atomic(directory.user_passfile(),
                    fmt::format("*:*:*:{}:{}\n", field(site.settings.user),
                                field(site.settings.password.reveal())));
}

void configure_primary(Site& site, const NodeRecord& record, const std::string& archive_command) {
  // Nobody is let in before its roles, subscriptions and slots are what they shall be.
  const auto stage = record.set_up ? Stage::primary : Stage::recovering;
  auto node = describe_node(site, kPrimary, stage, record);
  node.archiving = site.settings.archives();
  node.archive_command = archive_command;
  // At the first start with subscriptions still enabled.
  node.hold_subscriptions = !record.set_up;
  write_configuration(site, node, record);
  if (site.servers.running(kPrimary)) postgres::reload_server(site.directory.data(kPrimary));
}

void set_up_primary(Site& site, NodeRecord& record) {
  const auto access = site.access(record.source_user);
  auto connection = access.open(site.port(kPrimary));
  // Secrets stay out of the log.
  connection.query("set log_statement = 'none'");
  connection.query("set log_min_duration_statement = -1");
  make_role(connection, site.settings.user, "superuser", site.settings.password);
  make_role(connection, kReplicationRole, "replication nosuperuser", replication_password(site));
  settle_left_out(site, connection, record);
  make_database(site, access, connection, site.settings.database, site.settings.user);
  make_slots(connection, node_names(site.settings.replicas));
  if (!record.set_up) {
    disable_subscriptions(site, access);
    look_around(site, connection);
  }
  if (record.superuser.empty())
    record.superuser = connection.value("select current_user").value_or("postgres");
  record.set_up = true;
  record.save(site.directory, kPrimary);
}

}  // namespace pgrevive::cluster
