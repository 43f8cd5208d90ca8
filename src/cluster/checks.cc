#include <algorithm>
#include <functional>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/access.h"
#include "cluster/adminer.h"
#include "cluster/cluster.h"
#include "cluster/dialect.h"
#include "cluster/marker.h"
#include "cluster/node_record.h"

namespace pgrevive::cluster {
namespace {

using postgres::Connection;

constexpr std::chrono::seconds kConnectLimit{5};
constexpr std::chrono::seconds kReplayLimit{20};
constexpr std::chrono::seconds kArchiveLimit{60};

// Asks again until it is true or the time is over.
bool becomes_true(std::chrono::milliseconds limit, const std::function<bool()>& question) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!question()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

class Checks {
 public:
  Checks(const StateDirectory& directory, const std::string& published)
      : directory_(directory),
        marker_(load_marker(directory)),
        settings_(from_json(read_file(directory.settings()))),
        nodes_(node_names(settings_.replicas)) {
    if (published.empty()) return;
    // From there containers are this host's own programs.
    settings_.containers = false;
    settings_.listen_addresses = published;
  }

  std::vector<Check> run() {
    for (const auto& node : nodes_) {
      check("answers", node, node + " answers", [&] { return answers(node); });
      check("role", node, node + " has its role", [&] { return role(node); });
    }
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const auto& node = nodes_[i];
      check("streams", node, node + " streams", [&] { return streams(node); });
      check("row", node, "a row reaches " + node, [&] { return row_arrives(node); });
      check("refuses_writes", node, node + " refuses writes", [&] { return refuses_writes(node); });
      check("same_cluster", node, node + " is of the same cluster",
            [&] { return same_cluster(node); });
    }
    check("databases", "", "restored databases are there", [&] { return databases(); });
    if (settings_.archives())
      check("archiving", "", "WAL archiving works", [&] { return archiving(); });
    else
      skip("archiving", "WAL archiving works", "WAL_ARCHIVE=off");
    if (settings_.adminer_port != 0)
      check("adminer", "", "Adminer answers", [&] { return adminer(); });
    else
      skip("adminer", "Adminer answers", "ADMINER_PORT=0");
    return std::move(checks_);
  }

 private:
  // The body returns a detail, or throws what failed.
  void check(const std::string& id, const std::string& node, const std::string& name,
             const std::function<std::string()>& body) {
    Check result{.id = id, .node = node, .name = name};
    try {
      result.detail = body();
    } catch (const Error& error) {
      result.result = Check::Result::failed;
      result.detail = error.what();
    }
    checks_.push_back(std::move(result));
  }
  void skip(const std::string& id, const std::string& name, const std::string& why) {
    checks_.push_back(
        {.id = id, .name = name, .result = Check::Result::not_applicable, .detail = why});
  }
  [[noreturn]] static void fail(const std::string& detail) {
    throw Error(ErrorKind::postgres, detail);
  }

  // As the user does: by address and password where the servers listen at all.
  Connection open(const std::string& node, const std::string& database = {}) {
    if (hanging_.contains(node)) fail(node + " does not answer");
    const auto address =
        settings_.containers ? host_of(settings_, node) : local_address(settings_.listen_addresses);
    const auto began = std::chrono::steady_clock::now();
    try {
      return Connection::open(
          {.host = address.empty() ? marker_.socket_directory.string() : address,
           .port = settings_.containers ? kContainerPort : port_of(settings_, node),
           .user = settings_.user,
           .database = database.empty() ? settings_.database : database,
           .password = settings_.password,
           .connect_timeout = kConnectLimit,
           .as_clients_do = true});
    } catch (const Error&) {
      if (std::chrono::steady_clock::now() - began >= kConnectLimit) hanging_.insert(node);
      throw;
    }
  }

  std::string answers(const std::string& node) {
    auto connection = open(node);
    return "PostgreSQL " +
           connection.value("select current_setting('server_version')").value_or("") +
           (settings_.containers
                ? fmt::format(" on {}:{}", host_of(settings_, node), kContainerPort)
                : fmt::format(" on port {}", port_of(settings_, node))) +
           ", database " + settings_.database;
  }

  std::string role(const std::string& node) {
    const bool replica = open(node).value("select pg_is_in_recovery()") == "t";
    if (replica != (node != "primary"))
      fail(node + (replica ? " is in recovery" : " is not in recovery"));
    return replica ? "in recovery" : "not in recovery";
  }

  std::string streams(const std::string& node) {
    auto connection = open("primary");
    const auto state = connection.value(
        "select coalesce(max(state), 'disconnected') from pg_stat_replication "
        "where application_name = $1",
        {node});
    if (state != "streaming") fail("its state in pg_stat_replication is " + state.value_or("?"));
    return "streaming";
  }

  std::string row_arrives(const std::string& node) {
    auto primary = open("primary");
    auto replica = open(node);
    const auto token = fmt::format("{}-{}", ::getpid(),
                                   std::chrono::steady_clock::now().time_since_epoch().count());
    // A table of its own, so that a test that is cut off leaves nothing that looks like data.
    primary.query("create table if not exists public.pgrevive_test (token text)");
    std::string detail;
    std::exception_ptr problem;
    try {
      const auto began = std::chrono::steady_clock::now();
      primary.query("insert into public.pgrevive_test values ($1)", {token});
      const auto count = [&]() -> std::string {
        try {
          return replica
              .value("select count(*) from public.pgrevive_test where token = $1", {token})
              .value_or("");
        } catch (const Error&) {
          return "";  // the table has not arrived yet
        }
      };
      if (!becomes_true(kReplayLimit, [&] { return count() == "1"; }))
        fail("it did not arrive within " + format_duration(kReplayLimit));
      detail = "after " + format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::steady_clock::now() - began));
      primary.query("delete from public.pgrevive_test where token = $1", {token});
      if (!becomes_true(kReplayLimit, [&] { return count() == "0"; }))
        fail("its removal did not arrive within " + format_duration(kReplayLimit));
    } catch (const Error&) {
      problem = std::current_exception();
    }
    primary.query("drop table if exists public.pgrevive_test");
    if (problem) std::rethrow_exception(problem);
    return detail;
  }

  std::string refuses_writes(const std::string& node) {
    auto connection = open(node);
    try {
      connection.query("create table public.pgrevive_test_refused (n int)");
    } catch (const Error& error) {
      // read_only_sql_transaction, and not just any error
      if (std::string(error.what()).find("read-only") != std::string::npos ||
          std::string(error.what()).find("25006") != std::string::npos)
        return "read-only";
      throw;
    }
    connection.query("drop table if exists public.pgrevive_test_refused");
    fail("it took a write");
  }

  std::string same_cluster(const std::string& node) {
    auto primary = open("primary");
    auto replica = open(node);
    const std::string question = "select system_identifier::text from pg_control_system()";
    const auto a = primary.value(question).value_or("");
    const auto b = replica.value(question).value_or("");
    if (a != b) fail("system identifiers differ: " + a + " and " + b);
    const auto name = primary.value(
        in_words_of(primary.server_version(), "select pg_walfile_name(pg_current_wal_lsn())"));
    const auto timeline = postgres::Timeline::parse_hex(name.value_or("").substr(0, 8)).value();
    const auto received = parse_unsigned(
        replica.value("select max(received_tli) from pg_stat_wal_receiver").value_or(""));
    if (received != timeline)
      fail(fmt::format("the primary is on timeline {}, it receives {}", timeline,
                       received ? std::to_string(*received) : "nothing"));
    return fmt::format("system identifier {}, timeline {}", a, timeline);
  }

  std::string databases() {
    const auto record = NodeRecord::load(directory_, "primary").value_or(NodeRecord{});
    if (record.databases.empty()) fail("it is not known which databases there should be");
    for (const auto& node : nodes_)
      for (const auto& database : record.databases) {
        // Reading a catalog takes a connection and the database's own files.
        auto connection = open(node, database);
        if (connection.value("select count(*) > 0 from pg_class") != "t")
          fail("database " + database + " on " + node + " has an empty catalog");
      }
    std::string all;
    for (const auto& database : record.databases) all += (all.empty() ? "" : ", ") + database;
    return all;
  }

  std::string archiving() {
    auto connection = open("primary");
    const auto failures = connection.value("select failed_count from pg_stat_archiver");
    const int version = connection.server_version();
    // A segment without any WAL in it is not switched, so there has to be some.
    connection.query("create table if not exists public.pgrevive_test (token text)");
    connection.query("drop table if exists public.pgrevive_test");
    const auto segment =
        connection.value(in_words_of(version, "select pg_walfile_name(pg_switch_wal())"))
            .value_or("");
    // One that failed may be tried again, but works no more as it should: nothing to wait for.
    bool failed = false;
    const bool ended = becomes_true(kArchiveLimit, [&] {
      failed = connection.value("select failed_count from pg_stat_archiver") != failures;
      return failed || connection.value(
                           "select coalesce(last_archived_wal collate \"C\" >= $1, false) from "
                           "pg_stat_archiver",
                           {segment}) == "t";
    });
    if (failed) fail("archive_command failed; the server's log says why");
    if (!ended) fail(segment + " was not archived within " + format_duration(kArchiveLimit));
    return segment + " archived";
  }

  std::string adminer() {
    if (!becomes_true(std::chrono::seconds(5),
                      [&] { return adminer_answers(settings_, std::chrono::seconds(2)); }))
      fail(adminer_url(settings_) + " does not answer with its login page");
    return adminer_url(settings_);
  }

  const StateDirectory& directory_;
  Marker marker_;
  Settings settings_;
  std::vector<std::string> nodes_;
  std::vector<Check> checks_;
  std::set<std::string> hanging_;  // let one check wait for its connection in vain
};

}  // namespace

std::vector<Check> run_checks(const StateDirectory& directory, const std::string& published) {
  return Checks(directory, published).run();
}

}  // namespace pgrevive::cluster
